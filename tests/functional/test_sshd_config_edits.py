"""Files as people have them (tests/data/sshd/edits.yaml), edited by the states and judged by the host's sshd."""

import subprocess

import pytest
import yaml
from matrix.sshd_trees import DATA

CASES = yaml.safe_load((DATA / "edits.yaml").read_text())


@pytest.fixture
def there(separation, tmp_path):
    """Return a function that makes the files of a case."""

    def make(case):
        for name, text in case["files"].items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(placed(text, tmp_path))
        for name, target in case.get("links", {}).items():
            (tmp_path / name).symlink_to(target)
        return content(tmp_path)

    return make


def placed(value, base):
    """Return a text, or a structure of them, with the directory in place of "@/"."""
    if isinstance(value, str):
        return value.replace("@/", f"{base}/")
    if isinstance(value, dict):
        return {key: placed(one, base) for key, one in value.items()}
    return [placed(one, base) for one in value] if isinstance(value, list) else value


def content(base):
    files = [path for path in base.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path.relative_to(base)): path.read_text() for path in files}


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", CASES)
def test_an_edit(there, states, modules, tmp_path, name):
    case = CASES[name]
    before = there(case)
    main = (
        {"name": str(tmp_path / "sshd_config")} if case["state"] == "managed" else {"path": f"{tmp_path}/sshd_config"}
    )
    run = getattr(states.sshd_config, case["state"])
    predicted = run(test=True, **main, **case["with"])
    assert content(tmp_path) == before
    done = run(**main, **case["with"])
    if "fails" in case:
        assert (predicted.result, done.result, content(tmp_path)) == (False, False, before)
        assert [words for words in placed(case["fails"], tmp_path) if words not in done.comment] == [], done.comment
        return
    assert done.result is True, done.comment
    assert content(tmp_path) == {**before, **placed(case["after"], tmp_path)}
    assert predicted.changes == done.changes == placed(case.get("changes", done.changes), tmp_path)
    assert bool(done.changes) == bool(case["after"])
    assert predicted.result is (None if case["after"] else True)
    again = run(**main, **case["with"])
    assert (again.result, again.changes) == (True, {}), again.comment
    assert modules.sshd_config.check(path=f"{tmp_path}/sshd_config") == []


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case["state"] == "absent" and "after" in case]
)
def test_unset_is_the_same_as_absent(there, states, modules, tmp_path, name):
    case = CASES[name]
    before = there(case)
    path, given = f"{tmp_path}/sshd_config", dict(case["with"])
    predicted = states.sshd_config.absent(test=True, path=path, **given).changes
    assert modules.sshd_config.unset(given.pop("name"), path=path, **given) == predicted != {}
    assert content(tmp_path) == {**before, **placed(case["after"], tmp_path)}


@pytest.mark.parametrize(
    ("match", "met", "other"),
    [
        ("Address 192.168.*", {"addr": "192.168.7.7"}, {}),
        ("Address *,!10.0.0.0/8", {}, {"addr": "10.2.3.4"}),
        ("Address 10.0.0.0/8,!10.0.0.0/16", {"addr": "10.2.3.4"}, {"addr": "10.0.3.4"}),
        ("Address 2001:db8:*", {"addr": "2001:db8::7"}, {}),
        ("User g*,!gx", {"user": "gina"}, {"user": "gx"}),
        ("Host *.example.com,!x.example.com", {"host": "y.example.com"}, {"host": "x.example.com"}),
    ],
)
def test_a_block_for_whom_a_wildcard_or_an_exclusion_names(there, modules, tmp_path, match, met, other):
    there({"files": {"sshd_config": "UsePAM yes\nMatch User bob\n\tX11Forwarding no\n"}})
    path = str(tmp_path / "sshd_config")
    modules.sshd_config.apply(matches=[{match: {"MaxSessions": 3}}], path=path, force=True)
    common = {"user": "eve", "host": "h", "addr": "192.0.2.1", "laddr": "192.0.2.9", "lport": "22"}
    for who, value in ((met, "maxsessions 3"), (other, "maxsessions 10")):
        told = ",".join(f"{name}={each}" for name, each in {**common, **who}.items())
        printed = subprocess.run(
            ["/usr/sbin/sshd", "-T", "-f", path, "-C", told], capture_output=True, text=True, check=True
        )
        assert value in printed.stdout.splitlines()
