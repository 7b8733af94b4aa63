"""What is kept of the wishes of earlier runs, and for how long it counts; golden defaults instead of an sshd."""

import os
import types

import pytest
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.sshd import recall, wish
from sshtrail_lib.sshd.asked import Asked

MAIN, DAEMON = "/t/sshd_config", golden("9.2")
SAYS = "Match User bob\nPermitTTY yes\n"


def asked(match="User bob", value="yes", keyword="PermitTTY", **options):
    told = {"beside": {"earlier": [], "later": []}, "lowered": "keep", **options}
    return Asked(MAIN, matches=[{match: {keyword: value}}], **told)


def tree(text=SAYS):
    return loaded(DAEMON, {MAIN: text.encode()}, MAIN)


@pytest.fixture
def place(tmp_path):
    """Where it is kept: a minion, and the transaction of a file."""
    return types.SimpleNamespace(state_dir=str(tmp_path)), types.SimpleNamespace(name="sshd_config-1.json")


def told(place, one, after):
    found = recall.recalled(*place, one, after) or {}
    return [block for each in found.get("earlier", ()) for block in each["matches"]]


BOB = [{"User bob": {"PermitTTY": "yes"}}]
OTHER = asked("User alice,bob", "no")


def test_it_counts_as_long_as_the_block_says_so(place):
    recall.keep(*place, asked(), tree())
    assert told(place, OTHER, tree()) == told(place, asked(), tree()) == BOB
    for text in ("", "Match User bob\nPermitTTY no\n", "Match User bob\nX11Forwarding yes\n"):
        assert told(place, OTHER, tree(text)) == []
    recall.keep(*place, OTHER, tree(""))
    assert told(place, asked(), tree()) == []


@pytest.mark.parametrize(
    "one", [asked(value="no"), asked("user=bob" if DAEMON.release >= (9, 9) else "user bob", "no")]
)
def test_another_wish_for_the_same_place_takes_its_place(place, one):
    recall.keep(*place, asked(), tree())
    after = tree("Match User bob\nPermitTTY no\n")
    recall.keep(*place, one, after)
    assert told(place, OTHER, after) == [{"User bob": {"PermitTTY": "no"}}]


def kept(place):
    """Return the files that something is kept in (list of str)."""
    return os.listdir(place[0].state_dir) if os.path.isdir(place[0].state_dir) else []


def test_what_is_asked_for_no_more(place):
    recall.keep(*place, asked(), tree())
    recall.keep(*place, asked(value=None), tree(""))
    assert told(place, OTHER, tree()) == [] and not kept(place)
    recall.keep(*place, asked(), tree())
    own = wish.wishes(None, asked().matches, DAEMON)
    assert (recall.recalled(*place, OTHER, tree(), own) or {}).get("earlier", []) == []
    recall.keep(*place, OTHER, tree(), own)
    assert told(place, OTHER, tree()) == []
    recall.keep(*place, asked(), tree())
    assert kept(place)
    recall.drop(*place)
    assert told(place, OTHER, tree()) == [] and not kept(place)
    recall.drop(*place)


def test_a_call_by_hand_keeps_and_recalls_nothing(place):
    recall.keep(*place, asked(beside=None), tree())
    assert told(place, OTHER, tree()) == []
    recall.keep(*place, asked(), tree())
    assert told(place, asked("User alice,bob", "no", beside=None), tree()) == []
    assert told(place, asked("User alice,bob", "no", beside=None, remember=True), tree()) == BOB


def test_a_level_that_is_for_all_is_not_lowered_by_another_run(place):
    after = tree("Match User bob\nLogLevel ERROR\n")
    recall.keep(*place, asked(value="ERROR", keyword="LogLevel"), after)
    assert told(place, asked(value="DEBUG", keyword="LogLevel", match="User a*"), after) != []
    assert told(place, asked(lowered="remove"), after) == []


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{}", "[1, {}]", '[{"keyword": "NoSuch", "match": "User x", "value": 1}]']
)
def test_what_nobody_can_believe_counts_for_nothing(place, tmp_path, text):
    kept = tmp_path / "sshd_states-1.json"
    kept.write_text(text)
    kept.chmod(0o600)
    assert told(place, OTHER, tree()) == []
    recall.keep(*place, asked(), tree())
    assert told(place, OTHER, tree()) == BOB
    kept.chmod(0o666)
    assert told(place, OTHER, tree()) == []
