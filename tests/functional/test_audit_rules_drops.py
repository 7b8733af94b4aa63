"""What rules drop and do not see is what the library says: counted in the log of a real auditd."""

import subprocess
import sys

import pytest
from _waiting import wait_for
from sshtrail_lib.rules import compile as rules_compile
from sshtrail_lib.rules import language, layout, places
from support import auditctl
from test_audit_rules_events import auditd

#: What is still in the log with each of them: what a program says, and a directory that is made.
LINES = [
    ("-a never,user", True, True),
    ("-a always,user -F uid=0", True, True),
    ("-a never,user -F uid=0", False, True),
    ("-a never,exclude", True, True),
    ("-a always,exclude", True, True),
    ("-a always,exclude -F uid=0", False, False),
    ("-a never,exclude -F msgtype=USER", False, True),
    ("-a always,task -F uid=0", True, True),
    ("-a never,task", True, False),
    ("-a never,filesystem", True, True),
    ("-a always,filesystem -F fstype=tracefs", True, True),
    ("-a never,exit -F arch=b64 -S mkdirat", True, False),
    ("-a never,exit -F arch=b64 -S mkdirat -F field_compare=11", True, False),
]
MAKE = "import os, sys; os.mkdir(sys.argv[1], dir_fd=os.open('/', os.O_RDONLY))"


@pytest.fixture
def log(tmp_path, audit):
    """A function: what a real auditd has written, once it has all that there was (str)."""

    mark = "sshtrail-test-end"

    def written():
        # What leaves it out is gone by now.
        auditctl("-D")
        auditctl("-m", mark)
        path = tmp_path / "auditd" / "audit.log"
        wait_for(lambda: mark in path.read_text(), "the end in the log")
        return path.read_text()

    with auditd(tmp_path / "auditd"):
        yield written


@pytest.mark.parametrize(("line", "said", "made"), LINES)
def test_what_hides_is_what_the_kernel_drops(log, tmp_path, line, said, made):
    auditctl("-D")
    auditctl(*line.split(" "))
    auditctl("-a", "always,exit", "-F", "arch=b64", "-S", "mkdirat", "-k", "sshtrail-test")
    subprocess.run([sys.executable, "-I", "-S", "-c", MAKE, str(tmp_path / "made")], check=True)
    auditctl("-m", "sshtrail-test-said")
    found = log()
    assert ("sshtrail-test-said" in found, f'name="{tmp_path}/made"' in found) == (said, made)
    [rule] = language.taken(line)
    assert layout.hides(rules_compile.compile(rule)) is not (said and made)
    keyed = [one for one in found.splitlines() if one.startswith("type=SYSCALL") and 'key="sshtrail-test"' in one]
    # What the list task has recorded has no other rule's key.
    assert bool(keyed) is (made and "always,task" not in line)


@pytest.mark.parametrize(
    "form", ["-w {} -p wa", "-a always,exit -F path={} -F perm=wa", "-a always,exit -F dir={} -F perm=wa"]
)
@pytest.mark.parametrize("itself", [True, False])
def test_a_file_that_another_one_is_mounted_on_is_not_watched(log, tmp_path, form, itself):
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("")
    other.write_text("")
    subprocess.run(["mount", "--bind", file if itself else other, file], check=True)
    try:
        assert places.covered([str(file)]) == (set() if itself else {str(file)})
        auditctl(*form.format(tmp_path if "dir=" in form else file).split(" "), "-k", "sshtrail-test-w")
        # A process that is older than auditing leaves no record, and this one may be.
        subprocess.run(["dd", "if=/dev/zero", "count=1", "status=none", f"of={file}"], check=True)
    finally:
        subprocess.run(["umount", file], check=True)
    found = [line for line in log().splitlines() if line.startswith("type=SYSCALL") and 'key="sshtrail-test-w"' in line]
    # With a directory the kernel has what is mounted below it.
    assert bool(found) is (itself or "dir=" in form)
