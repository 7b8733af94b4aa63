"""What states of one run that ask of the same file know of each other, as Salt's compiler has them."""

import pytest
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import beside, match, wish
from sshtrail_lib.sshd.wish import BadWish

DAEMON = golden("9.2")
MAIN = "/etc/ssh/sshd_config"


def chunk(fun, name, **arguments):
    told = " ".join(filter(None, [fun, name, arguments.get("match")]))
    return {"state": "sshd_config", "fun": fun, "__id__": told, "name": name, **arguments}


def ranked(chunks, number):
    """Return the wishes of one of the ``chunks``, as its state would have them."""
    told = beside.asked(chunks, chunks[number], MAIN, MAIN)
    one = chunks[number]
    keyword, criteria = {one["name"]: one.get("value")}, one.get("match")
    config, matches = (one.get("config"), one.get("matches")) if one["fun"] == "managed" else (None, None)
    if one["fun"] != "managed":
        config, matches = (keyword, None) if criteria is None else (None, [{criteria: keyword}])
    wishes = wish.wishes(config, matches, DAEMON, one.get("exact", True))
    return beside.ranked(wishes, told, DAEMON)


BOTH = chunk("present", "PermitTTY", value="no", match="User alice,bob")
BOB = chunk("present", "PermitTTY", value="yes", match="User bob")
NETWORK = chunk("present", "PermitTTY", value="yes", match="Address 10.0.0.0/8")


@pytest.mark.parametrize(
    ("chunks", "others"),
    [
        ([BOTH, BOB], [["User bob"], []]),
        ([BOB, BOTH], [[], ["User bob"]]),
        ([BOB, NETWORK], [[], ["User bob"]]),
        ([NETWORK, BOB], [[], ["Address 10.0.0.0/8"]]),
        ([BOTH, {**BOB, "path": "/other"}], [[], []]),
        ([BOTH, {**BOB, "state": "file"}], [[], []]),
        ([BOTH, {**BOB, "fun": "forgotten"}], [[], []]),
        ([BOTH, chunk("absent", "PermitTTY", match="User bob")], [[], []]),
        ([BOTH, {**BOB, "name": "MaxSessions", "value": 3}], [[], []]),
        ([BOTH, {**BOB, "value": "perhaps"}], [[], None]),
        ([BOTH, {**BOB, "match": ["User bob"]}], [[], None]),
        ([BOTH, {**BOB, "onlyif": "true"}], [["User bob"], []]),
        ([chunk("present", "PermitTTY", value="yes"), BOB], [["User bob"], []]),
        ([chunk("managed", MAIN, matches=({"User bob": {"PermitTTY": True}},)), BOTH], [[], ["User bob"]]),
        ([chunk("managed", MAIN, matches="none at all"), BOTH], [None, []]),
        (
            [chunk("managed", MAIN, config={"LogLevel": "INFO"}), {**BOB, "name": "LogLevel", "value": "ERROR"}],
            [["User bob"], []],
        ),
    ],
)
def test_who_comes_first(chunks, others):
    for number, expected in enumerate(others):
        if expected is not None and chunks[number]["fun"] in ("present", "managed"):
            (one,) = ranked(chunks, number)
            assert [match.text(criteria) for criteria in one.others] == expected


SESSIONS = chunk("present", "MaxSessions", value=5)
LIST = chunk("present", "AcceptEnv", value=["A", "B"])


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (SESSIONS, {**SESSIONS, "__id__": "s", "value": 3}, "MaxSessions is asked for twice: the state 's' .* for '3'"),
        (SESSIONS, {**SESSIONS, "__id__": "s", "name": "maxsessions", "value": 3}, "asks for '3'"),
        (SESSIONS, chunk("managed", MAIN, config={"MaxSessions": 3}), f"the state 'managed {MAIN}'"),
        (SESSIONS, chunk("absent", "MaxSessions"), "the state 'absent MaxSessions' of the same run asks for '10'"),
        (BOTH, {**BOTH, "__id__": "s", "match": "user bob,alice", "value": True}, "asks for 'yes'"),
        (LIST, {**LIST, "__id__": "s", "value": ["A"]}, r"asks for \['A'\]"),
        (LIST, {**LIST, "__id__": "s", "value": ["C"], "exact": False}, r"asks for \['C'\]"),
        (SESSIONS, {**SESSIONS, "__id__": "s"}, None),
        (SESSIONS, {**SESSIONS, "__id__": "s", "value": 3, "unless": "true"}, None),
        (SESSIONS, {**SESSIONS, "__id__": "s", "value": "three"}, None),
        (LIST, {**LIST, "__id__": "s", "value": ["B"], "exact": False}, None),
        ({**LIST, "exact": False}, {**LIST, "__id__": "s", "value": ["C"], "exact": False}, None),
    ],
)
def test_two_that_contradict_each_other(one, other, words):
    for chunks, number in (([one, other], 0), ([other, one], 1)):
        if words is None:
            assert ranked(chunks, number)
            continue
        with pytest.raises(BadWish, match=words):
            ranked(chunks, number)


def test_outside_of_a_run_there_is_nobody():
    assert beside.asked((), {}, MAIN, MAIN) == {"earlier": [], "later": []}
    assert beside.asked([BOB], {}, MAIN, MAIN) == {"earlier": [], "later": []}
