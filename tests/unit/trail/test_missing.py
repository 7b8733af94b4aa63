"""
trail.missing: which events a log lacks, by their numbers.
"""

import pytest
from sshtrail_lib.trail import missing

SHORT, LONG = 'cwd="/"', "proctitle=" + "41" * 3000


def log(*numbers, body=SHORT):
    return b"".join(b"type=CWD msg=audit(1795648800.123:%d): %s\n" % (one, body.encode()) for one in numbers)


NAMED = log(*range(500), *range(700, 1200)).replace(b"type", b"node=x type")
NAMED_TWO = [
    line
    for pair in zip(log(*range(100, 900)).splitlines(True), log(*range(7000, 7800)).splitlines(True), strict=True)
    for line in (pair[0].replace(b"type", b"node=x type"), pair[1].replace(b"type", b"node=y type"))
]
CASES = {
    "nothing": (b"", []),
    "all": (log(*range(2000)), []),
    "a few that are nowhere": (log(*range(0, 2000, 40)), []),
    "one hole": (log(*range(500), *range(700, 1200)), [(500, 699)]),
    "two": (log(*range(500), *range(700, 1200), *range(1300, 1310)), [(500, 699), (1200, 1299)]),
    "in long lines": (log(*range(500), *range(700, 1200), body=LONG), [(500, 699)]),
    "at the first line": (log(3, *range(700, 1200)), [(4, 699)]),
    "before the last": (log(*range(500), 900), [(500, 899)]),
    "of two lines": (log(1, 900), [(2, 899)]),
    "out of order": (log(*(number + 30 - 60 * (number % 2) for number in range(1000))), []),
    "another boot": (log(*range(5000, 5500), *range(20, 900)), []),
    "a hole before another boot": (log(*range(5000, 5500), *range(5600, 5700), *range(20, 900)), [(5500, 5599)]),
    "of one host with a name": (NAMED, [("x", 500, 699)]),
    "two hosts by turns": (b"".join(NAMED_TWO), []),
    "two hosts, one after the other": (log(*range(90)).replace(b"type", b"node=y type") + NAMED, [("x", 500, 699)]),
    "garbage": (b"\xff\n\n" + log(*range(500)) + b"x" * 9000 + b"\n" + log(*range(700, 900)), [(500, 699)]),
    "auditd's own numbers": (log(*range(500)) + log(99999).replace(b"CWD", b"DAEMON_END") + log(500), []),
}


@pytest.mark.parametrize("block,expected", CASES.values(), ids=CASES)
def test_holes(block, expected):
    assert missing.holes(block, 0, len(block), False) == [one if len(one) > 2 else ("", *one) for one in expected]


def test_the_line_behind_a_part_tells_of_a_hole_before_it():
    block = log(*range(500), *range(700, 800))
    end = block.find(b":700)")
    end = block.rfind(b"\n", 0, end) + 1
    assert missing.holes(block, 0, end, True) == [("", 500, 699)] and missing.holes(block, 0, end, False) == []


def test_the_ends_of_a_block():
    assert missing.ends(log(7, 5, 6, 9, 8)) == ({"": 5}, {"": 9})
    assert missing.ends(log(5, body=LONG)) == ({"": 5}, {})
    assert missing.ends(b"") == ({}, {})
    assert missing.ends(b"".join(NAMED_TWO)) == ({"x": 100, "y": 7000}, {"x": 899, "y": 7799})
