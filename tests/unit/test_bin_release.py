"""
bin/release and pillar.example: made from the code, complete, and a policy.
"""

import subprocess
import sys

import _reference
import pytest
import yaml
from sshtrail_lib.policy import pillar as policy_pillar
from sshtrail_lib.policy import schema

from unit.test_bin_highstate import load


def paths(wanted, tree, above="sshtrail"):
    for name, key in wanted.items():
        path = f"{above}:{name}"
        if name in tree and isinstance(key, dict):
            yield from paths(key, tree[name], path)
        elif name in tree:
            yield path


def test_the_example_has_every_key_and_is_a_policy(root):
    text = (root / "pillar.example").read_text()
    assert text == _reference.example(), "run bin/release"
    pillar = yaml.safe_load(text)
    assert list(paths(schema.POLICY, pillar["sshtrail"])) == [path for path, _ in schema.keys(schema.POLICY)]
    assert policy_pillar.build(pillar, "Debian")["environment"] == "prod"
    # What is said of a key, and its default.
    assert "Default: report." in text and all(len(line) <= 120 for line in text.splitlines())


@pytest.fixture(scope="module")
def release(root):
    return load(root / "bin" / "release")


def test_the_version_is_one(release, monkeypatch, tmp_path):
    assert release.agreed_version()
    monkeypatch.setitem(release.VERSIONS, "FORMULA", "^release: (.*)$")
    with pytest.raises(release._prepare.Failed, match="and FORMULA has 1"):
        release.agreed_version()


@pytest.fixture
def tree(release, tmp_path, monkeypatch):
    """A repository of its own, of a distribution with one module."""
    top = tmp_path / "tree"
    top.mkdir()
    (top / "setup.cfg").write_text("[metadata]\nname = one\nversion = 1.2\n[options]\npy_modules = one\n")
    (top / "pyproject.toml").write_text('[build-system]\nrequires = ["setuptools"]\n')
    (top / "one.py").write_text("ONE = 1\n")
    monkeypatch.setattr(release._prepare, "ROOT", str(top))
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "1"]):
        subprocess.run(["git", *command], cwd=top, check=True)
    return top


def test_the_same_commit_gives_the_same_wheel(release, tree, tmp_path):
    first = release.built(sys.executable, str(tmp_path / "a"))
    # What is not committed is not in it.
    (tree / "one.py").write_text("ONE = 2\n")
    second = release.built(sys.executable, str(tmp_path / "b"))
    assert first.endswith("/one-1.2-py3-none-any.whl")
    with open(first, "rb") as one, open(second, "rb") as two:
        assert one.read() == two.read()


def test_what_git_says_is_told(release, tree):
    with pytest.raises(release._prepare.Failed, match="git log no-such-commit: .*ambiguous"):
        release.git("log", "no-such-commit")
