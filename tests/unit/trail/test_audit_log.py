"""
The audit log: a golden log of the real daemon, ausearch as the judge, and text made to mislead.
"""

import collections
import pathlib
import random
import re
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sshtrail_lib.trail import audit_log

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "log"
AUDIT = (DATA / "audit-3.0.9.log").read_bytes().splitlines(True)


def _one(body, kind=b"SYSCALL"):
    return audit_log.record(b"type=" + kind + b" msg=audit(1.002:3): " + body)


@pytest.mark.parametrize(
    "line, head",
    [
        (b"type=CWD msg=audit(1795416311.891:206): cwd=x\n", ("", "CWD", 1795416311, 891, 206)),
        (b"node=a.example type=CWD msg=audit(1.1:2): cwd=x", ("a.example", "CWD", 1, 1, 2)),
        (b"type=UNKNOWN[1420] msg=audit(1.100:0):", ("", "UNKNOWN[1420]", 1, 100, 0)),
    ],
)
def test_the_head_of_a_record(line, head):
    record = audit_log.record(line)
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
    assert audit_log.record(line) is None
    assert list(audit_log.records([line])) == []


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
    return {event.id[3]: event for event in audit_log.events(AUDIT)}


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
        [identity] = {record.event for record in audit_log.records(part.splitlines())} or {None}
        # It shows LOGIN apart from the system call that wrote it, with the same serial.
        theirs[identity] += sum(line.startswith(b"type=") for line in part.splitlines())
    assert +theirs == {event.id: len(event.records) for event in audit_log.events(AUDIT)}


def test_events_that_are_not_in_one_piece_nor_in_order():
    whole = {event.id: event.arguments for event in audit_log.events(AUDIT)}
    mixed = AUDIT[:]
    random.Random(5).shuffle(mixed)
    again = {event.id: event.arguments for event in audit_log.events(mixed, window=60)}
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
    assert [(event.id[0], event.id[1], len(event.records)) for event in audit_log.events(lines)] == [
        ("a", 100, 2),
        ("b", 900, 2),
        ("a", 120, 1),
        ("b", 10, 1),
    ]


def test_open_events_are_bounded():
    lines = (f"type=CWD msg=audit(1.000:{serial}): cwd=x".encode() for serial in range(100))
    stream = audit_log.events(lines, most=10)
    assert next(stream).id[3] == 0
    assert len(list(stream)) == 99


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_without_an_error(bodies):
    lines = [b"type=EXECVE msg=audit(1.000:1): " + body for body in bodies]
    for event in audit_log.events(lines):
        assert isinstance(event.arguments, list)


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
    for event in audit_log.events([line]):
        assert isinstance(event.arguments, list)
    return time.process_time() - started


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("make", HOSTILE)
def test_time_grows_with_the_text_only(make):
    # Ten times the text may take twenty times as long, not a hundred times; 2 ms are noise.
    small = min(_seconds(make(20_000)) for _ in range(3))
    large = min(_seconds(make(200_000)) for _ in range(3))
    assert large < 20 * small + 0.002
