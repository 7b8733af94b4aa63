"""What is asked of the host room before any sshd is; the functional tests have a real one."""

import os

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.base import state
from sshtrail_lib.base.memory import Memory
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.base.transaction import Transaction
from sshtrail_lib.sshd import asked, host, oracle


@pytest.fixture
def minion(tmp_path, monkeypatch):
    """A host without sshd."""
    monkeypatch.setattr(oracle, "binary", lambda: None)
    return Minion({}, {"cachedir": str(tmp_path / "cache"), "sshtrail.run_dir": str(tmp_path / "run")}, {}, {})


def test_the_disk(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    assert host.DISK.read(str(tmp_path / "file")) == b"x"
    assert (host.DISK.read(str(tmp_path)), host.DISK.read(str(tmp_path / "none"))) == (b"", None)
    assert list(host.DISK.glob(f"{tmp_path}/*")) == [str(tmp_path / "file")]
    assert [host.DISK.has_directory(str(path)) for path in (tmp_path, tmp_path / "file")] == [True, False]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CommandExecutionError, match="pipe is a pipe, at which sshd would wait"):
        host.DISK.read(str(tmp_path / "pipe"))


def test_get_reads_includes_too(minion, tmp_path):
    (tmp_path / "main").write_text(f"Include {tmp_path}/*.conf\n")
    (tmp_path / "1.conf").write_text("\nLogLevel DEBUG # why\nAcceptEnv A B\n")
    found = {"value": "DEBUG", "file": str(tmp_path / "1.conf"), "line": 2}
    assert host.get(minion, "loglevel", None, str(tmp_path / "main")) == found
    assert host.get(minion, "AcceptEnv", None, str(tmp_path / "main"))["value"] == ["A B"]
    assert host.get(minion, "Banner", None, str(tmp_path / "main")) is None


def test_effective(minion, tmp_path):
    (tmp_path / "main").write_text("LogLevel INFO\nMatch User bob\nLogLevel DEBUG\n")
    found = host.effective(minion, str(tmp_path / "main"), user="bob")["LogLevel"]
    assert (found["value"], found["line"], [one["line"] for one in found["shadowed"]]) == ("DEBUG", 3, [1])
    assert host.effective(minion, str(tmp_path / "main"), user=5)["LogLevel"]["value"] == "INFO"
    with pytest.raises(SaltInvocationError, match=r"user takes text, not \['bob'\]"):
        host.effective(minion, str(tmp_path / "main"), user=["bob"])
    with pytest.raises(SaltInvocationError, match="lport takes the number of a port, not 'ssh'"):
        host.effective(minion, str(tmp_path / "main"), lport="ssh")


def test_check_without_sshd(minion, tmp_path):
    (tmp_path / "main").write_text("LogLevel LOUD\n")
    assert [one["line"] for one in host.check(minion, str(tmp_path / "main"))] == [1]
    (tmp_path / "main").write_text("LogLevel INFO\n")
    assert host.check(minion, str(tmp_path / "main")) == []


def test_a_host_without_sshd_is_predicted(minion, tmp_path):
    for act in (host.diff, host.apply):
        with pytest.raises(state.NotInstalled, match="OpenSSH's sshd is not on this host yet") as missing:
            act(minion, asked.Asked(str(tmp_path / "main"), {"LogLevel": "verbose"}))
        assert missing.value.changes == {"LogLevel": {"old": None, "new": "VERBOSE"}}


#: What stands in the file, and PermitRootLogin for everybody and for root: under "", and in each block.
ROOTS = [
    ("PermitRootLogin yes\nMatch User root\nPermitRootLogin no", ["yes", "no"], ["no", "no"]),
    ("PermitRootLogin no\nMatch User bob\nPermitRootLogin yes", ["no", "yes"], ["no"]),
    ("PermitRootLogin no\nMatch User r*,!bob\nPermitRootLogin yes", ["no", "yes"], ["yes", "yes"]),
    ("PermitRootLogin no\nMatch User bob Address 192.0.2.0/24\nPermitRootLogin yes", ["no", "yes"], ["no"]),
    ("PermitRootLogin no\nMatch Address 192.0.2.0/24\nPermitRootLogin yes", ["no", "yes"], ["no", "yes"]),
    ("PermitRootLogin no\nMatch Group root\nPermitRootLogin yes", ["no", "yes"], ["yes", "yes"]),
    ("PermitRootLogin no\nMatch Group nogroup\nPermitRootLogin yes", ["no", "yes"], ["no"]),
    ("PermitRootLogin yes\nMatch User *\nPermitRootLogin no", ["no", "no"], ["no", "no"]),
    ("PermitRootLogin yes\nMatch Address *\nPermitRootLogin no\nMatch User bob\nMaxSessions 1", ["no"] * 3, ["no"] * 2),
    ("PermitRootLogin yes\nMatch all\nPermitRootLogin no", ["no"], ["no"]),
]


@pytest.mark.parametrize(("said", "everybody", "root"), ROOTS)
def test_what_each_match_block_comes_to_for_whom(minion, tmp_path, said, everybody, root):
    (tmp_path / "main").write_text(f"{said}\n")
    for user, told in ((None, everybody), ("root", root)):
        found = host.branches(minion, str(tmp_path / "main"), user)
        assert [one["PermitRootLogin"]["value"] for one in found.values()] == told


#: What stands in the file, for whom a block decides that is not its example, and MaxSessions there (sshd 9.2 -T -C).
OTHERS = [
    ("Match User bob\nMaxSessions 5\nMatch User bob,carol\nMaxSessions 50", {"User bob,carol (User carol)": "50"}),
    ("Match User b*\nMaxSessions 5\nMatch User bob,ben\nMaxSessions 50", {}),
    ("Match User bob\nMaxSessions 5\nMatch User bob\nMaxSessions 50", {}),
    ("Match User bob\nMaxSessions 5\nMatch User bob,carol\nLogLevel INFO", {}),
    ("Match Host *.a\nMaxSessions 5\nMatch Host x.a,*.b\nMaxSessions 50", {"Host x.a,*.b (Host x.b)": "50"}),
    (
        "Match Address 192.0.2.0/24\nMaxSessions 5\nMatch Address 192.0.2.1,198.51.100.0/24\nMaxSessions 50",
        {"Address 192.0.2.1,198.51.100.0/24 (Address 198.51.100.77)": "50"},
    ),
    (
        "MaxSessions 50\nMatch Address 0.0.0.0/0\nMaxSessions 5",
        {"Address 0.0.0.0/0 (those of IPv6 do not meet it)": "50"},
    ),
    ("MaxSessions 50\nMatch Address 0.0.0.0/0,::/0\nMaxSessions 5", {}),
    ("AddressFamily inet\nMaxSessions 50\nMatch Address 0.0.0.0/0\nMaxSessions 5", {}),
]


@pytest.mark.parametrize(("said", "told"), OTHERS)
def test_for_whom_a_block_decides_that_is_not_its_example(minion, tmp_path, said, told):
    (tmp_path / "main").write_text(f"{said}\n")
    found = host.branches(minion, str(tmp_path / "main"), None, ["MaxSessions", "LogLevel"])
    assert {name: one["MaxSessions"]["value"] for name, one in found.items() if "(" in name} == told


#: Match lines that all set MaxSessions 5 after a MaxSessions 50 for everybody, what stands before them, and whether
#: somebody is left who has the 50 (sshd -T -C).
TOGETHER = [
    (["Address 0.0.0.0/0", "Address ::/0"], "", False),
    (["Address 0.0.0.0/0,::/0"], "", False),
    (["Address 0.0.0.0/1,128.0.0.0/1", "Address ::/1,8000::/1"], "", False),
    (["Address 0.0.0.0/0", "Address ::/1"], "", True),
    (["Address 0.0.0.0/0", "Address ::/1,fc00::/7"], "", True),
    (["Address 0.0.0.0/0"], "", True),
    (["Address 0.0.0.0/0"], "AddressFamily inet", False),
    (["Address ::/0"], "AddressFamily inet6", False),
    (["Address ::/0"], "ListenAddress ::1", False),
    (["Address 0.0.0.0/0,2001:db8::/32"], "", True),
    (["Address *,!10.0.0.0/8", "Address 10.0.0.0/8"], "", False),
    (["Address *,!10.0.0.0/8", "Address 10.0.0.0/9"], "", True),
    (["Address *,!10.*", "Address 10.*"], "", False),
    (["Address *,!10.0.0.0/8", "User *"], "", False),
    (["User *,!root", "User root"], "", False),
    (["User *,!root,!bob", "User root"], "", True),
    (["User *,!a*", "User a*"], "", False),
    (["User *,!a*", "User ab*"], "", True),
    (["User ?*"], "", False),
    (["User ?", "User ??*"], "", False),
    (["User ??*"], "", True),
    (["User *,!root", "User root Address 10.0.0.0/8"], "", True),
    (["User *,!root", "User root Address 0.0.0.0/0", "User root Address ::/0"], "", False),
    (["Group *,!wheel", "Group wheel"], "", False),
    (["Group a,!b", "Group *,!a"], "", True),
    (["Group *"], "", False),
    (["LocalPort 22"], "", False),
    (["LocalPort 22"], "Port 22\nPort 2222", True),
    (["LocalPort 22", "LocalPort 2222"], "Port 22\nPort 2222", False),
    (["LocalAddress 192.0.2.1"], "ListenAddress 192.0.2.1", False),
    (["LocalAddress 192.0.2.1"], "", True),
    (["Host *"], "", False),
    (["Host *,!*.example.net", "Host *.example.net"], "UseDNS yes", False),
    (["Host *.example.net"], "UseDNS yes", True),
    (["all"], "", False),
]


@pytest.mark.parametrize(("blocks", "before", "left"), TOGETHER)
def test_several_blocks_can_leave_nobody_to_what_stands_before_them(minion, tmp_path, blocks, before, left):
    matches = "".join(f"Match {one}\nMaxSessions 5\n" for one in blocks)
    (tmp_path / "main").write_text(f"{before}\nMaxSessions 50\n{matches}")
    found = host.branches(minion, str(tmp_path / "main"), None, ["MaxSessions", "LogLevel"])
    values = [one["MaxSessions"]["value"] for one in found.values() if "MaxSessions" in one]
    assert ("50" in values) is left and "5" in values


def test_who_meets_one_block_is_not_left_where_others_are_for_everybody(minion, tmp_path):
    said = "MaxSessions 50\nMatch User bob\nLogLevel INFO\nMatch Address 0.0.0.0/0\nMaxSessions 5\n"
    (tmp_path / "main").write_text(f"{said}Match Address ::/0\nMaxSessions 6\n")
    found = host.branches(minion, str(tmp_path / "main"), None, ["MaxSessions"])
    assert "50" not in [one["MaxSessions"]["value"] for one in found.values() if "MaxSessions" in one]


def test_for_whom_of_one_account_a_block_decides(minion, tmp_path):
    blocks = "Match User bob,root\nPermitRootLogin no\nMatch User bob,root,carol\nPermitRootLogin yes\n"
    (tmp_path / "main").write_text(blocks)
    assert "(" not in "".join(host.branches(minion, str(tmp_path / "main"), "root", ["PermitRootLogin"]))
    (tmp_path / "main").write_text(blocks.replace("User bob,root\n", "User bob,root Address 192.0.2.1\n"))
    found = host.branches(minion, str(tmp_path / "main"), "root", ["PermitRootLogin"])
    assert found["User bob,root,carol"]["PermitRootLogin"]["value"] == "yes"


def test_what_each_match_block_comes_to(minion, tmp_path):
    (tmp_path / "main").write_text(
        "LogLevel INFO\nMatch User bob\nLogLevel ERROR\nMatch Address 192.0.2.0/24\nMaxSessions 3\nMatch all\n"
    )
    found = host.branches(minion, str(tmp_path / "main"))
    assert list(found) == ["", "User bob", "Address 192.0.2.0/24"]
    assert [found[name]["LogLevel"]["value"] for name in found] == ["INFO", "ERROR", "INFO"]
    assert found["Address 192.0.2.0/24"]["MaxSessions"] == {
        **{"value": "3", "file": str(tmp_path / "main"), "line": 5, "default": False, "shadowed": []}
    }


def test_the_daemon_of_a_host_without_sshd(minion, tmp_path):
    path = str(tmp_path / "main")
    (tmp_path / "main").write_text("UsePAM yes\n")
    assert (host.listening(minion, path), host.reload(minion, path)) == (None, [])
    assert host.running(minion, path, ["UsePAM"]) == (True, {})
    assert host.sources(minion, path)["pidfile"] == "none"


@pytest.mark.parametrize(
    ("left", "changed"),
    [
        (("main", "ours", "50"), {"main": "as before", "ours": None, "50": "as before"}),
        (("ours", "50"), {"ours": None, "50": "as before"}),
        (("50",), {"50": "as before"}),
        ((), {"main": "forgotten"}),
    ],
)
def test_what_is_given_back_when_sshd_was_removed(minion, tmp_path, left, changed):
    before = {"main": b"Port 22\n", "50": b"LogLevel QUIET\n", "ours": None}
    after = {"main": b"", "50": b"", "ours": b"LogLevel VERBOSE\n"}
    files = [{str(tmp_path / name): data for name, data in one.items()} for one in (before, after)]
    transaction = Transaction(minion, "sshd_config", str(tmp_path / "main"))
    with transaction.locked():
        Memory(minion, transaction, str(tmp_path / "main")).write({}, files[0], files[1], [["LogLevel", None]])
        transaction.close()
    for name in set(after) - set(left):
        (tmp_path / name).unlink()
    paths = {str(tmp_path / name): new for name, new in changed.items()}
    told = [host.forget(minion, str(tmp_path / "main"), test) for test in (True, False)]
    assert told[0] == told[1] and {path: one["new"] for path, one in told[0].items()} == paths
    now = {name: (tmp_path / name).read_bytes() for name in before if (tmp_path / name).exists()}
    assert now == {name: data for name, data in before.items() if name in left and data is not None}
    assert host.forget(minion, str(tmp_path / "main")) == {}
