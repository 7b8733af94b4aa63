"""page: what the file says of each kind of host, that texts stay texts, and that it stays small."""

import html.parser
import re

import pytest
from sshtrail_lib.page import answers, charts, render, view
from sshtrail_lib.page.script import SCRIPT
from support import spent

from unit.page import fleets


class Reader(html.parser.HTMLParser):
    """Takes a page apart: its elements, its attributes, and its text by the section that it stands in."""

    VOID = ("meta", "br", "input", "img", "link")

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts, self.scripts = [], [], [], {}, []
        self.section = "head"
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "section":
            self.section = dict(attrs)["id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another"
        if tag in ("td", "th", "li", "b", "summary", "text", "title", "span"):
            self.handle_data(" ")

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.scripts.append(data)
        else:
            self.texts[self.section] = self.texts.get(self.section, "") + data

    def text(self, section):
        return " ".join(self.texts[section].split())


@pytest.fixture(scope="module")
def page():
    return Reader(render.page(fleets.fleet()))


def test_the_page_is_whole_and_asks_no_network(page):
    assert page.open == []
    assert not {"img", "link", "iframe", "object"} & set(page.tags)
    links = [value for name, value in page.attributes if name in ("src", "href", "action", "data", "srcset")]
    assert links and all(link.startswith("#") for link in links)
    assert "url(" not in "".join(page.scripts) and "@import" not in "".join(page.scripts)


def test_each_host_has_a_row_whatever_it_said(page):
    glance = page.text("glance")
    for said in ("blind1", "silent1 – – no answer", "old1", "no modules: not available", "lost at file", "5 hosts"):
        assert said in glance
    # That nothing differs on a host that said nothing is not known.
    assert "silent1 – – no answer not told none 12 s – not told" in glance
    assert "1 do not record what people do" in glance and "2 do not tell whether they record" in glance


def test_who_records_nothing_is_nowhere_shown_as_well():
    hosts = {host["name"]: host for host in view.view(fleets.fleet())["hosts"]}
    assert hosts["blind1"]["standing"] == "in policy" and hosts["blind1"]["colour"] == "bad"
    assert hosts["dev1"]["colour"] == "good"


@pytest.mark.parametrize(("section", "count"), [("sessions", "4 hosts without a session"), ("failures", "2 hosts not")])
def test_who_told_nothing_is_named_where_logins_are_told(page, section, count):
    told = page.text(section)
    assert count in told and "silent1: no answer: who logged in there is not known" in told
    assert "old1: no modules: not available: who logged in there is not known" in told


def test_which_hosts_do_not_record(page):
    assert "blind1 auditd-stopped open yes 2026-11-24 23:00:00" in page.text("recording")


def test_what_differs_with_its_author(page):
    assert "2026-11-24 23:05:00 removed by mallory (auid 1002)" in page.text("differs")
    assert "silent1: no answer" in page.text("differs")


def test_what_changed_and_who_did_it(page):
    assert "2026-11-24 23:00:00 2026-11-24 23:20:00 20 min db1 auditd running False True mallory" in page.text(
        "changed"
    )


def test_sessions_with_their_person_and_commands(page):
    sessions = page.text("sessions")
    assert "alice as deploy on db1 , 2026-11-21 23:10:00, open 2 commands" in sessions.replace(" ,", " ,")
    assert "no person named as deploy" in sessions and "key ca-bob" in sessions
    # The day, too, where it is another than that on which the session began.
    assert "2026-11-24 23:10:05 0 id" in sessions
    assert "cat /etc/shadow failed" in sessions and "deploy became root by sudo for id: success" in sessions


def test_who_used_which_account_stands_there_without_a_fold(page):
    sessions = page.text("sessions").replace(" ,", ",")
    table = sessions[: sessions.index("Each session, with its commands")]
    assert "2026-11-21 deploy alice 1 db1 192.0.2.7" in table
    assert "2026-11-22 deploy no person named 1 db1 192.0.2.7" in table


def test_which_controls_fail_and_why_stands_there_without_a_fold(page):
    compliance = page.text("compliance")
    table = compliance[: compliance.index("CIS Debian 12 1.1.0")]
    assert "CIS Debian 12 6.2.3.3 changes of sudo's log are recorded" in table
    assert "the kernel holds no rule that records" in table and "sshtrail:rules:groups:" in table
    assert "6.2.4.10" not in table
    # On db1 somebody has taken it upon himself.
    assert re.search(r"6\.2\.3\.1 .{20,90} blind1, dev1 ?accepted on 1 more", table)


def test_no_control_that_fails_is_said_to_be_none():
    rows = [{**fleets.ROWS[0], "status": "pass"}]
    told = {"a": {**fleets.QUIET, "compliance": rows}}
    page = Reader(render.page(view.Fleet("x", "n", "s", {"a": fleets.standing("in policy")}, told)))
    assert "No control fails on the hosts that told of them." in page.text("compliance")


LOGINS = [
    answers.Login("b", "deploy", "alice", "2026-11-24", "192.0.2.1"),
    answers.Login("a", "deploy", "alice", "2026-11-24", "192.0.2.1"),
    answers.Login("a", "deploy", "bob", "2026-11-24", "192.0.2.2"),
    answers.Login("a", "root", "alice", "2026-11-25", "192.0.2.1"),
    *(answers.Login(f"h{at}", "x", "eve", "2026-11-20", "192.0.2.9") for at in range(9)),
]


def test_logins_are_counted_by_day_account_and_person():
    rows = [(row["day"], row["account"], row["person"], row["count"]) for row in answers.accounts(LOGINS)]
    assert rows == [
        ("2026-11-25", "root", "alice", 1),
        ("2026-11-24", "deploy", "alice", 2),
        ("2026-11-24", "deploy", "bob", 1),
        ("2026-11-20", "x", "eve", 9),
    ]
    last = answers.accounts(LOGINS)[-1]
    assert (len(last["hosts"]), last["hosts_left"], last["addresses_left"]) == (4, 5, 0)


def test_a_host_without_sessions_is_told_apart_from_one_without_records(page):
    sessions = page.text("sessions")
    assert "dev1: no login, in records since 2026-10-01 00:00:00" in sessions
    assert "blind1: its log holds no record: nobody can say whether somebody logged in" in sessions


def test_failures_and_controls_and_exceptions(page):
    assert "198.51.100.9 root password db1 40" in page.text("failures")
    compliance = page.text("compliance")
    assert "6.2.3.3 changes of sudo's log are recorded" in compliance
    assert "the kernel holds no rule that records" in compliance and "would do: " in compliance
    exceptions = page.text("exceptions")
    assert "2026-01-31 ended CIS Debian 12 6.2.3.2 fail" in exceptions
    assert "2026-12-31 CIS Debian 12 6.2.3.1 accepted one disk only alice db1" in exceptions


EMPTY = {
    "glance": "No host was asked",
    "differs": "whether something differs is not known",
    "changed": "No host has a history to tell of.",
    "sessions": "That is no proof that nobody logged in",
    "failures": "No host has told of a failed login.",
    "compliance": "No host has told how it stands to a control.",
    "exceptions": "Nobody has accepted a deviation",
    "period": "No host has told of its history.",
}


@pytest.mark.parametrize("section", EMPTY)
def test_an_empty_page_claims_nothing(section):
    empty = Reader(render.page(view.Fleet("x", fleets.NOW, fleets.SINCE, {}, {})))
    assert EMPTY[section] in empty.text(section)


def test_a_fleet_that_is_silent_claims_nothing():
    names = {"a": fleets.standing("no answer"), "b": fleets.standing("no answer")}
    silent = Reader(render.page(view.Fleet("x", fleets.NOW, fleets.SINCE, names, {"a": "no answer"})))
    assert "No host has told whether it records: nothing can be said." in silent.text("recording")
    assert "a: no answer" in silent.text("differs") and "b: no answer" in silent.text("differs")


def test_a_part_that_fails_hides_no_other():
    broken = {name: {"error": f"no {name}"} for name in ("drift", "coverage", "compliance", "history", "log")}
    told = {**fleets.BUSY, **broken, "failures": {"error": "no failures"}}
    known = Reader(render.page(view.Fleet("x", "n", "s", {"a": fleets.standing("differs")}, {"a": told})))
    assert "a: no drift" in known.text("differs") and "a: no failures" in known.text("failures")
    assert "alice as deploy" in known.text("sessions")
    told = {**fleets.QUIET, "sessions": {"error": "no reader"}}
    known = Reader(render.page(view.Fleet("x", "n", "s", {"a": fleets.standing("differs")}, {"a": told})))
    assert "a: its sessions cannot be told: no reader" in known.text("sessions")


@pytest.mark.parametrize("size", [1, 100_000])
def test_hostile_texts_are_text(size):
    made = render.page(fleets.hostile(size))
    page = Reader(made)
    assert page.open == [] and "img" not in page.tags
    assert page.scripts.count(SCRIPT) == 1 and len(page.scripts) == 2
    assert not [name for name, _value in page.attributes if name.startswith("on")]
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", made) is None
    assert "49" not in page.text("glance") and "{{ 7 * 7 }}" in page.text("glance")
    assert len(made.encode()) < 5_000_000


@pytest.mark.usefixtures("untraced")
def test_a_thousand_hosts_fit_on_a_page():
    made, time = spent(render.page, fleets.many(1000))
    assert time < 300 and len(made.encode()) < 5_000_000
    assert "more sessions are left off this page." in made or made.count("data-person") == 1000
    assert made.count('<tr data-row data-standing="') == 1000


def test_a_page_is_cut_until_it_is_small_enough():
    long = ["é" * 300] * 60
    busy = {**fleets.BUSY, "sessions": [fleets.session(1, commands=[fleets.command(*long)] * 100)] * 50}
    names = [f"h{number}" for number in range(200)]
    fleet = view.Fleet(
        "x", fleets.NOW, fleets.SINCE, dict.fromkeys(names, fleets.standing("differs")), dict.fromkeys(names, busy)
    )
    assert len(render.page(fleet).encode()) <= render.LARGEST


def test_hosts_that_shout_fit_on_a_page_too():
    """What no list holds back, each host's own row, is cut where it has to be."""
    made = render.page(fleets.shouting(500))
    assert len(made.encode()) < 5_000_000 and Reader(made).open == []
    assert made.count("<tr data-row data-standing=") == 500
    assert "more exceptions are left off this page." in made


def test_a_shorter_limit_comes_to_an_end():
    limits, steps = view.Limits(), 0
    while not limits.least:
        limits, steps = limits.shorter(0.5), steps + 1
    assert steps < 20 and limits.longest == view.SHORTEST


def test_a_chart_says_in_words_what_it_draws():
    drawn = charts.bar("Hosts", [("<in> policy", 3, "c-good"), ("differs", 1, "c-bad"), ("silent", 0, "c-odd")])
    assert 'aria-label="Hosts: 3 &lt;in&gt; policy, 1 differs"' in drawn and drawn.count("<rect") == 2
    assert "nothing to show" in charts.bar("Hosts", [])
    assert "11-24 3" in charts.columns("Days", [("11-24", 3), ("11-25", 0)])
