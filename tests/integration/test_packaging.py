"""
One source tree, served in each of the ways that the documentation names.
"""

import pathlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from salt_call import SaltCall


@pytest.fixture
def salt_call(tmp_path):
    """A factory: ``salt_call(**minion_config)`` gives a :class:`SaltCall` in a fresh directory."""
    return lambda **options: SaltCall(tmp_path / "minion", **options)


@pytest.fixture(scope="session")
def wheel(root, tmp_path_factory):
    """The wheel (pathlib.Path), built from a copy of the checkout so that nothing is left in it."""
    source = tmp_path_factory.mktemp("source") / "tree"
    shutil.copytree(root, source, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__", "build"))
    target = source.parent / "wheels"
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    target.mkdir()
    subprocess.run([sys.executable, "-c", build, target], cwd=source, check=True, capture_output=True)
    return next(target.glob("saltext_sshtrail-*.whl"))


def test_the_tree_works_with_nothing_installed(salt_call, root):
    call = salt_call(pillar_roots={"base": [str(root / "pillar")]})
    assert call("-m", str(root), "sshtrail.policy")["environment"] == "prod"


def test_the_tree_is_served_from_salt_and_synced(salt_call, root):
    call = salt_call(
        file_roots={"base": [str(root / "salt")]},
        pillar_roots={"base": [str(root / "pillar")]},
    )
    synced = call("saltutil.sync_all")
    assert set(synced["modules"]) >= {"modules.sshd_config", "modules.auditd_conf", "modules.audit_rules"}
    assert {name.removeprefix("utils.") for name in synced["utils"]} == utils(root)
    call.offers_everything()
    assert call("sshtrail.policy")["environment"] == "prod"


def test_the_wheel_holds_every_file(wheel, root):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"{util}.py" for util in utils(root)}
    for kind in ("modules", "runners", "states"):
        wanted |= {f"saltext/sshtrail/{kind}/{path.name}" for path in (root / f"_{kind}").glob("*.py")}
    assert wanted <= names


def test_the_wheel_works_in_a_fresh_environment(wheel, salt_call, root, tmp_path):
    python = fresh_environment(tmp_path / "venv")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(pip, check=True)
    call = salt_call(python=python, pillar_roots={"base": [str(root / "pillar")]})
    call.offers_everything()
    assert call("sshtrail.policy")["environment"] == "prod"


def utils(root):
    """The names of the shared modules (set of str)."""
    return {path.stem for path in (root / "_utils").glob("*.py")}


def fresh_environment(path):
    """Make a virtual environment that sees the present one's Salt, nothing of this project; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    (site_packages(path) / "salt.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = path / "bin" / "python"
    salt_call = path / "bin" / "salt-call"
    salt_call.write_text(f"#!{python}\nimport sys\nfrom salt.scripts import salt_call\nsys.exit(salt_call())\n")
    salt_call.chmod(0o755)
    return python


def site_packages(path):
    """Return where the virtual environment at ``path`` keeps its packages (pathlib.Path)."""
    return pathlib.Path(next(path.glob("lib/python*/site-packages")))


def test_the_tree_is_served_by_gitfs(salt_call, root, tmp_path):
    """gitfs follows no link to a directory, so each directory is a remote of its own."""
    bare = tmp_path / "saltext-sshtrail.git"
    commit_all(root, tmp_path / "tree", bare)
    served = {"salt": "", "_modules": "_modules", "_states": "_states", "_utils": "_utils"}
    remotes = [
        {f"file://{bare}": [{"name": name}, {"root": name}, {"base": "main"}, {"mountpoint": f"salt://{mountpoint}"}]}
        for name, mountpoint in served.items()
    ]
    call = salt_call(fileserver_backend=["gitfs"], gitfs_remotes=remotes, pillar_roots={"base": [str(root / "pillar")]})
    call("saltutil.sync_all")
    call.offers_everything()
    assert "sshtrail" in call("cp.list_states")
    assert not [path for path in call("cp.list_master") if "pillar" in path]


def commit_all(root, tree, bare):
    """Commit the checkout as it is now, tracked or not, and push it to a new bare repository."""
    shutil.copytree(root, tree, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__", "build"))
    git = ["git", "-C", tree, "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main", tree],
        [*git, "add", "--all"],
        [*git, "commit", "--quiet", "--message=tree"],
        ["git", "clone", "--quiet", "--bare", tree, bare],
    ):
        subprocess.run(command, check=True)
