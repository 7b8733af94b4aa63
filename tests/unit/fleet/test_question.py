"""
fleet.question: who has answered is whoever has put it into its own mine; who is at work, who is away, who is too late.
"""

import time

import pytest
from sshtrail_lib.drift import answer
from sshtrail_lib.fleet import question
from sshtrail_lib.fleet.question import Question


class Hosts:
    """Hosts that answer when they are told to; the mine and the publisher of questions about them."""

    def __init__(self):
        self.jobs, self.mine, self.running, self.kept = [], {}, set(), {}

    def publish(self, names, function, *args, **kwargs):
        self.jobs.append((function, tuple(names), args))
        if function == answer.JOB:
            for name in names:
                if name in self.running or name in self.kept:
                    told = {"running": name in self.running, "answer": self.kept.get(name)}
                    self.give(name, len(self.jobs), function, told)
        return str(len(self.jobs))

    def give(self, name, jid, function, value):
        self.mine[name, answer.key(function)] = {"version": 1, "jid": str(jid), "value": value}

    def told(self, name, key):
        return self.mine.get((name, key))

    def edition(self, name):
        return None

    def ask(self, *names, timeout=0.1, longest=5):
        return Question(self.publish, self, names, answer.CONDITION, timeout=timeout, longest=longest)


@pytest.fixture
def hosts():
    return Hosts()


def test_an_answer_is_one_to_this_job(hosts):
    asked = hosts.ask("web1", "web2")
    hosts.give("web1", 0, answer.CONDITION, "old")
    assert asked.answers() == {}
    hosts.give("web1", 1, answer.CONDITION, "new")
    assert asked.answers() == {"web1": "new"} and asked.left == {"web2"}


def test_who_says_nothing_is_away(hosts):
    started = time.monotonic()
    asked = hosts.ask("web1", "web2")
    hosts.give("web1", 1, answer.CONDITION, None)
    assert question.wait(asked) == {"web1": None}
    assert (asked.away, asked.late) == ({"web2"}, set()) and time.monotonic() - started < 4
    assert hosts.jobs[1] == (answer.JOB, ("web2",), ("1",))


def test_who_is_at_work_is_waited_for_until_the_end(hosts):
    hosts.running.add("web1")
    asked = hosts.ask("web1", longest=1)
    started = time.monotonic()
    assert question.wait(asked) == {} and asked.late == {"web1"}
    assert 1 <= time.monotonic() - started < 10


def test_an_answer_that_was_lost_on_its_way_is_asked_for_again(hosts):
    hosts.kept["web1"] = {"version": 1, "jid": "1", "value": "here"}
    assert question.wait(hosts.ask("web1")) == {"web1": "here"}


def test_what_a_host_has_answered_to_another_job_is_no_answer(hosts):
    hosts.kept["web1"] = {"version": 1, "jid": "77", "value": "here"}
    asked = hosts.ask("web1")
    assert question.wait(asked) == {} and asked.away == {"web1"}


@pytest.mark.parametrize("said", [None, 7, "yes", {}, {"running": "yes"}, {"running": 1, "answer": "x"}, []])
def test_nonsense_is_not_being_at_work(hosts, said):
    asked = hosts.ask("web1")
    publish = hosts.publish

    def lies(names, function, *args, **kwargs):
        jid = publish(names, function, *args, **kwargs)
        hosts.give("web1", jid, function, said)
        return jid

    asked._publish = lies
    assert question.wait(asked) == {} and asked.away == {"web1"}


def test_a_job_that_could_not_be_published_is_answered_by_nobody(hosts):
    asked = Question(lambda *args, **kwargs: "", hosts, ["web1"], answer.CONDITION, timeout=9)
    assert question.wait(asked) == {} and asked.away == {"web1"}
    assert question.wait(hosts.ask()) == {} and hosts.jobs == []


def test_a_mine_that_was_not_written_is_not_read_again(hosts):
    hosts.edition = lambda name: 1
    reads = []
    hosts.told = lambda name, key: reads.append(name)
    asked = hosts.ask("web1", timeout=60)
    for _ in range(5):
        asked.answers()
    assert reads == ["web1"]
