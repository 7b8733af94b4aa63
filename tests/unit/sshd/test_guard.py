"""Who is kept out by what; accounts of this host that are always there."""

import pytest
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.sshd import accounts, guard, plan, wish

MAIN, DAEMON = "/t/sshd_config", golden("9.2")
OPEN = "PermitRootLogin yes\nUsePAM yes\n"


def judge(config, admins=(), before=OPEN, match=None, who=None):
    tree = loaded(DAEMON, {MAIN: before.encode()}, MAIN)
    wishes = [wish.wish(name, value, DAEMON, match) for name, value in config.items()]
    who = who or accounts.known()
    guard.judge(plan.plan(tree, wishes), who, admins)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"PermitRootLogin": "no"}, "PermitRootLogin no keeps root out .*:1: PermitRootLogin no"),
        ({"AllowUsers": ["r?ot2"]}, "AllowUsers does not hold root"),
        ({"DenyUsers": ["!x,r*"]}, "DenyUsers holds root"),
        ({"DenyGroups": ["ro*"]}, "DenyGroups holds a group of root"),
        ({"AllowGroups": ["wheel2"]}, "AllowGroups holds no group of root"),
        ({"ListenAddress": ["127.0.0.1"]}, "no longer listen where it does now"),
        ({"Port": [2222]}, "no longer listen where it does now"),
    ],
)
def test_what_would_lock_root_out(config, words):
    with pytest.raises(guard.LockOutError, match=words):
        judge(config, ["root"])


def test_a_match_block_can_do_it_too():
    with pytest.raises(guard.LockOutError, match="PermitRootLogin no"):
        judge({"PermitRootLogin": "no"}, ["root"], match="User root")


@pytest.mark.parametrize(
    ("config", "before"),
    [
        ({"AllowUsers": ["root@192.0.2.1"]}, OPEN),
        ({"DenyUsers": ["root@192.0.2.1"]}, OPEN),
        ({"PermitRootLogin": "no"}, "PermitRootLogin forced-commands-only\n"),
        ({"Port": [22, 2222]}, OPEN),
        ({"LogLevel": "VERBOSE"}, OPEN),
    ],
)
def test_what_would_not(config, before):
    judge(config, ["root"], before)


def test_an_administrator_without_an_account_yet_is_guarded_too():
    with pytest.raises(guard.LockOutError, match="no-such-account"):
        judge({"AllowUsers": ["root"]}, ["no-such-account"])


KEYLESS = guard.Accounts(["root"], lambda _account, _words: False)


def test_who_there_is_and_who_has_keys_is_handed_in():
    judge({"PasswordAuthentication": "no", "UsePAM": "no"}, who=KEYLESS)
    with pytest.raises(guard.LockOutError, match="neither a password nor a key would let root in"):
        judge({"PasswordAuthentication": "no", "UsePAM": "no"}, ["root"], who=KEYLESS)
    with pytest.raises(guard.LockOutError, match="root, the only account"):
        judge({"PermitRootLogin": "no"}, who=KEYLESS)
    judge({"PermitRootLogin": "no"}, who=KEYLESS._replace(with_shell=["root", "alice"]))
