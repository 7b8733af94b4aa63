"""
trail.author: who made a difference, asked of logs that auditd 3.0.9 wrote on Linux 6.18.

One account after the other did one thing after the other there; each case reads the log up to what it is about.
"""

import pathlib
import re

import pytest
from sshtrail_lib.drift.difference import entry
from sshtrail_lib.rules import watches
from sshtrail_lib.trail import audit_log, author

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "author"
ENRICHED, RAW = (DATA / f"debian-12-auditd-3.0.9-linux-6.18-{form}.log" for form in ("enriched", "raw"))
COMMANDS = "-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands"
STRANGER = "-a always,exit -F path=/etc/hosts -F perm=wa -F key=stranger"
SSHD = "-a always,exit -F path=/run/sshd -F perm=wa -F key=sshd"
MANAGED = "/etc/audit/rules.d/zz-sshtrail.rules"
DROP_IN = "/etc/ssh/sshd_config.d/50 site.conf"
CONFIG = "/etc/ssh/sshd_config"
AUDITD = "/etc/audit/auditd.conf"
WATCHES = [("/etc/ssh", "ssh_config"), ("/etc/audit", "audit_config")]
MISSING = entry("kernel", COMMANDS, "loaded", None)
STOPPED = entry("service", "auditd running", True, False)
LOOSE = entry("effective", "LogLevel", "VERBOSE", "INFO")

# What differs, the files behind it, the last record, and who that is: account, session, program, what was done.
CASES = {
    "a rule was deleted": (MISSING, [], 6639, (1001, "alice", 10, None, "removed")),
    "a rule was added": (entry("kernel", STRANGER, None, "loaded"), [], 6642, (1001, "alice", 11, None, "added")),
    "a setting": (entry("kernel", "backlog_limit", 8192, 100), [], 6645, (1001, "alice", 12, None, "changed")),
    "a setting with another value": (entry("kernel", "backlog_limit", 8192, 99), [], 6645, None),
    "another setting": (entry("kernel", "failure", 1, 0), [], 6645, None),
    "echo >>": (LOOSE, [CONFIG], 6648, (1001, "alice", 13, "/usr/bin/dash", "changed")),
    "sed -i, which renames": (LOOSE, [CONFIG], 6652, (1001, "alice", 14, "/usr/bin/sed", "changed")),
    "mv of a name with a space": (LOOSE, [CONFIG, DROP_IN], 6655, (1001, "alice", 15, "/usr/bin/mv", "created")),
    "chmod": (entry("file", "freq", "50", None), [AUDITD], 6658, (1001, "alice", 16, "/usr/bin/chmod", "changed")),
    "rm": (entry("file", MANAGED, [], None), [MANAGED], 6660, (1001, "alice", 17, "/usr/bin/rm", "removed")),
    "who only reads is nobody": (
        entry("compiled", "/etc/audit/audit.rules", [], []),
        ["/etc/audit/audit.rules"],
        6661,
        None,
    ),
    "a program's text is no record": (entry("kernel", SSHD, "loaded", None), [], 6663, None),
    "what the kernel refused": (entry("kernel", SSHD, "loaded", None), [], 6665, None),
    "all rules were deleted": (entry("kernel", SSHD, "loaded", None), [], 6668, (1002, "bob", 21, None, "removed")),
    "two rules with one key, deleted by two": (MISSING, [], 6680, None),
    "a file that is gone, in a directory": (
        LOOSE,
        ["/etc/ssh/sshd_config.d"],
        6655,
        (1001, "alice", 15, "/usr/bin/mv", "changed"),
    ),
    "auditd was stopped": (STOPPED, [], 9000, (1001, "alice", 22, None, "stopped")),
    "sshd was stopped": (entry("service", "ssh running", True, False), [], 9000, None),
    "a package": (entry("package", "auditd", "installed", None), [], 9000, None),
}


def trail(path, files, last=10**6):
    events = [event for event in audit_log.events(path.read_bytes().splitlines()) if event.id[3] <= last]
    names = {1002: "bob", 1001: "alice"}.get
    return author.Trail(events, WATCHES, watches.keys, lambda found: files, 0.0, names, lambda path: None, 10.0**10)


def who(found):
    by = found["by"]
    return by and (by["auid"], by["user"], by["session"], by["exe"], by["op"])


@pytest.mark.parametrize("found,files,last,expected", CASES.values(), ids=CASES)
def test_who_did_it(found, files, last, expected):
    [told] = author.attribute([found], trail(ENRICHED, files, last))
    if expected and expected[3] is None and who(told):
        # The kernel's own record may or may not come with the system call's, which names the program.
        expected = (*expected[:3], told["by"]["exe"], expected[4])
    assert who(told) == expected
    assert told["since"] == (told["by"]["time"] if expected else None)


def test_who_names_nobody_is_nobody():
    """The kernel drops a rule by itself when the directory goes that it watches: "no login" would be a lie."""
    line = next(line for line in ENRICHED.read_bytes().splitlines() if b"op=remove_rule" in line)
    line = line.partition(b"\x1d")[0].replace(b"auid=1001 ses=10 ", b"")
    events = list(audit_log.events([line]))
    assert len(events) == 1
    [told] = author.attribute([MISSING], trail(ENRICHED, [])._replace(events=events))
    assert told["by"] is None


def test_an_auditd_that_did_not_learn_who_ended_it_names_nobody():
    """As auditd 3.0.9 writes it when the kernel's answer comes too late."""
    line = b"type=DAEMON_END msg=audit(1795543073.447:8537): op=terminate auid=-1 uid=-1 ses=-1 pid=-1 res=success"
    events = list(audit_log.events([line]))
    [told] = author.attribute([STOPPED], trail(ENRICHED, [])._replace(events=events))
    assert told["by"] is None


HOSTILE = {
    "a time to come": (b"audit(1795495089.639:", b"audit(999999999999999.639:"),
    "an account of many digits": (b"auid=1001", b"auid=" + b"9" * 5000),
    "an account that is text": (b"auid=1001", b"auid=root"),
}


@pytest.mark.parametrize("old,new", HOSTILE.values(), ids=HOSTILE)
def test_a_record_that_cannot_be_names_nobody(old, new):
    line = next(line for line in ENRICHED.read_bytes().splitlines() if b"op=remove_rule" in line)
    events = list(audit_log.events([line.replace(old, new)]))
    [told] = author.attribute([MISSING], trail(ENRICHED, [])._replace(events=events))
    assert told["by"] is None


def test_numbers_are_enough():
    """With log_format RAW auditd looks no name up; the account's name then is what the host says."""
    [rule, file] = author.attribute([MISSING, LOOSE], trail(RAW, [CONFIG]))
    assert rule["by"]["user"] == file["by"]["user"] == "alice" and rule["by"]["op"] == "removed"


def test_a_rule_that_came_back_answers_for_the_one_that_went():
    text = ENRICHED.read_bytes().splitlines()
    removed = next(line for line in text if b'op=remove_rule key="ssh_commands"' in line)
    added = removed.replace(b"remove_rule", b"add_rule").replace(b":6639)", b":6640)")
    events = list(audit_log.events([removed, added]))
    [told] = author.attribute([MISSING], trail(ENRICHED, [])._replace(events=events))
    assert told["by"] is None


def by_root(line, operation):
    """The record of an earlier event (bytes), in which root did the ``operation`` (bytes) to the rule of ``line``."""
    line = re.sub(rb"audit\(\d+", b"audit(1795495000", line).replace(b"auid=1001", b"auid=0")
    return re.sub(rb"op=\w+", b"op=" + operation, line)


@pytest.mark.parametrize("key", [b"ssh_commands", b"stranger"])
def test_what_came_before_all_was_well_explains_no_rule(key):
    """Whoever loaded the policy is in the log too; the kernel names the key alone, which several rules may have."""
    text = ENRICHED.read_bytes().splitlines()
    line = next(line for line in text if b'_rule key="' + key in line)
    operation = b"remove_rule" if key == b"ssh_commands" else b"add_rule"
    found = MISSING if key == b"ssh_commands" else entry("kernel", STRANGER, None, "loaded")
    both = list(audit_log.events([by_root(line, operation), line]))
    assert len(both) == 2
    known = trail(ENRICHED, [])._replace(events=both)
    assert author.attribute([found], known)[0]["by"] is None
    assert author.attribute([found], known._replace(after=1795495001.0))[0]["by"]["auid"] == 1001


def test_a_rule_that_came_before_does_not_answer_for_the_one_that_went():
    removed = next(line for line in ENRICHED.read_bytes().splitlines() if b'op=remove_rule key="ssh_commands"' in line)
    events = list(audit_log.events([by_root(removed, b"add_rule"), removed]))
    [told] = author.attribute([MISSING], trail(ENRICHED, [])._replace(events=events))
    assert told["by"]["auid"] == 1001


def test_of_two_people_since_all_was_well_nobody_is_named():
    """Which of them made the difference is not in the log."""
    both = trail(ENRICHED, [CONFIG], 6652)
    changes = [event.id for event in both.events if "ssh_config" in event.keys]
    first, last = (seconds + milliseconds / 1000 for _, seconds, milliseconds, _ in (changes[0], changes[-1]))
    assert who(author.attribute([LOOSE], both._replace(after=first))[0]) is None
    assert who(author.attribute([LOOSE], both._replace(after=last))[0])[2] == 14


def test_a_file_that_no_watch_covers_has_no_author():
    [told] = author.attribute(
        [LOOSE], trail(ENRICHED, [CONFIG], 6652)._replace(watches=[("/etc/audit", "audit_config")])
    )
    assert told["by"] is None


def test_a_file_tells_since_when():
    changed = trail(ENRICHED, [CONFIG], 1)._replace(changed=lambda path: 1790000000.25)
    [told] = author.attribute([LOOSE], changed)
    assert (told["since"], told["by"]) == ("2026-09-21T14:13:20.250Z", None)


# Two rules with the first key alike, and a watch with two; alice deleted one and wrote the file, bob the other.
KEYS = DATA / "debian-12-auditd-3.0.9-linux-6.18-keys.log"
TWO_KEYS = "-a always,exit -F arch=b64 -S execve -F auid!=unset -F key=ssh_commands -F key=sshtrail"
FIRST_KEY = "-a always,exit -F arch=b64 -S execveat -F auid!=unset -F key=ssh_commands"
SPACED = "/etc/ssh/my site.conf"
WATCH = "-w /etc/ssh/my\\ site.conf -p wa -k ssh_config -k sshtrail"


@pytest.mark.parametrize(
    "line,expected",
    [
        (TWO_KEYS, (1001, "alice")),
        (FIRST_KEY, (1002, "bob")),
        (TWO_KEYS.replace("-F key=ssh_commands -F key=sshtrail", "-F key=sshtrail -F key=ssh_commands"), None),
        (TWO_KEYS.replace("-F key=ssh_commands ", ""), None),
        # A kernel that knows more fields than this library: nobody can tell its keys, so nobody is named.
        (FIRST_KEY.replace("auid!=unset", "field[300]=1"), None),
    ],
)
def test_a_rule_is_known_by_all_its_keys(line, expected):
    [told] = author.attribute([entry("kernel", line, "loaded", None)], trail(KEYS, []))
    assert (told["by"] and (told["by"]["auid"], told["by"]["user"])) == expected


def test_a_rule_without_a_key_is_not_one_that_nobody_can_read():
    removed = next(line for line in KEYS.read_bytes().splitlines() if b'op=remove_rule key="' in line)
    events = list(audit_log.events([removed.replace(b'key="ssh_commands"', b"key=(null)")]))
    known = trail(KEYS, [])._replace(events=events)
    for line, told in ((FIRST_KEY.replace(" -F key=ssh_commands", ""), "bob"), ("what nobody can read", None)):
        [found] = author.attribute([entry("kernel", line, "loaded", None)], known)
        assert (found["by"] and found["by"]["user"]) == told


@pytest.mark.parametrize("watched", [WATCH, WATCH.replace(" -k ssh_config", ""), WATCH.replace("/my\\ site.conf", "")])
def test_a_file_with_a_space_has_an_author(watched):
    known = trail(KEYS, [SPACED])._replace(watches=watches.watches([watched, TWO_KEYS]))
    assert who(author.attribute([LOOSE], known)[0]) == (1001, "alice", 34, "/usr/bin/dash", "changed")
    assert who(author.attribute([LOOSE], known._replace(watches=watches.watches([TWO_KEYS])))[0]) is None


def test_keys_are_compared_as_the_log_shows_them():
    """A key may hold bytes that are no text."""
    removed = next(line for line in KEYS.read_bytes().splitlines() if b'op=remove_rule key="' in line)
    events = list(audit_log.events([removed.replace(b'"ssh_commands"', "schlüssel ".encode().hex().encode() + b"FF")]))
    line = FIRST_KEY.replace("ssh_commands", "schlüssel\\ \udcff")
    [told] = author.attribute([entry("kernel", line, "loaded", None)], trail(KEYS, [])._replace(events=events))
    assert told["by"]["user"] == "bob"


def test_a_rule_without_a_key_is_told_by_its_list():
    """Most rules that hide records have no key; the kernel names their list."""
    added = b"type=CONFIG_CHANGE msg=audit(1795495090.%d:7): auid=%d ses=3 op=add_rule key=(null) list=%d res=1"
    events = list(audit_log.events([added % (1, 1001, 5), added % (2, 1002, 1)]))
    lines = ["-a always,exclude -F msgtype=EXECVE", "-a never,task", "-a never,exit -F auid=0"]
    found = [entry("kernel", line, None, "loaded") for line in lines]
    told = author.attribute(found, trail(KEYS, [])._replace(events=events))
    assert [one["by"] and one["by"]["auid"] for one in told] == [1001, 1002, None]


FILES = {
    "a keyword of auditd.conf": (entry("file", "freq", "50", None), [AUDITD]),
    "a rules file": (entry("file", MANAGED, [], None), [MANAGED]),
    "what sshd does": (LOOSE, [CONFIG, DROP_IN]),
    "what sshd took up": (entry("service", "sshd", True, False), [CONFIG, DROP_IN]),
    "what auditd took up": (entry("service", "auditd", True, False), [AUDITD]),
    "a rule": (MISSING, []),
}


@pytest.mark.parametrize("found,expected", FILES.values(), ids=FILES)
def test_the_files_behind_a_difference(found, expected):
    assert author.files_of(found, AUDITD, [CONFIG, DROP_IN]) == expected


BY = {
    "auid": 1001,
    "user": "alice",
    "session": 7,
    "exe": "/usr/sbin/auditctl",
    "comm": "auditctl",
    "time": "T",
    "op": "removed",
}
SENTENCES = [
    (BY, "removed by alice (auid 1001, session 7, auditctl) at T"),
    ({**BY, "user": None}, "removed by an account without a name (auid 1001, session 7, auditctl) at T"),
    ({**BY, "auid": None, "user": None, "session": None}, "removed by a process (no login, auditctl) at T"),
    ({**BY, "exe": None}, "removed by alice (auid 1001, session 7, auditctl) at T"),
    ({**BY, "exe": None, "comm": None}, "removed by alice (auid 1001, session 7) at T"),
    (
        {**BY, "exe": "/tmp/x) at noon; by bob (y"},
        "removed by alice (auid 1001, session 7, 'x) at noon; by bob (y') at T",
    ),
    (None, "by whom is unknown"),
]


@pytest.mark.parametrize("by,expected", SENTENCES)
def test_a_sentence_names_him(by, expected):
    assert author.sentence(by) == expected
