"""
fleet.remedy: who is repaired, how often, and when a host is left to a person.
"""

import pytest
import salt.loader
import salt.template
import sshtrail_lib
import yaml
from sshtrail_lib.drift import claim, event
from sshtrail_lib.fleet import remedy

CLAIM = claim.Claim("ab12cd34ef56", 1, 100.0)
LIMITS = remedy.Limits()


def record(*tries, done=None, stopped=""):
    return remedy.Record(list(map(list, tries)), done, stopped)


DUE = {
    "a new claim": (None, True),
    "repaired already": (record((1, True), done=["ab12cd34ef56", 1]), False),
    "repaired before, and again": (record((1, True), done=["ab12cd34ef56", 0]), True),
    "another drift was repaired": (record((1, True), done=["000000000000", 1]), True),
    "failed once": (record((1, False)), True),
    "left to a person": (record(stopped="3 repairs failed within an hour"), False),
}


@pytest.mark.parametrize("known,expected", DUE.values(), ids=DUE)
def test_who_is_repaired(known, expected):
    assert remedy.due({"web1": CLAIM}, {"web1": known} if known else {}) == ["web1"] * expected


def after(outcomes, limits=LIMITS, step=60):
    """The record after repairs with these outcomes, ``step`` seconds apart, and after how many it was stopped."""
    known, stops = remedy.Record(), []
    for number, worked in enumerate(outcomes):
        known, last = remedy.tried(known, CLAIM, worked, number * step, limits)
        stops += [number + 1] * last
    return known, stops


def test_three_failures_are_enough():
    known, stops = after([False, False, False])
    assert stops == [3] and known.stopped == "3 repairs failed within an hour" and known.done is None


def test_failures_are_forgotten_after_an_hour():
    assert after([False] * 10, step=1801)[1] == []


@pytest.mark.parametrize("jump", [86400, -86400, 10 * 365 * 86400])
def test_a_clock_that_jumps_counts_no_repair_of_another_hour(jump):
    known = after([True] * 19)[0]
    known, last = remedy.tried(known, CLAIM, True, 20 * 60 + jump, LIMITS)
    assert not last and len(known.tries) == 1 and remedy.attempt(known, jump + 20 * 60) == 2
    assert remedy.shown(known, jump + 20 * 60)["repaired"] == 1


def test_repairs_that_are_undone_again_and_again():
    known, stops = after([True] * 21)
    assert stops == [21] and known.stopped == "21 repairs within an hour: something undoes them"
    assert after([True] * 40, step=180)[1] == []


def test_a_repair_that_worked_answers_for_its_claim():
    known, _ = after([False, True])
    assert known.done == ["ab12cd34ef56", 1] and known.stopped == ""
    assert remedy.attempt(known, 61) == 3 and remedy.attempt(known, 9999) == 1


WRONG = [
    (
        {"attempt": 3},
        "sshtrail_remediate: 'attempt' is unknown; allowed are attempts, repairs, batch, timeout, longest.",
    ),
    ({"attempts": 0}, "sshtrail_remediate:attempts is 0; allowed is a number from 1."),
    ({"batch": "10%"}, "sshtrail_remediate:batch is '10%'; "),
    ({"repairs": True}, "sshtrail_remediate:repairs is True; "),
    (["attempts"], "sshtrail_remediate: ['attempts'] is unknown; "),
]


@pytest.mark.parametrize("options,expected", WRONG)
def test_a_wrong_option_is_named(options, expected):
    with pytest.raises(remedy.OptionError) as caught:
        remedy.limits(options)
    assert expected in str(caught.value)


def test_options():
    assert remedy.limits(None) == LIMITS
    assert remedy.limits({"batch": 7}) == LIMITS._replace(batch=7)


def test_what_is_no_claim_is_left_out():
    values = {"web1": claim.claimed(CLAIM), "web2": "{{ 7 }}", "web3": None, "web4": [], "web5": {"version": 1}}
    assert remedy.claims(values) == {"web1": CLAIM}


@pytest.mark.parametrize("release", ["", "0.0.9+ab12cd34ef56"])
def test_a_claim_of_another_version_is_refused_by_name(release, caplog):
    values = {"web1": claim.claimed(CLAIM), "web2": claim.claimed(CLAIM._replace(release=release))}
    assert remedy.claims(values) == {"web1": CLAIM}
    assert "web2 is not repaired: it has looked with version" in caplog.text and "restart salt-master" in caplog.text
    assert (release or "before") in caplog.text and sshtrail_lib.RELEASE in caplog.text and "web1" not in caplog.text


def test_batches():
    assert remedy.batches(list("abcde"), 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert remedy.batches([], 2) == []


BROKEN = {
    "a": 7,
    "b": [],
    "c": ["x", None, ""],
    "d": [[1], None, ""],
    "e": [[[1, "x"]], None, ""],
    "f": [[], "x", ""],
    "g": [[], None, 0],
}


def test_what_was_stored_comes_back_and_what_is_broken_does_not():
    known = {"web1": record((1, True), done=["ab12cd34ef56", 1]), "web2": record(stopped="x")}
    stored = {name: list(one) for name, one in known.items()} | BROKEN
    assert remedy.records(stored) == known
    assert remedy.records(None) == remedy.records([]) == {}


def test_what_a_person_is_shown():
    shown = remedy.shown(record((1000.5, True), (1001.5, False), stopped="x"), 1002)
    assert shown == {"repaired": 1, "failed": 1, "last": "1970-01-01T00:16:41.500Z", "stopped": "x"}
    assert remedy.shown(record(), 0) == {"repaired": 0, "failed": 0, "last": None, "stopped": ""}


NAMES = {"web1": True, "a" * 255: True, "a" * 256: False, "é" * 128: False, "": False, ".": False, "..": False}


@pytest.mark.parametrize("name,expected", NAMES.items())
def test_an_id_that_can_be_a_file(name, expected):
    assert remedy.can_be_file(name) is expected


@pytest.mark.parametrize("name", [None, 7, ["web1"], {"web1": 1}])
def test_what_is_no_text_is_no_id(name):
    assert remedy.can_be_file(name) is False


WELL = {"environment": "prod", "digest": "x", "drift": [], "silent": "", "reboot": {}, "error": None}
DONE = {"a": {"result": True, "comment": "", "name": "a"}}
BAD = {"a": {"result": False, "comment": "Device or resource busy\nsecond line", "name": "/etc/x"}}
OUTCOMES = {
    "well": (DONE, WELL, False, ""),
    "a reboot": (DONE, {**WELL, "reboot": {"kernel": {}}}, False, "It waits for a reboot."),
    "a state failed": (BAD, WELL, True, "/etc/x: Device or resource busy\\nsecond line"),
    "another policy": (DONE, {**WELL, "digest": "y"}, True, "it has the policy y, and the master's pillar says x"),
    "no answer": (DONE, None, True, "no answer"),
    "an error": (["Rendering SLS failed"], WELL, True, "Rendering SLS failed"),
}


@pytest.mark.parametrize("states,answer,failed,said", OUTCOMES.values(), ids=OUTCOMES)
def test_what_became_of_a_repair(states, answer, failed, said):
    assert remedy.outcome("web1", "x", states, answer) == (failed, said)


NONSENSE = [
    (DONE, {}),
    (DONE, {**WELL, "drift": 7}),
    (DONE, {**WELL, "drift": [7]}),
    (DONE, {**WELL, "drift": [{}]}),
    (DONE, {**WELL, "digest": {"x": 1}}),
    (DONE, {**WELL, "error": {"x": 1}}),
    (DONE, {**WELL, "silent": 7}),
    (DONE, 7),
    ({"a": 7}, WELL),
    ({"a": {}}, WELL),
    (7, WELL),
    ({"a": {"result": False, "comment": "x" * 100_000, "name": "\x1b[2J"}}, WELL),
]


@pytest.mark.parametrize("states,answer", NONSENSE)
def test_an_answer_that_makes_no_sense_is_a_failure_of_its_host_alone(states, answer):
    failed, said = remedy.outcome("web1", "x", states, answer)
    assert failed and said.isprintable() and len(said) <= remedy.LONGEST_REASON


def test_the_example_configuration_names_the_defaults(root):
    config = yaml.safe_load((root / "etc/master.d/sshtrail-drift.conf").read_text())
    assert config["sshtrail_remediate"] == LIMITS._asdict()
    assert config["reactor"] == [{"sshtrail/drift/found": ["salt://reactor/drift.sls"]}]
    assert (root / "salt/reactor/drift.sls").exists()
    assert config["schedule"]["sshtrail remediate"]["function"] == "sshtrail.remediate"


@pytest.fixture
def react(root, minion_opts):
    """Render the reactor's file as the reactor does."""
    renderers = salt.loader.render(minion_opts, {})

    def render(data):
        path = str(root / "salt/reactor/drift.sls")
        return salt.template.compile_template(path, renderers, "jinja|yaml", None, None, data=data, tag=event.FOUND)

    return render


@pytest.mark.parametrize("name", ["web1", "web1.example.org", "a-b_c@d", "7", "123e4", "no", "0x10"])
def test_an_id_is_handed_to_the_runner_as_text(react, name):
    asked = {"repair of drift": {"runner.sshtrail.remediate": [{"args": [{"minion": name}]}]}}
    assert react({"id": name, "data": {"id": "other"}}) == asked


STRANGE = [
    None,
    7,
    ["web1"],
    {"web1": 1},
    "",
    "*",
    "a,b",
    "../x",
    "a/b",
    ".hidden",
    "-x",
    "web1\n",
    "web1\nevil:\n  runner.salt.cmd: []",
    "{{ 7 * 7 }}",
    "web1'",
    'web1"',
    "$(id)",
    "é",
    "a: b",
    "\x00",
    "!!python/object:os.system",
]


@pytest.mark.parametrize("name", STRANGE, ids=repr)
def test_what_is_no_id_moves_nothing(react, name):
    assert react({"id": name}) == {}
    assert react({"data": {"id": "web1"}}) == {}
