"""
Services without the machine's own, as far as decisions go.

Salt's ``service`` module is a stand-in: the machines that these tests run on need not have systemd. tests/vm asks it.
"""

import os
import pathlib
import subprocess
import threading

import pytest
import salt.utils.systemd
from sshtrail_lib.base import processes, programs, service
from sshtrail_lib.base.minion import Minion
from support import require_root


@pytest.fixture
def up():
    """The units (set of str) that are up and enabled."""
    return set()


@pytest.fixture
def host(up, monkeypatch):
    """A Debian that booted with systemd, as Salt has it (Minion)."""
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda _context: True)
    said = {True: {"retcode": 0, "stdout": "enabled\n"}, False: {"retcode": 1, "stdout": "disabled\n"}}
    ask = {"service.status": up.__contains__}
    return Minion(ask, {}, {}, {"os_family": "Debian"}, lambda argv, *_how: said[argv[-1] in up])


@pytest.mark.parametrize("ask", ["status", "enabled"])
@pytest.mark.parametrize(
    ("units", "is_so"),
    [((), False), (("ssh",), True), (("ssh.socket",), True), (("auditd",), False)],
)
def test_a_socket_stands_for_its_service(host, up, ask, units, is_so):
    up.update(units)
    assert getattr(service, ask)(host, "ssh") is is_so


#: What systemctl is-enabled prints, what wants the unit, and whether it starts at the next boot: systemctl(1).
STATES = [
    ("enabled", "", True),
    ("enabled-runtime", "multi-user.target", False),
    ("linked", "", False),
    ("linked-runtime", "", False),
    ("masked", "multi-user.target", False),
    ("masked-runtime", "multi-user.target", False),
    ("static", "sysinit.target", True),
    ("static", "", False),
    ("static", "other.service", False),
    ("static", "rescue.target", False),
    ("indirect", "", False),
    ("indirect", "multi-user.target sockets.target", True),
    ("generated", "multi-user.target", True),
    ("generated", "", False),
    ("transient", "multi-user.target", False),
    ("disabled", "", False),
    ("bad", "", False),
    ("not-found", "", False),
    ("", "", False),
]


@pytest.mark.parametrize(("state", "wanted", "starts"), STATES)
@pytest.mark.parametrize("alias", [False, True])
def test_what_systemd_starts_at_the_next_boot(host, state, wanted, starts, alias):
    def run(argv, *_how):
        if argv[1] == "show":
            words = ["auditd.service"] if "--property=Id" in argv else [wanted]
            return {"retcode": 0, "stdout": f"WantedBy={words[0]}\nRequiredBy=\n"}
        said = "alias" if alias and argv[-1] == "other" else state if argv[-1] in ("other", "auditd.service") else ""
        # The exit status alone would say yes to most of these.
        return {"retcode": 0, "stdout": f"{said}\n"}

    minion = host._replace(call={}, program=run)
    assert service.enabled(minion, "other") is starts


class Scripts:
    """A host with init scripts: ``answer`` is what they say, ``asked`` what they were asked, ``pidfile`` names us."""

    def __init__(self, host, pidfile):
        self.answer, self.asked, self.pidfile = {"retcode": 0, "stdout": "", "stderr": ""}, [], pidfile
        self.minion = host._replace(call={}, program=self._run)
        pidfile.write_text(str(os.getpid()))

    def _run(self, argv, *_how):
        self.asked.append(argv)
        return self.answer

    def status(self, name):
        return service.status(self.minion, name)


@pytest.fixture
def scripted(host, monkeypatch, tmp_path):
    """The same host with init scripts (Scripts)."""
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda _context: False)
    scripts = Scripts(host, tmp_path / "sshd.pid")
    monkeypatch.setattr(service, "INIT_DIR", str(tmp_path))
    for name in ("ssh", "cron"):
        (tmp_path / name).touch(0o755)
    name = pathlib.Path("/proc/self/comm").read_text(encoding="utf-8").removesuffix("\n")
    monkeypatch.setattr(service, "PROCESSES", {"ssh": service.Process(str(scripts.pidfile), name)})
    return scripts


def test_a_script_is_asked_once_while_its_process_lives(scripted):
    assert [scripted.status("ssh") for _ in range(3)] == [True] * 3
    assert len(scripted.asked) == 1


def _ends(scripts, _monkeypatch):
    scripts.pidfile.unlink()


def _is_another(scripts, _monkeypatch):
    scripts.pidfile.write_text(str(os.getppid()))


def _has_its_pid_reused(_scripts, monkeypatch):
    monkeypatch.setattr(processes, "birth", lambda _pid: b"later")


@pytest.mark.parametrize("happens", [_ends, _is_another, _has_its_pid_reused])
def test_a_process_that_is_gone_is_asked_about(scripted, monkeypatch, happens):
    assert scripted.status("ssh")
    happens(scripted, monkeypatch)
    scripted.answer["retcode"] = 3
    assert not scripted.status("ssh")


@pytest.mark.parametrize("uid", [0, 65534])
@pytest.mark.parametrize("name", ["sshd", "sleep"])
def test_a_pid_that_is_another_s_now_is_no_daemon(scripted, monkeypatch, name, uid):
    """The scripts of LSB say that a daemon runs where its pid file names a process that lives (pidofproc)."""
    require_root()
    monkeypatch.setattr(service, "PROCESSES", {"ssh": service.Process(str(scripted.pidfile), "sshd")})
    code = "import ctypes, sys; ctypes.CDLL(None).prctl(15, sys.argv[1].encode()); print(1, flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(["/usr/bin/python3", "-c", code, name], user=uid, group=uid, **pipes) as process:
        process.stdout.readline()
        scripted.pidfile.write_text(str(process.pid))
        assert scripted.status("ssh") is (name == "sshd" and not uid)
        process.stdin.close()
    # One that is nobody's any more is for the script to judge.
    assert scripted.status("ssh")


def test_a_script_that_said_no_is_asked_again(scripted):
    scripted.answer["retcode"] = 3
    assert not scripted.status("ssh")
    scripted.answer["retcode"] = 0
    assert scripted.status("ssh")


def test_a_service_whose_process_nothing_names_is_always_asked_about(scripted):
    assert scripted.status("cron")
    scripted.answer["retcode"] = 3
    assert not scripted.status("cron")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"stderr": "it refuses", "stdout": "starting"}, "it refuses"),
        ({"stderr": "", "stdout": "starting"}, "starting"),
        ({"stderr": "", "stdout": ""}, "exit status 1"),
    ],
)
def test_a_script_that_fails_is_quoted(scripted, said, reason):
    scripted.answer.update(retcode=1, **said)
    with pytest.raises(service.ServiceError, match=f"The service cron did not start: {reason}"):
        service.start(scripted.minion, "cron")
    assert scripted.asked == [[f"{service.INIT_DIR}/cron", "start"]]


@pytest.mark.parametrize("act", [service.start, service.restart])
def test_who_was_started_is_waited_for(scripted, act):
    """sshd's first process ends, and so does the script, before the second has left its pid file."""
    scripted.pidfile.unlink()
    later = threading.Timer(0.2, scripted.pidfile.write_text, [str(os.getpid())])
    later.start()
    assert act(scripted.minion, "ssh") and scripted.pidfile.exists()
    later.join()


def test_who_never_comes_is_not_waited_for_long(scripted, monkeypatch):
    monkeypatch.setattr(service, "LEFT_WITHIN", 0.1)
    scripted.pidfile.unlink()
    assert service.start(scripted.minion, "ssh")


def test_a_service_without_a_script_does_not_run(scripted):
    assert scripted.status("ssh")
    assert not scripted.status("auditd")
    assert len(scripted.asked) == 1


@pytest.fixture
def auditd(scripted, monkeypatch, tmp_path):
    """This process as the kernel's audit daemon, by an init script that takes it for dead (Scripts)."""
    name = processes.comm(os.getpid()).decode()
    scripted.pidfile = tmp_path / "auditd.pid"
    monkeypatch.setattr(service, "PROCESSES", {"auditd": service.Process(str(scripted.pidfile), name)})
    monkeypatch.setattr(service.kernel, "status", lambda: {"pid": os.getpid()})
    (tmp_path / "auditd").touch(0o755)
    scripted.answer = {"retcode": 3, "stdout": "", "stderr": ""}
    return scripted


@pytest.mark.parametrize("named", [None, "1", "text"])
def test_a_pid_file_that_names_somebody_else_is_healed(auditd, named):
    if named:
        auditd.pidfile.write_text(named)
    assert service.lost(auditd.minion, "auditd") == os.getpid() and auditd.status("auditd") is True
    assert service.found(auditd.minion, "auditd") == os.getpid()
    assert auditd.pidfile.read_text() == f"{os.getpid()}\n" and auditd.pidfile.stat().st_mode & 0o777 == 0o644
    assert service.lost(auditd.minion, "auditd") is service.found(auditd.minion, "auditd") is None


def _of_another_kind(monkeypatch):
    monkeypatch.setattr(service, "PROCESSES", {"auditd": service.Process("/nonexistent", "auditd")})


def _elsewhere(monkeypatch):
    monkeypatch.setattr(processes, "shares_mounts", lambda pid: False)


def _none(monkeypatch):
    monkeypatch.setattr(service.kernel, "status", lambda: {"pid": 0})


def _no_kernel(monkeypatch):
    def refuse():
        raise service.kernel.KernelError("no")

    monkeypatch.setattr(service.kernel, "status", refuse)


def _systemd(monkeypatch):
    monkeypatch.setattr(salt.utils.systemd, "booted", lambda _context: True)


@pytest.mark.parametrize("other", [_of_another_kind, _elsewhere, _none, _no_kernel, _systemd])
def test_only_the_kernels_own_auditd_of_this_host_is_lost(auditd, other, monkeypatch):
    other(monkeypatch)
    assert service.lost(auditd.minion, "auditd") is None
    assert service.found(auditd.minion, "auditd") is None and not auditd.pidfile.exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-x", "a\nb", "a b", "x" * 300, None, ["ssh"]])
@pytest.mark.parametrize("ask", [service.available, service.status, service.enabled, service.start, service.enable])
def test_what_is_no_name_is_never_run(ask, name, monkeypatch):
    monkeypatch.setattr(service, "_run", lambda *args, **kwargs: pytest.fail("it was run"))
    with pytest.raises(service.ServiceError, match="cannot be the name of a service"):
        ask(Minion({}, {}, {}, {"os_family": "Debian"}), name)


def hangs(name):
    subprocess.run(["sleep", "600"], check=False)
    return False


@pytest.mark.parametrize(
    ("ask", "function"),
    [
        *((getattr(service, what), f"service.{what}") for what in ("available", "status")),
        *((getattr(service, what), f"service.{what}") for what in ("start", "restart", "enable")),
    ],
)
def test_a_systemctl_that_hangs_is_named(host, monkeypatch, ask, function):
    monkeypatch.setattr(programs, "USUAL", 0.4)
    monkeypatch.setattr(programs, "FUNCTIONS", dict.fromkeys(programs.FUNCTIONS, 0.4))
    with pytest.raises(programs.LateError, match=r"^sleep did not end within 0\.4 seconds; it was killed\.$"):
        ask(host._replace(call={function: hangs}), "ssh")


@pytest.mark.parametrize("ask", ["status", "start", "restart"])
def test_an_init_script_that_hangs_is_named(host, scripted, monkeypatch, tmp_path, ask):
    """With a child that holds its output, as the functions of LSB have it; a real program is run."""
    monkeypatch.setattr(programs, "DIRECTORIES", {str(tmp_path): 0.4})
    (tmp_path / "ssh").write_text("#!/bin/sh\nsleep 600 &\nwait\n")
    (tmp_path / "ssh").chmod(0o755)
    minion = host._replace(call={}, program=programs.run)
    with pytest.raises(programs.LateError, match=r"^ssh did not end within 0\.4 seconds; it was killed\.$"):
        getattr(service, ask)(minion, "ssh")


def test_a_systemctl_that_hangs_when_it_is_asked_itself_is_named(host, monkeypatch, tmp_path):
    monkeypatch.setattr(service, "ASKING", 0.4)
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(programs.LateError, match=r"^systemctl did not end within 0\.4 seconds; it was killed\.$"):
        service.enabled(host._replace(program=programs.run), "ssh")
