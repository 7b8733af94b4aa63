"""
One source tree, served in each of the ways that the documentation names.
"""

import ast
import configparser
import json
import pathlib
import subprocess
import zipfile

import pytest
import salt.loader
import yaml
from salt_call import SaltCall, built, copied, fresh_environment, install


@pytest.fixture
def salt_call(tmp_path):
    """A factory: ``salt_call(**minion_config)`` gives a :class:`SaltCall` in a fresh directory."""
    return lambda **options: SaltCall(tmp_path / "minion", **options)


@pytest.fixture(scope="session")
def wheel(root, tmp_path_factory):
    """The wheel (pathlib.Path)."""
    return built(root, tmp_path_factory.mktemp("wheel"))


def test_the_tree_works_with_nothing_installed(salt_call, root):
    call = salt_call(pillar_roots={"base": [str(root / "pillar")]}, options=["-m", str(root)])
    assert call("sshtrail.policy")["environment"] == "prod"
    call.offers_everything()


def test_the_tree_is_served_from_salt_and_synced(salt_call, root):
    call = salt_call(
        file_roots={"base": [str(root / "salt")]},
        pillar_roots={"base": [str(root / "pillar")]},
    )
    never = call("state.apply", "sshtrail")
    assert [(one["result"], "run saltutil.sync_all" in one["comment"]) for one in never.values()] == [(False, True)]
    synced = call("saltutil.sync_all")
    assert set(synced["modules"]) >= {"modules.sshd_config", "modules.auditd_conf", "modules.audit_rules"}
    assert {name.removeprefix("utils.") for name in synced["utils"]} == utils(root)
    call.offers_everything()
    assert call("sshtrail.policy")["environment"] == "prod"


def test_the_wheel_holds_every_file_and_nothing_else(wheel, root):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {str(path.relative_to(root / "_utils")) for path in (root / "_utils").rglob("*.py")}
    wanted |= {str(path.relative_to(root)) for path in (root / "saltext").rglob("*.py")}
    for kind in ("modules", "returners", "runners", "states"):
        wanted |= {f"saltext/sshtrail/{kind}/{path.name}" for path in (root / f"_{kind}").glob("*.py")}
    for served in ("salt", "pillar"):
        wanted |= {f"saltext/sshtrail/srv/{path.relative_to(root)}" for path in (root / served).rglob("*.sls")}
    assert names == wanted


def test_the_package_tells_the_version_of_the_wheel(wheel, root):
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    told = {}
    exec((root / "saltext" / "sshtrail" / "__init__.py").read_text(encoding="utf-8"), told)
    assert config["metadata"]["version"] == told["__version__"] == wheel.name.split("-")[1]


def test_salt_takes_no_wing_of_the_library_for_modules_of_its_own(root):
    """The wheel names the library to Salt, for salt-ssh, and Salt looks there for directories of these names."""
    kinds = {pathlib.Path(path).name for path in salt.loader.SALT_INTERNAL_LOADERS_PATHS} | {"outputters", "wrapper"}
    wings = {path.name for path in (root / "_utils" / "sshtrail_lib").iterdir() if path.is_dir()}
    assert not wings & kinds


def test_salt_ssh_gives_the_pillar_to_every_function_that_asks_for_it(root):
    """What the loop and the runner ask, and what a host does by itself (bin/highstate), is nothing for salt-ssh."""
    on_the_host = public(root / "_modules" / "sshtrail.py")
    by_itself = {"condition", "converge", "look", "undo"}
    assert public(root / "saltext/sshtrail/wrapper/sshtrail.py") == on_the_host - by_itself


def public(path):
    """Return the names (set of str) of a file's public functions."""
    found = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    return {node.name for node in found if not node.name.startswith("_")}


def test_the_wheel_works_in_a_fresh_environment(wheel, salt_call, root, tmp_path):
    python = fresh_environment(tmp_path / "venv", "salt-call", "salt-run")
    install(python, wheel)
    call = salt_call(python=python, **served(python, tmp_path / "master"))
    call.offers_everything()
    assert call("sshtrail.policy")["environment"] == "prod"
    # And the SLS files: no module comes with them, for those are installed.
    assert {"sshtrail", "sshtrail.sshd", "orch.rollout"} <= set(call("cp.list_states"))
    assert not [path for path in call("cp.list_master") if path.endswith(".py")]
    assert call("state.show_low_sls", "sshtrail")


def served(python, base):
    """Return what a master of a Python is told to serve by the one command of the page (dict)."""
    (base / "var/cache/salt/master/proc").mkdir(parents=True)
    (base / "conf").mkdir()
    own = {"root_dir": str(base), "user": "root", "id": "wheel-master", "file_roots": {"base": [str(base / "own")]}}
    (base / "conf" / "master").write_text(json.dumps(own))
    command = [python.parent / "salt-run", "-c", base / "conf", "sshtrail.roots", "--out=yaml"]
    roots = yaml.safe_load(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert set(roots) == {"file_roots", "pillar_roots"} and roots["file_roots"]["base"][0] == str(base / "own")
    return roots


def utils(root):
    """The names of the shared modules, as Salt tells them (set of str)."""
    top = root / "_utils"
    return {".".join(path.relative_to(top).with_suffix("").parts) for path in top.rglob("*.py")}


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
    assert call("sshtrail.policy")["environment"] == "prod"
    assert "sshtrail" in call("cp.list_states")
    # The library has a file of that name.
    assert not [path for path in call("cp.list_master") if "pillar" in pathlib.PurePosixPath(path).parent.parts]


def tag(root):
    """Return the tag (str) of this version."""
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    return f"v{config['metadata']['version']}"


def commit_all(root, tree, bare):
    """Commit the checkout as it is now, tracked or not, and push it to a new bare repository."""
    copied(root, tree)
    git = ["git", "-C", tree, "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main", tree],
        [*git, "add", "--all"],
        [*git, "commit", "--quiet", "--message=tree"],
        [*git, "tag", tag(root)],
        ["git", "clone", "--quiet", "--bare", tree, bare],
    ):
        subprocess.run(command, check=True)
