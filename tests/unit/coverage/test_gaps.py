"""
coverage.gaps: what was open between two looks, by records as Linux 6.18 makes them.
"""

import pytest
from sshtrail_lib.coverage import gaps
from sshtrail_lib.coverage.marks import interrupted
from sshtrail_lib.trail import audit_log

BY = "auid=1001 ses=3 subj=unconfined"
OFF = f"CONFIG_CHANGE T: op=set audit_enabled=0 old=1 {BY} res=1"
LOADED = "CONFIG_CHANGE T: auid=1001 ses=3 subj=x op=add_rule key={} list={} res=1"
GONE = LOADED.replace("add_rule", "remove_rule")
LOGIN = "LOGIN T: pid={} uid=0 subj=x old-auid={} auid={} tty=(none) old-ses=3 ses=4294967295 res=1"
UNSET = 4294967295
COMMANDS, OTHER = '"ssh_commands"', '"session"'

BY_NOBODY = [GONE.format(key, 4).replace("auid=1001", f"auid={UNSET}") for key in (COMMANDS, OTHER)]


def lines(*records):
    """Lines of a log from (seconds, record)."""
    return [f"type={text.replace(' T:', f' msg=audit({when:.3f}:{number}):', 1)}".encode()
            for number, (when, text) in enumerate(records, 1)]  # fmt: skip


def found(*records, since=10.0):
    return [one.told for one in gaps.find(list(audit_log.records(lines(*records))), since, {"ssh_commands"})]


OPEN = {
    "switched off": [(20, OFF)],
    "a rule that hides": [(20, LOADED.format("(null)", 5)), (23, GONE.format("(null)", 5))],
    "a rule that hides for a moment": [(20, LOADED.format("(null)", 5)), (20, GONE.format("(null)", 5))],
    "no task": [(20, LOADED.format("(null)", 1)), (23, GONE.format("(null)", 1))],
    "the rule of the commands": [(20, GONE.format(COMMANDS, 4)), (22, LOADED.format(COMMANDS, 4))],
    "all rules": [(20, GONE.format(COMMANDS, 4)), (20, GONE.format(OTHER, 4)), (26, LOADED.format(COMMANDS, 4))],
    "all rules loaded anew": [
        (20, GONE.format(COMMANDS, 4)),
        (20, GONE.format(OTHER, 4)),
        (20.2, LOADED.format(COMMANDS, 4)),
    ],
    # Whoever adds some other rule with the same key first.
    "a rule after another one": [
        (19.9, LOADED.format(COMMANDS, 4)),
        (20, GONE.format(COMMANDS, 4)),
        (20.2, LOADED.format(COMMANDS, 4)),
    ],
    "an id that was given up": [(20, LOGIN.format(77, 1001, UNSET))],
}
CLOSED = {
    "before the last look": [(9, OFF)],
    "a rule that stands": [(20, LOADED.format("(null)", 5))],
    "another list": [
        (when, one.format("(null)", 4).replace("auid=1001", f"auid={UNSET}"))
        for when, one in ((20, LOADED), (23, GONE))
    ],
    "a rule that is gone": [(20, GONE.format(COMMANDS, 4))],
    "a policy that was taken off for a while": [
        (20, BY_NOBODY[0]), (20, BY_NOBODY[1]), (90, LOADED.format(COMMANDS, 4)),
    ],
    "another rule": [(20, GONE.format(OTHER, 4)), (30, LOADED.format(OTHER, 4))],
    "an id that is set": [(20, LOGIN.format(77, UNSET, 1001))],
    "an id that is changed": [(20, LOGIN.format(77, 1001, UNSET)), (20.1, LOGIN.format(77, UNSET, 65534))],
    "what was refused": [(20, OFF.replace("res=1", "res=0"))],
    "an id that was kept": [(20, LOGIN.format(7, 5, UNSET).replace("res=1", "res=0"))],
}  # fmt: skip


@pytest.mark.parametrize("records", OPEN.values(), ids=OPEN)
def test_what_was_open(records):
    [told] = found(*records)
    assert "1001" in told and "1970-01-01T00:00:20" in told
    assert interrupted(b"type=SYSCALL x\n" + b"\n".join(lines(*records)) + b"\n")
    # With a name_format auditd has the host's name before each.
    named = [b"node=host.example " + line for line in lines(*records)]
    assert interrupted(b"node=host.example type=SYSCALL x\n" + b"\n".join(named) + b"\n")


@pytest.mark.parametrize("records", CLOSED.values(), ids=CLOSED)
def test_what_was_not(records):
    assert found(*records) == []


CAME, WENT = (20, LOADED.format("(null)", 5)), (23, GONE.format("(null)", 5))


@pytest.mark.parametrize(
    "records,before,now,told",
    [
        # Who excludes CONFIG_CHANGE, or everything of his own, excludes that.
        ([WENT], 0, 0, True),
        ([WENT], 1, 1, True),
        ([CAME, WENT, WENT], 0, 0, True),
        ([WENT], 1, 0, False),
        ([CAME, WENT], 0, 0, False),
        ([CAME], 0, 1, False),
        ([WENT], 2, 0, False),
        ([(9, WENT[1])], 0, 0, False),
        ([(23, WENT[1].replace("res=1", "res=0"))], 0, 0, False),
        ([], 0, 1, False),
    ],
)
def test_a_rule_that_hid_that_it_came(records, before, now, told):
    known = list(audit_log.records(lines(*records)))
    found = [one.told for one in gaps.unseen(known, 10.0, {"5": before}, {"5": now, "4": 3})]
    assert ["the list exclude" in one and "login id 1001" in one for one in found] == [True] * told


RESET = f"CONFIG_CHANGE T: op=set lost=0 old={{}} {BY} res=1"


@pytest.mark.parametrize(
    "records,lost,told",
    [
        ([(20, RESET.format(500))], 0, ["500 records were lost"]),
        ([(20, RESET.format(500))], 490, ["10 records were lost"]),
        ([(20, RESET.format(500)), (21, RESET.format(7))], 500, ["7 records were lost"]),
        # What was counted before was told before.
        ([(20, RESET.format(500))], 500, []),
        ([(9, RESET.format(500))], 0, []),
        ([(20, RESET.format(500).replace("lost=", "audit_rate_limit="))], 0, []),
        ([(20, RESET.format(500).replace("res=1", "res=0"))], 0, []),
    ],
)
def test_a_count_that_was_set_back(records, lost, told):
    known = list(audit_log.records(lines(*records)))
    found = [one.told for one in gaps.set_back(known, 10.0, lost)]
    assert len(found) == len(told) and all(one.startswith(begins) for one, begins in zip(found, told, strict=True))
    assert interrupted(b"\n".join(lines(*records)) + b"\n") == ("lost=0" in records[0][1])


BOTH = [(20, LOADED.format("(null)", 4)), (23, GONE.format("(null)", 4))]
AGAIN = [*BOTH, (24, LOADED.format("(null)", 4))]
NOBODYS = [(when, one.replace("auid=1001", f"auid={UNSET}")) for when, one in BOTH]


AUDITCTL, LOADER = "/usr/sbin/auditctl", "/run/loader"
HIDES, MAY_HIDE, OF_A_FILE = "a rule that hides", "a rule that may hide", "a rule of a file, which may hide,"
RECORDS, HAS_NEVER = "auditctl -a always,exit -F arch=b64 -S execve -k k", "auditctl -A exit,never -S execve"
THE_RULES, A_FILE = "/sbin/auditctl -R /etc/audit/audit.rules", "auditctl -R /run/file"
#: One more of its key comes, and goes.
HARMLESS = [*BOTH, (24, LOADED.format("(null)", 4)), (25, GONE.format("(null)", 4))]


@pytest.mark.parametrize(
    "records,program,words,told",
    [
        (BOTH, AUDITCTL, HAS_NEVER, HIDES),
        (BOTH, AUDITCTL, f"auditctl {'-i ' * 45}-A never,exit -S all", HIDES),
        (BOTH, AUDITCTL, f"{'/.' * 70}{AUDITCTL} -A exit,never -S all", HIDES),
        (BOTH, AUDITCTL, RECORDS, ""),
        (BOTH, AUDITCTL, "auditctl -a always,exit -F path=/etc/nevermore", ""),
        (BOTH, AUDITCTL, "auditctl -w /etc/never -p wa", ""),
        (BOTH, AUDITCTL, f"{RECORDS} -a never,exit", HIDES),
        (BOTH, AUDITCTL, A_FILE, OF_A_FILE),
        (BOTH, AUDITCTL, f"{RECORDS} -R /run/file", OF_A_FILE),
        # What no record tells, and another program, whatever it calls itself.
        (BOTH, AUDITCTL, "", MAY_HIDE),
        (BOTH, LOADER, RECORDS, MAY_HIDE),
        (BOTH, LOADER, THE_RULES, MAY_HIDE),
        (BOTH, "/usr/bin/python3.11", "", MAY_HIDE),
        # All rules were loaded anew, and stand; what comes again and goes is another one.
        (AGAIN, AUDITCTL, THE_RULES, ""),
        (AGAIN, AUDITCTL, HAS_NEVER, HIDES),
        (AGAIN, AUDITCTL, A_FILE, OF_A_FILE),
        (HARMLESS, AUDITCTL, THE_RULES, OF_A_FILE),
        (HARMLESS, AUDITCTL, HAS_NEVER, HIDES),
        (BOTH[:1], LOADER, "", ""),
    ],
)
def test_a_rule_that_somebody_added_and_took_away_again(records, program, words, told):
    known = list(audit_log.records(lines(*records)))
    origin = gaps.Origin(lambda _: words[:128], actor=lambda _: ("7", program), words=lambda _: tuple(words.split()))
    first = next((one.told for one in gaps.find(known, 10.0, {"ssh_commands"}, (), origin)), "")
    assert first.startswith(f"{told} stood on the list exit for 3 s at 1970-01-01T00:00:20") if told else not first
    # Salt itself brings the rules to the policy.
    assert not list(gaps.find(known, 10.0, {"ssh_commands"}, (), origin._replace(own=lambda _: True)))


@pytest.mark.parametrize(
    "records,program,title,told",
    [
        (BOTH, AUDITCTL, HAS_NEVER, HIDES),
        (BOTH, AUDITCTL, RECORDS, ""),
        (BOTH, AUDITCTL, A_FILE, OF_A_FILE),
        (BOTH, AUDITCTL, THE_RULES, ""),
        # The kernel takes 128 bytes of a title.
        (BOTH, AUDITCTL, f"auditctl{' ' * 90} -R /etc/audit/audit.rules".ljust(128), MAY_HIDE),
        (BOTH, LOADER, THE_RULES, MAY_HIDE),
        (BOTH, LOADER, None, ""),
        (BOTH, AUDITCTL, "", ""),
        # A service that loads its own rules anew.
        (AGAIN, "/usr/bin/auditbeat", "auditbeat", ""),
        (BOTH, "", "", ""),
    ],
)
def test_a_rule_that_nobody_with_a_login_added_and_took_away_again(records, program, title, told):
    by_nobody = [(when, one.replace("auid=1001", f"auid={UNSET}")) for when, one in records]
    known = list(audit_log.records(lines(*by_nobody)))
    origin = gaps.Origin(lambda _: title, actor=lambda _: ("7", program))
    found = [one.told for one in gaps.find(known, 10.0, {"ssh_commands"}, (), origin)]
    assert [one.startswith(f"{told} stood on the list exit") for one in found] == [True] * bool(told)


@pytest.mark.parametrize(
    "records,title,told",
    [
        (BOTH, "auditctl -A never,exit -F arch=b64 -S execve", True),
        (BOTH, "auditctl -A exit,never -S all -k ssh_commands", True),
        (BOTH, None, True),
        (BOTH, "auditctl -a always,exit -F path=/etc/nevermore", False),
        (BOTH, "auditctl -R /run/file", True),
        # All rules were loaded anew; a service has no login; it stands still.
        (AGAIN, None, False),
        (NOBODYS, None, False),
        (BOTH[:1], None, False),
    ],
)
def test_a_rule_that_hid_among_those_that_record(records, title, told):
    known = list(audit_log.records(lines(*records)))
    words = tuple((title or "").split())
    origin = gaps.Origin(lambda _: title, actor=lambda _: BY_HAND, words=lambda _: words)
    found = [one.told for one in gaps.find(known, 10.0, {"ssh_commands"}, (), origin)]
    assert [("on the list exit for 3 s" in one, "login id 1001" in one) for one in found] == [(True, True)] * told
    assert interrupted(b"\n".join(lines(*records)) + b"\n")


GAVE, AGAIN_SAME = (20, LOGIN.format(77, 1001, UNSET)), (20.1, LOGIN.format(77, UNSET, 1001))
TOOK = (20, LOGIN.format(77, 1001, 1002))


@pytest.mark.parametrize(
    "records,told",
    [
        ([GAVE, AGAIN_SAME], ", and took one again: what it started meanwhile is not recorded"),
        ([GAVE, (25, LOGIN.format(77, UNSET, 1002))], "gave up the login id 1001"),
        ([TOOK], "process 77 took the login id 1002 in the place of 1001 at 1970-01-01T00:00:20"),
        ([(20, LOGIN.format(77, 1001, 1001))], "process 77 took the login id 1001 in the place of 1001"),
        ([(9, TOOK[1])], ""),
        ([(9, GAVE[1]), AGAIN_SAME], ""),
        ([(20, TOOK[1].replace("res=1", "res=0"))], ""),
        ([(20, LOGIN.format(77, UNSET, 1001))], ""),
    ],
)
def test_a_login_id_that_was_changed_by_what_lets_nobody_in(records, told):
    known = list(audit_log.records(lines(*records)))
    found = list(gaps.find(known, 10.0, (), (), gaps.Origin(enters=lambda record: False)))
    assert [(told in one.told, one.pid) for one in found] == [(True, 0)] * bool(told)
    # A sshd that was started in a login, or a proof.
    assert list(gaps.find(known, 10.0, ())) == []
    assert interrupted(b"\n".join(lines(*records)) + b"\n") == (f"old-auid={UNSET}" not in records[0][1])


SHORT = [(20, GONE.format(COMMANDS, 4)), (20.01, LOADED.format(COMMANDS, 4))]
LONG = [SHORT[0], (26, LOADED.format(COMMANDS, 4))]
MOVED = [(19.9, LOADED.format(COMMANDS, 4)), (20, GONE.format(COMMANDS, 4)), (30, LOADED.format(COMMANDS, 4))]
ALL = [(20, GONE.format(OTHER, 4))]
THE_FILE, ITS_OWN, TAKES_ALL = "/sbin/auditctl -R /etc/audit/audit.rules", "/usr/bin/salt-minion -d", "auditctl -D"
TAKES_ONE = "auditctl -d always,exit -F arch=b64 -S execve -k ssh_commands"
ENDED = [(18, "DAEMON_END T: op=terminate auid=0 uid=0 ses=4294967295 pid=1 subj=x res=success")]
BY_SALT, BY_HAND, BY_OTHER = ("7", "/usr/bin/python3.11"), ("7", "/usr/sbin/auditctl"), ("7", "/run/loader")


def by_nobody(records):
    return [(when, one.replace("auid=1001", f"auid={UNSET}")) for when, one in records]


@pytest.mark.parametrize(
    "records,title,actor,told",
    [
        # Whoever has logged in: no command was recorded meanwhile, however short that is.
        (SHORT, TAKES_ONE, BY_HAND, True),
        (SHORT, TAKES_ALL, BY_HAND, True),
        (SHORT, THE_FILE, BY_HAND, True),
        (SHORT, None, BY_HAND, True),
        (ALL + SHORT, THE_FILE, BY_HAND, True),
        (ALL + SHORT, "auditctl -R /dev/stdin", BY_HAND, True),
        (MOVED, TAKES_ONE, BY_HAND, True),
        # Another program that does so behind a decoy, in one process.
        (MOVED, ITS_OWN, BY_OTHER, True),
        (by_nobody(MOVED), ITS_OWN, BY_OTHER, True),
        (by_nobody(ALL + SHORT), THE_FILE, BY_OTHER, True),
        (by_nobody(ALL + SHORT), f"auditctl{' ' * 90} -R /etc/audit/audit.rules".ljust(128), BY_HAND, True),
        # A policy that is changed by hand: new rules come first.
        (SHORT, ITS_OWN, BY_SALT, False),
        (MOVED, ITS_OWN, BY_SALT, False),
        (LONG, ITS_OWN, BY_SALT, True),
        # Of a service: the file is loaded anew, or all is taken away at the end.
        (by_nobody(ALL + SHORT), THE_FILE, BY_HAND, False),
        (by_nobody(ALL + LONG), THE_FILE, BY_HAND, True),
        (by_nobody(ALL + SHORT), "auditctl -R /run/file", BY_HAND, True),
        # Where titles are left out nothing tells that it is not loaded anew.
        (by_nobody(ALL + SHORT), "", BY_HAND, False),
        (by_nobody(ENDED + ALL + SHORT), TAKES_ALL, BY_HAND, False),
        (by_nobody(ENDED + ALL + LONG), TAKES_ALL, BY_HAND, True),
        (by_nobody(ALL + SHORT), TAKES_ALL, BY_HAND, True),
        (by_nobody([(when - 8, one) for when, one in ENDED] + ALL + SHORT), TAKES_ALL, BY_HAND, True),
        (by_nobody(SHORT), TAKES_ONE, BY_HAND, True),
        (by_nobody(SHORT), ITS_OWN, BY_SALT, False),
        (by_nobody(LONG), ITS_OWN, BY_SALT, True),
        (by_nobody(ALL + LONG), ITS_OWN, BY_SALT, False),
        # It does not come again; it was before the last look.
        (SHORT[:1], TAKES_ALL, BY_HAND, False),
        ([(when - 15, one) for when, one in SHORT], TAKES_ALL, BY_HAND, False),
    ],
)
def test_a_rule_that_was_taken_away_for_a_moment(records, title, actor, told):
    known = list(audit_log.records(lines(*records)))
    origin = gaps.Origin(lambda _: title, actor=lambda _: actor, own=lambda _: actor == BY_SALT)
    found = [one.told for one in gaps.find(known, 10.0, {"ssh_commands"}, (), origin)]
    assert ["a rule with the key ssh_commands was gone for" in one for one in found] == [True] * told


def test_what_began_in_the_second_of_the_last_look():
    assert found((10.7, OFF), since=10.3) and not found((10.2, OFF), since=10.3)


@pytest.mark.parametrize(
    "somebody,own,program,words,told",
    [
        # Whoever has logged in may add another one than those that the policy names.
        (True, False, AUDITCTL, "auditctl -a always,exclude -F msgtype=SYSCALL", True),
        (True, False, AUDITCTL, "auditctl -R /run/file", True),
        (True, False, LOADER, THE_RULES, True),
        (True, False, AUDITCTL, THE_RULES, False),
        (True, True, "/usr/bin/python3.11", "", False),
        (False, False, AUDITCTL, THE_RULES, False),
        (False, False, AUDITCTL, "auditctl -a always,exclude -F msgtype=SYSCALL", True),
        (False, False, LOADER, THE_RULES, True),
        (False, False, "", "", False),
        (False, False, AUDITCTL, "", False),
    ],
)
def test_a_list_on_which_the_policy_allows_rules(somebody, own, program, words, told):
    by = [(when, one if somebody else one.replace("auid=1001", f"auid={UNSET}")) for when, one in OPEN["no task"]]
    records = list(audit_log.records(lines(*by)))
    known = {"actor": lambda _: ("7", program), "words": lambda _: tuple(words.split()), "own": lambda _: own}
    origin = gaps.Origin(lambda _: words, **known)
    assert bool(list(gaps.find(records, 10.0, (), {1}, origin))) == told
    assert list(gaps.find(records, 10.0, (), {5}, origin))


def ran(words, when=20.0, **more):
    return gaps.Ran(7, when, "7", "1001", "3", "0", AUDITCTL, tuple(words.split()))._replace(**more)


EXCLUDES, SET = (
    "auditctl -a always,exclude -F msgtype=CONFIG_CHANGE",
    (20.1, OFF.replace("audit_enabled=0", "backlog=8")),
)


@pytest.mark.parametrize(
    "one,records,told",
    [
        (ran("auditctl -R /run/f1"), [], True),
        (ran(EXCLUDES), [], True),
        (ran("auditctl -e 0"), [], True),
        (ran("auditctl -ie0"), [], True),
        (ran("auditctl -D"), [], True),
        (ran("auditctl -R /run/f1"), [SET], False),
        (ran("auditctl -R /run/f1", pid="9"), [SET], True),
        (ran("auditctl -R /run/f1", when=9.0), [], False),
        # Who asks changes nothing, nor does who may not, or has no login; of a mistake nothing comes to the kernel.
        (ran("auditctl -l"), [], False),
        (ran("auditctl -s"), [], False),
        (ran("auditctl -D -k nobody"), [], False),
        (ran("auditctl -a always,exit -F nonsense=1"), [], False),
        (ran(EXCLUDES, euid="1001"), [], False),
        (ran(EXCLUDES, auid=str(UNSET)), [], False),
        (ran(EXCLUDES, program=LOADER), [], False),
    ],
)
def test_an_auditctl_of_which_no_change_is_recorded(one, records, told):
    known = list(audit_log.records(lines(*records)))
    origin = gaps.Origin(actor=lambda _: ("7", AUDITCTL))
    found = [gap.told for gap in gaps.unanswered([one], known, 10.0, origin, lambda line: "nonsense" not in line)]
    assert ["login id 1001 ran auditctl" in gap and "00:00:20" in gap for gap in found] == [True] * told
    # A kernel that does not tell which process it was.
    other = gaps.Origin(lambda _: None)
    assert bool(list(gaps.unanswered([one], known, 10.0, other, lambda _: True))) == (told and not records) or not told


def test_an_auditctl_of_somebodys_calls_for_a_look():
    call = 'type=SYSCALL msg=audit(1.0:1): arch=c000003e syscall=59 auid={} uid=0 euid={} comm="x" exe="{}" key="k"\n'
    for auid, euid, program, looks in (
        ("1001", "0", AUDITCTL, True),
        ("1001", "0", "/sbin/auditctl", True),
        ("1001", "1001", AUDITCTL, False),
        (UNSET, "0", AUDITCTL, False),
        ("1001", "0", "/run/auditctl", False),
    ):
        assert interrupted(call.format(auid, euid, program).encode()) == looks


def test_a_login_calls_for_no_look():
    assert not interrupted(b"\n".join(lines((20, LOGIN.format(77, UNSET, 1001)))) + b"\n")
    assert not interrupted(b"type=USER msg=audit(1.0:1): text='type=CONFIG_CHANGE op=add_rule'\n")


CALL = 'type=SYSCALL msg=audit(1.0:1): arch=c000003e syscall=257 auid=1001 comm="x" exe="{}" subj=x key="{}"\n'


@pytest.mark.parametrize(
    "program,key,looks",
    [
        ("/usr/bin/dash", "audit_logs", True),
        ("/tmp/auditd", "audit_logs", True),
        # auditd itself rotates; who reads is another key's.
        ("/usr/sbin/auditd", "audit_logs", False),
        ("/usr/bin/dash", "audit_access", False),
    ],
)
def test_who_opens_a_log_to_write_in_it_calls_for_a_look(program, key, looks):
    other = 'type=PATH msg=audit(1.0:1): item=0 name=" key=audit_logs"\n'
    assert interrupted((other + CALL.format(program, key)).encode()) == looks
    assert interrupted(b"node=host.example " + CALL.format(program, key).encode()) == looks
    assert not interrupted(other.encode())


START = (
    'USER_START T: pid=7 uid=0 auid={} ses=3 subj=x msg=\'op=PAM:session_open grantors=pam_unix acct="alice" '
    'exe="{}" hostname=192.0.2.1 addr=192.0.2.1 terminal=ssh res={}\''
)


@pytest.mark.parametrize(
    "when,auid,program,res,told",
    [
        (20, UNSET, "/usr/sbin/sshd", "success", True),
        (20, UNSET, "/usr/lib/openssh/sshd-session", "success", True),
        (20, 1001, "/usr/sbin/sshd", "success", False),
        (20, UNSET, "/usr/sbin/sshd", "failed", False),
        (9, UNSET, "/usr/sbin/sshd", "success", False),
        # A service that becomes somebody has none, and needs none.
        (20, UNSET, "/usr/bin/su", "success", False),
        (20, UNSET, "/usr/sbin/sshd-like", "success", False),
    ],
)
def test_a_session_without_a_login_id(when, auid, program, res, told):
    log = lines((when, START.format(auid, program, res)))
    found = [one.told for one in gaps.without_login(audit_log.records(log), 10.0)]
    assert ["sshd (pid 7) opened for alice at 1970-01-01T00:00:20" in one for one in found] == [True] * told
    assert interrupted(log[0] + b"\n") or not told
    assert not interrupted(lines((20, START.format(1001, program, res)))[0] + b"\n")


@pytest.mark.parametrize("terminal,told", [("ssh", True), ("?", False), ("cron", False), ("ssh1", False)])
def test_a_session_of_a_sshd_that_cannot_tell_its_program(terminal, told):
    """One that has no /proc has no login id to set there, and libaudit knows no program."""
    log = lines((20, START.format(UNSET, "?", "success").replace("terminal=ssh", f"terminal={terminal}")))
    assert bool(list(gaps.without_login(audit_log.records(log), 10.0))) == told
    assert interrupted(log[0] + b"\n") == told


@pytest.mark.parametrize(
    "record,known",
    [
        (LOGIN.format(7, UNSET, 1001), True),
        (LOGIN.format(7, UNSET, UNSET), False),
        (LOGIN.format(7, UNSET, 1001).replace("res=1", "res=0"), False),
        (START.format(1001, "/usr/sbin/sshd", "success"), True),
        (START.format(UNSET, "/usr/sbin/sshd", "success"), False),
        # Nobody comes in where PAM refuses it.
        (START.format(UNSET, "/usr/sbin/sshd", "failed"), True),
        (START.format(UNSET, "?", "success").replace("USER_START", "CRED_ACQ"), False),
        (START.format(UNSET, "?", "failed").replace("USER_START", "CRED_ACQ"), True),
    ],
)
def test_whether_a_login_is_known_by_a_login_id(record, known):
    assert gaps.tells_an_id(audit_log.record(lines((20, record))[0])) == known
