"""
What minions may answer: anything. No answer ends a command, none makes another host or itself look better than it says,
and nothing of it reaches a terminal as it is.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from salt.exceptions import SaltInvocationError
from sshtrail_lib.drift import answer, claim, heartbeat
from sshtrail_lib.drift.answer import APPLY
from sshtrail_lib.fleet import heartbeats, master, remedy, repairs, rollout, sessions, standing, vigil
from sshtrail_lib.fleet.question import Repairing

from unit.fleet.masters import POLICY, Site

GOOD = {"environment": "prod", "digest": "abc", "drift": [], "reboot": {}, "silent": "", "full": "", "error": None}
GOOD |= {"watch": {"interval": 10, "heartbeat": 300}, "proof": {"time": "2026", "holds": True, "lost_at": None}}
DRIFT = {"layer": "effective", "what": "LogLevel", "expected": "VERBOSE", "actual": "INFO", "since": None, "by": None}
STATE = {"result": False, "comment": "no", "name": "x", "__id__": "rules"}
#: Title, clear screen, line ends of all kinds, and a direction that turns around.
SIGNS = st.sampled_from(["\x1b]0;owned\x07", "\x1b[2J", "\r\n", "\x00", "\u202e", "\u2028", "\x9b2J", "{{ 7 }}", "é"])
TEXT = st.one_of(st.text(max_size=30), st.lists(SIGNS, max_size=4).map("".join), st.just("x" * 9000))
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.binary(max_size=9))
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)), max_leaves=12
)


def mutated(good):
    """Return what a liar makes of a good mapping: some keys are missing, some hold anything."""
    changes = st.dictionaries(st.sampled_from(sorted(good)), ANYTHING, max_size=3)
    gone = st.lists(st.sampled_from(sorted(good)), max_size=1)
    return st.builds(
        lambda new, out: {key: one for key, one in {**good, **new}.items() if key not in out}, changes, gone
    )


DIFFERENCES = st.lists(st.one_of(mutated(DRIFT), ANYTHING), max_size=3)
CONDITIONS = st.one_of(
    ANYTHING,
    mutated(GOOD),
    st.builds(lambda found, drift: {**found, "drift": drift}, mutated(GOOD), DIFFERENCES),
)
STATES = st.one_of(ANYTHING, st.dictionaries(TEXT, st.one_of(mutated(STATE), ANYTHING), max_size=3))
MANY = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
STANDINGS = {value for name, value in vars(standing).items() if name.isupper() and isinstance(value, str)}


def deep(levels):
    found = "x"
    for _ in range(levels):
        found = [found]
    return found


def safe(text, longest=10000):
    return isinstance(text, str) and text.isprintable() and len(text) <= longest


@MANY
@given(CONDITIONS)
def test_a_condition_is_what_it_says_or_nonsense(found):
    row = standing.row(found)
    assert row["standing"] in STANDINGS
    assert all(safe(told, standing.LONGEST) for told in row["differences"]) and len(row["differences"]) < 110
    assert all(row[key] is None or safe(row[key], 200) for key in ("environment", "digest"))
    if standing.good(row):
        assert not found["error"] and not found["silent"] and not found.get("full")
        assert all(entry["layer"] == "trail" and entry.get("hides") is False for entry in found["drift"])
    assert all(safe(line) for line in standing.table({"web1": row, "web\n2": row}).splitlines())


@MANY
@given(STATES, CONDITIONS)
def test_what_a_step_came_to_is_told_for_its_own_host(states, found):
    rows = {"liar": standing.row(found), "web1": standing.row(GOOD)}
    told = rollout.failures(rows, {"liar": "abc", "web1": "abc"}, rows, {"liar": states, "web1": {}})
    assert "web1" not in told and all(safe(why) for why in told.values())
    failed, said = remedy.outcome("liar", "abc", states, found)
    assert failed or standing.settled(rows["liar"]), said
    assert safe(said, remedy.LONGEST_REASON)


@MANY
@given(ANYTHING, ANYTHING)
def test_what_lies_in_the_mine_is_what_it_should_be_or_nothing(value, other):
    assert claim.parse(value) is None or claim.parse(value).name.isalnum()
    beat = heartbeat.parse(value)
    row = vigil.row(standing.row(other), vigil.heard(None, vigil.Mined(beat, 5.0), 9.0), beat, 9.0)
    assert all(safe(told) for told in row["differences"])
    assert answer.parse(value, "1") is None or value["jid"] == "1"
    assert isinstance(answer.job(value).running, bool)


@MANY
@given(CONDITIONS)
def test_what_a_host_says_beside_its_states_is_its_own(found):
    """Not there, or anything: the second is what a host alone can have spoilt."""
    told = {
        "liar": {"version": 1, "jid": "1", "value": {}, "condition": found},
        "web1": answer.packed("1", APPLY, {}, GOOD),
    }
    asked = Repairing(lambda *args, **kwargs: "1", Told(told), told, APPLY, timeout=9)
    answers = asked.answers()
    assert answers["liar"] == ({}, found) and answers["web1"][1]["digest"] == "abc"
    failed, said = remedy.outcome("liar", "abc", *answers["liar"])
    assert failed or standing.settled(standing.row(found)), said


class Told(dict):
    """A mine of answers alone."""

    def told(self, name, key):
        return self[name]

    def edition(self, name):
        return None


@MANY
@given(ANYTHING, st.sampled_from(answer.FUNCTIONS), st.one_of(CONDITIONS, STATES))
def test_what_a_host_answers_is_bounded(jid, function, value):
    try:
        packed = answer.packed("1", function, value)
    except (AttributeError, TypeError, ValueError):
        # What a host's own functions never return.
        return
    assert answer.parse(packed, "1") is not None and answer.parse(packed, "2") is None


@pytest.mark.parametrize("depth", [50, 400, 5000])
def test_what_is_nested_without_end_is_nonsense_or_short(depth):
    row = standing.row({**GOOD, "drift": [{**DRIFT, "actual": deep(depth)}]})
    assert row["standing"] in (standing.DIFFERS, standing.NONSENSE) and all(map(safe, row["differences"]))


LIES = {"liar1": {}, "liar2": {**GOOD, "drift": 5}, "liar3": {**GOOD, "digest": ["x"]}, "liar4": deep(300), "liar5": 7}


@pytest.fixture(params=["at once", "when asked again"])
def site(request, tmp_path):
    """Hosts of prod: web1 tells the truth, and all others lie: of how they stand, with their states or afterwards."""
    names = ("web1", *LIES)
    claims = {name: {"sshtrail_drift": claim.claimed(claim.Claim("ab12cd34ef56", 1, 100.0))} for name in names}
    found = Site.at(tmp_path, pillars=dict.fromkeys(names, {"sshtrail": POLICY}), claims=claims)

    def publish(self, minions, function, *args, **kwargs):
        jid = Site.publish(self, minions, function, *args, **kwargs)
        well = {**GOOD, "digest": master.policy_pillar.digest({"sshtrail": POLICY})}
        for name in minions:
            value, at_once = LIES.get(name, well if function == answer.CONDITION else {}), "metadata" in kwargs
            told = {"version": 1, "jid": jid, "value": {} if at_once else value}
            told |= {"condition": LIES.get(name, well)} if at_once and request.param == "at once" else {}
            self.opts["mine"][name, answer.key(function)] = told
        return jid

    return type("Lied", (Site,), {"publish": publish})(*found)


def test_a_liar_spoils_the_table_for_nobody_else(site):
    rows = heartbeats.fleet(site, ["web1", *LIES], timeout=1)
    assert rows["web1"]["standing"] == "not watched"
    assert {rows[name]["standing"] for name in LIES} == {standing.NONSENSE}


def test_a_liar_spoils_no_repair_of_others(site):
    done = repairs.remediate(site)
    assert done.pop("web1") == "repaired"
    assert set(done) == set(LIES) and all(said.startswith("failed: ") for said in done.values())


def test_a_liar_stops_a_rollout_with_a_sentence(site):
    done = master.roll_out(site, ["prod"], "*", "glob", canary=["web1"], batch=1, timeout=1)["prod"]
    assert done["minions"]["web1"]["step"] == "was there"
    assert done["why"].startswith("Stopped at batch 1 of 5: liar1: ") and "makes no sense" in done["why"]


WORKS = {"running": True, "answer": None}


@pytest.mark.parametrize("timeout", [0.2, 2])
def test_who_has_no_modules_is_who_is_there_and_cannot_say_whether_it_is_at_work(tmp_path, monkeypatch, timeout):
    """Returns of all of them may have come: nobody looks."""
    monkeypatch.setattr(master, "PATIENCE", 0.3)
    jobs = {answer.JOB: {"busy": WORKS, "lost": {**WORKS, "running": False}}}
    site = Site.at(tmp_path, there=["new", "busy", "lost"], answers=jobs)
    rows = master.rows(site, ["new", "busy", "lost", "gone"], timeout=timeout)
    assert {name: (row["standing"], row["differences"]) for name, row in rows.items()} == {
        **dict.fromkeys(["busy", "lost", "gone"], (standing.SILENT, [])),
        "new": (standing.NO_MODULES, [standing.LACKING]),
    }


def test_that_it_was_there_once_is_no_sign_that_a_host_is_there(tmp_path):
    site = Site.at(tmp_path)
    site.opts["mine"]["new", answer.key(answer.THERE)] = "sshtrail 1"
    site.opts["published"].append(("another question", []))
    assert master.answers(site, ["new"], answer.COMPLIANCE, None, 0.2) == {}


@pytest.mark.parametrize("said", [[], [[]], [{}, {}], {}, 5, None, "", "a\nb", True, [None]])
def test_what_is_told_of_one_session_is_one_or_a_sentence(tmp_path, said):
    site = Site.at(tmp_path, answers={answer.SESSION: {"liar": said}})
    with pytest.raises(SaltInvocationError, match="^liar: "):
        sessions.session(site, "liar", "42", 1)


def test_what_a_minion_calls_itself_obeys_no_terminal(tmp_path, capsys):
    """A master that accepts every key accepts every id."""
    name = "web\x1b]0;owned\x07\x1b[2J"
    site = Site.at(tmp_path, pillars={name: {"sshtrail": {**POLICY, "confg": 1}}, "web1": {"sshtrail": POLICY}})
    done = master.roll_out(site, ["prod"], "*", "glob", canary=1, batch=1, timeout=1)["prod"]
    site.opts["pillars"][name] = {"sshtrail": POLICY}
    gone = master.roll_out(site, ["prod"], "*", "glob", canary=1, batch=1, timeout=0.2)["prod"]
    table = sessions.written(sessions.Found([], {name: "no answer"}), "table", None)
    said = [done["why"], gone["why"], rollout.told(gone), table, capsys.readouterr().err]
    assert all(text.replace("\n", "").isprintable() and "owned" in text for text in said), said


def test_an_id_that_was_never_accepted_is_not_queued(site):
    for number in range(2000):
        assert repairs.remediate(site, f"ghost-{number}") == {}
    assert not repairs._queued(site)
