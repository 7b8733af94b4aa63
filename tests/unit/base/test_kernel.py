"""The kernel's audit subsystem, with ``auditctl`` as the judge."""

import ctypes
import os
import subprocess
import sys

import pytest
from sshtrail_lib.base import kernel


def test_status_is_what_auditctl_prints(audit):
    printed = subprocess.run(["auditctl", "-s"], capture_output=True, text=True, check=True).stdout
    expected = {words[0]: int(words[1]) for words in map(str.split, printed.splitlines()) if len(words) == 2}
    assert {key: kernel.status()[key] for key in expected} == expected
    assert kernel.status()["immutable"] is False


@pytest.mark.parametrize(
    "prefix, error",
    [
        (["unshare", "--user", "--map-root-user"], "OtherNamespace"),
        (["unshare", "--pid", "--fork"], "NoCapability"),
        (["setpriv", "--bounding-set=-audit_control"], "NoCapability"),
    ],
    ids=["user namespace", "process namespace", "no capability"],
)
def test_a_process_that_may_not_ask_is_told_why(audit, root, prefix, error):
    program = "from sshtrail_lib.base import kernel\nkernel.status()"
    env = {**os.environ, "PYTHONPATH": str(root / "_utils")}
    done = subprocess.run(
        [*prefix, sys.executable, "-c", program], capture_output=True, text=True, env=env, check=False
    )
    assert f"sshtrail_lib.base.kernel.{error}: The kernel's audit subsystem" in done.stderr.splitlines()[-1]


def test_a_host_without_the_library_is_told_so(monkeypatch):
    monkeypatch.setattr(kernel, "LIBRARY", "libaudit.so.none")
    kernel.library.cache_clear()
    with pytest.raises(kernel.LibraryError, match="libaudit.so.none"):
        kernel.library()


@pytest.mark.parametrize(
    "lock", [lambda lib: lib.audit_set_enabled(-1, ctypes.c_uint(2)), lambda lib: lib.audit_set_loginuid_immutable(-1)]
)
def test_no_test_locks_this_kernel(lock):
    """Whatever it replaced is not there any more: the library was read anew. Nothing listens at the handle -1."""
    for _ in range(2):
        with pytest.raises(AssertionError, match="until the next reboot"):
            lock(kernel.library())
    assert kernel.library().audit_set_enabled(-1, ctypes.c_uint(1)) < 0
