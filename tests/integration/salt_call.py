"""
Salt's own commands, run as an administrator runs them, each with a configuration of its own; and the wheel.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import sysconfig

PUBLIC = {
    "audit_rules": {"check", "diff", "load", "loaded", "status"},
    "auditd_conf": {"check", "diff", "get", "set"},
    "sshd_config": {"check", "diff", "effective", "get", "set", "unset"},
    "sshtrail": {"coverage", "drift", "policy", "proof", "prove", "report"},
    "sshtrail_proof": {"clear", "diff", "make"},
}
PUBLIC_STATES = {
    "audit_rules": {"absent", "managed", "present"},
    "auditd_conf": {"managed", "present"},
    "sshd_config": {"absent", "managed", "present"},
    "sshtrail": {"proven", "verified"},
    "sshtrail_proof": {"account"},
}


class SaltCall:
    """A masterless minion in a directory of its own: ``call(FUNCTION, …)`` returns what salt-call printed."""

    def __init__(self, base, python=sys.executable, options=(), **config):
        """
        base
            A directory that is not there yet (pathlib.Path).
        python
            Whose ``salt-call`` it is (path-like).
        options
            What stands before each function on the command line (list of str).
        config
            The minion's configuration beside its defaults.
        """
        self.command = str(pathlib.Path(python).parent / "salt-call")
        self.base, self.options = base, options
        config = {"id": "web1", "root_dir": str(base), "file_client": "local", **config}
        config |= {"enable_fqdns_grains": False, "enable_gpu_grains": False}
        (base / "conf").mkdir(parents=True)
        (base / "conf" / "minion").write_text(json.dumps(config))

    def run(self, *args):
        """Run salt-call and return the finished process."""
        command = [self.command, "--local", "-c", str(self.base / "conf"), "--out", "json", *self.options, *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.base)

    def __call__(self, *args):
        done = self.run(*args)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["local"]

    def functions(self, *names):
        """Return the public functions of the named execution modules: ``{module: {function, …}}``."""
        return _by_module(self("sys.list_functions", *names))

    def state_functions(self, *names):
        """Return the public functions of the named states: ``{state: {function, …}}``."""
        return _by_module(self("sys.list_state_functions", *names))

    def offers_everything(self):
        """Assert that every public function and state is there."""
        for wanted, found in (
            (PUBLIC, self.functions(*PUBLIC)),
            (PUBLIC_STATES, self.state_functions(*PUBLIC_STATES)),
        ):
            for name, functions in wanted.items():
                assert functions <= found.get(name, set()), name


def _by_module(names):
    found = {}
    for name in names:
        module, _, function = name.partition(".")
        found.setdefault(module, set()).add(function)
    return found


def copied(root, target):
    """Copy the checkout as it is now, tracked or not, to ``target`` (pathlib.Path), and return that."""
    leave = shutil.ignore_patterns(".*_cache", ".git", ".hypothesis", "__pycache__", "build", "*.egg-info")
    return pathlib.Path(shutil.copytree(root, target, symlinks=True, ignore=leave))


def built(root, base):
    """Build the wheel from a copy of the checkout, so that nothing is left in it; return it (pathlib.Path)."""
    source, target = copied(root, base / "tree"), base / "wheels"
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    target.mkdir()
    subprocess.run([sys.executable, "-c", build, target], cwd=source, check=True, capture_output=True)
    return next(target.glob("saltext_sshtrail-*.whl"))


def fresh_environment(path, *programs):
    """
    Make a virtual environment at ``path`` that sees the present one's Salt, nothing of this project; return its Python.

    programs
        Which of Salt's commands it has (str), ``salt-call`` where none is named.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    site_packages = pathlib.Path(next(path.glob("lib/python*/site-packages")))
    (site_packages / "salt.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = path / "bin" / "python"
    for program in programs or ("salt-call",):
        name, command = program.replace("-", "_"), path / "bin" / program
        command.write_text(f"#!{python}\nimport sys\nfrom salt.scripts import {name}\nsys.exit({name}())\n")
        command.chmod(0o755)
    return python


def install(python, wheel):
    """Install the wheel (path-like), and nothing else, for the Python of a virtual environment."""
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(pip, check=True)
