"""
coverage.demand: what systemd's sockets, inetd and xinetd start when somebody comes.
"""

import pytest
from sshtrail_lib.coverage import demand
from sshtrail_lib.coverage.demand import Started, Unit

# systemctl 252 (Debian 12), shortened.
SOCKETS = """Accept=yes
Id=ssh.socket
ActiveState=active
Listen=[::]:22 (Stream)
Listen=/run/ssh (Stream)

Accept=no
Triggers=cups.service
Id=cups.socket
ActiveState=active
Listen=/run/cups/cups.sock (Stream)

Accept=no
Triggers=web.service web-extra.service
Id=web.socket
ActiveState=active
Listen=127.0.0.1:8022 (Stream)
Listen=127.0.0.1:8022 (Datagram)

Accept=yes
Id=telnet.socket
ActiveState=inactive
Listen=[::]:23 (Stream)
"""
SERVICE = """Id=ssh@sshtrail.service
Environment="OWN=-o Port=9" OTHER=x
EnvironmentFiles=/etc/default/ssh (ignore_errors=yes)
EnvironmentFiles=/etc/default/with space (ignore_errors=no)
ExecStart={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -i $SSHD_OPTS -o Banner=; ; ignore_errors=yes ; pid=0 }
"""
INETD = """# a comment
#<off># telnet stream tcp nowait telnetd /usr/sbin/tcpd /usr/sbin/in.telnetd
ssh stream tcp nowait root /usr/sbin/sshd sshd -i -f /etc/ssh/other
telnet  stream  tcp6  nowait.400  telnetd.nogroup  /usr/sbin/tcpd  /usr/sbin/in.telnetd -h
talk dgram udp wait nobody /usr/sbin/tcpd /usr/sbin/in.talkd
time stream tcp nowait root internal
here stream unix nowait root /bin/sh sh
bare stream tcp nowait root /bin/sh
half stream tcp
"""
XINETD = """defaults
{
    log_type = SYSLOG daemon info
}
service ssh
{
    # disable = yes
    socket_type = stream
    server      = /usr/sbin/sshd
    server_args = -i -o UsePAM=no
    disable     = no
}
service telnet {
    server = /usr/sbin/in.telnetd
    disable = yes
}
service shell
{
    flags = REUSE NAMEINARGS
    server = /usr/sbin/tcpd
    server_args = /bin/sh -i
}
service echo
{
    type = INTERNAL
}
"""


def test_what_sockets_start():
    assert demand.units(SOCKETS) == [
        Unit("ssh@sshtrail.service", ("[::]:22", "/run/ssh"), "ssh.socket"),
        Unit("cups.service", ("/run/cups/cups.sock",), "cups.socket"),
        Unit("web.service", ("127.0.0.1:8022", "udp:127.0.0.1:8022"), "web.socket"),
        Unit("web-extra.service", ("127.0.0.1:8022", "udp:127.0.0.1:8022"), "web.socket"),
    ]


# systemctl 257 (Debian 13), shortened: systemd-ssh-generator's socket, whose service is a link to sshd@.service.
LOCAL = """Accept=yes
Listen=/run/ssh-unix-local/socket (Stream)
Id=sshd-unix-local.socket
Triggers=
ActiveState=active

Accept=yes
Listen=vsock::22 (Stream)
Listen=@abstract (Stream)
Listen=/run/with space (SequentialPacket)
Listen=/run/dg (Datagram)
Listen=/run/fifo (FIFO)
Id=sshd-vsock.socket
ActiveState=active

Accept=yes
Listen=127.0.0.1:2222 (Stream)
Id=way@2222.socket
ActiveState=active

Accept=no
Listen=/run/systemd/journal/dev-log (Datagram)
Id=systemd-journald-dev-log.socket
Triggers=systemd-journald.service
ActiveState=active
"""
ALIASED = """ExecStart={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -i $SSHD_OPTS ; ignore_errors=yes ; pid=0 }
EnvironmentFiles=/etc/default/ssh (ignore_errors=yes)
Id=sshd@sshtrail.service
Names=sshd@sshtrail.service sshd-unix-local@sshtrail.service

Id=way@sshtrail.service
Names=way@sshtrail.service
"""


def test_what_sockets_start_that_no_network_reaches():
    assert demand.units(LOCAL) == [
        Unit("sshd-unix-local@sshtrail.service", ("/run/ssh-unix-local/socket",), "sshd-unix-local.socket"),
        Unit("sshd-vsock@sshtrail.service", ("vsock::22", "@abstract", "/run/with space"), "sshd-vsock.socket"),
        Unit("way@sshtrail.service", ("127.0.0.1:2222",), "way@2222.socket"),
    ]


def test_a_service_is_known_by_each_of_its_names():
    shown = demand.services(ALIASED)
    assert set(shown) == {"sshd@sshtrail.service", "sshd-unix-local@sshtrail.service", "way@sshtrail.service"}
    assert demand.commands(shown["sshd-unix-local@sshtrail.service"]) == [
        ("/usr/sbin/sshd", "/usr/sbin/sshd -i $SSHD_OPTS")
    ]


def test_what_is_put_into_a_program():
    assert demand.loads({"PATH": "/bin", "LD_PRELOAD": "/tmp/x.so", "LD_AUDIT": ""}) == "LD_PRELOAD=/tmp/x.so"
    started = Started("/usr/bin/env", ("env", "/usr/sbin/sshd", "-i"), "x.socket", "LD_AUDIT=/x")
    assert demand.begun(started) == Started("/usr/sbin/sshd", ("/usr/sbin/sshd", "-i"), "x.socket", "LD_AUDIT=/x")


# Linux 6.18, shortened.
MAPS = """55d000-55d100 r--p 00000000 fe:00 131 /usr/sbin/auditd
7f3000-7f3100 r-xp 00001000 fe:00 132 {}/libaudit.so.1.0.0
7f4000-7f4100 rw-p 00000000 00:00 0
7f4200-7f4300 r--s 00000000 fe:00 133 /var/lib/sss/mc/passwd
7f4400-7f4500 r--p 00000000 fe:00 134 /usr/lib64/ld-linux-x86-64.so.2
7f5000-7f5100 rw-p 00000000 00:00 0 [stack]
"""


@pytest.mark.parametrize(
    "path,place,told",
    [
        ("/tmp/x", "/tmp/x", True),
        ("/opt:.", "/tmp/x/glibc-hwcaps/x86-64-v3", True),
        ("/usr/lib/x86_64-linux-gnu/x", "/usr/lib/x86_64-linux-gnu/x", True),
        ("/tmp/x", "/usr/lib/x86_64-linux-gnu", False),
        ("/opt/oracle/lib:/lib64", "/usr/lib64", False),
        ("/opt/oracle/lib", "/lib/aarch64-linux-gnu/gconv", False),
        ("", "/tmp/x", False),
    ],
)
def test_where_a_library_was_looked_for_first(path, place, told):
    found = demand.replaced(["A=b", f"LD_LIBRARY_PATH={path}"], MAPS.format(place).splitlines())
    assert found == (f"LD_LIBRARY_PATH={path}, and has {place}/libaudit.so.1.0.0" if told else "")


@pytest.mark.parametrize(
    "words,begun",
    [
        ("/usr/bin/env -i FOO=x /usr/sbin/sshd -i -f /x", "/usr/sbin/sshd -i -f /x"),
        ("/usr/bin/nice -n 5 /usr/bin/setsid -w /usr/sbin/dropbear -i", "/usr/sbin/dropbear -i"),
        ("/usr/bin/tcpsvd -v 0 2222 /bin/sh -i", "/bin/sh -i"),
        ("/lib/systemd/systemd-socket-activate -l 9 -a --inetd /usr/sbin/sshd -i", "/usr/sbin/sshd -i"),
        ("/bin/busybox tcpsvd 0 9 busybox ash", "busybox ash"),
        ("/lib64/ld-linux-x86-64.so.2 /usr/sbin/dropbear -F", "/usr/sbin/dropbear -F"),
        ("/usr/sbin/tcpd in.telnetd", "in.telnetd"),
        ("/usr/sbin/ip netns exec blue socat - EXEC:sh", "socat - EXEC:sh"),
        ("/usr/bin/env python3 -m http.server", "/usr/bin/env python3 -m http.server"),
        ("/usr/bin/cat /bin/sh", "/usr/bin/cat /bin/sh"),
        ("/usr/bin/env", "/usr/bin/env"),
    ],
)
def test_what_a_program_begins(words, begun):
    argv = tuple(words.split())
    told = demand.begun(Started(argv[0], argv, "x.socket"))
    assert told == Started(begun.split()[0], tuple(begun.split()), "x.socket")


def test_a_command_that_is_one_word():
    told = demand.begun(Started("/usr/bin/script", ("script", "-qc", "bash -i", "/dev/null"), "x.socket"))
    assert told == Started("bash", ("bash", "-i", "/dev/null"), "x.socket")


def test_a_program_without_a_command_line():
    assert demand.begun(Started("/usr/sbin/tcpd", (), "x.socket")).program == "/usr/sbin/tcpd"


@pytest.mark.parametrize(
    "name,words,paths",
    [
        ("inetd", "", ["/etc/inetd.conf", "/etc/inetd.d"]),
        ("inetd", "-d -q 64 /tmp/own.conf", ["/tmp/own.conf"]),
        ("inetutils-inetd", "/tmp/one /tmp/more.d", ["/tmp/one", "/tmp/more.d"]),
        ("xinetd", "-stayalive -pidfile /run/x.pid", ["/etc/xinetd.conf", "/etc/xinetd.d"]),
        ("xinetd", "-f /tmp/own -dontfork", ["/tmp/own"]),
    ],
)
def test_where_the_tables_are(name, words, paths):
    assert demand.tables(name, words.split()) == paths


def test_what_a_table_includes():
    assert demand.included("includedir /etc/x.d\n# include /no\ninclude /etc/one\n") == ["/etc/x.d", "/etc/one"]


def test_what_a_service_runs():
    [told] = demand.blocks(SERVICE)
    assert demand.commands(told) == [("/usr/sbin/sshd", "/usr/sbin/sshd -i $SSHD_OPTS -o Banner=;")]
    own, paths = demand.environment(told)
    assert own == {"OWN": "-o Port=9", "OTHER": "x"}
    assert paths == ["/etc/default/ssh", "/etc/default/with space"]


@pytest.mark.parametrize("text", ["", "\n\n", "Id=\n", "nonsense\n\nListen=\n", "Id=a.socket\nActiveState=active\n"])
def test_nothing_is_made_of_nonsense(text):
    assert demand.units(text) == []
    assert [demand.commands(told) for told in demand.blocks(text)] == [[] for _ in demand.blocks(text)]
    assert list(demand.inetd(text)) == list(demand.xinetd(text)) == []


def test_the_table_of_inetd():
    assert [*map(demand.begun, demand.inetd(INETD))] == [
        Started("/usr/sbin/sshd", ("sshd", "-i", "-f", "/etc/ssh/other"), "inetd's ssh"),
        Started("/usr/sbin/in.telnetd", ("/usr/sbin/in.telnetd", "-h"), "inetd's telnet"),
        Started("/usr/sbin/tcpd", ("/usr/sbin/in.talkd",), "inetd's talk"),
        Started("/bin/sh", ("sh",), "inetd's bare"),
    ]


def test_the_files_of_xinetd():
    assert [*map(demand.begun, demand.xinetd(XINETD))] == [
        Started("/usr/sbin/sshd", ("/usr/sbin/sshd", "-i", "-o", "UsePAM=no"), "xinetd's ssh"),
        Started("/bin/sh", ("/bin/sh", "-i"), "xinetd's shell"),
    ]


@pytest.mark.parametrize(
    "everywhere,found",
    [
        ("", ""),
        ("# /usr/lib/x86_64-linux-gnu/libaudit.so.1.0.0\n", ""),
        ("/usr/lib/libother.so\n", ""),
        ("/usr/lib/libother.so:/x/libaudit.so.1.0.0 # x\n", "/etc/ld.so.preload, and has /usr/lib64/libaudit.so.1.0.0"),
    ],
)
def test_a_library_that_every_program_gets(everywhere, found):
    assert demand.preloaded(everywhere, MAPS.format("/usr/lib64").splitlines()) == found


@pytest.mark.parametrize("state", ["", "{}", "[]", '{"_current-profile": "eA=="}', '{"_current-profile": 7}'])
def test_settings_of_tailscale_that_tell_nothing(state):
    assert not demand.tailscale_ssh(state)
