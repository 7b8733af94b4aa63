"""
coverage.ways: who listens where, as this host's kernel tells it.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import types

import pytest
from sshtrail_lib.base import processes
from sshtrail_lib.coverage import people, pulse, shells, ways

#: Listens, tells that it does, and waits.
LISTENS = "import socket; s = socket.create_server(('127.0.0.1', 4242)); print(flush=True); input()"
OTHER = "import ctypes, os; assert not ctypes.CDLL(None).unshare(0x40000000); os.system('ip link set lo up'); "
#: Goes where neither the mounts nor the name are the host's.
LEFT = "import ctypes; assert not ctypes.CDLL(None).unshare(0x04020000); print(flush=True); input()"


@pytest.fixture
def start():
    started = []

    def start(*words, **more):
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()
        one.stdin.close()
        one.stdout.close()


def places(*pids):
    """Return where processes listen beside what the tests themselves have opened."""
    own = set(ways._owners([os.getpid()]).get(os.getpid(), ()))
    return {pid: set(found) - own for pid, found in ways._owners(pids).items() if pid != os.getpid()}


def test_who_listens_at_a_path_and_at_a_name(tmp_path):
    path = str(tmp_path / "with space")
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        one.bind(path)
        other.bind(f"\0{path}")
        before = set(ways._owners([os.getpid()]).get(os.getpid(), ()))
        one.listen()
        other.listen()
        assert set(ways._owners([os.getpid()])[os.getpid()]) - before == {path, f"@{path}"}


def test_who_listens_in_a_network_of_his_own(start):
    child = start(sys.executable, "-c", OTHER + LISTENS)
    assert child.stdout.readline(), "it could not go into a network of its own"
    assert places(child.pid, os.getpid()) == {child.pid: {"127.0.0.1:4242"}}


def reads(pid, transient=False):
    return shells.reads_somebody(pid, transient)


def test_who_has_left_the_hosts_mounts_and_its_name(start, monkeypatch):
    child = start(sys.executable, "-c", LEFT)
    assert child.stdout.readline(), "it could not leave"
    monkeypatch.setattr(ways, "_kinds", lambda: ways.NAMESPACES)
    assert child.pid not in ways.alive() and os.getpid() in ways.alive()
    for kind in ("pid", "root"):
        monkeypatch.setattr(ways, "_kinds", lambda kind=kind: (*ways.NAMESPACES, kind))
        assert child.pid in ways.alive()


#: Goes where it can mount what nobody else sees.
MOUNTS = "import ctypes, os; assert not ctypes.CDLL(None).unshare(0x20000); os.system('mount --make-rprivate / {}');"
MOUNTS += " print(flush=True); input()"


#: Has a /proc in which PAM finds no login id to set, or in which a plain file takes it.
NO_PROC = "&& mount -t tmpfs tmpfs /proc"
FORGED = (
    f"{NO_PROC} && mkdir /proc/self && : >/proc/self/loginuid && for p in $PPID 1; do cp -r /proc/self /proc/$p; done"
)


@pytest.mark.parametrize(
    "more,sees",
    [
        ("", ""),
        ("&& mount --bind {0}/other {0}/sshd", "{0}/sshd"),
        ("&& mount -t proc proc /proc", ""),
        (NO_PROC, "/proc/self/loginuid"),
        (FORGED, "/proc/self/loginuid"),
        ("&& mount -o remount,bind,ro /proc", "/proc/self/loginuid"),
    ],
)
def test_who_sees_other_files_than_this_host(start, monkeypatch, tmp_path, more, sees):
    for name in ("sshd", "other", "cron"):
        (tmp_path / name).write_text("")
    monkeypatch.setattr(ways, "BEARING", (f"{tmp_path}/*",))
    monkeypatch.setattr(ways.sshd_host, "sources", lambda minion, path: {"paths": [path, f"{tmp_path}/none"]})
    child = start(sys.executable, "-c", MOUNTS.format(more.format(tmp_path)))
    assert child.stdout.readline(), "it could not leave"
    path = str(tmp_path / "cron")
    assert ways._sees(None, path, child.pid) == sees.format(tmp_path) and ways._sees(None, path, os.getpid()) == ""
    child.kill()
    child.wait()
    assert ways._sees(None, path, child.pid) == ""


def test_who_has_other_files_and_all_else_of_his_own(start, monkeypatch, tmp_path):
    """A container: what happens in it is no business of this host's."""
    goes = LEFT.replace("print", f"__import__('os').chroot({str(tmp_path)!r}); print")
    child = start(sys.executable, "-c", goes)
    assert child.stdout.readline(), "it could not leave"
    monkeypatch.setattr(ways, "_kinds", lambda: (*ways.NAMESPACES, "root"))
    assert child.pid not in ways.alive() and os.getpid() in ways.alive()


def test_by_what_the_processes_of_a_host_are_known(monkeypatch):
    told = {"1": {("mnt", 4, 1), ("uts", 4, 2)}, "self": {("mnt", 4, 1), ("uts", 4, 2)}}
    monkeypatch.setattr(ways, "_namespaces", lambda pid, kinds: told[pid])
    assert ways._kinds() == ("mnt", "uts", "pid", "root")
    for other in ({("mnt", 4, 3), ("uts", 4, 2)}, set()):
        told["1"] = other
        assert ways._kinds() == ("mnt", "uts")


def test_a_shell_that_reads_from_the_network():
    near, far = socket.socketpair()
    server = socket.create_server(("127.0.0.1", 0))
    there = socket.create_connection(server.getsockname())
    with near, far, server, there, server.accept()[0]:
        shells = [subprocess.Popen(["/bin/sh"], stdin=stdin) for stdin in (there, near)]
        found = [(reads(one.pid), one.poll()) for one in shells]
        for one in shells:
            one.kill()
            one.wait()
    # An agent speaks to its shell by a pair of sockets.
    assert found == [(True, None), (False, None)]
    assert not reads(shells[0].pid)


def test_a_shell_that_reads_from_a_terminal_or_from_systemd_run():
    near, far = os.openpty()
    shells = [subprocess.Popen(["/bin/sh"], stdin=one) for one in (far, subprocess.PIPE, subprocess.DEVNULL)]
    found = [[reads(one.pid, transient) for transient in (False, True)] for one in shells]
    for one in shells:
        one.kill()
        one.wait()
    shells[1].stdin.close()
    for one in (near, far):
        os.close(one)
    # It has no control of the terminal: it was handed on.
    assert found == [[True, True], [False, True], [False, False]]


class Systemd:
    """Answers as systemctl 257 does, for one socket."""

    context = {"salt.utils.systemd.booted": True}  # noqa: RUF012

    def __init__(self, *texts):
        self._texts = list(texts)

    def run(self, *_words, **_how):
        return {"stdout": self._texts.pop(0)}


SOCKET = "Accept=yes\nListen=vsock::22 (Stream)\nListen=/run/x (Stream)\nId=x.socket\nActiveState=active\n"
SERVICE = """ExecStart={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -i $OPTS ; ignore_errors=yes ; pid=0 }
Environment=OPTS=-oUsePAM=no LD_PRELOAD=/x.so
Id=sshd@sshtrail.service
Names=sshd@sshtrail.service x@sshtrail.service
"""


def test_what_systemd_waits_for_and_what_nothing_tells_of(monkeypatch):
    first, users = (
        ways.Process(pid, 0, "systemd", 0, 0, "/usr/lib/systemd/systemd", (), 0.0, False, "") for pid in (1, 9)
    )
    owners = {1: ("vsock::22", "/run/x", "/run/systemd/private", "[::]:80"), 9: ("/run/user/9/bus", "0.0.0.0:99")}
    [door], untold, owned = ways._awaited(Systemd(SOCKET, SERVICE), {1: first, 9: users}, owners)
    # What somebody's own starts has his login id.
    assert (untold, owned) == (("[::]:80",), ("0.0.0.0:99",))
    without = users._replace(login=ways.UNSET)
    assert ways._awaited(Systemd(SOCKET, SERVICE), {1: first, 9: without}, owners)[1:] == (
        ("[::]:80", "0.0.0.0:99"),
        (),
    )
    assert (door.places, door.by, door.loads) == (("vsock::22", "/run/x"), "x.socket", "LD_PRELOAD=/x.so")
    monkeypatch.setattr(ways.files, "same", lambda one, other: True)
    [server], doors = ways._as_ways(None, "/etc/ssh/sshd_config", [door])
    assert doors == [] and server.ours and server.installed and server.loads == "LD_PRELOAD=/x.so"
    assert server.argv == ("/usr/sbin/sshd", "-i", "-oUsePAM=no")


def test_the_tables_of_a_server(tmp_path):
    (tmp_path / "x.d").mkdir()
    (tmp_path / "x.d" / "shell").write_text("service shell\n{\n server = /bin/sh\n}\n")
    main = tmp_path / "x.conf"
    # A file that includes itself is read once.
    main.write_text(f"includedir {tmp_path}/x.d\ninclude {main}\n")
    assert [one.program for one in ways._tabled("xinetd", ["-f", str(main)])] == ["/bin/sh"]
    (tmp_path / "inetd.conf").write_text("here stream tcp nowait root /bin/sh sh -i\n")
    assert [one.by for one in ways._tabled("inetd", [str(tmp_path / "inetd.conf")])] == ["inetd's here"]


@pytest.mark.parametrize(
    "program,title,called",
    [
        ("/usr/sbin/sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", "sshd"),
        ("/usr/sbin/sshd (deleted)", "/usr/sbin/sshd", "sshd"),
        ("/opt/x", "webd: /opt/x -D [listener] 0 of 10-100 startups", "webd"),
        # Cut off.
        ("/opt/x", "webd: /opt/x -D -f /etc/ss", "webd"),
        ("/opt/webd (deleted)", "webd: /opt/we", "webd"),
        ("/usr/sbin/sshd", "webd: /run/web", "webd"),
        ("/usr/sbin/sshd", "sshd: /usr/sbi", "sshd"),
        ("/usr/sbin/nginx", "nginx: /etc/nginx.conf", ""),
        ("/usr/sbin/nginx", "nginx: master process /usr/sbin/nginx", ""),
        # It listens for what somebody forwards: a port, an agent.
        ("/usr/lib/openssh/sshd-session", "sshd-session: alice@pts/0", ""),
        ("/usr/lib/openssh/sshd-session (deleted)", "sshd-session: alice@notty", ""),
        ("/usr/sbin/nginx", "nginx", ""),
    ],
)
def test_what_a_sshd_is_called(program, title, called):
    # That of root alone: what somebody else calls himself is nothing.
    one = ways.Process(os.getpid(), 1, "x", 0, 0, program, (title,), 0.0, False, "")
    assert ways._called(one) == called


def test_whether_a_program_is_the_installed_sshd(tmp_path, monkeypatch):
    installed, other = tmp_path / "sshd", tmp_path / "tmp" / "sshd"
    other.parent.mkdir()
    for one in (installed, other):
        one.write_text("")
    monkeypatch.setattr(ways.sshd_oracle, "binary", lambda: str(installed))
    assert ways._installed(str(installed)) and ways._installed(f"{installed} (deleted)")
    assert ways._installed("sshd") and ways._installed("")
    assert not ways._installed(str(other))
    other.unlink()
    assert not ways._installed(f"{other} (deleted)")
    monkeypatch.setattr(ways.sshd_oracle, "binary", lambda: None)
    assert ways._installed(str(other))


def test_which_keywords_name_another_program(tmp_path, monkeypatch):
    own, other = tmp_path / "sshd-session", tmp_path / "other"
    for one in (own, other):
        one.write_text("")
    defaults = {"SshdSessionPath": [str(own)]}
    monkeypatch.setattr(ways.sshd_oracle, "daemon", lambda minion: types.SimpleNamespace(defaults=defaults))
    assert ways._replaced(None, {"usepam": "yes", "sshdsessionpath": str(own)}) == ()
    assert ways._replaced(None, {"sshdsessionpath": str(other)}) == (f"SshdSessionPath {other}",)
    # One that knows no such keyword refuses it.
    assert ways._replaced(None, {"sshdauthpath": str(other)}) == ()


@pytest.mark.parametrize(
    "group,transient",
    [
        ("/system.slice/mine.service", True),
        ("/system.slice/mine.service/payload", True),
        ("/system.slice/ssh.service", False),
        ("/user.slice/user-0.slice/session-1.scope", False),
        ("", False),
    ],
)
def test_a_unit_for_the_moment_whatever_its_name(tmp_path, monkeypatch, group, transient):
    monkeypatch.setattr(shells, "TRANSIENT", str(tmp_path))
    (tmp_path / "mine.service").write_text("")
    assert shells.is_transient(group) == transient


# --- Doors at which no connection is made, and those without a door ------------------------------------------------


def test_what_hears_without_a_connection():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hears, socket.socket(socket.AF_INET6, 2) as other:
        hears.bind(("127.0.0.1", 0))
        other.connect(("::1", hears.getsockname()[1]))
        [places] = ways._owners([os.getpid()]).values()
    assert f"udp:127.0.0.1:{hears_port(places)}" in places and not any("[::1]" in place for place in places)


def hears_port(places):
    return next(place.rpartition(":")[2] for place in places if place.startswith("udp:127.0.0.1:"))


def agent(program, *argv, **more):
    return ways.Process(7, 1, "x", 0, ways.UNSET, program, (program, *argv), 0.0, False, "")._replace(**more)


TAILSCALE = {
    "profile-a": base64.b64encode(b'{"RunSSH": true}').decode(),
    "profile-b": base64.b64encode(b'{"RunSSH": false}').decode(),
}


@pytest.mark.parametrize("profile,listens", [("profile-a", True), ("profile-b", False)])
def test_what_lets_people_in_without_listening(tmp_path, monkeypatch, profile, listens):
    state = tmp_path / "state"
    state.write_text(json.dumps({**TAILSCALE, "_current-profile": base64.b64encode(profile.encode()).decode()}))
    monkeypatch.setattr(ways, "_is_believed", lambda one: one.uid == 0)
    for words in ((f"--state={state}",), ("-state", str(state))):
        [one] = [agent("/usr/sbin/tailscaled", *words)]
        assert len(list(ways._agents({7: one}, ()))) == listens
        # Somebody else's may name any file.
        assert not list(ways._agents({7: one._replace(uid=1001)}, ()))
    assert not list(ways._agents({7: agent("/usr/sbin/tailscaled", "--state=/nonexistent")}, ()))


def test_agents_that_are_known_by_their_programs():
    for program in ("/usr/bin/amazon-ssm-agent", "/usr/local/bin/teleport", "/usr/bin/tmate"):
        assert [door.places for door in ways._agents({7: agent(program)}, ())] == [()]
        assert not list(ways._agents({7: agent(program)}, {7}))
    assert not list(ways._agents({7: agent("/usr/sbin/cron")}, ()))


def test_a_shell_that_the_next_boot_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(ways, "WANTED", (f"{tmp_path}/*.wants/",))
    assert ways._bare() == ()
    (tmp_path / "sysinit.target.wants").mkdir()
    link = tmp_path / "sysinit.target.wants" / "debug-shell.service"
    link.symlink_to("/usr/lib/systemd/system/debug-shell.service")
    assert ways._bare() == (str(link),)


# --- Who calls himself what he is not -----------------------------------------------------------------------------

#: Listens and has a sshd's name: who is asked how it was started is told what stands in its title.
PRETENDS = """
import ctypes, socket, sys
with socket.create_server(("127.0.0.1", 0)):
    ctypes.CDLL(None).prctl(15, b"sshd", 0, 0, 0)
    print("ready", flush=True)
    sys.stdin.read()
"""
PYTHON = "/usr/bin/python3"
LISTENER = "sshd: /usr/sbin/sshd -D {} [listener] 0 of 10-100 startups"


@pytest.fixture
def nobody(tmp_path):
    """Start a process of nobody's: ``nobody(TITLE, …)`` returns its pid."""
    with contextlib.ExitStack() as stack:

        def start(title, program=PYTHON, uid=65534):
            ids = {"user": uid, "group": uid, "extra_groups": []}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": "/"}
            process = stack.enter_context(subprocess.Popen([title, "-c", PRETENDS], executable=program, **pipes, **ids))
            stack.callback(process.stdin.close)
            assert process.stdout.readline() == b"ready\n"
            return process.pid

        yield start


@pytest.fixture
def own_sshd():
    """A program that is called sshd, and is a file of nobody's (str)."""
    # Where nobody may run it, which pytest's own directories are not.
    directory = pathlib.Path("/run/sshtrail-test-ways")
    directory.mkdir(mode=0o755)
    try:
        shutil.copy(os.path.realpath(PYTHON), directory / "sshd")
        os.chown(directory / "sshd", 65534, 65534)
        yield str(directory / "sshd")
    finally:
        shutil.rmtree(directory)


def found(pid):
    """Return the servers and the other doors of a process, and whether it serves a session."""
    everybody = {pid: ways.process(pid, 0.0)}
    servers, doors = ways._listening(None, "/etc/ssh/sshd_config", everybody, ways._owners(everybody))
    return servers, doors, people.sessions(everybody)


@pytest.mark.parametrize("options", ["", "-o UsePAM=no", "-f /dev/zero", "-f /etc/shadow", "-E /etc/planted -q"])
def test_who_calls_himself_a_sshd_is_none(nobody, options, monkeypatch):
    monkeypatch.setattr(ways, "_effective", lambda *given: pytest.fail("his file was read"))
    servers, [door], sessions = found(nobody(LISTENER.format(options)))
    assert (servers, sessions, door.process.foreign) == ((), {}, False)


@pytest.mark.parametrize("options", ["-o UsePAM=no", "-f /dev/zero"])
def test_a_sshd_of_somebodys_own_is_told_and_its_file_is_not_read(nobody, own_sshd, options, monkeypatch):
    monkeypatch.setattr(ways, "_effective", lambda *given: pytest.fail("his file was read"))
    [server], doors, _ = found(nobody(LISTENER.format(options), own_sshd))
    assert (server.ours, server.argv, server.config, doors) == (False, (own_sshd,), "", ())


def test_who_calls_himself_a_session_serves_none(nobody, own_sshd):
    for program in (PYTHON, own_sshd):
        pid = nobody("sshd: root@pts/0", program)
        assert found(pid)[2] == {} and not pulse._serves(pid, b"sshd")


def test_what_root_started_says_what_it_is(nobody):
    [server], doors, _ = found(nobody(LISTENER.format("-o UsePAM=no"), uid=0))
    assert server.ours and server.argv[-1] == "UsePAM=no" and doors == ()


def test_a_program_that_anybody_may_start_as_root_is_not_believed(monkeypatch):
    one = ways.process(os.getpid(), 0.0)
    assert ways._is_believed(one)
    with monkeypatch.context() as inside:
        inside.setattr(ways, "_file_of", lambda pid: os.stat("/usr/bin/su"))
        assert not ways._is_believed(one)
    monkeypatch.setattr(processes, "of_root_alone", lambda pid: False)
    assert not ways._is_believed(one)


def test_a_command_line_that_never_comes_keeps_nobody_waiting(nobody, own_sshd, monkeypatch):
    pid, over, real = nobody(LISTENER.format(""), own_sshd), threading.Event(), processes._proc
    monkeypatch.setattr(processes, "PATIENCE", 0.2)
    monkeypatch.setattr(processes, "_HUNG", {})
    monkeypatch.setattr(
        processes, "_proc", lambda pid, name: over.wait(60) and b"" if name == "cmdline" else real(pid, name)
    )
    try:
        assert found(pid) == ((), (), {})
    finally:
        over.set()
