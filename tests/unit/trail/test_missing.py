"""
trail.missing: which events a log lacks, by their numbers.
"""

import random

import pytest
from sshtrail_lib.trail import missing
from sshtrail_lib.trail.missing import Missing

SHORT, LONG = 'cwd="/"', "proctitle=" + "41" * 3000
HERE = ("", 0)


def records(number, body=SHORT, kind="SYSCALL"):
    """Return an event as the kernel has most written: a system call, and what belongs to it."""
    at = f"msg=audit(1795648800.123:{number}):"
    return f"type={kind} {at} arch=c000003e\ntype=CWD {at} {body}\ntype=PROCTITLE {at} proctitle=41\n".encode()


def message(number):
    return f"type=CRED_ACQ msg=audit(1795648800.123:{number}): pid=1 uid=0 msg='op=PAM:setcred'\n".encode()


def log(*numbers, body=SHORT, kind="SYSCALL"):
    return b"".join(message(one) if one % 7 == 3 else records(one, body, kind) for one in numbers)


def of(node, block):
    return block.replace(b"type=", b"node=%s type=" % node)


BY_TURNS = b"".join(of(b"x", records(number)) + of(b"y", records(number + 7000)) for number in range(100, 900))
DAEMON = b"type=DAEMON_END msg=audit(1795648800.123:99999): op=terminate auid=0 res=success\n"
CASES = {
    "nothing": (b"", []),
    "all": (log(*range(2000)), []),
    "some": (log(*range(0, 200, 40)), [(1, 39), (41, 79), (81, 119), (121, 159)]),
    "one": (log(*range(500), *range(501, 900)), [(500, 500)]),
    "the second": (log(3, *range(5, 900)), [(4, 4)]),
    "one before the last": (log(*range(900), 901), [(900, 900)]),
    "two holes": (log(*range(500), *range(700, 1200), *range(1300, 1310)), [(500, 699), (1200, 1299)]),
    "in long lines": (log(*range(300), *range(301, 400), body=LONG), [(300, 300)]),
    "one event with arguments that are longer than a block": (records(5) + 900 * records(5, LONG, "EXECVE"), []),
    "of two lines": (log(1, 900), [(2, 899)]),
    "out of order": (log(*(number + 30 - 60 * (number % 2) for number in range(30, 1000))), None),
    "neither system calls nor messages": (log(*range(900), kind="AVC"), []),
    "one of these": (log(*range(500), *range(501, 900), kind="AVC"), [(500, 500)]),
    "garbage": (b"\xff\n\n" + log(*range(500)) + b"x" * 9000 + b"\n" + log(*range(502, 900)), [(500, 501)]),
    "auditd's own numbers": (log(*range(500)) + DAEMON + log(*range(500, 600)), []),
    "each line twice": (b"".join(2 * line for line in log(*range(900)).splitlines(True)), []),
    "each line twice but one": (
        b"".join(2 * line for line in log(*range(500), *range(501, 900)).splitlines(True)),
        [(500, 500)],
    ),
}


def gaps(*blocks, boot=HERE):
    known = Missing()
    for block in blocks:
        for _, first, last in missing.runs(block):
            known.saw(boot, first, last)
    return known.gaps.get(boot, [])


@pytest.mark.parametrize("block,expected", CASES.values(), ids=CASES)
def test_what_is_missing_in_a_block(block, expected):
    if expected is None:
        numbers = sorted({number for _, first, last in missing._each(block) for number in range(first, last + 1)})
        expected = [(a + 1, b - 1) for a, b in zip(numbers, numbers[1:], strict=False) if b > a + 1]
    assert gaps(block) == expected


@pytest.mark.parametrize("block,expected", CASES.values(), ids=CASES)
def test_it_is_the_same_wherever_the_log_is_cut(block, expected):
    lines, chance = block.splitlines(True), random.Random(1)
    for _ in range(30):
        cuts = sorted(chance.randrange(len(lines) + 1) for _ in range(chance.randrange(1, 6)))
        parts = [b"".join(lines[a:b]) for a, b in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
        assert gaps(*parts) == gaps(block)


def test_what_comes_late_or_again_is_there():
    whole = log(*range(100, 400))
    late = log(*range(150), *range(160, 300)), log(*range(150, 160)), log(*range(300, 400))
    assert gaps(*late) == [] == gaps(whole, whole) == gaps(whole, log(*range(120, 180)))
    # A copy of the log that has more than the log tells of what is missing there.
    assert gaps(log(*range(100), *range(150, 200)), log(*range(90, 120))) == [(120, 149)]


@pytest.mark.parametrize("lost", [(), (450,)])
def test_hosts_that_write_by_turns(lost):
    block = b"".join(
        line
        for line in BY_TURNS.splitlines(True)
        if not any(b"node=x" in line and b":%d)" % one in line for one in lost)
    )
    found = missing.runs(block)
    x = [("x", 100, 899)] if not lost else [("x", 100, 449), ("x", 451, 899)]
    assert found == [*x, ("y", 7100, 7899)]


def test_where_only_the_edges_are_looked_at_few_are_none():
    known = Missing(missing.SPARE)
    for block in (log(*range(500)), log(*range(520, 900)), log(*range(1000, 1500))):
        for _, first, last in missing.edges(block):
            known.saw(HERE, first, last)
    assert known.gaps[HERE] == [(900, 999)] and known.most[HERE] == 1499
    assert missing.edges(b"") == [] and missing.edges(BY_TURNS) == [("x", 100, 899), ("y", 7100, 7899)]


def test_of_a_log_that_lacks_something_everywhere_not_all_is_remembered():
    known = Missing()
    for number in range(0, 3 * missing.MOST, 2):
        known.saw(HERE, number, number)
    assert len(known.gaps[HERE]) <= missing.MOST


SAID = {
    "before": ((0, 9), []),
    "the first": ((4, 11), ["the event 10 is missing from the log"]),
    "two": ((4, 20), ["the event 10 is missing from the log", "the events 20 to 29 are missing from the log"]),
    "none after the last": ((1000, 2000), []),
    "only large ones": ((0, 2000, 50), ["the events 100 to 199 are missing from the log"]),
}


@pytest.mark.parametrize("asked,said", SAID.values(), ids=SAID)
def test_what_is_said(asked, said):
    assert missing.between([(10, 10), (20, 29), (100, 199)], *asked) == said


def test_of_many_the_number_is_said():
    many = [(number, number) for number in range(10, 30, 2)]
    assert missing.between(many, 0, 100)[2:] == ["8 more are missing in 8 other places"]
