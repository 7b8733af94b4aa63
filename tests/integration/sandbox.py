"""
Whole hosts for tests: a sandbox that knows the command under test, and trees to run it from.
"""

import contextlib
import json
import os
import pathlib
import shutil
import sys

from _commands import Commands
from _sandbox import Sandbox

#: A program that takes auditd's place at the kernel.
IMPOSTOR = "import ctypes, time; lib = ctypes.CDLL('libaudit.so.1'); handle = lib.audit_open()"
IMPOSTOR += "; assert lib.audit_set_pid(handle, __import__('os').getpid(), 1) >= 0; time.sleep(600)"


class Machine(Sandbox):
    """A sandbox that has a masterless minion; ``call(FUNCTION, …)`` returns what the function returned."""

    def __init__(self, base, root, network=None, **config):
        super().__init__(base, network)
        own = {"id": "host", "root_dir": str(self.base), "file_client": "local", "module_dirs": [str(root)]}
        (self.base / "conf").mkdir()
        quick = {"enable_fqdns_grains": False, "enable_gpu_grains": False}
        (self.base / "conf" / "minion").write_text(json.dumps({**own, **quick, **config}))
        self.salt = Commands(sys.executable, self.enter)

    def call(self, *args):
        """Run ``salt-call FUNCTION …`` and return what the function returned."""
        done = self.salt.run("salt-call", "--local", "-c", self.base / "conf", "--out=json", *args)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["local"]

    def close(self):
        self.salt.close()
        super().close()


class Host(Machine):
    """A machine that knows the command under test."""

    def __init__(self, base, root, network=None):
        super().__init__(base, root, network, pillar_roots={"base": [str(root / "pillar")]})
        self.root = root

    def highstate(self, *args, tree=None, within=()):
        """Run ``bin/highstate`` with the Salt that runs the tests, by the command ``within`` if there is one."""
        bin_dir = pathlib.Path(sys.executable).parent
        environ = dict(os.environ, PATH=f"{bin_dir}:{os.environ['PATH']}")
        return self.run(*within, (tree or self.root) / "bin" / "highstate", *args, env=environ, check=False)

    def drift(self):
        """Return what ``sshtrail.drift`` finds."""
        return self.call("sshtrail.drift")


def changed_tree(root, base, old, new):
    """Copy the checkout to ``base`` with ``old`` replaced by ``new`` in the pillar that all share; return where."""
    shutil.copytree(root, base / "tree", symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    pillar = base / "tree" / "pillar" / "sshtrail" / "common.sls"
    text = pillar.read_text()
    assert old in text
    pillar.write_text(text.replace(old, new))
    return base / "tree"


def have(*programs):
    """Tell whether all of the programs are installed."""
    return all(shutil.which(program) for program in programs)


class Logging(Host):
    """A host whose messages to syslog are written to a file, as syslog daemons do it."""

    AUTH = "/var/log/auth.log"

    def _receive(self):
        with contextlib.suppress(OSError):
            while message := self.receiver.recv(65536):
                self.messages.append(message)
                # "<86>Nov 25 19:35:23 sshd[7]: …" has no host yet.
                text = message.partition(b">")[2].rstrip(b"\0\n")
                with open(self.inside(self.AUTH), "ab") as log:
                    log.write(text[:16] + b"host " + text[16:] + b"\n")
