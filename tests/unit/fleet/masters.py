"""
A master whose minions are not there: what they would answer stands in dictionaries.
"""

from sshtrail_lib.fleet.master import Master

POLICY = {
    "environment": "prod",
    "sshd": {"config": {"LogLevel": "VERBOSE"}},
    "audit": False,
    "drift": {"interval": 10, "splay": 2, "action": "repair"},
}


class Site(Master):
    """
    A :class:`Master` that publishes to nobody.

    Its ``opts`` hold, beside the master's: ``pillars`` (dict by id), ``answers`` (what a minion returns, dict by
    function and id), ``claims`` (what is in the mine, dict by id), and as ``published`` and ``events`` what was done.
    """

    @classmethod
    def at(cls, cachedir, **content):
        told = {"pillars": {}, "answers": {}, "claims": {}, "published": [], "events": []}
        opts = {"cachedir": str(cachedir), "pki_dir": "/nonexistent", **told, **content}
        events, claims = opts["events"], opts["claims"]
        calls = {"event.send": lambda tag, body: events.append((tag, body))}
        calls["cache.mine"] = lambda tgt, **_kind: {name: claims[name] for name in claims if tgt == "*" or name in tgt}
        return cls(opts, calls)

    def minions(self, tgt, tgt_type):
        return sorted(self.opts["pillars"])

    def publish(self, minions, function, *args, timeout, batch=None, **kwargs):
        self.opts["published"].append((function, list(minions)))
        answers = self.opts["answers"].get(function, {})
        return {name: answers[name] for name in minions if name in answers}

    def pillar(self, minion):
        found = self.opts["pillars"][minion]
        if isinstance(found, Exception):
            raise found
        return found, "Debian"
