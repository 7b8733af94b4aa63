"""
coverage.people: who can come in, options that override, sessions without a login id; and hosts that are well.
"""

import pytest
from sshtrail_lib.coverage import checks, marks, people
from sshtrail_lib.coverage.marks import UNSET
from sshtrail_lib.coverage.people import Door, People, Process, Server

ASKED = {"loglevel": "VERBOSE", "syslogfacility": "AUTHPRIV"}
KEYWORDS = {"usepam": "yes", "loglevel": "VERBOSE", "subsystem": ["sftp /usr/lib/openssh/sftp-server"]}
PATH = "/usr/sbin/sshd"


def process(pid, parent, title, uid=0, login=UNSET, comm="sshd", program=PATH, **more):
    fields = {"started": 100.0, "terminal": False, "group": "", **more}
    return Process(pid, parent, comm, uid, login, program, tuple(title.split("\0")), **fields)


LISTENER = process(10, 1, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups")
SERVER = Server(LISTENER, (PATH, "-D"), ("0.0.0.0:22",), "/etc/ssh/sshd_config", True, {})
MONITOR = process(20, 10, "sshd: alice [priv]", login=1001)
SERVES = process(21, 20, "sshd: alice@pts/0", uid=1001, login=1001)
SHELL = process(22, 21, "-bash", uid=1001, login=1001, comm="bash", program="/usr/bin/bash", terminal=True)
#: Nobody knows yet who these are.
BEFORE_LOGIN = [
    process(30, 10, "sshd: bob [priv]"),
    process(31, 30, "sshd: bob [net]", uid=109),
    process(32, 30, "/usr/bin/sss_ssh_authorizedkeys", uid=65534, comm="sss_ssh", program="/usr/bin/sss_ssh"),
    process(33, 10, "sshd: [accepted]"),
]
EVERYBODY = [LISTENER, MONITOR, SERVES, SHELL, *BEFORE_LOGIN]


def table(*processes):
    return {one.pid: one for one in processes}


WELL = People((SERVER,), (), KEYWORDS, (), ASKED, table(*EVERYBODY), (), True)


def found(known):
    return {one.check: one for one in people.judge(known) if one.holds is False}


def with_server(**more):
    return WELL._replace(servers=(SERVER._replace(**more),))


def with_processes(*processes):
    return WELL._replace(processes=table(*EVERYBODY, *processes))


def test_a_host_that_is_well():
    assert found(WELL) == {}
    assert {one.check for one in people.judge(WELL)} <= set(checks.CHECKS)


ROOT_SESSION = process(40, 10, "sshd-session: root@notty", comm="sshd-session", program="/usr/lib/openssh/sshd-session")
FORWARDS = Door(process(21, 20, "sshd: alice@pts/0", uid=1001, login=1001), ("127.0.0.1:6010",))
GOOD = {
    "Ciphers on the command line": with_server(argv=(PATH, "-D", "-oCiphers=aes256-ctr", "-oMACs=hmac-sha2-256")),
    "what the policy asks, on the command line": with_server(argv=(PATH, "-o", "LogLevel=verbose")),
    "a port": with_server(argv=(PATH, "-p", "2222")),
    "sftp only": WELL._replace(keywords={**KEYWORDS, "subsystem": ["sftp internal-sftp"]}),
    "a web server": WELL._replace(doors=(Door(process(50, 1, "nginx", program="/usr/sbin/nginx"), ("0.0.0.0:80",)),)),
    "nc that only listens": WELL._replace(
        doors=(Door(process(50, 1, "nc\0-l\09", login=1001, program="/usr/bin/nc.openbsd"), ("0.0.0.0:9",)),)
    ),
    "sftp that logs files": WELL._replace(keywords={**KEYWORDS, "subsystem": ["sftp internal-sftp -l INFO"]}),
    "a script on a terminal": with_processes(
        process(51, 1, "sh\0/var/lib/dpkg/info/x.postinst", comm="x.postinst", program="/bin/dash", terminal=True),
        process(52, 1, "bash\0-c\0sleep 9", comm="bash", program="/bin/bash", terminal=True),
        process(53, 1, "bash\0-ec\0sleep 9", comm="bash", program="/bin/bash", terminal=True),
        process(54, 1, "vim", comm="vim", program="/usr/bin/vim", terminal=True),
    ),
    "a shell of the console's login": with_processes(
        process(51, 1, "-bash", comm="bash", program="/bin/bash", login=0, terminal=True)
    ),
    "a script with options of its own": with_processes(
        process(51, 1, "sh\0/usr/bin/x\0-i", comm="sh", program="/bin/dash", terminal=True),
        process(52, 1, "bash\0-eo\0pipefail\0/usr/bin/x", comm="bash", program="/bin/bash", terminal=True),
        process(53, 1, "busybox\0vi\0-i", comm="busybox", program="/bin/busybox", terminal=True),
    ),
    "a service's shell": with_processes(process(51, 1, "bash", comm="bash", program="/bin/bash")),
    "another PAM service that the policy's file names": with_server()._replace(
        keywords={**KEYWORDS, "pamservicename": "sshd"}
    ),
    "a container's sessions": with_processes(ROOT_SESSION)._replace(audited=False),
    "a container without PAM": WELL._replace(keywords={**KEYWORDS, "usepam": "no"}, audited=False),
    "a container's sshd": with_server(process=LISTENER._replace(login=1001))._replace(audited=False),
    "a service on a terminal": with_processes(
        process(51, 1, "getty", comm="agetty", program="/sbin/agetty", terminal=True, group="/system.slice/x.service")
    ),
    "a unit without a terminal": with_processes(
        process(51, 1, "backup", comm="backup", program="/bin/backup", group="/system.slice/run-u12.service")
    ),
    "somebody who calls himself a session": with_processes(
        process(52, 1, "sshd: x@pts/0", comm="sshd", program="/home/x/sshd-like")
    ),
}


@pytest.mark.parametrize("known", GOOD.values(), ids=GOOD)
def test_what_is_well_all_the_same(known):
    assert found(known) == {}


TAKEN = process(23, 22, "sh", uid=0, login=UNSET, comm="sh", program="/bin/sh")
DROPBEAR = Door(process(60, 1, "dropbear", comm="dropbear", program="/usr/sbin/dropbear"), ("0.0.0.0:2222",))
SOCAT = process(61, 1, "socat\0TCP-LISTEN:4444,fork\0EXEC:/bin/bash", comm="socat", program="/usr/bin/socat1")
AGENTS = process(71, 1, "bash\0--login", comm="bash", program="/usr/bin/bash", terminal=True)
OTHER = SERVER._replace(config="/run/other", ours=False, keywords={"usepam": "yes"})
EDITOR = process(70, 1, "vim", comm="vim", program="/usr/bin/vim", terminal=True, transient=True)
HIDING = {
    "an editor of systemd-run": (with_processes(EDITOR), "shell-without-login", True),
    "UsePAM no": (WELL._replace(keywords={**KEYWORDS, "usepam": "no"}), "sshd-without-pam", True),
    "-o UsePAM=no": (with_server(argv=(PATH, "-o", "UsePAM=no")), "sshd-options", True),
    "-oUsePAM no, as a title shows it": (with_server(argv=(PATH, "-oUsePAM", "no", "-D")), "sshd-options", True),
    "-o LogLevel=QUIET": (with_server(argv=(PATH, "-o", "LogLevel=QUIET")), "sshd-options", False),
    "-E": (with_server(argv=(PATH, "-D", "-E", "/var/log/x")), "sshd-options", False),
    "-q": (with_server(argv=(PATH, "-q")), "sshd-options", False),
    "LogLevel": (WELL._replace(keywords={**KEYWORDS, "loglevel": "ERROR"}), "sshd-quiet", False),
    "LogLevel in a block": (WELL._replace(quiet=("LogLevel (Match User bob)",)), "sshd-quiet", False),
    "a session without an id": (with_processes(ROOT_SESSION), "session-unattributed", True),
    "an id that was taken away": (with_processes(TAKEN), "session-unattributed", True),
    "a login's sshd": (with_server(process=LISTENER._replace(login=1001)), "sshd-inherited-login", False),
    "another sshd": (WELL._replace(servers=(SERVER, OTHER)), "other-way-in", False),
    "another sshd without PAM": (
        WELL._replace(servers=(SERVER, OTHER._replace(keywords={"usepam": "no"}))),
        "other-way-in",
        True,
    ),
    "sshd by another name": (with_server(called="webd"), "other-way-in", True),
    "sshd by another name, which asks PAM for sshd": (
        with_server(called="webd")._replace(keywords={**KEYWORDS, "pamservicename": "sshd"}),
        "other-way-in",
        False,
    ),
    "another's login id": (with_processes(TAKEN._replace(login=1002)), "session-misattributed", True),
    "a shell of an agent": (with_processes(AGENTS), "shell-without-login", True),
    "a shell that was asked to be interactive": (
        with_processes(AGENTS._replace(argv=("sh", "-i", "--rcfile", "/x"))),
        "shell-without-login",
        True,
    ),
    "dropbear": (WELL._replace(doors=(DROPBEAR,)), "other-way-in", True),
    "dropbear of a session": (
        WELL._replace(doors=(DROPBEAR._replace(process=DROPBEAR.process._replace(login=1001)),)),
        "other-way-in",
        False,
    ),
    "a dropbear that was deleted": (
        WELL._replace(doors=(DROPBEAR._replace(process=DROPBEAR.process._replace(program="/tmp/dropbear (deleted)")),)),
        "other-way-in",
        True,
    ),
    "a sshd with files of its own": (with_server(sees="/etc/pam.d/sshd"), "other-way-in", True),
    "a sshd that is not the installed one": (with_server(installed=False), "other-way-in", True),
    "-Do UsePAM=no": (with_server(argv=(PATH, "-Do", "UsePAM=no")), "sshd-options", True),
    "-4oUsePAM=no": (with_server(argv=(PATH, "-4oUsePAM=no")), "sshd-options", True),
    "-o with a tab": (with_server(argv=(PATH, "-o", "UsePAM\tno")), "sshd-options", True),
    "-o with quotes": (with_server(argv=(PATH, '-oUsePAM = "no"')), "sshd-options", True),
    "another program for each connection": (
        WELL._replace(replaced=("SshdSessionPath /tmp/x",)),
        "other-way-in",
        True,
    ),
    "a library": (with_server(loads="LD_PRELOAD=/tmp/x.so"), "sshd-options", True),
    "another program, by an option": (with_server(argv=(PATH, "-oSshdSessionPath=/tmp/x")), "sshd-options", True),
    "-Dq": (with_server(argv=(PATH, "-Dq")), "sshd-options", False),
    "-DE": (with_server(argv=(PATH, "-DE/var/log/x")), "sshd-options", False),
    "-d": (with_server(argv=(PATH, "-d")), "sshd-options", False),
    "another configuration for each connection": (
        with_server(argv=(PATH, "-oInclude", "/run/x")),
        "sshd-options",
        False,
    ),
    "busybox's telnetd": (
        WELL._replace(
            doors=(Door(process(60, 1, "busybox\0telnetd\0-l\0sh", program="/bin/busybox"), ("0.0.0.0:23",)),)
        ),
        "other-way-in",
        False,
    ),
    "busybox's nc": (
        WELL._replace(
            doors=(Door(process(60, 1, "nc\0-ll\0-p\x009\0-e\0sh", program="/bin/busybox"), ("0.0.0.0:9",)),)
        ),
        "other-way-in",
        True,
    ),
    "dropbear by the loader": (
        WELL._replace(
            doors=(Door(process(60, 1, "ld.so\0/sbin/dropbear", program="/lib/ld-linux-x86-64.so.2"), ("[::]:22",)),)
        ),
        "other-way-in",
        True,
    ),
    "a shell with a file of its own": (
        with_processes(AGENTS._replace(argv=("bash", "--rcfile", "/x", "-O", "extglob"))),
        "shell-without-login",
        True,
    ),
    "a shell that was deleted": (
        with_processes(AGENTS._replace(program="/tmp/bash (deleted)")),
        "shell-without-login",
        True,
    ),
    "a shell of busybox": (
        with_processes(AGENTS._replace(program="/bin/busybox", argv=("-ash",))),
        "shell-without-login",
        True,
    ),
    "a shell that reads its terminal by name": (
        with_processes(AGENTS._replace(argv=("sh", "/dev/tty"))),
        "shell-without-login",
        True,
    ),
    "socat": (WELL._replace(doors=(Door(SOCAT, ("0.0.0.0:4444",)),)), "other-way-in", True),
    "systemd-run": (
        with_processes(
            process(
                70,
                1,
                "bash",
                comm="bash",
                program="/bin/bash",
                terminal=True,
                group="/system.slice/run-u7.service",
                transient=True,
            )
        ),
        "shell-without-login",
        True,
    ),
}


@pytest.mark.parametrize("known,check,hides", HIDING.values(), ids=HIDING)
def test_each_way_by_its_name(known, check, hides):
    [bad] = found(known).values()
    row = checks.row(bad, None, None)
    assert (row["check"], row["hides"]) == (check, hides)
    assert row["evidence"] and row["remedy"]


def test_sftp_without_files_is_told_and_no_finding():
    known = WELL._replace(keywords={**KEYWORDS, "subsystem": ["sftp internal-sftp"]})
    verdicts = {one.check: one for one in people.judge(known)}
    assert verdicts["files-untold"].holds is None and "internal-sftp" in verdicts["files-untold"].evidence


FILES = {
    ("sftp /usr/lib/openssh/sftp-server", ()): None,
    ("sftp internal-sftp -l QUIET", ()): None,
    ("sftp internal-sftp -l INFO -l ERROR", ()): None,
    ("sftp internal-sftp -lVERBOSE", ()): True,
    ("sftp internal-sftp -f AUTH -l INFO", ("internal-sftp -l INFO", "/usr/bin/menu")): True,
    ("sftp internal-sftp -l INFO", ("internal-sftp",)): None,
    ("sftp internal-sftp -l INFO", ("/usr/lib/openssh/sftp-server -R",)): None,
    ("backup /usr/bin/backup", ()): True,
}


@pytest.mark.parametrize("lines,holds", FILES.items(), ids=str)
def test_whether_sftp_tells_of_files(lines, holds):
    known = WELL._replace(keywords={**KEYWORDS, "subsystem": [lines[0]]}, forced=lines[1])
    assert {one.check: one.holds for one in people.judge(known)}["files-untold"] is holds


def test_a_session_that_is_older_than_auditing_is_told_and_no_finding():
    verdicts = {one.check: one for one in people.judge(WELL._replace(since=101.0))}
    assert verdicts["session-older"].holds is None and "alice (pid 21)" in verdicts["session-older"].evidence
    assert verdicts["session-older"].hides
    assert found(WELL._replace(since=101.0)) == found(WELL._replace(since=None)) == {}


@pytest.mark.parametrize("audits,holds", [(99.0, True), (101.0, None), (float("inf"), None)])
def test_a_log_that_does_not_reach_back_tells_of_sessions_that_began_after_it(audits, holds):
    verdicts = {one.check: one for one in people.judge(WELL._replace(since=None, audits=audits))}
    assert verdicts["session-older"].holds is holds
    nobody = {one.check: one for one in people.judge(WELL._replace(since=None, audits=audits, processes={}))}
    assert nobody["session-older"].holds is True


TITLES = {
    "sshd: alice@pts/0": "alice",
    "sshd: alice@pts/0,pts/1": "alice",
    "sshd: alice@corp.example@notty": "alice@corp.example",
    "sshd: alice@internal-sftp": "alice",
    "sshd-session: root@notty": "root",
    "sshd: alice [priv]": "",
    "sshd: alice@corp.example [priv]": "",
    "sshd: alice@corp.example [net]": "",
    "sshd: [accepted]": "",
    "sshd: alice": "",
    "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups": "",
}


@pytest.mark.parametrize("title,user", TITLES.items())
def test_whose_session_a_process_serves(title, user):
    assert marks.user_of("sshd", f"{PATH} (deleted)", [title]) == user
    assert marks.user_of("sshd", "/home/x/evil", [title]) == ""


def test_the_options_of_a_command_line():
    argv = [PATH, "-D", "-o", "LogLevel=QUIET", "-oUsePAM", "no", "-4o", "Port 22", "-f", "/x"]
    assert people.options(argv) == [("loglevel", "QUIET"), ("usepam", "no"), ("port", "22")]


def test_which_services_options_name():
    told = [("-D",), ("-Do", "PAMServiceName=one", "-oPAMServiceName=two"), ("-o", "UsePAM=yes")]
    servers = [SERVER._replace(argv=(PATH, *words)) for words in told]
    assert people.services(WELL._replace(servers=tuple(servers))) == ["one"]


AWAITED = process(1, 0, f"{PATH}\0-i", comm="systemd")


def awaited(*words, **more):
    called = {"by": "ssh.socket", "called": "sshd", **more}
    server = Server(
        AWAITED._replace(argv=(PATH, *words)), (PATH, *words), ("[::]:22",), "/etc/ssh/sshd_config", True, {}
    )
    return found(WELL._replace(servers=(server._replace(**called),)))


def test_a_sshd_that_is_started_when_somebody_comes():
    assert awaited("-i") == {}
    told = awaited("-i", "-o", "UsePAM=no")["sshd-options"]
    assert told.hides
    assert told.evidence == f"{PATH}, which ssh.socket starts when somebody comes, at [::]:22 has -o usepam=no"
    other = awaited("-i", "-f", "/etc/ssh/other", config="/etc/ssh/other", ours=False)["other-way-in"]
    assert "which ssh.socket starts when somebody comes, listens at [::]:22, reads /etc/ssh/other" in other.evidence


@pytest.mark.parametrize(
    "program,words,hides",
    [
        ("/usr/bin/bash", ("sh", "-i"), True),
        ("/usr/sbin/in.telnetd", ("in.telnetd",), False),
        ("/usr/bin/socat", ("socat", "-", "EXEC:sh"), True),
        ("/usr/bin/env", ("env", "X=1", "dropbear", "-i"), True),
        ("/usr/bin/tcpsvd", ("tcpsvd", "0", "9", "bash"), True),
        ("/bin/login", ("login",), False),
        ("/usr/bin/su", ("su", "-"), True),
        ("/bin/busybox", ("busybox", "sh", "-c", "exec sh -i <&3"), True),
        ("/usr/bin/env", ("env", "python3", "-m", "http.server"), None),
        ("/usr/sbin/vsftpd", ("vsftpd",), None),
    ],
)
def test_another_program_that_is_started_when_somebody_comes(program, words, hides):
    door = Door(AWAITED._replace(program=program, argv=words), ("[::]:23",), "inetd's telnet")
    told = found(WELL._replace(doors=(door,)))
    assert {check: one.hides for check, one in told.items()} == ({} if hides is None else {"other-way-in": hides})
    # A shell that holds a socket which it was given by chance lets nobody in.
    assert "other-way-in" not in found(WELL._replace(doors=(door._replace(by=""),))) or words[0] != "sh"


@pytest.mark.parametrize(
    "program,words,places,hides",
    [
        ("/usr/bin/mosh-server", ("mosh-server", "new", "-s"), ("udp:0.0.0.0:60001",), True),
        ("/usr/lib/cockpit/cockpit-tls", ("cockpit-tls",), ("[::]:9090",), False),
        ("/usr/sbin/xrdp", ("xrdp",), ("[::]:3389",), False),
        ("/usr/bin/Xtigervnc", ("Xtigervnc", ":1"), ("127.0.0.1:5901",), True),
        (
            "/usr/bin/perl",
            ("perl", "/usr/share/webmin/miniserv.pl", "/etc/x"),
            ("0.0.0.0:10000",),
            True,
        ),
        ("/usr/bin/node", ("node", "/usr/local/lib/node_modules/wetty/build/main.js"), ("[::]:3000",), False),
        ("/usr/lib/code-server/lib/node", ("node", "/usr/lib/code-server/out/node/entry"), ("127.0.0.1:8080",), True),
        ("/usr/bin/python3.11", ("python3", "/usr/bin/jupyter-lab"), ("127.0.0.1:8888",), True),
        ("/usr/bin/env", ("env", "perl", "/usr/share/webmin/miniserv.pl"), ("0.0.0.0:10000",), True),
        ("/usr/bin/ssh3-server", ("ssh3-server",), ("udp:[::]:443",), True),
        ("/usr/bin/socat1", ("socat", "UDP-LISTEN:9,fork", "EXEC:sh"), ("udp:0.0.0.0:9",), True),
        ("/usr/bin/dockerd", ("dockerd", "-H", "fd://", "-H", "tcp://0.0.0.0:9"), ("0.0.0.0:9",), True),
        ("/usr/bin/dockerd", ("dockerd", "-H", "fd://"), ("/run/docker.sock", "0.0.0.0:2375"), True),
        ("/usr/bin/amazon-ssm-agent", ("amazon-ssm-agent",), (), True),
        ("/usr/sbin/tailscaled", ("tailscaled",), (), True),
        # What every host may have.
        ("/usr/sbin/tailscaled", ("tailscaled",), ("udp:0.0.0.0:41641", "100.64.0.1:3000"), None),
        ("/usr/bin/dockerd", ("dockerd", "-H", "fd://"), ("/run/docker.sock", "[::]:2377", "udp:[::]:7946"), None),
        ("/usr/sbin/unbound", ("unbound", "-d"), ("udp:127.0.0.1:53", "127.0.0.1:53"), None),
        ("/usr/sbin/dhclient", ("dhclient", "eth0"), ("udp:0.0.0.0:68",), None),
        ("/usr/sbin/chronyd", ("chronyd",), ("udp:127.0.0.1:323",), None),
        ("/usr/bin/python3.11", ("python3", "/srv/app.py", "/usr/bin/jupyter-lab"), ("127.0.0.1:8888",), None),
        ("/usr/bin/perl", ("perl", "-e", "1"), ("0.0.0.0:10000",), None),
    ],
)
def test_other_programs_that_let_people_in(program, words, places, hides):
    door = Door(process(60, 1, "\0".join(words), program=program), places)
    told = found(WELL._replace(doors=(door,)))
    assert {check: one.hides for check, one in told.items()} == ({} if hides is None else {"other-way-in": hides})
    # What somebody started in his session has his login id.
    own = found(WELL._replace(doors=(door._replace(process=door.process._replace(login=1001)),)))
    assert {check: one.hides for check, one in own.items()} == ({} if hides is None else {"other-way-in": False})


def test_what_the_systemd_of_somebody_starts_has_his_login_id():
    [one] = [one for one in people.judge(WELL._replace(owned=("0.0.0.0:99",))) if one.check == "other-way-in"]
    assert (one.holds, bool(one.hides), "0.0.0.0:99" in one.evidence) == (None, False, True)
    [one] = [one for one in people.judge(WELL._replace(untold=("0.0.0.0:98",))) if one.check == "other-way-in"]
    assert (one.holds, one.hides) == (None, True)


def test_a_shell_of_the_next_boot():
    told = found(WELL._replace(bare=("/etc/systemd/system/sysinit.target.wants/debug-shell.service",)))
    assert set(told) == {"shell-without-login"} and "debug-shell" in told["shell-without-login"].evidence


def test_a_shell_that_is_fed_by_a_named_pipe():
    words = "sh\0-c\0while :; do sh </run/fifo; done"
    one = process(60, 1, words, program="/bin/sh")
    for fed, known in ((True, {"shell-without-login"}), (False, set())):
        assert set(found(WELL._replace(processes={**WELL.processes, 60: one._replace(fed=fed)}))) == known
    # Who has logged in is recorded.
    own = one._replace(fed=True, login=1001)
    assert found(WELL._replace(processes={**WELL.processes, 60: own})) == {}


CONTAINED = {
    "a shell": ("sh\0-i", UNSET, None),
    "a service with a terminal": ("sh\0/srv/run", UNSET, True),
    "of somebody who is recorded": ("sh\0-i", 1001, True),
}


@pytest.mark.parametrize("words,login,holds", CONTAINED.values(), ids=CONTAINED)
def test_who_sits_at_a_terminal_in_a_container(words, login, holds):
    one = process(60, 1, words, program="/bin/sh")._replace(login=login, terminal=True)
    [told] = [one for one in people.judge(WELL._replace(contained=(one,))) if one.check == "shell-without-login"]
    assert told.holds is holds and bool(told.hides) is (holds is None)


@pytest.mark.parametrize("place", ["/run/x", "@x"])
@pytest.mark.parametrize(
    "words,hides",
    [
        (("sh", "-i"), True),
        (("sh",), True),
        (("sh", "-c", "exec /bin/bash -i <&3"), True),
        (("sh", "-c", "exec /usr/lib/daemon --fd=3"), None),
        (("sh", "/usr/lib/serves"), None),
    ],
)
def test_a_shell_that_is_started_for_somebody_of_this_host(words, hides, place):
    door = Door(AWAITED._replace(program="/bin/sh", argv=words), (place,), "x.socket")
    told = found(WELL._replace(doors=(door,)))
    assert {check: one.hides for check, one in told.items()} == ({} if hides is None else {"other-way-in": hides})
    # From elsewhere nobody knows what it does with the connection.
    assert "other-way-in" in found(WELL._replace(doors=(door._replace(places=("vsock::9", place)),)))


@pytest.mark.parametrize(
    "one,lives",
    [
        (process(80, 1, "sh"), True),
        (process(80, 1, "sh", login=1001), False),
        # It was begun later.
        (process(80, 1, "sh", started=300.0), False),
        (process(81, 1, "sh"), False),
    ],
)
def test_who_lives_without_a_login_id_outside_his_session(one, lives):
    known = with_processes(one)
    assert people.lives_without(known, 80, 200.0) == lives
    told = found(known._replace(given=[(80, 200.0, "process 80 gave up the login id 1001")]))["session-unattributed"]
    assert told.evidence == "process 80 gave up the login id 1001, and it lives" and told.since == 200.0


def test_who_gave_up_his_login_id_in_his_session_is_told_once():
    known = with_processes(TAKEN)._replace(given=[(TAKEN.pid, 200.0, "process 23 gave up")])
    [one] = [one for one in people.judge(known) if one.check == "session-unattributed"]
    assert "has no login id" in one.evidence


@pytest.mark.parametrize(
    "cut,holds", [("", True), ("U", None), ("LogLev", None), ("SyslogF", None), ("Cipher", True), ("UseDNS", True)]
)
def test_what_cannot_be_read_of_a_command_line(cut, holds):
    """A sshd that was started without a variable has no room for its title but that of its words."""
    known = with_server(argv=(PATH, "-D", f"-o{cut}"), cut=cut)
    told = {one.check: one for one in people.judge(known)}["sshd-options"]
    assert told.holds is holds and (
        holds or (told.hides and f"-o {cut}…" in told.evidence and "pid 10" in told.evidence)
    )
    bad = with_server(argv=(PATH, "-oUsePAM=no", f"-o{cut}"), cut=cut)
    assert set(found(bad)) == {"sshd-options"}


def test_what_is_started_cannot_be_told():
    [one] = [one for one in people.judge(WELL._replace(untold=("[::]:22",))) if one.check == "other-way-in"]
    assert one.holds is None and "[::]:22" in one.evidence


OWN = OTHER._replace(process=LISTENER._replace(uid=65534, login=1001), keywords={"usepam": "no"})


@pytest.mark.parametrize(("login", "hides"), [(1001, False), (UNSET, True)])
def test_a_sshd_of_somebodys_own_gives_his_login_id(login, hides):
    """What comes by it is recorded as what he does himself, unless he has none."""
    [bad] = found(WELL._replace(servers=(SERVER, OWN._replace(process=OWN.process._replace(login=login))))).values()
    assert (bad.check, checks.row(bad, None, None)["hides"]) == ("other-way-in", hides)
