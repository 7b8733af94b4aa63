"""
fleet.shapes: what comes from a host is what it has to be, or nothing; a fuzzer for each question that is told whole.
"""

import copy
import json
import random

import pytest
from sshtrail_lib.compliance import formats
from sshtrail_lib.fleet import audit, sessions, shapes
from sshtrail_lib.page import render, site
from sshtrail_lib.page.view import Fleet
from sshtrail_lib.trail import asked, shown

from unit.page import fleets

SESSION = {
    **fleets.session(1),
    "certificate": {"id": "ca-bob", "serial": "1", "ca": "x"},
    "commands": [{**fleets.command("id"), "cwd": "/"}],
    "files": [{"time": fleets.NOW, "what": "written", "path": "/etc/shadow", "keys": ["identity"]}],
}
ROWS = [row for row in fleets.EXCEPTED if row["exception"]] + fleets.ROWS[:2]
OVERVIEW = {**fleets.BUSY, "compliance": ROWS, "more_sessions": 3}
EVIL = ["\x1b[2J\x1b]0;x\x07", "\n", "\u202e", "\ud800", "a" * 5000, "", "<script>alert(1)</script>", "\x00", "9999-99"]
NUMBERS = [0, -1, 2**70, 10**400, 0.0, float("nan"), float("inf"), -float("inf"), 1e308, True]


def deep(levels, made):
    found = None
    for _ in range(levels):
        found = made(found)
    return found


def anything(chance, level=0):
    """Return what a liar may send."""
    if level > 3 or chance.random() < 0.5:
        return chance.choice([None, b"\xff\x00", *NUMBERS, *EVIL])
    if level == 0 and chance.random() < 0.05:
        return chance.choice([deep(400, lambda one: [one]), deep(400, lambda one: {"commands": one})])
    if chance.random() < 0.5:
        return [anything(chance, level + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(["time", "error", "id", 7, None, *EVIL]): anything(chance, level + 1) for _ in range(3)}


def lie(chance, good):
    """Return what is good but for some places, at any depth."""
    box = [copy.deepcopy(good)]
    for _ in range(chance.randrange(1, 4)):
        place, key = box, 0
        while isinstance(place[key], (dict, list)) and place[key] and chance.random() < 0.85:
            place = place[key]
            key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if isinstance(place, dict) and chance.random() < 0.2:
            del place[key]
        elif place is not box or chance.random() < 0.1:
            place[key] = anything(chance, 1)
    return box[0]


def lies(good, count):
    chance = random.Random(14)
    return [lie(chance, good) if number % 5 else anything(chance) for number in range(count)]


def printable(text):
    return text.replace("\n", "").isprintable()


def strict(text):
    """Return the JSON of each line; NaN is none."""
    return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


def test_no_answer_about_controls_spoils_a_form():
    for value in lies(ROWS, 1500):
        hosts = {"liar": audit.rows_of(value), "web1": [fleets.OF_A_STIG]}
        assert audit.status(hosts) in (0, 1) and printable(formats.table(hosts))
        assert audit.written(hosts, "csv", None).encode()
        assert strict(audit.written(hosts, "ocsf", None))[-1]["resources"] == [{"name": "web1", "type": "host"}]
        assert "web1" in audit.written(hosts, "cklb", None) and json.dumps(hosts, allow_nan=False)


def test_no_answer_about_sessions_spoils_a_form():
    for value in lies([SESSION], 1500):
        told = sessions.read("liar", value)
        found = sessions.Found(told, {}) if isinstance(told, list) else sessions.Found([], {"liar": told})
        for form in asked.FORMATS:
            said = sessions.written(found, form, None)
            assert form not in ("jsonl", "ecs", "ocsf") or len(strict(said)) == len(found.sessions)
            assert form != "table" or printable(said)
        assert json.dumps(found, allow_nan=False)
        assert all(printable(shown.transcript(one)) and one["host"] == "liar" for one in found.sessions)


@pytest.mark.usefixtures("untraced")
def test_no_overview_spoils_the_page():
    for value in lies(OVERVIEW, 120):
        standings = {"liar": fleets.standing("in policy"), "web1": fleets.standing("in policy")}
        page = render.page(Fleet("x", fleets.NOW, fleets.SINCE, standings, {"liar": site._answer(value), "web1": "x"}))
        assert "web1" in page and "<script>alert" not in page and "\x1b" not in page


AHEAD = {"started": "9999-12-31T00:00:00Z", "from": None, "key": None, "certificate": None, "unknown": {}}
#: What a host tells of a kind, by a number: as much as it may, and each row before everybody else's.
CROWDS = {
    "sessions": lambda at: {**AHEAD, "became": [], "person": f"p{at}"},
    "failures": lambda at: {"count": (-1) ** at * at, "source": f"s{at}"},
    "drift": lambda at: {"what": f"w{at}"},
    "coverage": lambda at: {"holds": False, "hides": True, "check": f"c{at}"},
    "compliance": lambda at: {**ROWS[0], "framework": f"A{at % 700}", "control": f"A {at}", "status": "fail"},
    "one framework": lambda at: {**ROWS[0], "control": f"A {at}", "status": "fail"},
    "exceptions": lambda at: {**ROWS[0], "exception": {**ROWS[0]["exception"], "by": str(at), "until": "0"}},
}


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("rows", [None, 5001])
@pytest.mark.parametrize("kind", CROWDS)
def test_liars_crowd_nobody_off_the_page(kind, rows):
    part = kind if kind in shapes.PARTS else "compliance"
    told = [CROWDS[kind](at) for at in range(rows or min(shapes.PARTS[part], 3000))]
    answers = dict.fromkeys(["liar1", "liar2"], site._answer({**fleets.QUIET, part: told}))
    answers |= {"web1": site._answer(OVERVIEW)}
    standings = dict.fromkeys(answers, fleets.standing("in policy"))
    page = render.page(Fleet("x", fleets.NOW, fleets.SINCE, standings, answers))
    assert len(page.encode()) <= render.LARGEST
    for seen in (
        OVERVIEW["sessions"][0]["id"],
        OVERVIEW["failures"][0]["user"],
        *(f"<b>{row['id']}</b>" for row in ROWS),
    ):
        assert seen in page


@pytest.mark.parametrize("good", [[SESSION], fleets.ROWS, fleets.EXCEPTED])
def test_a_good_answer_stays_as_it_is(good):
    assert shapes.several(good, shapes.SESSION if good == [SESSION] else shapes.ROW) == good


@pytest.mark.parametrize("good", [fleets.QUIET, fleets.BUSY, fleets.BLIND])
def test_a_good_overview_stays_as_it_is(good):
    assert shapes.overview(good) == good


def test_a_part_that_makes_no_sense_hides_no_other():
    told = shapes.overview({**OVERVIEW, "sessions": [5], "failures": {"error": "no log"}, "more_sessions": True})
    assert told["sessions"] == {"error": "its answer makes no sense"} and told["failures"] == {"error": "no log"}
    assert told["compliance"] == ROWS and "more_sessions" not in told
    assert shapes.overview({"drift": []}) is None and shapes.overview([]) is None
