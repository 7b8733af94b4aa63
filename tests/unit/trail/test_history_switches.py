"""
The sessions, from logs of real logins in which people become others, with the truth from the client's side.
"""

import datetime
import json
import lzma
import pathlib

import pytest
from sshtrail_lib.trail import history, questions
from sshtrail_lib.trail.history import Sources, Wanted
from sshtrail_lib.trail.session import told

from unit.trail.test_history import agree, raw

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "sessions-switches"
TRUTH = {one["address"]: one for one in json.loads((DATA / "truth.json").read_text())}
AUDIT = [lzma.decompress((DATA / f"audit.log{number}.xz").read_bytes()) for number in (".1", "")]
PATHS = [str(path) for path in DATA.glob("audit.log*")]
SOURCES = {
    "syslog": Sources(PATHS, [str(DATA / "auth.log.xz")], zone=datetime.timezone.utc),
    "journal": Sources(PATHS, (), [str(DATA / "journal.json.xz")]),
}


def read(sources, wanted):
    return [told(one) for one in history.sessions(sources, wanted)]


@pytest.mark.parametrize("name", SOURCES)
def test_every_login_and_nothing_else(name):
    found = read(SOURCES[name], Wanted(commands=True))
    by_address = {one["from"]["address"]: one for one in found}
    assert len(by_address) == len(found)
    assert set(by_address) == {address for address, one in TRUTH.items() if not one.get("refused")}
    for address, one in by_address.items():
        agree(TRUTH[address], one, lines=True)
        # Whom somebody became is told, or it is said that nobody knows.
        assert all(change["to"] for change in one["became"]) or "whom process" in one["unknown"]["became"]
    numbers = {one["id"]: one["commands"] for one in read(SOURCES[name], Wanted())}
    assert numbers == {one["id"]: sum(command["success"] for command in one["commands"]) for one in found}


def test_without_what_auditd_looked_up(tmp_path):
    (tmp_path / "audit.log").write_bytes(raw(b"".join(AUDIT)))
    plain = {one["id"]: one for one in read(Sources([str(tmp_path / "audit.log")]), Wanted(commands=True))}
    uids = {"1001": "ana", "1002": "bob", "1003": "deploy"}
    for one in read(SOURCES["syslog"], Wanted(commands=True)):
        changes = [
            {name: uids.get(value, value) for name, value in each.items()} for each in plain[one["id"]]["became"]
        ]
        assert changes == one["became"] and plain[one["id"]]["commands"] == one["commands"]


@pytest.mark.parametrize("name", SOURCES)
def test_who_did_not_come_in(name):
    found = {one["address"]: one for one in questions.failures(history.lines(SOURCES[name]))}
    tried = {address: one["failed"] for address, one in TRUTH.items() if "failed" in one}
    assert {address: {what: found[address][what] for what in one} for address, one in tried.items()} == tried


def test_who_did_not_come_by_ssh_is_nobody():
    # What is there of cron's is a session of the kernel's, and its command is there.
    assert b'a1="cron"' in AUDIT[0]
    for one in read(SOURCES["journal"], Wanted(commands=True)):
        assert ["/bin/echo", "cron"] not in [command["argv"] for command in one["commands"]]
