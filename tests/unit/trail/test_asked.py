"""
trail.asked and what it asks with: questions, shown, export. The logs are of real logins, with the truth beside them.
"""

import csv
import datetime
import io
import json
import pathlib
import zoneinfo

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.base import text
from sshtrail_lib.trail import asked, export, questions, shown
from sshtrail_lib.trail.asked import Trail
from sshtrail_lib.trail.history import ALL
from sshtrail_lib.trail.sshd_log import Line

from unit.trail.made import Made

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "sessions"
TRUTH = [one for one in json.loads((DATA / "truth.json").read_text()) if not one.get("refused")]
LOGS = {
    "audit": [str(DATA / "audit.log.1.gz"), str(DATA / "audit.log.xz")],
    "sshd": str(DATA / "auth.log.gz"),
    "zone": "UTC",
}
DEPLOY = next(one for one in TRUTH if one["user"] == "deploy" and one["key"])
PEOPLE = {"Dora": {"keys": [DEPLOY["key"]], "accounts": []}}


@pytest.fixture(scope="module")
def trail():
    return Trail(asked.of_copies(LOGS), PEOPLE)


@pytest.fixture(scope="module")
def every(trail):
    """All sessions with their commands (list of dict)."""
    return asked.sessions(trail, ALL, commands=True)


def addresses(found):
    return sorted(one["from"]["address"] for one in found)


@pytest.mark.parametrize(
    ("about", "fits"),
    [
        ({}, lambda one: True),
        ({"user": "deploy"}, lambda one: one["user"] == "deploy"),
        ({"key": DEPLOY["key"]}, lambda one: one["key"] == DEPLOY["key"]),
        ({"key": DEPLOY["key"].partition(":")[2][:12]}, lambda one: one["key"] == DEPLOY["key"]),
        ({"person": "Dora"}, lambda one: one["key"] == DEPLOY["key"]),
        ({"person": "Nobody"}, lambda one: False),
        ({"address": TRUTH[0]["address"]}, lambda one: one["address"] == TRUTH[0]["address"]),
        ({"address": "127.0.1.0/24"}, lambda one: one["address"].startswith("127.0.1.")),
        ({"address": "2001:db8::/32"}, lambda one: False),
        ({"address": "fe80::1%eth0"}, lambda one: False),
        ({"address": f"::ffff:{TRUTH[0]['address']}"}, lambda one: one["address"] == TRUTH[0]["address"]),
        ({"address": "::ffff:127.0.1.0/120"}, lambda one: one["address"].startswith("127.0.1.")),
        ({"state": "killed"}, lambda one: one.get("state") == "killed"),
    ],
)
def test_which_sessions(trail, every, about, fits):
    there = set(addresses(every))
    found = asked.sessions(trail, ALL, **about)
    assert addresses(found) == sorted(one["address"] for one in TRUTH if fits(one) and one["address"] in there)
    assert all(isinstance(one["commands"], int) for one in found)


def test_by_command_and_path(trail, every):
    word = next(command for one in TRUTH for command in one.get("commands", []) if len(command) > 1)
    found = asked.sessions(trail, ALL, command=" ".join(word))
    assert found and addresses(found) == addresses(
        [one for one in every if any(" ".join(word) in " ".join(each["argv"]) for each in one["commands"])]
    )
    changed = [one for one in every if one["files"]]
    for one in changed[:1]:
        assert one["id"] in [each["id"] for each in asked.sessions(trail, ALL, path=one["files"][0]["path"])]
    assert asked.sessions(trail, ALL, path="/no/such/file") == []


def test_the_last_ones_and_a_time(trail, every):
    last = asked.sessions(trail, ALL, limit=2)
    assert [one["id"] for one in last] == [one["id"] for one in every[-2:]]
    begun = asked.between(None, every[0]["started"])
    assert [one["id"] for one in asked.sessions(trail, begun)] == [every[0]["id"]]


def test_one_session(trail, every):
    one = asked.session(trail, every[0]["id"])
    assert one == every[0] and one == asked.session(trail, one["id"].partition("@")[0])
    text = shown.transcript(one)
    assert text.splitlines()[0].startswith(f"Session {one['id']} on ")
    assert all(command["argv"][0] in text for command in one["commands"])
    times = [line.split("  ")[0] for line in text.split("\n\n")[1].splitlines()]
    assert times == sorted(times) and text.isprintable() is False and "\x1b" not in text


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"state": "gone"}, "state is 'gone'; allowed are open, closed, killed, lost"),
        ({"address": "somewhere"}, "address is 'somewhere', which is no address"),
        ({"limit": 0}, "limit is 0; it must be a whole number from 1"),
        ({"limit": True}, "limit is True"),
    ],
)
def test_what_cannot_be_asked_is_named(trail, about, said):
    with pytest.raises(SaltInvocationError, match=said):
        asked.sessions(trail, ALL, **about)


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ("x", "logs must be a mapping"),
        ({"adit": "x"}, "logs:adit is unknown; allowed are audit, sshd"),
        ({"audit": "/no/such"}, "logs:audit: there is no /no/such"),
        ({"audit": {}, "sshd": 7}, "logs:sshd must be a path or a list of paths"),
        ({"zone": "Mars"}, "logs:zone is 'Mars'; write UTC"),
        ({"zone": "../../../etc/passwd"}, "logs:zone is .*; write UTC"),
    ],
)
def test_wrong_copies_are_named(logs, said):
    with pytest.raises(SaltInvocationError, match=said):
        asked.of_copies(logs)


def test_a_zone_and_times_in_the_wrong_order():
    assert asked.of_copies({"zone": "Europe/Berlin"}).zone == zoneinfo.ZoneInfo("Europe/Berlin")
    assert asked.of_copies({"zone": "-03:30"}).zone == datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))
    with pytest.raises(SaltInvocationError, match="is later than until"):
        asked.between("today", "yesterday")


def test_no_such_session(trail):
    with pytest.raises(CommandExecutionError, match="There is no session 'x' in the logs"):
        asked.session(trail, "x")


def test_a_session_of_one_of_two_hosts_that_count_alike(tmp_path):
    made = Made()
    made.login(5, 50, 1001, "ana")
    (tmp_path / "audit.log").write_text("".join(f"node={host} {line}\n" for line in made.audit for host in ("a", "b")))
    both = Trail(asked.of_copies({"audit": str(tmp_path)}), {})
    [one, other] = asked.sessions(both, ALL)
    assert one["id"] == other["id"]
    with pytest.raises(CommandExecutionError, match=f"a/{one['id']}, b/{one['id']}"):
        asked.session(both, one["id"])
    assert [asked.session(both, f"{host}/{one['id']}")["host"] for host in "ab"] == ["a", "b"]


def test_nothing_of_a_log_reaches_a_terminal():
    assert text.plain({"argv": ["a\x1b]0;x\x07b", "two\nlines\t", "\u202eright"]}) == {
        "argv": ["a\\x1b]0;x\\x07b", "two\nlines\t", "\\u202eright"]
    }


def test_how_much_there_was(trail, every):
    found = asked.summary(trail, ALL)
    assert sum(one["sessions"] for one in found["user"].values()) == len(every)
    assert found["person"]["Dora"]["sessions"] == len([one for one in every if one["person"] == "Dora"])
    assert sum(one["commands"] for one in found["day"].values()) == sum(
        command["success"] for one in every for command in one["commands"]
    )


def line(event, **fields):
    when = datetime.datetime(2026, 11, 25, tzinfo=datetime.timezone.utc)
    return Line(when, "web1", "sshd", 7, event, {"address": "192.0.2.1", "port": "1", **fields})


def test_who_did_not_come_in():
    stranger = {"user": "oracle\x1b[2J"}
    found = questions.failures(
        [
            line("accepted", user="ana", method="publickey"),
            line("invalid_user", **stranger),
            line("failed", **stranger, method="password", invalid="yes"),
            line("failed", **stranger, method="password", invalid="yes"),
            line("failed", user="root", method="password"),
            line("failed", user="root", method="password", times="3"),
            line("invalid_user", user="scan", port="2"),
            # Of who failed it is no news that he left.
            *(line("left", user="root", how="authenticating"), line("left", **stranger, how="invalid")),
            line("left", user="scan", port="2", how="invalid"),
            *(line("left", user="bob", port=port, how="authenticating") for port in "34567"),
        ]
    )
    assert [(one["user"], one["method"], one["known"], one["count"]) for one in found] == [
        ("bob", None, True, 5),
        ("root", "password", True, 4),
        ("oracle\\x1b[2J", "password", False, 2),
        ("scan", None, False, 1),
    ]
    assert found[0]["first"] == found[0]["last"] == "2026-11-25T00:00:00.000Z"


TURNED_AWAY = {
    "for failures before": (
        [line("dropped", why="penalty: failed authentication")] * 3,
        [("192.0.2.1", None, False, 3)],
    ),
    "who let the time go by": ([line("late")], [("192.0.2.1", None, False, 1)]),
    "having failed": (
        [line("failed", user="ana", method="password"), line("late")],
        [("192.0.2.1", "ana", True, 1)],
    ),
    "having named nobody's account, as OpenSSH 9.8 tells": (
        [
            line("invalid_user", user="x"),
            line("late", child="7")._replace(pid=1, fields={"address": "192.0.2.1", "child": "7"}),
        ],
        [("192.0.2.1", "x", False, 1)],
    ),
}


@pytest.mark.parametrize("said,known", TURNED_AWAY.values(), ids=TURNED_AWAY)
def test_who_was_turned_away(said, known):
    found = questions.failures(said)
    assert [(one["address"], one["user"], one["known"], one["count"]) for one in found] == known


def test_a_table_and_an_empty_one(every):
    rows = shown.table(every).splitlines()
    assert rows[0].split() == list(shown.COLUMNS) and len(rows) == len(every) + 1
    assert shown.table([]) == "No session."


def test_csv_holds_no_formula(every):
    odd = {**every[0], "user": "=cmd|'/c calc'!A1", "host": "a\x1b[2J"}
    rows = list(csv.DictReader(io.StringIO(export.as_csv([odd, *every]))))
    assert len(rows) == len(every) + 1
    assert rows[0]["user"] == "'=cmd|'/c calc'!A1" and rows[0]["host"] == "a\\x1b[2J"
    assert [row["id"] for row in rows[1:]] == [one["id"] for one in every]


def test_where_somebody_came_from_stands_for_no_other_column(every):
    plain = {name: value for name, value in every[0].items() if name != "from"}
    told = {**every[0], "from": {**plain, "address": "192.0.2.9", "port": 4, "host": "prod-1", "user": "root"}}
    [row] = csv.DictReader(io.StringIO(export.as_csv([told])))
    assert (row["host"], row["user"], row["address"]) == (every[0]["host"] or "", every[0]["user"], "192.0.2.9")


def test_json_lines_are_the_sessions(every):
    assert [json.loads(one) for one in export.jsonl(every).splitlines()] == every


# The fields that are required, with their types: OCSF 1.3.0 class Authentication, ECS 8.11 as its reference has them.
OCSF_REQUIRED = {
    **dict.fromkeys(("activity_id", "category_uid", "class_uid", "severity_id", "time", "type_uid"), int),
    **{"metadata": dict, "user": dict},
}
ECS_TYPES = {
    ("event", "category"): list,
    ("event", "type"): list,
    ("event", "outcome"): str,
    ("ecs", "version"): str,
    ("source", "ip"): str,
    ("source", "port"): int,
    ("user", "name"): str,
    ("user", "id"): str,
}


def test_events_of_ocsf(every):
    for one, event in zip(every, map(json.loads, export.ocsf(every).splitlines()), strict=True):
        assert all(isinstance(event[name], kind) for name, kind in OCSF_REQUIRED.items())
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"] == 300201
        assert event["metadata"]["version"] == "1.3.0" and event["metadata"]["product"]["vendor_name"]
        assert event["src_endpoint"]["ip"] == one["from"]["address"] and event["user"]["name"] == one["user"]
        assert len(str(event["time"])) == 13


def test_events_of_ecs(every):
    for one, event in zip(every, map(json.loads, export.ecs(every).splitlines()), strict=True):
        assert all(isinstance(event[top][name], kind) for (top, name), kind in ECS_TYPES.items())
        assert event["@timestamp"] == one["started"] and event["source"]["ip"] == one["from"]["address"]
        assert set(event["event"]["category"]) <= {"authentication", "session"} and event["event"]["type"] == ["start"]
        assert event["labels"]["session_id"] == one["id"]


def test_another_form_is_named():
    with pytest.raises(SaltInvocationError, match="format is 'xml'; allowed are data, table, csv"):
        asked.written([], "xml")


def test_what_one_who_watches_asks(trail, every):
    found = asked.logins(trail, None)
    assert [one["id"] for one in found] == [one["id"] for one in every]
    assert all(isinstance(one["pid"], int) and one["commands"] is None for one in found)
    wanted = every[3]
    [one] = asked.logins(trail, None, [wanted["id"]], commands=True)
    assert {**one, "pid": None} == {**wanted, "pid": None}


def test_the_first_login_of_each_account(trail, every):
    first = {}
    for one in every:
        first.setdefault(one["user"], one["id"])
    assert asked.first_logins(trail) == first


def test_which_are_notable(trail, every):
    tell = {"root": True, "password": True, "unknown_key": False, "new_account": True, "networks": [], "hours": []}
    found = asked.told_of(trail, ALL, tell)
    first = set(asked.first_logins(trail).values())
    wanted = [
        one["id"]
        for one in every
        if one["id"] in first
        or one["user"] == "root"
        or one["method"] in (None, "password", "keyboard-interactive/pam")
    ]
    assert [one["id"] for one in found] == wanted and len(wanted) < len(every)
    assert all(one["reasons"] for one in found)
