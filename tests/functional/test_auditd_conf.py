"""
auditd.conf through Salt's real loader, with a real auditd that reads a directory of its own.
"""

import contextlib
import os
import socket
import subprocess
import sys

import psutil
import pytest
from _waiting import wait_for
from auditd_server import running, started
from salt.exceptions import SaltInvocationError
from sshtrail_lib.auditd import daemon as auditd_daemon
from sshtrail_lib.auditd import plan as auditd_plan
from sshtrail_lib.base import kernel, state


def _text(path):
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def _log(path):
    return _text(os.path.join(os.path.dirname(path), "log", "audit.log"))


def test_get_tells_value_and_place(modules, conf):
    assert modules.auditd_conf.get("Max_Log_File_Action", path=conf) == {"value": "ROTATE", "file": conf, "line": 11}
    assert modules.auditd_conf.get("name", path=conf) is None


def test_test_mode_predicts_the_real_run_and_a_second_run_is_clean(modules, states, conf):
    config = {"max_log_file": 50, "max_log_file_action": "keep_logs", "local_events": True, "name": "here", "freq": 50}
    before = _text(conf)
    foreseen = states.auditd_conf.managed(name=conf, config=config, test=True)
    assert foreseen.result is None, foreseen.comment
    assert _text(conf) == before
    done = states.auditd_conf.managed(name=conf, config=config)
    assert done.result is True, done.comment
    assert done.changes == foreseen.changes
    assert done.changes == {
        "max_log_file": {"old": "8", "new": "50"},
        "max_log_file_action": {"old": "ROTATE", "new": "keep_logs"},
        "name": {"old": None, "new": "here"},
        "local_events": {"old": None, "new": "yes"},
    }
    expected = before.replace("= 8\n", "= 50\n").replace("= ROTATE", "= keep_logs")
    expected = expected.replace("##name = mydomain\n", "##name = mydomain\nname = here\n") + "local_events = yes\n"
    assert _text(conf) == expected
    again = states.auditd_conf.managed(name=conf, config=config)
    assert (again.result, again.changes) == (True, {})
    assert modules.auditd_conf.check(path=conf) == []


def test_present_takes_one_keyword_in_any_case(states, conf):
    assert states.auditd_conf.present(name="MAX_LOG_FILE", value=50, path=conf).changes == {
        "max_log_file": {"old": "8", "new": "50"}
    }
    assert states.auditd_conf.present(name="max_log_file_action", value="rotate", path=conf).changes == {}


@pytest.mark.parametrize(
    "config, culprit",
    [
        ({"max_log_fil": 50}, "did you mean 'max_log_file'"),
        ({"num_logs": 1000}, "num_logs = 1000 is not possible: auditd wants a whole number from 0 to 999"),
        ({"freq": 0}, "needs a freq above 0"),
        ({"admin_space_left": 9}, "line 12: space_left must be larger"),
        ({"log_group": "no-such-group"}, "log_group no-such-group does not exist"),
        ({"log_file": "/no/such/dir/audit.log"}, "/no/such/dir, does not exist"),
        ({"report_interval": "1h"}, "does not know the keyword 'report_interval': it came with 4.0.5"),
        ({"name": "two words"}, "without spaces"),
        ({"freq": 1.5}, "freq = 1.5"),
        (["freq"], "mapping"),
    ],
)
def test_bad_input_is_one_sentence_and_touches_nothing(states, conf, config, culprit):
    before = _text(conf)
    for test in (True, False):
        refused = states.auditd_conf.managed(name=conf, config=config, test=test)
        assert (refused.result, refused.changes) == (False, {})
        assert culprit in refused.comment
    assert _text(conf) == before


def test_a_host_without_the_file_gets_a_prediction_and_then_a_failure(states, modules, tmp_path):
    path = str(tmp_path / "auditd.conf")
    foreseen = states.auditd_conf.managed(name=path, config={"max_log_file": 50}, test=True)
    assert (foreseen.result, foreseen.changes) == (None, {"max_log_file": {"old": None, "new": "50"}})
    assert states.auditd_conf.managed(name=path, config={"max_log_file": 50}).result is False
    with pytest.raises(state.NotInstalled):
        modules.auditd_conf.get("freq", path=path)


def test_the_installed_parser_has_the_last_word(modules, conf):
    with open(conf, "a", encoding="utf-8") as handle:
        handle.write("krb5_principal = x y\n")
    found = modules.auditd_conf.check(path=conf)
    assert [(one["line"], one["keyword"]) for one in found] == [(15, "krb5_principal")]


def test_a_keyword_that_is_read_again_reloads_the_daemon(states, modules, auditd):
    pid = running(auditd).pid
    foreseen = states.auditd_conf.managed(name=auditd, config={"max_log_file": 50}, test=True)
    assert foreseen.changes["auditd"]["new"] == "reloaded"
    done = states.auditd_conf.managed(name=auditd, config={"max_log_file": 50})
    assert done.result is True, done.comment
    assert done.changes == foreseen.changes
    assert running(auditd).pid == pid
    assert "op=reconfigure state=changed" in _log(auditd)
    assert states.auditd_conf.managed(name=auditd, config={"max_log_file": 50}).changes == {}
    assert modules.auditd_conf.status(auditd) == {"pid": pid, "reads": True, "current": True, "note": ""}


@pytest.mark.parametrize("config", [{"priority_boost": 6}, {"name_format": "hostname"}, {"end_of_event_timeout": 3}])
def test_a_keyword_that_is_not_read_again_restarts_the_daemon(states, auditd, config):
    pid = running(auditd).pid
    foreseen = states.auditd_conf.managed(name=auditd, config=config, test=True)
    assert foreseen.changes["auditd"]["new"] == "restarted"
    done = states.auditd_conf.managed(name=auditd, config=config)
    assert done.result is True, done.comment
    assert done.changes == foreseen.changes
    assert running(auditd).pid != pid
    assert "text=sshtrail-" in _log(auditd)
    assert states.auditd_conf.managed(name=auditd, config=config).changes == {}


def test_a_file_edited_by_hand_is_taken_up(states, auditd):
    with open(auditd, "a", encoding="utf-8") as handle:
        handle.write("max_restarts = 7\n")
    foreseen = states.auditd_conf.managed(name=auditd, config={"max_log_file": 8}, test=True)
    assert foreseen.result is None
    assert list(foreseen.changes) == ["auditd"]
    assert states.auditd_conf.managed(name=auditd, config={"max_log_file": 8}).result is True
    assert states.auditd_conf.managed(name=auditd, config={"max_log_file": 8}).changes == {}


@pytest.fixture
def hasty(loaders, monkeypatch):
    """Give a daemon 8 seconds: these tests only wait for what does not come; what comes, comes within one."""
    monkeypatch.setitem(loaders.opts, "sshtrail.daemon_timeout", 8)
    loaders.reset_state()


@pytest.fixture
def read_only(tmp_path, hasty):
    """A directory (str) in which the parser sees nothing wrong and the daemon can open no log."""
    directory = tmp_path / "read-only"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", directory], check=True)
    yield str(directory)
    subprocess.run(["umount", directory], check=True)


def test_a_daemon_that_comes_back_deaf_gets_the_old_file_back(states, auditd, hasty, monkeypatch):
    # A daemon that runs and gets no message cannot be made here: for the new settings none is found in the log.
    real = auditd_daemon.logged_message

    def deaf(records, word):
        return "priority_boost = 6" not in _text(auditd) and real(records, word)

    monkeypatch.setattr(auditd_daemon, "logged_message", deaf)
    before = _text(auditd)
    refused = states.auditd_conf.managed(name=auditd, config={"priority_boost": 6})
    assert refused.result is False
    assert "a message did not arrive in the log of auditd" in refused.comment
    assert "The old file is back, and auditd" in refused.comment
    assert _text(auditd) == before
    assert psutil.Process(running(auditd).pid).nice() == -4


@pytest.mark.parametrize(
    "config, reason",
    [
        ({}, "did not confirm"),
        ({"priority_boost": 6}, "did not become the kernel's audit daemon"),
    ],
)
def test_a_daemon_that_does_not_take_it_up_gets_the_old_file_back(states, auditd, read_only, config, reason):
    before = _text(auditd)
    refused = states.auditd_conf.managed(name=auditd, config={"log_file": f"{read_only}/audit.log", **config})
    assert refused.result is False
    assert reason in refused.comment
    assert "The old file is back, and auditd" in refused.comment
    assert _text(auditd) == before
    assert running(auditd)
    assert states.auditd_conf.managed(name=auditd, config={"max_log_file": 8}).changes == {}


def test_a_change_that_came_without_the_daemon_is_file_only(states, conf):
    done = states.auditd_conf.managed(name=conf, config={"max_log_file": 50})
    assert done.result is True
    assert done.comment.startswith(f"Only the file {conf} counts here. ")


def test_a_daemon_that_reads_another_file_is_left_alone(states, modules, auditd, tmp_path):
    pid, other = running(auditd).pid, tmp_path / "other.conf"
    other.write_text(_text(auditd))
    done = states.auditd_conf.managed(name=str(other), config={"max_log_file": 50})
    assert done.changes == {"max_log_file": {"old": "8", "new": "50"}}
    assert f"The running auditd (pid {pid}) reads {auditd}, not {other}." in done.comment
    assert modules.auditd_conf.status(path=str(other))["reads"] is False


REGISTER = """
import ctypes, os, sys
lib = ctypes.CDLL("libaudit.so.1")
handle = lib.audit_open()
assert lib.audit_set_pid(handle, os.getpid(), 1) > 0
print("ready", flush=True)
sys.stdin.read()
"""


def test_another_program_as_the_audit_daemon_is_named_and_left_alone(states, conf, audit):
    command = [sys.executable, "-c", REGISTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"ready\n"
        done = states.auditd_conf.managed(name=conf, config={"max_log_file": 50})
        program.stdin.close()
    assert done.result is True
    assert f"(pid {program.pid}), not auditd." in done.comment


def test_a_host_without_audit_gets_the_file_only(states, conf, monkeypatch):
    # No kernel without audit can be had here: the adapter's answer stands for it.
    def refuse():
        raise kernel.NoAudit("This kernel has no audit subsystem.")

    monkeypatch.setattr(kernel, "status", refuse)
    done = states.auditd_conf.managed(name=conf, config={"max_log_file": 50})
    assert done.result is True
    assert done.comment.endswith("This kernel has no audit subsystem.")


def test_a_link_is_refused_unless_auditd_follows_it(states, conf, tmp_path):
    link = tmp_path / "link.conf"
    link.symlink_to(conf)
    refused = states.auditd_conf.managed(name=str(link), config={"max_log_file": 50})
    assert refused.result is False
    assert "is a symbolic link, which auditd without -l refuses" in refused.comment


def test_owner_mode_and_attributes_stay(states, conf):
    os.setxattr(conf, "user.note", b"kept")
    assert states.auditd_conf.managed(name=conf, config={"max_log_file": 50}).result is True
    assert os.getxattr(conf, "user.note") == b"kept"
    assert os.stat(conf).st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("arguments", [{}, {"keyword": "freq"}, {"keyword": "freq", "value": 1, "config": {"freq": 1}}])
def test_set_wants_one_way_of_saying_it(modules, conf, arguments):
    with pytest.raises(SaltInvocationError, match="either a keyword with its value, or config"):
        modules.auditd_conf.set(path=conf, **arguments)


def test_what_was_replaced_is_kept(modules, conf):
    before = _text(conf)
    modules.auditd_conf.set("freq", 60, path=conf)
    backups = modules.file.list_backups(conf)
    assert _text(backups[0]["Location"]) == before


def test_set_and_reload_tell_what_they_did(modules, auditd):
    assert modules.auditd_conf.set("freq", 60, path=auditd)["freq"] == {"old": "50", "new": "60"}
    assert modules.auditd_conf.reload(path=auditd) == {}
    assert modules.auditd_conf.reload(path=auditd, always=True)["auditd"]["new"] == "reloaded"
    with open(auditd, "a", encoding="utf-8") as handle:
        handle.write("max_restarts = 7\n")
    assert modules.auditd_conf.reload(path=auditd)["auditd"]["new"] == "reloaded"


def test_a_last_comment_without_a_line_feed_is_kept(states, conf):
    with open(conf, "a", encoding="utf-8") as handle:
        handle.write("# the end")
    assert states.auditd_conf.managed(name=conf, config={"max_log_file": 50}).result is True
    assert _text(conf).endswith("# the end")
    assert states.auditd_conf.managed(name=conf, config={"local_events": True}).result is True
    assert _text(conf).endswith("# the end\nlocal_events = yes\n")


def test_what_only_the_installed_parser_knows_is_refused_in_its_words(states, modules, conf, monkeypatch):
    # Ours knows all that the parser refuses, as far as we know: without it, the parser's answer is seen.
    monkeypatch.setattr(auditd_plan, "problems", lambda data, version=None: [])
    with open(conf, "a", encoding="utf-8") as handle:
        handle.write("no_such_keyword = 1\n")
    [found] = modules.auditd_conf.check(path=conf)
    assert 'Unknown keyword "no_such_keyword" in line 15' in found["reason"]
    refused = states.auditd_conf.managed(name=conf, config={"max_log_file": 50})
    assert refused.result is False
    assert "The installed auditd refuses it: " in refused.comment
    assert "= 8\n" in _text(conf)


STARTS = """\
type=DAEMON_START msg=audit(1700000000.001:1): op=start ver=3.0.9 format=enriched auid=4294967295 pid=7 res=success
type=DAEMON_START msg=audit(1700000002.003:3): op=start ver=3.0.9 format=enriched auid=4294967295 pid=8 res=success
"""


@pytest.mark.parametrize(
    ("line", "reason"),
    [("no_such_keyword = 1\n", 'Unknown keyword "no_such_keyword"'), ("freq = 60\n", None)],
)
def test_starts_in_the_log_do_not_answer_for_the_parser(states, modules, conf, monkeypatch, line, reason):
    # After a line that it refuses the parser is content with the log that an earlier line names.
    log = os.path.join(os.path.dirname(conf), "log", "audit.log")
    with open(log, "w", encoding="ascii") as handle:
        handle.write(STARTS)
    os.chmod(log, 0o600)
    monkeypatch.setattr(auditd_plan, "problems", lambda data, version=None: [])
    with open(conf, "a", encoding="utf-8") as handle:
        handle.write(line)
    assert [reason in one["reason"] for one in modules.auditd_conf.check(path=conf)] == ([True] if reason else [])
    done = states.auditd_conf.managed(name=conf, config={"max_log_file": 50})
    assert done.result is not bool(reason), done.comment


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _connected(port):
    with contextlib.suppress(ConnectionRefusedError):
        return socket.create_connection(("127.0.0.1", port), timeout=1)
    return None


def _lets_in(port):
    """Whether auditd keeps a connection open rather than closing it at once."""
    # It is the kernel's audit daemon before it listens.
    with wait_for(lambda: _connected(port), "auditd at its port") as connection:
        try:
            return connection.recv(1) != b""
        except TimeoutError:
            return True


def test_use_libwrap_is_read_again_on_a_reload(states, conf, audit, tmp_path):
    # Lists of what auditd does not read again often have this keyword.
    (tmp_path / "hosts.deny").write_text("auditd: ALL\n")
    port = _free_port()
    with open(conf, "a", encoding="utf-8") as handle:
        handle.write(f"tcp_listen_port = {port}\nuse_libwrap = no\n")
    overlay = 'mount --bind "$0" /etc/hosts.deny && exec "$@"'
    with started(conf, "unshare", "--mount", "sh", "-c", overlay, str(tmp_path / "hosts.deny")):
        assert _lets_in(port)
        done = states.auditd_conf.managed(name=conf, config={"use_libwrap": True})
        assert (done.result, done.changes["auditd"]["new"]) == (True, "reloaded"), done.comment
        assert not _lets_in(port)
