"""
The installed Linux-PAM itself, asked what it makes of given files: in a namespace of its own, where they are
/etc/pam.d and nothing is recorded.

As a program it reads a case a line, ``{name: text}`` as JSON, and answers with what ``pam_start`` and
``pam_open_session`` returned for the service sshd, and what the modules said. Text is bytes as Latin-1.
"""

import json
import os
import pathlib
import select
import subprocess
import sys

# Seconds.
DEADLINE = 5
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Oracle:
    """
    The installed Linux-PAM, or the one at ``library`` (str), which works in ``directory`` (pathlib.Path).
    """

    def __init__(self, directory, library="libpam.so.0"):
        for name in ("pam.d", "dist"):
            (directory / name).mkdir()
        self._argv = ["unshare", "-Urm", "--", sys.executable, __file__, str(directory), library]
        self._process = None

    def ask(self, files):
        """Return ``started``, ``opened`` (int) and ``said`` (list of str) for ``{path: bytes}``, None for no answer."""
        if self._process is None:
            environment = {**os.environ, "PYTHONPATH": str(ROOT / "_utils")}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._process = subprocess.Popen(self._argv, **pipes, env=environment)
        texts = {path: data.decode("latin-1") for path, data in files.items()}
        self._process.stdin.write(json.dumps(texts).encode() + b"\n")
        self._process.stdin.flush()
        # Some files have it read for ever.
        ready, _, _ = select.select([self._process.stdout], [], [], DEADLINE)
        answer = self._process.stdout.readline() if ready else b""
        if answer:
            return json.loads(answer)
        self.close()
        return None

    def close(self):
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None


def main(directory, library):
    from sshtrail_lib.pam import session

    for inside, outside in {"pam.d": "/etc/pam.d", "dist": "/usr/lib/pam.d"}.items():
        if os.path.isdir(outside):
            subprocess.run(["mount", "--bind", os.path.join(directory, inside), outside], check=True)
    if os.path.exists("/dev/log"):
        subprocess.run(["mount", "--bind", "/dev/null", "/dev/log"], check=True)
    pam = session.Pam(library)
    for line in sys.stdin:
        for path in [*pathlib.Path("/etc/pam.d").iterdir(), *pathlib.Path("/usr/lib/pam.d").iterdir()]:
            path.unlink()
        for path, text in json.loads(line).items():
            pathlib.Path(path).write_bytes(text.encode("latin-1"))
        answer = pam.session("sshd", "root", lambda: None)
        print(json.dumps({"started": answer.started, "opened": answer.opened, "said": answer.said}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
