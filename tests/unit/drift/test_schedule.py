"""
drift.schedule: how a job differs from what is asked for, and how it is brought back; Salt's schedule is a dictionary.
"""

import copy

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import schedule

NAME = "sshtrail drift"
WANTED = {"function": "sshtrail_watch.tick", "seconds": 10, "splay": 2, "maxrunning": 1}
JOB = {**WANTED, "name": NAME, "enabled": True}
SAID = "sshtrail_watch.tick every 10 s"


class Salt:
    """The schedule of a running minion (``live``, empty for none) and the file of its next start (``saved``)."""

    def __init__(self, live, saved):
        self.live, self.saved = copy.deepcopy(live), copy.deepcopy(saved)
        names = ("list", "add", "modify", "delete", "enable", "save")
        self.minion = Minion({f"schedule.{name}": getattr(self, f"do_{name}") for name in names}, {}, {}, {})

    def do_list(self, show_all, return_yaml, offline=False):
        assert show_all and not return_yaml
        return copy.deepcopy(self.saved if offline else self.live)

    def do_add(self, name, offline=False, **options):
        return self.put(name, options, offline)

    def do_modify(self, name, offline=False, **options):
        return self.put(name, options, offline)

    def put(self, name, options, offline):
        for place in [self.saved] if offline else [self.live, self.saved]:
            place[name] = {**options, "name": name, "enabled": True}
        return {"result": True}

    def do_delete(self, name, offline=False):
        for place in [self.saved] if offline else [self.live, self.saved]:
            place.pop(name, None)
        return {"result": True}

    def do_enable(self):
        self.live["enabled"] = self.saved["enabled"] = True
        return {"result": True}

    def do_save(self):
        self.saved = copy.deepcopy(self.live)
        return {"result": True}


OWN = {"__mine_interval": {"function": "mine.update"}}
GOOD = {**OWN, NAME: JOB}

# What the running minion has, what its file has, and how it differs (None for an absent job).
WAYS = [
    (GOOD, GOOD, SAID),
    (OWN, GOOD, None),
    (GOOD, OWN, "not saved: gone when the minion starts again"),
    ({**GOOD, "enabled": False}, GOOD, "the whole schedule is disabled"),
    ({**GOOD, NAME: {**JOB, "enabled": False}}, GOOD, "disabled"),
    ({**GOOD, NAME: {**JOB, "seconds": 86400}}, GOOD, "seconds 86400"),
    ({**GOOD, NAME: {**JOB, "function": "test.ping"}}, GOOD, "function 'test.ping'"),
    ({**GOOD, NAME: {**JOB, "until": "2020-01-01"}}, GOOD, "until '2020-01-01'"),
    # No minion runs: what its next start takes is what counts.
    ({}, GOOD, SAID),
    ({}, {}, None),
    ({"comment": "no events here", "result": True}, {}, None),
]


@pytest.mark.parametrize("live,saved,now", WAYS)
def test_it_is_compared_and_brought_back(live, saved, now):
    salt = Salt(live, saved)
    differs = {} if now == SAID else {f"schedule {NAME}": {"old": now, "new": SAID}}
    assert schedule.compare(salt.minion, NAME, WANTED) == differs
    if differs:
        schedule.bring(salt.minion, NAME, WANTED)
        assert schedule.compare(salt.minion, NAME, WANTED) == {}


@pytest.mark.parametrize("live,saved,now", [(GOOD, GOOD, SAID), ({}, GOOD, SAID), (OWN, OWN, None)])
def test_one_that_nobody_wants(live, saved, now):
    salt = Salt(live, saved)
    differs = {f"schedule {NAME}": {"old": now, "new": None}} if now else {}
    assert schedule.compare(salt.minion, NAME, None) == differs
    schedule.bring(salt.minion, NAME, None)
    assert schedule.compare(salt.minion, NAME, None) == {}


def test_what_salt_cannot_do_is_an_error(monkeypatch):
    salt = Salt(OWN, OWN)
    monkeypatch.setitem(salt.minion.call, "schedule.add", lambda name, **_: {"result": False, "comment": "no"})
    with pytest.raises(CommandExecutionError, match="^no$"):
        schedule.bring(salt.minion, NAME, WANTED)


@pytest.mark.parametrize(
    "opts,path",
    [
        ({"conf_file": "/a/minion", "default_include": "minion.d/*.conf"}, ["/a/minion.d/_schedule.conf"]),
        ({"conf_dir": "/b"}, ["/b/minion.d/_schedule.conf"]),
        ({}, []),
    ],
)
def test_where_it_is_kept(opts, path):
    assert schedule.files(Minion({}, opts, {}, {})) == path
