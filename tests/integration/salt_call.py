"""
Salt's own commands, run as an administrator runs them, each with a configuration of its own.
"""

import json
import pathlib
import subprocess
import sys

PUBLIC = {
    "audit_rules": {"check", "diff", "load", "loaded", "status"},
    "auditd_conf": {"check", "get", "set"},
    "sshd_config": {"check", "effective", "get", "set", "unset"},
    "sshtrail": {"drift", "policy", "report"},
}
PUBLIC_STATES = {
    "audit_rules": {"absent", "managed", "present"},
    "auditd_conf": {"managed", "present"},
    "sshd_config": {"absent", "managed", "present"},
}


class SaltCall:
    """A masterless minion in a directory of its own: ``call(FUNCTION, …)`` returns what salt-call printed."""

    def __init__(self, base, python=sys.executable, **config):
        self.command = str(pathlib.Path(python).parent / "salt-call")
        self.base = base
        config = {"id": "web1", "root_dir": str(base), "file_client": "local", **config}
        config |= {"enable_fqdns_grains": False, "enable_gpu_grains": False}
        (base / "conf").mkdir(parents=True)
        (base / "conf" / "minion").write_text(json.dumps(config))

    def run(self, *args):
        """Run salt-call and return the finished process."""
        command = [self.command, "--local", "-c", str(self.base / "conf"), "--out", "json", *args]
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
