"""
A master whose minions are not there: what they would answer stands in dictionaries.
"""

import contextlib

from sshtrail_lib.drift import answer
from sshtrail_lib.fleet import mine
from sshtrail_lib.fleet.master import Master

POLICY = {
    "environment": "prod",
    "sshd": {"config": {"LogLevel": "VERBOSE"}},
    "audit": False,
    "drift": {"interval": 10, "splay": 2, "action": "repair"},
}


class Answered(mine.Mine):
    """The mine of a :class:`Site`: its claims, and the answers to what was published; the rest lies on the disk."""

    def __init__(self, opts):
        super().__init__(opts)
        self.opts = opts

    def told(self, name, key):
        if key.startswith("sshtrail_answer"):
            return self.opts["mine"].get((name, key))
        content = self.opts["claims"].get(name)
        return super().told(name, key) if content is None else mine.claimed(content, key)

    def edition(self, name):
        return None


class Site(Master):
    """
    A :class:`Master` that publishes to nobody.

    Its ``opts`` hold, beside the master's: ``pillars`` (dict by id), ``answers`` (what a minion returns, dict by
    function and id), ``claims`` (what is in the mine, dict by id), ``there`` (ids of those that have a Salt),
    and as ``published`` and ``events`` what was done.
    """

    @classmethod
    def at(cls, cachedir, **content):
        told = {"pillars": {}, "answers": {}, "claims": {}, "there": [], "published": [], "events": [], "mine": {}}
        # Salt 3006 loads no cache without the last of these.
        salts = {"cachedir": str(cachedir), "pki_dir": "/nonexistent"} | {"cache": "localfs", "optimization_order": [0]}
        opts = {**salts, **told, **content}
        opts.setdefault("sshtrail_remediate", {"timeout": 1})
        events = opts["events"]
        return cls(opts, {"event.send": lambda tag, body: events.append((tag, body))})

    def minions(self, tgt, tgt_type):
        known = sorted({*self.opts["pillars"], *self.opts["claims"]})
        return [name for name in known if name in tgt] if tgt_type == "list" else known

    def mine(self):
        return Answered(self.opts)

    @contextlib.contextmanager
    def publisher(self):
        yield self.publish

    @contextlib.contextmanager
    def events(self):
        yield self.call["event.send"]

    def publish(self, minions, function, *args, **kwargs):
        self.opts["published"].append((function, list(minions)))
        jid = str(len(self.opts["published"]))
        if function == answer.THERE and kwargs == {"mine_function": "test.echo"}:
            self.opts["mine"] |= {(name, args[0]): args[1] for name in minions if name in self.opts["there"]}
        answers = self.opts["answers"].get(function, {})
        for name in minions:
            if name in answers:
                packed = answer.packed(jid, function, answers[name])
                self.opts["mine"][name, answer.key(function)] = packed
        return jid

    def pillar(self, minion):
        found = self.opts["pillars"][minion]
        if isinstance(found, Exception):
            raise found
        return found, "Debian"
