"""compliance.syslog: what rsyslog writes, forwards and receives, in both of its languages."""

import pytest
from sshtrail_lib.compliance import checks, syslog

from unit.compliance.known import audit, facts

HELD = audit(())


def look(name, said):
    known = None if said is None else tuple((f"/etc/x line {at}", line) for at, line in enumerate(said.splitlines(), 1))
    return checks.look(facts(audit=HELD, configs={"rsyslog": known}), name, "CIS")


# What rsyslogd itself makes of a selector: a comma after a priority ends it, as a semicolon does.
SELECTORS = [
    ("auth.*", "auth", True),
    ("auth,authpriv.*", "authpriv", True),
    ("auth.*,authpriv.*", "auth", True),
    ("auth.*,authpriv.*", "authpriv", True),
    ("auth.*;authpriv.none", "authpriv", False),
    ("*.*;auth,authpriv.none", "auth", False),
    ("*.debug", "cron", True),
    ("*.info;cron.none", "cron", False),
    ("*.info", "cron", False),
    ("cron.=debug", "cron", False),
    ("cron.*;cron.!err", "cron", False),
    ("mail.*", "auth", False),
    ("AUTH.*", "auth", True),
    ("authpriv,Cron.DEBUG", "cron", True),
    ("security.*", "auth", True),
    ("*.*;cron.NONE", "cron", False),
    ("auth.none;auth.*", "auth", True),
]


@pytest.mark.parametrize(("selector", "facility", "taken"), SELECTORS)
def test_a_selector(selector, facility, taken):
    assert syslog.takes(selector, facility) is taken


TLS = 'StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name"'
MODERN = f'action(type="omfwd" target="h" protocol="tcp" {TLS})'
DOTTED = MODERN.replace("gtls", "ossl").replace("StreamDriver=", "StreamDriver.Name=").replace('="tcp"', '="TCP"')
DOTTED = DOTTED.replace("DriverMode", "Driver.Mode").replace("DriverAuth", "Driver.Auth")
BY_DEFAULT = f'global(defaultNetstreamDriver="gtls")\n{MODERN.replace("StreamDriver=", "x=", 1)}'
LEGACY = """\
$DefaultNetstreamDriver gtls
$ActionSendStreamDriverMode 1
$ActionSendStreamDriverAuthMode x509/name
*.* @@(o)log.example.net:6514"""
MODE, AUTH = (
    "rsyslog_encrypt_offload_actionsendstreamdrivermode",
    "rsyslog_encrypt_offload_actionsendstreamdriverauthmode",
)
DRIVER, AWAY = "rsyslog_encrypt_offload_defaultnetstreamdriver", "rsyslog_remote_loghost"
WRITES, CRON = "rsyslog_remote_access_monitoring", "rsyslog_cron_logging"
CREATES, LISTENS = "rsyslog_filecreatemode", "rsyslog_nolisten"

#: A ruleset of what comes from other hosts.
RULESET = """\
ruleset(queue.type="linkedList"
        name="Remote") {
  if $fromhost == "x" then { action(type="omfile" file="/r") }
  action(type="omfwd" target="h" protocol="tcp")
}
"""
#: What rsyslogd 8.2302 gives to the files that it makes: what is more than 0640 is more.
MODES_OF_FILES = [
    ('*.* action(type="omfile" file="/x" fileCreateMode="0640")', "pass"),
    ('*.* action(type="omfile" file="/x" fileCreateMode="0640")\n*.* /y', "fail"),
    ('*.* action(type="omfile" file="/x" fileCreateMode="0640")\n*.* action(type="omfile" file="/y")', "fail"),
    ('$FileCreateMode 0600\n*.* action(type="omfile" file="/x")\n*.* /y', "fail"),
    ('module(load="builtin:omfile" fileCreateMode="0600")\n*.* /x', "fail"),
    ('module(load="builtin:omfile" fileCreateMode="0600")\n*.* action(type="omfile" file="/x")', "pass"),
    ('*.* action(type="omfile" file="/x")\nmodule(load="builtin:omfile" fileCreateMode="0600")', "fail"),
    ("*.* /x\n$FileCreateMode 0640\n*.* /y", "fail"),
    ("$FileCreateMode 0640\n*.* /x\n*.* -/y;RSYSLOG_FileFormat\n& /z", "pass"),
    ("$FileCreateMode 0644\n$FileCreateMode 0640\n*.* /x", "pass"),
    ("$FileCreateMode 0640\n*.* /x\n$FileCreateMode 0644\nif $msg contains 'x' then {\n /y\n}", "fail"),
    ("$FileCreateMode 640\n*.* /x", "fail"),
    ("*.* /x\n$Umask 0077", "pass"),
    ("*.* /x\n$Umask 77", "fail"),
    ('global(umask="0027")\n*.* /x', "pass"),
    ("$FileCreateMode 0640\n*.* ?ByHost", "pass"),
    ("*.* ?ByHost\n$FileCreateMode 0640", "fail"),
    ("*.* /dev/console\n*.* |/run/x\n*.* :omusrmsg:*\n$FileCreateMode 0640\n*.* /x", "pass"),
    ('$FileCreateMode 0640\n*.* /x\n*.* action(type="omfile" file="/y" config.enabled="off")', "pass"),
]
#: What it writes of cron's messages.
WRITTEN = [
    ("cron.* /dev/null", "fail"),
    ("cron.* /dev/null\n& stop\n*.* /x", "fail"),
    ("cron.* @@h\n& stop\n*.* /x", "fail"),
    ("cron.* @@h\n& ~\n*.* /x", "fail"),
    ("cron.* @@h\n& -/var/log/cron.log", "pass"),
    ("auth.* @@h\n& /x", "fail"),
    ('action(type="omfile" file="/x")', "pass"),
    ('action(type="omfile" file="/dev/tty12")', "fail"),
    ('cron.* action(type="omfile" file="/x" config.enabled="off")', "fail"),
    ('if prifilt("auth.*") then {\n action(type="omfile" file="/x")\n}', "fail"),
    ("if $syslogfacility-text == 'cron' then /x", "pass"),
    ('if ($syslogfacility-text == "cron") then {\n action(type="omfile" file="/x")\n}', "pass"),
    ("if $syslogfacility-text == 'cron' then stop\n*.* /x", "fail"),
    ("*.*;\\\n\tauth,authpriv.none\t-/x", "pass"),
    ("*.*;\\\n\tcron.none\t-/x", "fail"),
    (f"{RULESET}auth.* /x", "fail"),
    ("$outchannel log,/x,1000\ncron.* :omfile:$log", "pass"),
]
CASES = [
    *((name, said, "pass") for name in (MODE, AUTH, DRIVER, AWAY) for said in (MODERN, DOTTED, BY_DEFAULT, LEGACY)),
    # Each of them has to send so: one that does is no excuse for another.
    *((name, f"{MODERN}\n*.* @@plain.example.net", "fail") for name in (MODE, AUTH)),
    *((name, f"{LEGACY}\n*.* @udp.example.net", "fail") for name in (MODE, AUTH, DRIVER)),
    # Of the old language only what stands before an action is about it.
    (MODE, "*.* @@log.example.net\n$ActionSendStreamDriverMode 1", "fail"),
    (AUTH, MODERN.replace("x509/name", "anon"), "fail"),
    (AUTH, 'action(type="omfwd"\n  target="h" protocol="tcp"\n  StreamDriverAuthMode="x509/name"\n)', "pass"),
    (AUTH, MODERN.replace("=", " = "), "pass"),
    # A datagram has no stream, and omfwd sends datagrams where nothing else is said.
    *((name, MODERN.replace("tcp", "udp"), "fail") for name in (MODE, AUTH, DRIVER)),
    *((name, MODERN.replace(' protocol="tcp"', ""), "fail") for name in (MODE, AUTH, DRIVER)),
    (AWAY, MODERN.replace("tcp", "udp"), "pass"),
    (AWAY, 'action(type="omrelp" target="h" port="2514")', "pass"),
    (AWAY, "*.* :omrelp:log.example.net:2514", "pass"),
    (MODE, 'action(type="omrelp" target="h" port="2514")', "fail"),
    *((name, 'action(type="omrelp" target="h" tls="on" tls.authMode="name")', "pass") for name in (MODE, AUTH, DRIVER)),
    # What goes to this host itself does not leave it.
    *((AWAY, f"*.* @@{host}:514", "fail") for host in ("127.0.0.1", "localhost", "[::1]", "(o)LOCALHOST")),
    (AWAY, MODERN.replace('"h"', '"127.0.0.1"'), "fail"),
    (AWAY, "*.* @@localhost.example.net", "pass"),
    (MODE, f"{MODERN}\n*.* @localhost", "pass"),
    (DRIVER, "", "fail"),
    (AWAY, f"# {MODERN}", "fail"),
    (AWAY, f"auth.* /var/log/auth.log # {MODERN}", "fail"),
    (AWAY, f"/*\n{MODERN}\n*/", "fail"),
    (AWAY, "*.* /var/log/all.log\n*.* @[2001:db8::1]:514", "pass"),
    (AWAY, ':msg, contains, "x" @@log.example.net', "pass"),
    (AWAY, "if $programname == 'x' then { @@log.example.net }", "pass"),
    (AWAY, "*.* /var/log/x\n& @@log.example.net", "pass"),
    (AWAY, ':msg, contains, "mail to @root" /var/log/x', "fail"),
    (WRITES, "auth.*,authpriv.* /var/log/secure\ndaemon.* /var/log/messages", "pass"),
    (WRITES, 'auth,authpriv,daemon.* action(type="omfile" file="/var/log/auth.log")', "pass"),
    (WRITES, 'auth,authpriv,daemon.* action(type="omfwd" target="h")', "fail"),
    (WRITES, "auth,authpriv,daemon.* ~", "fail"),
    (WRITES, "*.* -/var/log/all.log;RSYSLOG_FileFormat", "pass"),
    (WRITES, 'if prifilt("auth,authpriv,daemon.*") then /var/log/auth.log', "pass"),
    (WRITES, 'if prifilt("auth.*") then {\n action(type="omfile" file="/x")\n}\nauthpriv,daemon.* /x', "pass"),
    (
        WRITES,
        'auth,authpriv,daemon.* {\n  action(type="omfwd" target="h")\n  action(type="omfile"\n file="/x")\n}',
        "pass",
    ),
    (WRITES, 'auth,authpriv,daemon.* {\n  action(type="omfwd" target="h")\n}\nmail.* /x', "fail"),
    (WRITES, 'auth,authpriv,daemon.* action(type="omfile"\n  dynaFile="byHost"\n)', "pass"),
    (WRITES, "auth,authpriv,daemon.* ?ByHost", "pass"),
    (WRITES, "auth,authpriv,daemon.* |/run/fifo", "fail"),
    (WRITES, "auth.* stop\n*.* /var/log/all.log", "fail"),
    (WRITES, "auth.=debug ~\n*.* /var/log/all.log", "pass"),
    (WRITES, "*.* /var/log/all.log\nauth.* ~", "pass"),
    (WRITES, None, "fail"),
    (CRON, "cron.* /var/log/cron # all of it", "pass"),
    (CRON, "/*cron.* /var/log/cron*/", "fail"),
    (CRON, "*.* /var/log/*.log", "pass"),
    (CREATES, "$FileCreateMode 0600", "pass"),
    (CREATES, "$filecreatemode 0640", "pass"),
    (CREATES, "$FileCreateMode 0888", "fail"),
    (CREATES, "#$FileCreateMode 0640", "fail"),
    (CREATES, 'module(load="builtin:omfile" fileCreateMode = "0644")', "fail"),
    (CREATES, '$FileCreateMode 0640\n*.* action(type="omfile" file="/x" fileCreateMode="0644")', "fail"),
    *((CREATES, said, status) for said, status in MODES_OF_FILES),
    *(
        (AWAY, f"{RULESET}{more}", status)
        for more, status in (
            ("", "fail"),
            ("*.* call Remote", "pass"),
            ('input(type="imtcp" port="514" ruleset="remote")', "fail"),
            ('input(type="imuxsock" Socket="/run/x" Ruleset="REMOTE")', "pass"),
            ("*.* @@192.0.2.1", "pass"),
        )
    ),
    (AWAY, "$RuleSet remote\n*.* @@h\n$RuleSet RSYSLOG_DefaultRuleset\n*.* /x", "fail"),
    (AWAY, "$RuleSet own\n*.* @@h\n$DefaultRuleset own", "pass"),
    *(
        (AWAY, MODERN.replace('"omfwd"', f'"omfwd" config.enabled="{said}"'), status)
        for said, status in (("off", "fail"), ("0", "fail"), ("on", "pass"))
    ),
    *((CRON, said, status) for said, status in WRITTEN),
    (LISTENS, 'module(load="imtcp" config.enabled="off")', "pass"),
    (LISTENS, 'module(load="imuxsock")\ninput(type="imfile" file="/x" tag="imtcp")', "pass"),
    (LISTENS, 'module( load = "imtcp" )', "fail"),
    (LISTENS, 'input(\n  type="imudp"\n  port="514"\n)', "fail"),
    (LISTENS, "$ModLoad imrelp.so", "fail"),
    (LISTENS, "$UDPServerRun 514", "fail"),
    (LISTENS, "$InputTCPServerRun 514", "fail"),
    (LISTENS, "# $ModLoad imtcp", "pass"),
    (LISTENS, 'module(load="imtcp.so")', "fail"),
    (LISTENS, 'module(load="imdtls")', "fail"),
]


@pytest.mark.parametrize(("name", "said", "status"), CASES)
def test_a_configuration(name, said, status):
    found = look(name, said)
    assert found.status == status, found
    assert found.evidence.isprintable()


#: rsyslog runs, journald runs, the framework, what is found of what it does, and of how it is configured.
RUNNING = [
    (True, True, "CIS", "pass", "pass"),
    (False, True, "CIS", "not applicable", "not applicable"),
    (False, False, "CIS", "fail", "pass"),
    (False, True, "STIG", "fail", "pass"),
    (None, True, "STIG", "pass", "pass"),
]


@pytest.mark.parametrize("name", [MODE, AUTH, DRIVER, AWAY, WRITES, CRON, CREATES, "rsyslog_forwards"])
@pytest.mark.parametrize(("runs", "journal", "framework", "does", "configured"), RUNNING)
def test_files_of_a_rsyslog_that_does_not_run_do_nothing(name, runs, journal, framework, does, configured):
    status = configured if name in (MODE, AUTH, DRIVER, CREATES) else does
    services = {"rsyslog": None if runs is None else (runs, runs), "systemd-journald": (journal, False)}
    said = f"{LEGACY}\n$FileCreateMode 0640\n*.* /var/log/all.log"
    known = tuple((f"/etc/x line {at}", line) for at, line in enumerate(said.splitlines(), 1))
    found = checks.look(facts(audit=HELD, configs={"rsyslog": known}, services=services), name, framework)
    assert found.status == status, found


def test_the_line_that_decides_is_named():
    assert "/etc/x line 1): rsyslog sets no" in look(CREATES, "*.* /x\n$FileCreateMode 0640").evidence
    assert "/etc/x line 2" in look(MODE, f"{MODERN}\n*.* @@plain.example.net").evidence
    assert "/etc/x line 3" in look(WRITES, "x\n\nauth,authpriv,daemon.* /x").evidence
