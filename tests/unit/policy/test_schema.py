"""policy.schema: what each key takes and means is told, and its default is allowed."""

import pytest
from sshtrail_lib.policy import schema

KEYS = dict(schema.keys(schema.POLICY))


def at(tree, path):
    """Return what a tree (dict) holds at a path below the key (str), None for nothing."""
    for name in path.split(":")[1:]:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


@pytest.mark.parametrize("path", KEYS)
def test_a_key_tells_what_it_takes_and_means(path):
    assert KEYS[path].kind.takes and KEYS[path].means.endswith(".")


@pytest.mark.parametrize("path", KEYS)
def test_a_default_is_allowed(path):
    problems, default = [], at(schema.DEFAULTS, path)
    if default is not None:
        assert KEYS[path].kind.check(default, path, problems) == default
        assert problems == []


def test_every_default_has_a_key():
    found = [f"{schema.KEY}:{name}" for name in schema.DEFAULTS]
    while nested := [path for path in found if isinstance(at(schema.DEFAULTS, path), dict) and path not in KEYS]:
        found = [path for path in found if path not in nested]
        found += [f"{path}:{name}" for path in nested for name in at(schema.DEFAULTS, path)]
    assert set(found) <= set(KEYS)


def test_a_mapping_is_checked_key_by_key():
    problems = []
    schema.checked({"drift": {"intervall": 5, "action": "mend"}, "audit": 1}, schema.POLICY, "x", problems)
    assert len(problems) == 3
    assert "x:drift:intervall is unknown; did you mean interval?" in problems[1]
