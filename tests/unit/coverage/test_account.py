"""
coverage.account: the account for proofs is made, corrected and removed; one that is somebody's is refused.
"""

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import minion
from sshtrail_lib.coverage import account

OURS = "p:x:999:995::/run/sshtrail-proof:/bin/sh\n"
ROOT = "root:x:0:0:root:/root:/bin/bash\n"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with these accounts; ``host.called`` lists what was done to them."""
    for name in ("PASSWD", "SHADOW"):
        monkeypatch.setattr(account, name, str(tmp_path / name))

    class Host:
        called = []

        def accounts(self, passwd, shadow="p:*:1::::::\n"):
            (tmp_path / "PASSWD").write_text(passwd)
            (tmp_path / "SHADOW").write_text(shadow)

        def make(self, name):
            def call(function):
                return lambda *args, **kwargs: self.called.append((function, *args)) or True

            functions = ("user.add", "user.delete", "user.chshell", "shadow.set_password")
            return account.make(minion.Minion({name: call(name) for name in functions}, {}, {}, {}), name)

    Host.called = []
    return Host()


def test_a_new_one_is_made_without_a_password(host):
    host.accounts(ROOT)
    assert host.make("p") == {"p": {"old": None, "new": account.MADE}}
    assert host.called == [("user.add", "p"), ("shadow.set_password", "p", "*")]


def test_one_that_is_right_stays(host):
    host.accounts(ROOT + OURS)
    assert host.make("p") == {} and host.called == []


def test_a_password_and_another_shell_are_taken_back(host):
    host.accounts(ROOT + OURS.replace("/bin/sh", "/bin/bash"), "p:$6$x:1::::::\n")
    assert account.diff("p")["p"]["old"]["password"] == "some"
    host.make("p")
    assert host.called == [("user.chshell", "p", "/bin/sh"), ("shadow.set_password", "p", "*")]


def test_one_that_is_named_no_more_goes(host):
    host.accounts(ROOT + OURS)
    assert set(host.make(None)) == {"p"} and host.called == [("user.delete", "p")]
    host.called.clear()
    assert set(host.make("q")) == {"p", "q"}


def test_somebodys_account_is_refused(host):
    host.accounts(ROOT + "alice:x:1000:1000::/home/alice:/bin/bash\n")
    for name in ("alice", "root"):
        with pytest.raises(CommandExecutionError, match="somebody's"):
            account.diff(name)
