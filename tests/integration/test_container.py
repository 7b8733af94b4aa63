"""
``bin/highstate`` where the kernel does not let this process audit: in a process namespace, as in a container.
"""

import pytest
from sandbox import Host, changed_tree
from support import require_root

# The kernel answers questions about its audit subsystem only from the first process namespace.
CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc"]


@pytest.fixture
def host(root, tmp_path):
    """A sandbox; what is started in the container ends with its first process."""
    require_root()
    host = Host(tmp_path, root)
    yield host
    host.close()


def test_the_rules_fail_with_one_sentence_and_sshd_is_still_managed(host):
    done = host.highstate(within=CONTAINER)
    assert done.returncode == 1
    failed = done.stdout.partition("Failed: sshtrail rules\n")[2].splitlines()[0]
    assert "outside a container" in failed
    assert "Traceback" not in done.stdout + done.stderr
    assert "loglevel verbose" in host.run("sshd", "-T").stdout.lower()


def test_a_host_that_has_no_audit_says_so_in_its_pillar(host, root, tmp_path):
    tree = changed_tree(root, tmp_path, "sshtrail:\n", "sshtrail:\n  audit: false\n")
    done = host.highstate(tree=tree, within=CONTAINER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "audit rules" not in done.stdout
    assert "LogLevel: INFO -> VERBOSE" in done.stdout
    again = host.highstate(tree=tree, within=CONTAINER)
    assert again.returncode == 0
    # The container's sshd went with it.
    assert "sshd config" not in again.stdout.partition("Changed:")[2].partition("Asked")[0]
