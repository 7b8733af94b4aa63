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
        Unit("ssh@sshtrail.service", ("[::]:22",), "ssh.socket"),
        Unit("web.service", ("127.0.0.1:8022",), "web.socket"),
        Unit("web-extra.service", ("127.0.0.1:8022",), "web.socket"),
    ]


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
    assert list(demand.inetd(INETD)) == [
        Started("/usr/sbin/sshd", ("sshd", "-i", "-f", "/etc/ssh/other"), "inetd's ssh"),
        Started("/usr/sbin/in.telnetd", ("/usr/sbin/in.telnetd", "-h"), "inetd's telnet"),
        Started("/bin/sh", ("sh",), "inetd's bare"),
    ]


def test_the_files_of_xinetd():
    assert list(demand.xinetd(XINETD)) == [
        Started("/usr/sbin/sshd", ("/usr/sbin/sshd", "-i", "-o", "UsePAM=no"), "xinetd's ssh"),
        Started("/bin/sh", ("/bin/sh", "-i"), "xinetd's shell"),
    ]
