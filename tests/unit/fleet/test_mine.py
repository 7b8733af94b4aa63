"""
fleet.mine: what of the mine is read, with Salt's own store on a disk; and nothing of any size that a minion likes.
"""

import os

import pytest
import salt.cache
import salt.utils.mine
from sshtrail_lib.drift import answer, claim
from sshtrail_lib.fleet import mine, remedy

CLAIM = claim.Claim("ab12cd34ef56", 1, 100.0)
VALUE = claim.claimed(CLAIM)
WRAPPED = salt.utils.mine.wrap_acl_structure(VALUE, allow_tgt="web1", allow_tgt_type="list")
CONTENT = {
    "web1": {"sshtrail_drift": WRAPPED},
    "web2": {"sshtrail_drift": VALUE, "test.ping": True},
    "web3": {"test.ping": True},
    "web4": {"sshtrail_drift": "{{ 7 }}"},
    "web5": [],
    "web6": {"sshtrail_drift": salt.utils.mine.wrap_acl_structure(None, allow_tgt="x")},
    "web7": {"sshtrail_drift": VALUE, "x": "x" * mine.LARGEST},
}
BANKS = {"3006": lambda name: (f"minions/{name}", "mine"), "3008": lambda name: ("mine", name)}


@pytest.fixture(params=BANKS)
def found(tmp_path, request):
    """A mine on the disk, as each series of Salt keeps it."""
    # Salt 3006 loads no cache without the last of these.
    opts = {"cachedir": str(tmp_path), "cache": "localfs", "optimization_order": [0, 1, 2]}
    for name, content in CONTENT.items():
        salt.cache.factory(opts).store(*BANKS[request.param](name), content)
    found = mine.Mine(opts)
    found.path = lambda name: os.path.join(tmp_path, *BANKS[request.param](name)) + ".p"
    return found


def test_claims_are_found_whatever_else_is_there(found):
    told = {name: found.told(name, claim.MINE_KEY) for name in (*CONTENT, "nobody")}
    assert remedy.claims(told) == {"web1": CLAIM, "web2": CLAIM}


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81", b"\x91" * 600 + b"\xc0", b"\xff" * 400])
def test_what_is_no_mine_holds_nothing(found, data):
    with open(found.path("web1"), "wb") as handle:
        handle.write(data)
    assert found.told("web1", claim.MINE_KEY) is None


def test_what_is_too_large_is_not_even_read(found):
    with open(found.path("web1"), "wb") as handle:
        handle.truncate(1 << 40)
    assert found.of("web1") == {}


def test_each_writing_is_another_edition(found):
    before = found.edition("web2")
    assert before == found.edition("web2") and found.edition("nobody") is None
    os.utime(found.path("web2"), (5, 5))
    assert found.edition("web2") != before
    assert (found.written("web2"), found.written("nobody")) == (5.0, 0.0)


def test_a_host_that_tells_all_that_it_may_is_read():
    others = len(answer.FUNCTIONS) - len(answer.WHOLE)
    assert len(answer.WHOLE) * answer.LARGEST_WHOLE + others * answer.LARGEST <= mine.LARGEST * 3 / 4
