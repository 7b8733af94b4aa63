"""
How a file is changed, without a daemon; real daemons are in tests/functional/test_auditd_conf.py.
"""

import os
import subprocess
import sys

import pytest
from sshtrail_lib.auditd import check, daemon, host
from sshtrail_lib.base import kernel, minion, processes, state, transaction
from support import require_root

OLD = "log_file = {}/audit.log\nspace_left = 2\nfreq = 50\n"


@pytest.fixture
def salt(tmp_path, monkeypatch):
    """Salt (Minion) on a host without audit, whose auditd refuses nothing that is not known of it."""
    require_root()

    def refuse():
        raise kernel.NoAudit("This kernel has no audit subsystem.")

    monkeypatch.setattr(kernel, "status", refuse)
    monkeypatch.setattr(check, "refusals", lambda _minion, _data: [])
    opts = {"sshtrail.run_dir": str(tmp_path / "run"), "cachedir": str(tmp_path / "cache")}
    return minion.Minion({}, opts, {}, {})


@pytest.fixture
def conf(tmp_path):
    """The path (str) of a configuration file."""
    path = tmp_path / "auditd.conf"
    path.write_text(OLD.format(tmp_path))
    path.chmod(0o640)
    return str(path)


def _text(path):
    with open(path, encoding="utf-8") as handle:
        return handle.read()


@pytest.fixture
def interrupted(salt, conf):
    """The same file after a change of freq from 50 to 60 that never ended (str)."""
    old = _text(conf).encode()
    transaction.Transaction(salt, "auditd_conf", conf).write(
        {conf: old}, {conf: old.replace(b"freq = 50", b"freq = 60")}
    )
    assert "freq = 60" in _text(conf)
    return conf


def test_a_change_is_what_was_foreseen_and_leaves_a_backup(salt, conf):
    before, foreseen = _text(conf), host.diff(salt, {"freq": 60}, conf)
    assert _text(conf) == before
    assert host.change(salt, {"freq": 60}, conf) == foreseen == {"freq": {"old": "50", "new": "60"}}
    assert _text(conf) == before.replace("freq = 50", "freq = 60")
    assert host.diff(salt, {"freq": 60}, conf) == {}
    [backup] = os.scandir(os.path.join(salt.cachedir, "file_backup", os.path.dirname(conf).lstrip("/")))
    assert _text(backup.path) == before


@pytest.mark.parametrize("line", ["plugin_dir = plugins.d", "tcp_client_ports = 1-2-3", "admin_space_left = 1%5"])
def test_what_somebody_wrote_and_auditd_takes_keeps_no_change_out(salt, conf, line):
    with open(conf, "a", encoding="utf-8") as handle:
        handle.write(f"space_left = 10%\n{line}\n")
    [problem] = host.check(salt, conf)
    assert problem.passes and problem.keyword == line.split(" ")[0] and problem.line == 5
    assert host.change(salt, {"freq": 60}, conf) == {"freq": {"old": "50", "new": "60"}}
    assert line in _text(conf) and host.diff(salt, {"freq": 60}, conf) == {}
    # Who asks for the keyword gets it as it should be.
    new = {"plugin_dir": "/etc/audit/plugins.d", "tcp_client_ports": "1-3", "admin_space_left": "1%"}[problem.keyword]
    assert host.diff(salt, {problem.keyword: new}, conf)[problem.keyword]["new"] == new


def test_an_interrupted_change_counts_as_not_made(salt, interrupted):
    assert host.get(salt, "freq", interrupted)["value"] == "50"
    assert host.check(salt, interrupted) == []
    assert host.diff(salt, {"freq": 60}, interrupted) == {"freq": {"old": "50", "new": "60"}}
    assert "freq = 60" in _text(interrupted), "whoever only reads changed something"


def test_the_journal_is_found_however_the_path_is_written(salt, interrupted):
    directory, name = os.path.split(interrupted)
    assert host.get(salt, "freq", f"{directory}/../{os.path.basename(directory)}/{name}")["value"] == "50"


def test_the_next_change_undoes_an_interrupted_one_first(salt, interrupted):
    host.change(salt, {"num_logs": 3}, interrupted)
    assert "freq = 50\nnum_logs = 3\n" in _text(interrupted)
    assert host.diff(salt, {"freq": 50, "num_logs": 3}, interrupted) == {}


@pytest.mark.parametrize("config", [{}, {"freq": 50}])
def test_an_interrupted_change_differs_also_where_the_old_values_are_wanted(salt, interrupted, config):
    assert host.diff(salt, config, interrupted) == {"freq": {"old": "60", "new": "50"}}
    host.change(salt, config, interrupted)
    assert "freq = 50" in _text(interrupted)
    assert host.diff(salt, config, interrupted) == {}


def test_what_somebody_wrote_since_is_not_undone(salt, interrupted):
    with open(interrupted, "a", encoding="utf-8") as handle:
        handle.write("num_logs = 7\n")
    assert host.get(salt, "freq", interrupted)["value"] == "60"
    assert host.diff(salt, {"freq": 60}, interrupted) == {}


def test_one_change_at_a_time(salt, conf, monkeypatch):
    monkeypatch.setattr(host, "DEADLINE", 0.1)
    before = _text(conf)
    with transaction.Transaction(salt, "auditd_conf", conf).locked(), pytest.raises(transaction.Busy):
        host.change(salt, {"freq": 60}, conf)
    assert _text(conf) == before


def test_a_host_without_the_file(salt, tmp_path):
    path = str(tmp_path / "none")
    with pytest.raises(state.NotInstalled) as raised:
        host.change(salt, {"freq": 60}, path)
    assert raised.value.changes == {"freq": {"old": None, "new": "60"}}
    with pytest.raises(state.NotInstalled):
        host.check(salt, path)


@pytest.fixture
def reader(salt, conf, monkeypatch):
    """A process (int, its pid) that stands for the auditd that has read the file and left a mark."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(daemon, "find", lambda _path: daemon.Daemon(process.pid, True, ("auditd",)))
        processes.mark(process.pid, [conf], salt.run_dir, _text(conf).encode())
        yield process.pid
        process.stdin.close()


def test_a_daemon_that_has_read_the_file_has_nothing_to_do(salt, conf, reader):
    assert host.status(salt, conf) == {"pid": reader, "reads": True, "current": True, "note": ""}
    assert host.diff(salt, {}, conf) == {}


def test_a_daemon_that_was_about_to_read_is_told_again(salt, conf, reader):
    """The run that told it was killed before it could note that it did."""
    processes.forget(reader, salt.run_dir)
    os.utime(conf)
    assert host.status(salt, conf)["current"] is False
    assert host.diff(salt, {}, conf) == {"auditd": {"old": "works with other settings", "new": "reloaded"}}


def test_a_daemon_that_has_read_what_is_undone_is_told_again(salt, interrupted, reader):
    """The run was killed between its note that the daemon took the file up and the end of the change."""
    processes.mark(reader, [interrupted], salt.run_dir, _text(interrupted).encode())
    assert host.status(salt, interrupted)["current"] is False
    assert host.diff(salt, {"freq": 60}, interrupted) == {"freq": {"old": "50", "new": "60"}}
    assert host.diff(salt, {}, interrupted)["auditd"]["new"] == "reloaded"


@pytest.mark.parametrize(("config", "new"), [({"freq": 60}, "reloaded"), ({"priority_boost": 6}, "restarted")])
def test_what_becomes_of_the_daemon(salt, conf, reader, config, new):
    assert host.diff(salt, config, conf)["auditd"]["new"] == new


POLICIES = [{"freq": 60, "num_logs": 7}, {"max_log_file": 50}, {"space_left": 40, "freq": None}, {"num_logs": 3}]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0, 2), (2,)])
def test_policies_in_a_row_leave_nothing(salt, conf, order):
    before = _text(conf)
    for number in order:
        host.change(salt, POLICIES[number], conf, remember=True)
        assert host.diff(salt, POLICIES[number], conf, remember=True) == {}
        for name, value in POLICIES[number].items():
            found = host.get(salt, name, conf)
            assert (found and found["value"]) == (None if value is None else str(value))
    assert host.remembered(salt) == [conf]
    predicted = host.forget(salt, conf, test=True)
    assert _text(conf) != before
    assert host.forget(salt, conf) == predicted != {}
    assert _text(conf) == before
    assert host.forget(salt, conf) == {}
    assert host.remembered(salt) == []


BEFORE = {
    "free space in two units": b"log_file = {0}/audit.log\nspace_left = 2\nadmin_space_left = 10%\n",
    "free space of the daemon's default": b"log_file = {0}/audit.log\nadmin_space_left = 10%\n",
    "a last line without an end": b"log_file = {0}/audit.log\nspace_left = 2\nfreq = 50",
    "a group that is gone": b"log_file = {0}/audit.log\nspace_left = 2\nlog_group = no-such-group\n",
}
NEW = {"space_left": "25%", "admin_space_left": "5%", "log_group": "root", "freq": 60}


@pytest.mark.parametrize("old", BEFORE.values(), ids=BEFORE)
def test_what_stood_there_comes_back_though_it_is_none_that_a_policy_could_have(salt, conf, tmp_path, old):
    old = old.replace(b"{0}", os.fsencode(tmp_path))
    with open(conf, "wb") as handle:
        handle.write(old)
    assert host.check(salt, conf)
    host.change(salt, NEW, conf, remember=True)
    assert host.forget(salt, conf, test=True) == host.forget(salt, conf) != {}
    assert _text(conf).encode() == old and host.remembered(salt) == []


def test_a_policy_that_asks_for_less(salt, conf):
    host.change(salt, {"freq": 60, "num_logs": 7}, conf, remember=True)
    changes = host.change(salt, {"num_logs": 7}, conf, remember=True)
    assert changes == {"freq": {"old": "60", "new": "50"}}


def test_what_a_person_adds_meanwhile_stays(salt, conf):
    before = _text(conf)
    host.change(salt, {"freq": 60, "num_logs": 7}, conf, remember=True)
    with open(conf, "a", encoding="utf-8") as handle:
        handle.write("max_log_file = 9\n")
    host.forget(salt, conf)
    assert _text(conf) == before + "max_log_file = 9\n"


def test_what_is_remembered_of_an_interrupted_change_counts_as_not_made(salt, conf, monkeypatch):
    before = _text(conf)
    monkeypatch.setattr(transaction.Transaction, "close", lambda self: None)
    host.change(salt, {"freq": 60}, conf, remember=True)
    monkeypatch.undo()
    assert "freq = 60" in _text(conf)
    assert host.get(salt, "freq", conf)["value"] == "50"
    assert host.forget(salt, conf) == {}
    assert _text(conf) == before
