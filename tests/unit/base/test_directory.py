"""
base.directory: accounts and groups as the C library has them, and a directory that never answers.
"""

import grp
import os
import pwd
import threading
import time

import pytest
from sshtrail_lib.base import directory
from sshtrail_lib.base.programs import LateError
from sshtrail_lib.compliance import places
from sshtrail_lib.rules import accounts as rules_accounts
from sshtrail_lib.sshd import accounts
from sshtrail_lib.trail import reader


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(directory, "PATIENCE", 0.3)
    monkeypatch.setattr(directory, "_HUNG", {})


@pytest.fixture
def hangs(monkeypatch):
    """A directory that is asked, and does not answer before the test ends: how often it was asked (list)."""
    over, asked = threading.Event(), []

    def wait(*what):
        asked.append(what)
        over.wait(60)
        raise KeyError("too late")

    for module, names in ((pwd, ("getpwnam", "getpwuid", "getpwall")), (grp, ("getgrnam", "getgrgid", "getgrall"))):
        for name in names:
            monkeypatch.setattr(module, name, wait)
    monkeypatch.setattr(os, "getgrouplist", wait)
    yield asked
    over.set()


def test_what_there_is_is_told():
    assert directory.user("root") == directory.user_of(0) == pwd.getpwnam("root")
    assert directory.group(grp.getgrgid(0).gr_name) == directory.group_of(0) == grp.getgrgid(0)
    assert directory.users() == pwd.getpwall() and directory.groups() == grp.getgrall()


@pytest.mark.parametrize(
    ("ask", "given", "raised"),
    [
        (directory.user, "no such account", KeyError),
        (directory.user, "a\0b", ValueError),
        (directory.user, "\ud800", UnicodeError),
        (directory.user_of, 2**40, (KeyError, OverflowError)),
        (directory.group, "no such group", KeyError),
        (directory.group_of, -7, (KeyError, OverflowError)),
    ],
)
def test_what_there_is_not_is_raised_as_ever(ask, given, raised):
    for _ in range(3):
        with pytest.raises(raised):
            ask(given)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: directory.user("alice"),
        lambda: directory.user_of(1000),
        directory.users,
        lambda: directory.group("wheel"),
        lambda: directory.group_of(1000),
        directory.groups,
        lambda: accounts.groups("alice"),
        lambda: accounts.has_key("alice", ["%h/keys"]),
        lambda: rules_accounts._ask("user", "alice"),
        lambda: rules_accounts._ask("group", "wheel"),
    ],
)
def test_one_that_never_answers_is_named_and_not_asked_again_for_a_while(hangs, ask):
    begun = time.monotonic()
    for _ in range(5):
        with pytest.raises(LateError, match=r"^The directory of accounts \(get\w+, nsswitch\.conf\) has not answered"):
            ask()
    assert time.monotonic() - begun < 2 and len(hangs) == 1


def test_two_that_ask_at_once_are_both_answered(monkeypatch):
    """A minion may run its jobs in threads: who asks while another waits has nothing to do with one that hangs."""
    both, root = threading.Barrier(2), pwd.getpwnam("root")
    monkeypatch.setattr(directory, "PATIENCE", 30)

    def answers(_name):
        both.wait(20)
        return root

    monkeypatch.setattr(pwd, "getpwnam", answers)
    found = []
    threads = [threading.Thread(target=lambda: found.append(directory.user("root"))) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [root, root]


def test_it_is_asked_again_after_a_while(hangs, monkeypatch):
    monkeypatch.setattr(directory, "FORGIVEN", 0.2)
    for _ in range(3):
        with pytest.raises(LateError):
            directory.user("alice")
        time.sleep(0.3)
    assert len(hangs) == 3


def test_one_that_has_come_back_is_believed(monkeypatch):
    directory._HUNG["getpwnam"] = time.monotonic() - 1
    assert directory.user("root").pw_uid == 0 and "getpwnam" not in directory._HUNG


def test_a_number_stands_for_a_name_that_is_not_told(hangs):
    assert places._user(1000) == "1000" and places._group(1000) == "1000" and places._user(0) == "root"
    assert reader.name_of(1000) is None
