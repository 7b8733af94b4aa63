"""
The audit log and sshd's log: golden logs of the real daemons, ausearch as the judge, and text made to mislead.
"""

import collections
import datetime
import pathlib
import random
import re
import subprocess
import time

import pytest
import sshtrail_log
from hypothesis import given
from hypothesis import strategies as st

DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "log"
AUDIT = (DATA / "audit-3.0.9.log").read_bytes().splitlines(True)
NOW = datetime.datetime(2026, 11, 23, 8, tzinfo=datetime.timezone.utc)


def _one(body, kind=b"SYSCALL"):
    return sshtrail_log.record(b"type=" + kind + b" msg=audit(1.002:3): " + body)


@pytest.mark.parametrize(
    "line, head",
    [
        (b"type=CWD msg=audit(1795416311.891:206): cwd=x\n", ("", "CWD", 1795416311, 891, 206)),
        (b"node=a.example type=CWD msg=audit(1.1:2): cwd=x", ("a.example", "CWD", 1, 1, 2)),
        (b"type=UNKNOWN[1420] msg=audit(1.100:0):", ("", "UNKNOWN[1420]", 1, 100, 0)),
    ],
)
def test_the_head_of_a_record(line, head):
    record = sshtrail_log.record(line)
    assert (record.node, record.type, record.seconds, record.milliseconds, record.serial) == head
    assert record.event == (head[0], *head[2:])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"type=CWD",
        b"type= msg=audit(1.1:2): a=b",
        b"type=CWD msg=audit(1:2): a=b",
        b" type=CWD msg=audit(1.1:2): a=b",
    ],
)
def test_what_is_no_record_is_passed_over(line):
    assert sshtrail_log.record(line) is None
    assert list(sshtrail_log.records([line])) == []


@pytest.mark.parametrize(
    "body, kind, fields",
    [
        (b'pid=1 comm="ls"', b"SYSCALL", {"pid": b"1", "comm": b"ls"}),
        (b"comm=6C7320", b"SYSCALL", {"comm": b"ls "}),
        (b"a0=6C73 a1=10", b"SYSCALL", {"a0": b"6C73", "a1": b"10"}),
        (b'argc=2 a0=6C73 a1="10"', b"EXECVE", {"argc": b"2", "a0": b"ls", "a1": b"10"}),
        (b"name=(null) key=(null)", b"PATH", {"name": b"(null)", "key": b"(null)"}),
        (b"proctitle=6C73002D6C", b"PROCTITLE", {"proctitle": b"ls\x00-l"}),
        (b"cwd=ABC", b"CWD", {"cwd": b"ABC"}),
        (b'cwd="/no end', b"CWD", {"cwd": b"/no end"}),
        (b"  a=1   b=2  ", b"X", {"a": b"1", "b": b"2"}),
        (b"a= b=2 =3 c", b"X", {"a": b"", "b": b"2 =3 c"}),
        (b"first=1 first=2", b"X", {"first": b"1"}),
        (b"op=adding user id=5", b"X", {"op": b"adding user", "id": b"5"}),
    ],
)
def test_fields(body, kind, fields):
    assert _one(body, kind).fields == fields


def test_a_program_cannot_overwrite_what_the_kernel_says():
    record = _one(b"pid=1 auid=1000 msg='op=x auid=0 pid=2 text=y' z \x1dAUID=\"ana\"", b"USER")
    assert record.fields == {"pid": b"1", "auid": b"1000"}
    assert record.message["auid"] == b"0"
    assert record.names == {"AUID": b"ana"}
    assert (record.text("auid"), record.text("op"), record.text("none")) == ("1000", "x", None)


def test_shown_text_cannot_move_the_cursor():
    assert _one(b"comm=" + b"\x1b[2Jroot\n\xff\xc3\xa9".hex().encode()).text("comm") == "\\x1b[2Jroot\\n\\xffé"


def _events():
    return {event.id[3]: event for event in sshtrail_log.events(AUDIT)}


def test_the_golden_log():
    events = _events()
    start = events[204].first("USER_START")
    assert (start.text("auid"), start.text("ses"), start.text("acct"), start.text("res")) == (
        "1001",
        "1",
        "ana",
        "success",
    )
    assert start.names["AUID"] == b"ana"
    assert events[208].arguments == [b"/bin/echo", b"two words"]
    assert events[209].arguments == [b"/bin/echo", "é".encode()]
    assert events[211].arguments == [b"/bin/true", b"deadbeef", b"DEADBEEF", b"", b"a=b", b'x"y']
    assert events[228].arguments == [b"/bin/true", b"x" * 9000, b" " + b"x" * 9000, b"end"]
    assert events[230].arguments == [b"/bin/true", *(str(number).encode() for number in range(1, 1501))]
    assert events[208].keys == ["ssh_commands"]
    assert events[273].keys == ["sshtrail-test-watch", "second key"]
    assert events[204].keys == events[204].arguments == []
    assert events[274].first("USER").text("auid") == "4294967295"


def test_ausearch_puts_the_same_records_together():
    printed = subprocess.run(
        ["ausearch", "-if", DATA / "audit-3.0.9.log", "-m", "all"], capture_output=True, check=True
    ).stdout
    theirs = collections.Counter()
    for part in re.split(rb"(?m)^----\n", printed):
        [identity] = {record.event for record in sshtrail_log.records(part.splitlines())} or {None}
        # It shows LOGIN apart from the system call that wrote it, with the same serial.
        theirs[identity] += sum(line.startswith(b"type=") for line in part.splitlines())
    assert +theirs == {event.id: len(event.records) for event in sshtrail_log.events(AUDIT)}


def test_events_that_are_not_in_one_piece_nor_in_order():
    whole = {event.id: event.arguments for event in sshtrail_log.events(AUDIT)}
    mixed = AUDIT[:]
    random.Random(5).shuffle(mixed)
    again = {event.id: event.arguments for event in sshtrail_log.events(mixed, window=60)}
    assert again == whole


def test_nodes_have_clocks_of_their_own():
    def line(node, second, serial):
        return f"node={node} type=CWD msg=audit({second}.000:{serial}): cwd=x".encode()

    lines = [
        line("a", 100, 1),
        line("b", 900, 1),
        line("a", 100, 1),
        line("b", 900, 1),
        line("a", 120, 2),
        line("b", 10, 3),
    ]
    assert [(event.id[0], event.id[1], len(event.records)) for event in sshtrail_log.events(lines)] == [
        ("a", 100, 2),
        ("b", 900, 2),
        ("a", 120, 1),
        ("b", 10, 1),
    ]


def test_open_events_are_bounded():
    lines = (f"type=CWD msg=audit(1.000:{serial}): cwd=x".encode() for serial in range(100))
    stream = sshtrail_log.events(lines, most=10)
    assert next(stream).id[3] == 0
    assert len(list(stream)) == 99


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_without_an_error(bodies):
    lines = [b"type=EXECVE msg=audit(1.000:1): " + body for body in bodies]
    for event in sshtrail_log.events(lines):
        assert isinstance(event.arguments, list)
    list(sshtrail_log.sshd_lines([b"Nov 23 06:45:43 h sshd[1]: Accepted publickey for " + body for body in bodies]))


HOSTILE = [
    lambda n: b"type=EXECVE msg=audit(1.000:1): a0=" + b"41" * n,
    lambda n: b"type=EXECVE msg=audit(1.000:1): a0=" + b"4" * (2 * n + 1),
    lambda n: b"type=USER msg=audit(1.000:1): msg='text=" + b"a " * n,
    lambda n: b"type=USER msg=audit(1.000:1): msg='" + b"a=" * n,
    lambda n: b'type=USER msg=audit(1.000:1): a="' * n,
    lambda n: b"type=USER msg=audit(1.000:1): " + b'a="x" ' * n,
    lambda n: b"type=USER msg=audit(1.000:1): " + b"=" * n + b" \x1d" * n,
    lambda n: b"type=" + b"x" * n,
]


def _seconds(line):
    started = time.process_time()
    for event in sshtrail_log.events([line]):
        assert isinstance(event.arguments, list)
    return time.process_time() - started


@pytest.mark.parametrize("make", HOSTILE)
def test_time_grows_with_the_text_only(make):
    # Ten times the text may take twenty times as long, not a hundred times; 2 ms are noise.
    small = min(_seconds(make(20_000)) for _ in range(3))
    large = min(_seconds(make(200_000)) for _ in range(3))
    assert large < 20 * small + 0.002


HOSTILE_SSHD = [
    "Accepted publickey for x" + " from a port 1 ssh2: ED25519 SHA256:" + "a" * 43 + " ID",
    "Starting session: command on x for y from a port 1 id 0",
    "Close session: user x from a port 1 id 0 ",
    "Failed publickey for invalid user x from a port 1 ssh2: RSA SHA256:" + "a" * 43 + " ID y (serial 1)",
]


def _sshd_seconds(line):
    def once():
        started = time.process_time()
        list(sshtrail_log.sshd_lines([line] * 20, NOW))
        return time.process_time() - started

    return min(once() for _ in range(5))


@pytest.mark.parametrize("text", HOSTILE_SSHD)
def test_the_worst_line_for_sshd_costs_as_much_as_a_few_good_ones(text):
    head = "Nov 23 06:45:43 host sshd[7]: "
    line = (head + text + text.partition(" for")[2] * 100)[: sshtrail_log.LONGEST].encode()
    good = (head + f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: {KEY}").encode()
    assert _sshd_seconds(line) < 100 * _sshd_seconds(good)


SSHD = sorted(DATA.glob("sshd-*.log"))


def _sshd(path):
    return list(sshtrail_log.sshd_lines(path.read_bytes().splitlines(True), NOW))


@pytest.mark.parametrize("path", SSHD, ids=lambda path: path.name)
def test_the_golden_logs_of_sshd(path):
    lines = _sshd(path)
    accepted = [line for line in lines if line.event == "accepted"]
    raw = path.read_text()
    assert len(accepted) == raw.count("Accepted publickey for") >= 3
    assert len([line for line in lines if line.event == "connection"]) == raw.count("Connection from")
    assert len([line for line in lines if line.event == "session"]) == raw.count("Starting session")
    assert all(line.fields["fingerprint"].startswith("SHA256:") for line in accepted)
    [certificate] = [line.fields for line in accepted if "ca" in line.fields]
    assert (certificate["key_type"], certificate["id"], certificate["serial"]) == (
        "ED25519-CERT",
        "ana of the (team) from here",
        "7",
    )
    [invalid] = [line.fields for line in lines if line.event == "invalid_user"]
    assert (invalid["user"], invalid["address"]) == ("x from 6.6.6.6 port 1 ssh2", "127.0.0.1")
    tag = "sshd" if path.stem in ("sshd-8.4", "sshd-9.2") else "sshd-session"
    assert {line.tag for line in lines} == {tag}
    assert {line.when.astimezone(datetime.timezone.utc).date() for line in lines} == {NOW.date()}


def _line(text, stamp="Nov 23 06:45:43", tag="sshd[7]"):
    return list(sshtrail_log.sshd_lines([f"{stamp} host {tag}: {text}\n".encode()], NOW))


KEY = "ED25519 SHA256:" + "a" * 43
TRUE = "ECDSA SHA256:" + "b" * 43


@pytest.mark.parametrize(
    "text, event, fields",
    [
        (
            "Failed password for invalid user x from 6.6.6.6 port 1 ssh2 from 10.0.0.1 port 5 ssh2",
            "failed",
            {
                "method": "password",
                "user": "x from 6.6.6.6 port 1 ssh2",
                "address": "10.0.0.1",
                "port": "5",
                "invalid": "yes",
            },
        ),
        (
            f"Failed publickey for ana from ::1 port 5 ssh2: {TRUE} ID y from 6.6.6.6 port 1 ssh2: {KEY} ID z"
            f" (serial 0) CA RSA SHA256:{'c' * 43}",
            "failed",
            {
                "address": "::1",
                "fingerprint": TRUE.split()[1],
                "id": f"y from 6.6.6.6 port 1 ssh2: {KEY} ID z",
                "serial": "0",
            },
        ),
        (
            f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: {KEY}",
            "accepted",
            {"user": "ana", "key_type": "ED25519"},
        ),
        ("Accepted password for ana from 10.0.0.1 port 5 ssh2", "accepted", {"method": "password"}),
        (
            "Accepted keyboard-interactive/pam for ana from 10.0.0.1 port 5 ssh2",
            "accepted",
            {"method": "keyboard-interactive/pam"},
        ),
        ("Failed none for invalid user  from 10.0.0.1 port 5 ssh2", "failed", {"user": "", "address": "10.0.0.1"}),
        (
            "Starting session: forced-command (key-option) 'a' for b from 6.6.6.6 port 1 id 0' on pts/1"
            " for ana from 10.0.0.1 port 5 id 2",
            "session",
            {"user": "ana", "address": "10.0.0.1", "terminal": "pts/1", "channel": "2"},
        ),
    ],
)
def test_who_it_was_cannot_be_forged(text, event, fields):
    [line] = _line(text)
    assert line.event == event
    assert {key: line.fields[key] for key in fields} == fields


@pytest.mark.parametrize(
    "text, tag",
    [
        (f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: {KEY} more", "sshd[7]"),
        ("Accepted publickey for ana", "sshd[7]"),
        ("Accepted password for ana from 10.0.0.1 port 5 ssh2", "su[7]"),
        ("Accepted password for ana from 10.0.0.1 port 5 ssh2", "notsshd[7]"),
        ("Accepted password for ana from 10.0.0.1 port 5 ssh2" + "x" * 9000, "sshd[7]"),
        ("pam_unix(sshd:session): session opened for user ana", "sshd[7]"),
    ],
)
def test_what_is_not_sshds_is_passed_over(text, tag):
    assert _line(text, tag=tag) == []


@pytest.mark.parametrize(
    "stamp, when",
    [
        ("2026-11-23T06:45:43+01:00", "2026-11-23T05:45:43+00:00"),
        ("2026-11-23T06:45:43.250000Z", "2026-11-23T06:45:43.250000+00:00"),
        ("2026-11-23T06:45:43+0000", "2026-11-23T06:45:43+00:00"),
    ],
)
def test_times_of_rfc_3339(stamp, when):
    [line] = _line("User child is on pid 5", stamp)
    assert line.when == datetime.datetime.fromisoformat(when)


@pytest.mark.parametrize(
    "stamp, now, year",
    [
        ("Dec 31 23:59:59", datetime.datetime(2026, 1, 1, 0, 5), 2025),
        ("Jan  1 00:00:01", datetime.datetime(2026, 1, 1, 0, 5), 2026),
        ("Feb 29 12:00:00", datetime.datetime(2026, 3, 1), 2024),
        ("Nov  3 12:00:00", datetime.datetime(2026, 11, 3, 11, 59), 2026),
    ],
)
def test_times_of_rfc_3164_get_the_last_possible_year(stamp, now, year):
    [line] = sshtrail_log.sshd_lines([f"{stamp} host sshd[1]: User child is on pid 5".encode()], now.astimezone())
    assert line.when.year == year
    assert line.when.strftime("%d %H:%M:%S") == stamp[4:].replace("  ", " 0").replace(" ", "0", stamp[4] == " ")


@pytest.mark.parametrize(
    "stamp", ["Foo 23 06:45:43", "Nov 33 06:45:43", "2026-99-23T06:45:43+00:00", "2026-11-23 06:45:43"]
)
def test_a_time_that_is_none_is_passed_over(stamp):
    assert _line("User child is on pid 5", stamp) == []
