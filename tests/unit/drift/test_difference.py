"""
drift.difference: to which layer each difference belongs that a comparison of the states tells.
"""

from sshtrail_lib.drift import difference

RULES = "/etc/audit/rules.d"


def told(found):
    return [(one["layer"], one["what"], one["expected"], one["actual"]) for one in found]


def test_keywords_and_the_daemon_that_has_not_read_them():
    changes = {"LogLevel": {"old": "INFO", "new": "VERBOSE"}, "sshd": {"old": "other files", "new": "present files"}}
    assert told(difference.of_daemon("effective", changes, "sshd")) == [
        ("effective", "LogLevel", "VERBOSE", "INFO"),
        ("daemon", "sshd", "present files", "other files"),
    ]


def test_files_and_the_compiled_one():
    changes = {f"{RULES}/a.rules": {"old": None, "new": ["x"]}, "/etc/audit/audit.rules": {"old": [], "new": ["x"]}}
    assert told(difference.of_rules(changes, RULES)) == [
        ("file", f"{RULES}/a.rules", ["x"], None),
        ("compiled", "/etc/audit/audit.rules", ["x"], []),
    ]


def test_each_rule_and_each_setting_of_the_kernel():
    changes = {
        "kernel": {"old": ["gone", "moved"], "new": ["come", "moved"]},
        "status": {"old": {"failure": 0}, "new": {"failure": 1}},
    }
    assert told(difference.of_rules(changes, RULES)) == [
        ("kernel", "come", "loaded", None),
        ("kernel", "moved", "loaded", "in another place"),
        ("kernel", "gone", None, "loaded"),
        ("kernel", "failure", 1, 0),
    ]


def test_nothing_differs():
    assert difference.of("package", {}) == difference.of_rules({}, RULES) == []


def test_a_sentence():
    found = difference.entry("service", "ssh running", True, False)
    assert difference.sentence(found) == "service: ssh running is False, expected True"
    assert found["since"] is found["by"] is None


FINDING = {
    **{"check": "auditd-stopped", "holds": False, "hides": True, "what": "auditd is stopped", "evidence": "pid 7"},
    **{"since": "2026-01-01T00:00:00Z", "by": None, "remedy": "kill -CONT"},
}


def test_a_comment_has_the_worst_first_and_an_end():
    rules = [difference.entry("kernel", f"-w /{number}", "loaded", None) for number in range(25)]
    file = difference.entry("file", "ours.rules", ["-w /x"] * 1000, None)
    said = difference.sentences([file, *rules, {**difference.entry("trail", "log-off", "", "No log"), "hides": True}])
    assert said.startswith("trail: No log (log-off); file: ours.rules is None, expected ['-w /x', ")
    assert said.endswith("; kernel: -w /17 is None, expected 'loaded'; and 7 more: sshtrail.drift has all")
    assert len(said) < 2000 and difference.sentences([]) == ""


def test_what_is_found_about_the_trail():
    rows = [FINDING, {**FINDING, "holds": True}, {**FINDING, "holds": None}]
    [found] = difference.of_findings(rows)
    assert (found["layer"], found["what"], found["expected"]) == ("trail", "auditd-stopped", "recorded")
    assert found["since"] == FINDING["since"] and found["remedy"] == "kill -CONT"
    assert difference.sentence(found) == (
        "trail: auditd is stopped: pid 7 (auditd-stopped, since 2026-01-01T00:00:00Z)"
    )


def test_what_only_endangers_the_trail_fails_no_highstate():
    hiding, endangering = difference.of_findings([FINDING, {**FINDING, "hides": False}])
    assert difference.fails(hiding) and not difference.fails(endangering)
    assert difference.fails(difference.entry("kernel", "failure", 1, 0))


def test_a_broken_line_of_others_is_a_finding_that_fails_nothing():
    broken = {"file": f"{RULES}/50-app.rules", "line": 3, "text": "-w /x", "reason": "-w needs a path.", "stops": True}
    [found] = difference.of_rules({}, RULES, broken=[broken])
    told = f"trail: not loaded: {RULES}/50-app.rules line 3: -w needs a path. (rules-broken)"
    assert difference.sentence(found) == told and not difference.fails(found)
