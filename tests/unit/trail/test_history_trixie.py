"""
The sessions, from logs of real logins on Debian 13 with systemd's journal, with the truth from the client's side.
"""

import json
import lzma
import pathlib

import pytest
from sshtrail_lib.trail import history, questions
from sshtrail_lib.trail.history import Sources, Wanted
from sshtrail_lib.trail.session import told

from unit.trail.test_history import agree

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "sessions-trixie"
TRUTH = {one["address"]: one for one in json.loads((DATA / "truth.json").read_text())}
AUDIT = [str(path) for path in DATA.glob("audit.log*")]
AUTH, JOURNAL = [str(DATA / "auth.log.xz")], [str(DATA / "journal.json.xz")]
#: What sshd said is in the journal, in a file of syslog's, or in both, as on a host with rsyslog.
SOURCES = {
    "journal": Sources(AUDIT, (), JOURNAL),
    "syslog": Sources(AUDIT, AUTH),
    "both": Sources(AUDIT, AUTH, JOURNAL),
}
WHO_RAN_THIS = "10.0.2.2"


def read(sources, wanted):
    found = [told(one) for one in history.sessions(sources, wanted)]
    return [one for one in found if one["from"]["address"] != WHO_RAN_THIS]


@pytest.mark.parametrize("name", SOURCES)
def test_every_login_and_nothing_else(name):
    found = read(SOURCES[name], Wanted(commands=True))
    by_address = {one["from"]["address"]: one for one in found}
    # Only the journal vouches for a login that neither the kernel nor PAM knows.
    missing = {"without PAM"} if name == "syslog" else set()
    there = {one["address"] for one in TRUTH.values() if not one.get("refused") and one["name"] not in missing}
    assert len(by_address) == len(found) and set(by_address) == there
    for address, one in by_address.items():
        agree(TRUTH[address], one, lines=True)
        # The kernel tells of a clock that is set forth only where a rule asks for it; the journal does in any case.
        moved = TRUTH[address].get("clock", 0)
        assert (one["seconds"] is None) == bool(moved and (moved < 0 or name != "syslog") or not one["ended"])
    numbers = {one["id"]: one["commands"] for one in read(SOURCES[name], Wanted())}
    assert numbers == {one["id"]: sum(command["success"] for command in one["commands"]) for one in found}


@pytest.mark.parametrize("name", SOURCES)
def test_who_did_not_come_in(name):
    found = {one["address"]: one for one in questions.failures(history.lines(SOURCES[name]))}
    assert "10.9.9.9" not in found or name == "syslog"
    for address, one in TRUTH.items():
        for what, value in one.get("failed", {}).items():
            assert found[address][what] == value
    # With a certificate the client offers its plain key first.
    tried = {address for address, one in TRUTH.items() if one.get("refused") or one.get("certificate")}
    assert {address for address in found if address in TRUTH} <= tried


def test_the_forged_lines_are_there():
    assert b"10.9.9.9" in lzma.decompress((DATA / "journal.json.xz").read_bytes())
    assert not [one for one in read(SOURCES["both"], Wanted()) if "10.9.9.9" in json.dumps(one)]
