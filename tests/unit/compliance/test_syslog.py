"""compliance.syslog: what rsyslog writes, forwards and receives, in both of its languages."""

import pytest
from sshtrail_lib.compliance import checks, syslog

from unit.compliance.known import audit, facts

HELD = audit(())
#: Without one of these no message of its host comes to rsyslog.
SOURCE = (("/etc/rsyslog.conf line 1", 'module(load="imuxsock")'),)


def numbered(said):
    return (*SOURCE, *((f"/etc/x line {at}", line) for at, line in enumerate(said.splitlines(), 1)))


def look(name, said):
    known = None if said is None else numbered(said)
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
    ("auth.info;auth.=debug", "auth", True),
    ("auth.*;auth.=debug", "auth", True),
    ("auth.*;auth.!=debug", "auth", False),
    ("32.*", "auth", True),
    ("auth.!none", "auth", True),
    ("nobody.*;auth.*", "auth", False),
    ("auth.most", "auth", False),
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

#: A template of file names.
BY_HOST = '$template byHost,"/var/log/%HOSTNAME%.log"\n'
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
    # Which messages these are depends on what they say; the second is none that rsyslog takes.
    (AWAY, ':msg, contains, "x" @@log.example.net', "unknown"),
    (AWAY, "if $programname == 'x' then { @@log.example.net }", "unknown"),
    (AWAY, ':msg, contains, "x" /x\n*.* @@log.example.net', "pass"),
    (AWAY, ':msg, contains, "x" /x\n& stop\n*.* @@log.example.net', "unknown"),
    (AWAY, ':fromhost-ip, !isequal, "127.0.0.1" /x\n& stop\n*.* @@log.example.net', "pass"),
    # Some facilities or priorities are not all.
    (AWAY, "auth,authpriv.* @@log.example.net", "fail"),
    (AWAY, "*.info @@log.example.net", "fail"),
    (AWAY, "*.*;mail.none @@log.example.net", "fail"),
    (AWAY, "*.info @@log.example.net\n*.=debug @@other.example.net", "pass"),
    (AWAY, "if 0 then @@log.example.net", "fail"),
    (AWAY, '*.* action(type="omfwd" target=["a.example.net", "b.example.net"] protocol="tcp")', "pass"),
    (AWAY, '*.* action(type="omkafka" topic="x")', "unknown"),
    (AWAY, f'{MODERN.removesuffix(")")} action.execOnlyWhenPreviousIsSuspended="on")', "fail"),
    (AWAY, "*.* @@log.example.net;NoSuchTemplate", "fail"),
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
    (WRITES, f'{BY_HOST}auth,authpriv,daemon.* action(type="omfile"\n  dynaFile="byHost"\n)', "pass"),
    (WRITES, f"{BY_HOST}auth,authpriv,daemon.* ?byHost", "pass"),
    (WRITES, "auth,authpriv,daemon.* ?byHost", "fail"),
    (WRITES, "auth,authpriv,daemon.* |/run/fifo", "fail"),
    (WRITES, "auth.* stop\n*.* /var/log/all.log", "fail"),
    (WRITES, "auth.=debug ~\n*.* /var/log/all.log", "fail"),
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
            ("auth.* call Remote", "fail"),
            ('input(type="imtcp" port="514" ruleset="remote")', "fail"),
            # One more socket is not that of the host's programs.
            ('input(type="imuxsock" Socket="/run/x" Ruleset="REMOTE")', "fail"),
            ('*.* @@192.0.2.1\ninput(type="imjournal" Ruleset="Remote")', "pass"),
            ('input(type="imjournal" Ruleset="Remote")', "unknown"),
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
    found = checks.look(facts(audit=HELD, configs={"rsyslog": numbered(said)}, services=services), name, framework)
    assert found.status == status, found


SOURCES = [
    ('module(load="imuxsock")', "pass"),
    ('module(load="imuxsock" SysSock.Use="off")', "fail"),
    ('module(load="imuxsock" SysSock.Use="off")\nmodule(load="imjournal" StateFile="x")', "pass"),
    ('module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="/run/systemd/journal/syslog")', "pass"),
    ("$ModLoad imuxsock.so", "pass"),
    ("$ModLoad imuxsock\n$OmitLocalLogging on", "fail"),
    ("$ModLoad imuxsock\n$OmitLocalLogging on\n$AddUnixListenSocket /run/systemd/journal/syslog", "pass"),
    ("$ModLoad imjournal", "pass"),
    ('module(load="imuxsock" config.enabled="off")', "fail"),
    ('module(load="imklog")\nmodule(load="imtcp")', "fail"),
    ("", "fail"),
]


@pytest.mark.parametrize(("said", "status"), SOURCES)
@pytest.mark.parametrize("name", [CRON, AWAY])
def test_no_message_comes_to_a_rsyslog_that_does_not_ask_for_it(name, said, status):
    known = tuple((f"/etc/x line {at}", line) for at, line in enumerate(f"{said}\n*.* /x\n*.* @@h".splitlines(), 1))
    assert checks.look(facts(audit=HELD, configs={"rsyslog": known}), name, "CIS").status == status


#: What rsyslogd 8.2302 does with a message of auth, whatever its priority: written to a file, not, or it depends.
COURSES = [
    ("if 0 then stop\n*.* /x", "pass"),
    ("if 1 then stop\n*.* /x", "fail"),
    ("if 0 then /x", "fail"),
    (':msg, contains, "x" stop\n*.* /x', "unknown"),
    (':msg, contains, "x" ~\n*.* /x', "unknown"),
    (':msg, contains, "x" /y\n& stop\n*.* /x', "pass"),
    (':msg, contains, "x" /y\n& ~\n*.* /x', "pass"),
    ('*.* /x\n:msg, contains, "x" stop', "pass"),
    (':syslogfacility-text, isequal, "auth" stop\n*.* /x', "fail"),
    (':syslogfacility-text, isequal, "mail" stop\n*.* /x', "pass"),
    (':fromhost-ip, !isequal, "127.0.0.1" stop\n*.* /x', "pass"),
    (':programname, regex, "^cron" stop\n*.* /x', "unknown"),
    ('if ($msg contains "x") then stop\n*.* /x', "unknown"),
    ("if $syslogfacility-text == ['auth','authpriv'] then /x", "pass"),
    ("if $syslogfacility-text != ['auth','authpriv'] then /x", "fail"),
    ("if $syslogfacility == 4 then /x", "pass"),
    ("if $syslogseverity <= 6 then /x", "fail"),
    ("if not ($syslogfacility-text == 'mail') then /x", "pass"),
    ("if $syslogfacility-text == 'auth' or $syslogfacility-text == 'mail' and $syslogseverity == 3 then /x", "fail"),
    ('if ($msg contains "x" and $syslogfacility == 2) then stop\n*.* /x', "pass"),
    ('if re_match($msg, "x") then stop\n*.* /x', "unknown"),
    ('if $inputname == "imtcp" then stop\n*.* /x', "pass"),
    ("if prifilt('auth.*') then /x", "pass"),
    ("if prifilt('mail.*') then /y\nelse /x", "pass"),
    ('if $msg contains "x" then /y\nelse /x', "pass"),
    ("*.* {\n /x\n stop\n}", "pass"),
    ("*.* {\n stop\n}\n*.* /x", "fail"),
    ('ruleset(name="own") { /x\n stop\n}\n*.* call own', "pass"),
    ('ruleset(name="own") { action(type="omfile" file="/x") }', "fail"),
    ('ruleset(name="own") { stop }\n*.* call own\n*.* /x', "fail"),
    ('ruleset(name="own" queue.type="LinkedList") { stop }\n*.* call own\n*.* /x', "pass"),
    ("call nothing\n*.* /x", "pass"),
    ('ruleset(name="one") { call one }\ncall one\n*.* /x', "unknown"),
    ('call_indirect "own";\n*.* /x', "unknown"),
    ("foreach ($.i in $!x) do { stop }\n*.* /x", "unknown"),
    ('set $.x = "1";\n*.* /x', "pass"),
    ("$RuleSet own\n*.* /x", "fail"),
    ("$RuleSet own\n*.* /x\n$DefaultRuleset own", "pass"),
    ("*.* /x;NoSuchTemplate", "fail"),
    ('$template T,"%msg%\\n"\n*.* /x;T', "pass"),
    ('template(name="T" type="string" string="%timestamp%\\n")\n*.* /x;T', "unknown"),
    ('template(name="T" type="list") {\n property(name="msg")\n constant(value="*.* stop")\n}\n*.* /x;T', "pass"),
    ('template(name="T" type="list") {\n constant(value="x")\n}\n*.* action(type="omfile" file="/x" template="T")',
     "unknown"),
    ("*.* /x\n!prog\n+host", "pass"),
    ("*.* /x }", "fail"),
    ("*.* stop;\n*.* /x", "pass"),
    ("/* *.* /x */ mail.* /y", "fail"),
    ("# note \\\nauth.* stop\n*.* /x", "pass"),
    ("*.*;\\\n\tauth.none\t/x", "fail"),
    ('*.* action(type="omfile" file="/x" action.execOnlyEveryNthTime="5")', "fail"),
    ("$ActionExecOnlyOnceEveryInterval 60\n*.* /x", "fail"),
    ("$ActionExecOnlyWhenPreviousIsSuspended on\n*.* /x", "fail"),
    # What taking away from nothing comes to differs from release to release.
    ("auth.!=debug /x\nauth.=debug /x", "unknown"),
    # Nobody knows what a rsyslog does that refuses its configuration.
    ("auth.most /y\n*.* /x", "unknown"),
    ('*.* /x\n*.* action(type="omfile" file="/y"', "unknown"),
    ('include(text="auth.* stop")\n*.* /x', "unknown"),
    ("if $msg contains 'x' /y\n*.* /x", "unknown"),
    ("*.* {\n}\n*.* /x", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "status"), COURSES)
def test_what_becomes_of_a_message(said, status):
    found = syslog.writes(facts(configs={"rsyslog": numbered(said)}), "auth")
    assert found.status == status, found
    assert found.evidence.isprintable() and (status != "unknown" or "/etc/x line " in found.evidence)


def test_the_file_that_is_named_is_the_one_for_all():
    said = ':msg, contains, "x" /ufw.log\nauth.* /auth.log\n*.* /all.log'
    found = syslog.writes(facts(configs={"rsyslog": numbered(said)}), "auth", "cron")
    assert found.evidence == "auth to /auth.log (/etc/x line 2), cron to /all.log (/etc/x line 3)"


def test_the_line_on_which_it_depends_is_named():
    said = ':msg, contains, "x" /y\n:msg, contains, "y" stop\n:msg, contains, "z" /y\n*.* /x'
    found = syslog.writes(facts(configs={"rsyslog": numbered(said)}), "auth", "cron")
    said, line = found.evidence.split(": ", 1)
    assert said == "whether rsyslog writes each message of auth, cron depends on what it says"
    assert line == ':msg, contains, "y" stop (/etc/x line 2)'


def test_the_line_that_decides_is_named():
    assert "/etc/x line 1): rsyslog sets no" in look(CREATES, "*.* /x\n$FileCreateMode 0640").evidence
    assert "/etc/x line 2" in look(MODE, f"{MODERN}\n*.* @@plain.example.net").evidence
    assert "/etc/x line 3" in look(WRITES, "x\n\nauth,authpriv,daemon.* /x").evidence
