"""
What the tests of the auditd wing share: the installed auditd, and the files of distributions.
"""

import pathlib
import subprocess

import pytest
from support import require_root

RECORD = "type=DAEMON_START msg=audit(1.000:1): op=start\n"


def pytest_generate_tests(metafunc):
    """Run a test that asks for ``sample`` with each file (pathlib.Path) of ``tests/data/auditd``."""
    if "sample" in metafunc.fixturenames:
        data = pathlib.Path(__file__).resolve().parents[2] / "data" / "auditd"
        metafunc.parametrize("sample", sorted(data.glob("*.conf")), ids=lambda path: path.name)


@pytest.fixture(scope="session")
def debian(root):
    """The file that Debian 12 installs (bytes)."""
    return (root / "tests" / "data" / "auditd" / "debian-12.conf").read_bytes()


@pytest.fixture(scope="session")
def installed():
    """The installed auditd's version (tuple of int)."""
    printed = subprocess.run(["auditctl", "-v"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, printed.split()[-1].split(".")))


@pytest.fixture(scope="module")
def parser(tmp_path_factory):
    """Ask the installed parser about bytes: None when it takes every line, else what it says (str)."""
    require_root()
    directory = tmp_path_factory.mktemp("parser")
    log, candidate = directory / "probe.log", directory / "auditd.conf"
    log.write_text(RECORD)
    log.chmod(0o600)
    overlay = 'mount --bind "$1" /etc/audit/auditd.conf && exec ausearch --input-logs -m DAEMON_START --just-one --raw'

    def ask(data):
        candidate.write_bytes(data + f"log_file = {log}\n".encode())
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", overlay, "sh", candidate], capture_output=True, text=True, check=False
        )
        # After a line that it refuses ausearch reads the host's own log instead, which holds such records too.
        return None if RECORD.strip() in done.stdout else done.stderr

    return ask
