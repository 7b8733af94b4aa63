"""
Salt's commands by a process that has loaded Salt already: each runs in a child of it and has two thirds less to do.

Run as a program, by the Python of a Salt, it takes a command a line and tells what came of it; see :class:`Commands`.
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading

# Salt's own names for what its commands do.
ENTRIES = {"salt": "salt_main", "salt-run": "salt_run", "salt-call": "salt_call", "salt-key": "salt_key"}
# What most of them load anyway; none of these opens a connection or starts a thread.
LOADED = ["scripts", "cli.salt", "cli.run", "cli.call", "cli.key", "client", "runner", "minion", "loader", "output"]
LOADED += ["state", "pillar", "fileclient", "utils.jinja", "modules.state", "grains.core", "channel.client", "key"]
LOADED += ["transport.zeromq", "utils.event"]


class Commands:
    """
    The commands of one Salt, in one place; ``run(NAME, …)`` runs one.

    The process that has loaded Salt starts when the first of them is run, and ends when its input does.
    """

    def __init__(self, python, enter=list):
        """
        python
            The Python of the Salt (path-like); the commands lie beside it.
        enter
            What makes of a command line (list) the one that runs it in the place (list of str).
        """
        self.command, self.process, self.alone = enter([python, os.path.realpath(__file__)]), None, threading.Lock()

    def run(self, name, *arguments):
        """Run one of :data:`ENTRIES` and return the finished process (:class:`subprocess.CompletedProcess`)."""
        command = [name, *map(str, arguments)]
        with self.alone:
            if not self.process:
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
                self.process = subprocess.Popen(self.command, cwd="/", **pipes)
            print(json.dumps(command), file=self.process.stdin, flush=True)
            return subprocess.CompletedProcess(command, **json.loads(self.process.stdout.readline()))

    def close(self):
        """End the process that has loaded Salt."""
        if self.process:
            self.process.communicate()


def main():
    for name in LOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(f"salt.{name}")
    for line in sys.stdin:
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            child = os.fork()
            if not child:
                replace(stdout, stderr)
                os._exit(run(json.loads(line)))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said = {"returncode": status, "stdout": text(stdout), "stderr": text(stderr)}
        print(json.dumps(said), flush=True)


def replace(stdout, stderr):
    """Have this process read nothing, and write to two files."""
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(stdout.fileno(), 1)
    os.dup2(stderr.fileno(), 2)


def run(command):
    """Run a command (list of str) as its script does; return its exit status (int)."""
    sys.argv = [os.path.join(os.path.dirname(sys.executable), command[0]), *command[1:]]
    try:
        status = getattr(sys.modules["salt.scripts"], ENTRIES[command[0]])()
    except SystemExit as exc:
        status = exc.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status if isinstance(status, int) else int(status is not None)


def text(file):
    """Return what a temporary file holds (str)."""
    file.seek(0)
    return file.read().decode(errors="replace")


if __name__ == "__main__":
    main()
