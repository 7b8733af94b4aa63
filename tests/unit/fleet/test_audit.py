"""fleet.audit: the compliance of many hosts, and the files that it is handed over in."""

import stat

import pytest
import salt.config
import salt.output
from salt.exceptions import SaltInvocationError
from sshtrail_lib.fleet import audit

from unit.fleet.masters import Site
from unit.page import fleets

STIGS = [*fleets.ROWS, fleets.OF_A_STIG]


def test_compliance_of_a_fleet_is_one_publish(tmp_path):
    answers = {"web1": fleets.ROWS, "web3": "'sshtrail.compliance' is not available.", "web4": []}
    master = Site.at(tmp_path, pillars={}, answers={"sshtrail.compliance": answers})
    found = audit.compliance(master, ["web1", "web2", "web3", "web4"], "cis", None, None, 5)
    assert found["web1"] == fleets.ROWS and found["web2"] == "no answer" and found["web4"] == []
    assert found["web3"] == "no modules: 'sshtrail.compliance' is not available."
    assert [function for function, _ in master.opts["published"]].count("sshtrail.compliance") == 1


def test_the_status_says_whether_all_is_well():
    good = [row for row in fleets.ROWS if row["status"] != "fail"]
    assert audit.status({"web1": good}) == 0 and audit.status({}) == 0
    assert audit.status({"web1": good, "web2": "no answer"}) == 1
    assert audit.status({"web1": fleets.ROWS}) == 1


def test_as_a_highstate_each_control_is_a_state_and_a_silence_a_failed_one():
    found = audit.states({"web1": fleets.ROWS, "web2": "no answer\x1b[31m", "web3": []})
    [silent] = found["web2"].values()
    assert silent["result"] is False and silent["comment"].isprintable() and found["web3"] == {}
    told = {one["name"]: one["result"] for one in found["web1"].values()}
    wanted = {"fail": False, "unknown": None, "manual": None}
    assert told == {row["control"]: wanted.get(row["status"], True) for row in fleets.ROWS}
    options = {"color": False, "state_output": "full", "state_verbose": True}
    salt.output.display_output(found, "highstate", {**salt.config.DEFAULT_MASTER_OPTS, **options})


@pytest.mark.parametrize("form", audit.FORMATS)
def test_each_form_goes_to_a_file_for_root_alone(tmp_path, form):
    hosts = {"web1": STIGS, "../web2": STIGS, "web3": "no answer"}
    answer = audit.written(hosts, form, str(tmp_path / "found"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    if form == "cklb":
        assert {path.name for path in files} == {"web1.cklb", "_web2.cklb"} and answer["web3"] == "no answer"
    else:
        assert answer == str(tmp_path / "found")


def test_without_a_file_the_answer_is_the_content():
    hosts = {"web1": STIGS, "web2": "no answer"}
    assert audit.written(hosts, "data", None) == hosts
    assert audit.written(hosts, "table", None).startswith("minion ")
    told = audit.written(hosts, "cklb", None)
    assert told["web1"]["stigs"] and told["web2"] == "no answer"


@pytest.mark.parametrize("form", audit.FORMATS)
def test_a_place_that_cannot_be_written_is_a_sentence(form):
    place = "/proc/nothing/found" if form == "cklb" else "/proc/found"
    with pytest.raises(SaltInvocationError, match="Cannot (write|make) /proc"):
        audit.written({"web1": STIGS}, form, place)


DEBIAN = "ERROR: STIG has no one edition 'Debian 12' here: known are RHEL 9 (V2R9). Name one as edition."
NOTHING = [
    ({"web1": DEBIAN, "web2": DEBIAN}, f"There is no checklist to write: web1 and 1 more: {DEBIAN}"),
    ({"web1": fleets.ROWS}, "web1: no STIG is for its distribution; name framework=stig and one of Ubuntu 22.04, "),
    ({"web1": "no answer", "web2": []}, "web1: no answer. web2: no STIG is for"),
    ({}, "no minion was asked"),
]


@pytest.mark.parametrize(("hosts", "said"), NOTHING)
@pytest.mark.parametrize("to_file", [True, False])
def test_no_checklist_is_a_sentence_and_no_directory(tmp_path, hosts, said, to_file):
    with pytest.raises(SaltInvocationError) as error:
        audit.written(hosts, "cklb", str(tmp_path / "found") if to_file else None)
    assert said in error.value.message and not list(tmp_path.iterdir())


@pytest.mark.parametrize("framework", ["cis", "PCI DSS", 5, "CIS Debian 12"])
def test_a_checklist_is_of_a_stig(framework):
    with pytest.raises(SaltInvocationError, match="name framework=stig, not"):
        audit.check("cklb", None, framework)
    audit.check("csv", None, framework)


@pytest.mark.parametrize("framework", ["stig", "STIG RHEL 9", "Stig", None])
def test_a_stig_has_checklists(framework):
    audit.check("cklb", None, framework)


@pytest.mark.parametrize(
    ("form", "file"),
    [
        *(
            ("xml", None),
            ("csv", "relative"),
            ("csv", "/nonexistent/x"),
            (5, None),
            ("csv", "/etc"),
            ("ocsf", "/dev/null"),
        ),
        *(("cklb", "/etc/passwd"), ("cklb", "/dev/null"), ("cklb", "relative")),
    ],
)
def test_a_form_or_a_file_that_cannot_be_is_refused(form, file):
    with pytest.raises(SaltInvocationError):
        audit.check(form, file)
