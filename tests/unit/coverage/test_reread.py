"""
coverage.reread: a sshd that worked with other files between two looks, and what is only its daily life.
"""

import os
import types

import pytest
from sshtrail_lib.coverage import logs, opened, reread
from sshtrail_lib.coverage.memory import Memory
from sshtrail_lib.coverage.reread import Served
from sshtrail_lib.policy import pillar as policy_pillar

BEFORE = {"read": "7 a", "program": "x", "hold": "h", "stand": "s"}
AGAIN = {**BEFORE, "read": "7 b", "stand": "t"}


@pytest.mark.parametrize(
    "before,now,known",
    {
        "read again, and changed": (BEFORE, AGAIN, True),
        "nothing": (BEFORE, BEFORE, False),
        "reloaded alone": (BEFORE, {**BEFORE, "read": "7 b"}, False),
        "changed alone": (BEFORE, {**BEFORE, "stand": "t"}, False),
        "upgraded": (BEFORE, {**AGAIN, "program": "y"}, False),
        "nobody has looked in this boot": ({}, AGAIN, False),
        "it cannot be told": (BEFORE, {}, False),
    }.values(),
)
def test_what_bears_a_second_look(before, now, known):
    assert reread.changed(before, now) is known


#: Whether the files hold what they held, who had sshd read them, when it had read them before, and whether it is told.
SIGNS = {
    "there and back": (True, False, 0.0, True),
    "there and back, which the log tells too": (True, False, 40.0, True),
    "the policy has taken back what was read": (True, True, 40.0, True),
    "to something else by way of a third": (False, False, 40.0, True),
    "somebody has changed it": (False, False, 0.0, False),
    "the policy has changed it": (False, True, 0.0, False),
    "the policy has changed it after a start": (False, True, 40.0, False),
    "the policy has taken back what nobody read": (True, True, 0.0, False),
}


@pytest.mark.parametrize("same,ours,earlier,known", SIGNS.values(), ids=SIGNS)
def test_one_sign_is_none(same, ours, earlier, known):
    served = Served({**AGAIN, "hold": "h" if same else "i"}, 60.0, 50.0, "/etc/ssh/sshd_config", ours)
    told = reread.judge(BEFORE, served, earlier)
    assert bool(told) is known
    assert not told or ("/etc/ssh/sshd_config was changed at 1970-01-01T00:00:50" in told and "in no log" in told)


@pytest.mark.parametrize(
    "began,read,when",
    [((40.0,), 60.0, 40.0), ((49.5, 60.0), 60.0, 0.0), ((20.0,), 60.0, 0.0), ((40.0,), 41.0, 0.0), ((), 60.0, 0.0)],
)
def test_when_it_had_read_them_before(began, read, when):
    assert reread._earlier(began, 30.0, Served({}, read, 50.0)) == when


CALL = 'type=SYSCALL msg=audit({}.000:{}): success={} auid={} exe="/usr/bin/{}" key="{}"\n'
CALLS = [(90, "yes", 0, "vi", "ssh_config"), (110, "no", 5, "tee", "ssh_config"), (110, "yes", 0, "sed", "ssh_config")]
CALLS += [(120, "yes", 4294967295, "cp", "ssh_config"), (120, "yes", 3, "true", "ssh_commands")]


def test_who_wrote_there(tmp_path):
    own = {"environment": "x", "rules": {"groups": {"ssh_config": True, "session": True}}}
    policy = policy_pillar.build({"sshtrail": own}, "Debian")
    log = tmp_path / "audit.log"
    log.write_text("".join(CALL.format(one[0], n, *one[1:]) for n, one in enumerate(CALLS)))
    told = reread._by(logs.End(str(log), 100.0).calls(opened.keys(policy, "/etc/ssh/sshd_config")))
    assert told == "; /usr/bin/sed of login id 0, /usr/bin/cp of nobody with a login wrote there"


@pytest.fixture
def minion(tmp_path, monkeypatch):
    """A minion whose sshd (this process) reads a file, with ``minion.path``; ``minion.read()`` has it read again."""
    path, pidfile, binary = (tmp_path / name for name in ("sshd_config", "pid", "sshd"))
    for one in (path, pidfile, binary):
        one.write_text("1")
    listener = types.SimpleNamespace(pid=os.getpid(), stamp=None)

    def read(when=2e9):
        os.utime(pidfile, (when, when))
        listener.stamp = (1, int(when * 1e9), 1)

    found = {"paths": [str(path), str(tmp_path), str(binary)], "binary": str(binary), "pidfile": str(pidfile)}
    monkeypatch.setattr(reread.sshd_host, "sources", lambda minion, path: found)
    monkeypatch.setattr(reread.sshd_listener, "find", lambda *given: listener)
    monkeypatch.setattr(reread.logs, "began", lambda minion, policy, since: [])
    read(1e9)
    return types.SimpleNamespace(run_dir=str(tmp_path), path=path, binary=binary, read=read)


def test_from_look_to_look(minion, tmp_path):
    policy = {"sshd": {"path": str(minion.path), "logs": {}}, "rules": {"groups": []}}
    memory = [Memory(boot="x")]

    def look():
        memory[0] = reread.missing(minion, policy, str(tmp_path / "audit.log"), memory[0]._replace(loss=None), 5.0)
        return memory[0].loss.told if memory[0].loss else ""

    assert look() == look() == ""
    minion.path.write_text("UsePAM no")
    minion.path.write_text("1")
    minion.read()
    assert "and they hold what they held" in look() and look() == ""
    # A package brings another program, and writes its files anew.
    minion.path.write_text("1")
    minion.binary.write_text("2")
    minion.read(2.1e9)
    assert look() == ""
    minion.path.write_text("2")
    minion.read(2.2e9)
    assert look() == ""
