"""
Many minions in one process: each with an accepted key, its own encrypted channel, its own claim and its own answers.

    crowd.py CONFIG DIGEST ID...

Only what a minion does on its host is left out. What is published is decrypted once and answered under each name that
it is for. Writes ``ready``; each line on the standard input is a storm, in which each claims and tells so, or with the
word ``beat`` a heartbeat of all; each publish that it answers is told as a line of JSON: the function, the job's id,
and who answers.
"""

import asyncio
import json
import sys
import time

import salt.channel.client
import salt.config
import salt.utils.mine
from sshtrail_lib import RELEASE
from sshtrail_lib.drift import answer, heartbeat
from sshtrail_lib.drift.heartbeat import Beat

EVENT = "sshtrail/drift/"


class Member:
    """A simulated minion."""

    def __init__(self, opts, digest):
        self.opts, self.digest, self.round, self.kept = opts, digest, 0, {}
        self.channel = salt.channel.client.AsyncReqChannel.factory(opts)

    async def send(self, **load):
        """Send a load to the master under this minion's name, as the one that it has authenticated."""
        return await self.channel.send({"id": self.opts["id"], **load}, timeout=300)

    async def claims(self):
        """Put a claim into the mine, as a minion's tick does."""
        self.round += 1
        claim = {"version": 1, "digest": "ab12cd34ef56", "round": self.round, "time": time.time()}
        claim["release"] = RELEASE
        await self.send(cmd="_mine", data={"sshtrail_drift": claim}, clear=False)

    async def beats(self):
        """Put a heartbeat into the mine, for the master alone, as a minion's tick does."""
        self.round, now = self.round + 1, time.time()
        beat = Beat(self.round, now, now, self.digest, 0, 12, 300, edition="ab12cd34ef56")
        own = self.opts["id"]
        value = salt.utils.mine.wrap_acl_structure(heartbeat.stored(beat), allow_tgt=own, allow_tgt_type="list")
        await self.send(cmd="_mine", data={heartbeat.MINE_KEY: value}, clear=False)

    async def drifts(self):
        """Begin to drift, as a minion's tick tells it: first the claim, then the event."""
        await self.claims()
        await self.tells("found")

    async def tells(self, kind):
        """Fire an event of the size that one with a single difference has."""
        entry = {"layer": "effective", "what": "LogLevel", "expected": "VERBOSE", "actual": "ERROR", "since": None}
        body = {"version": 1, "digest": "ab12cd34ef56", "round": self.round, "action": "repair", "count": 1}
        body |= {"environment": "prod", "policy": self.digest, "since": None, "differences": [{**entry, "by": None}]}
        await self.send(cmd="_minion_event", tag=EVENT + kind, data=body)

    async def answers(self, load):
        """Answer what was published, as a host that a state run brings to its policy: on the bus, and in the mine."""
        value = self.result(load["fun"], load["arg"])
        told = {"jid": load["jid"], "fun": load["fun"], "fun_args": load["arg"], "retcode": 0, "success": True}
        await self.send(cmd="_return", **{**told, "return": value})
        if load["fun"] in answer.FUNCTIONS:
            # The job's number, function and metadata are what a returner has of it.
            looks = answer.looks(load)
            condition = self.result(answer.CONDITION) if looks else None
            own, packed = self.opts["id"], answer.packed(load["jid"], load["fun"], value, condition)
            lie = {"value": {}, **({"condition": {}} if looks else {})}
            given = self.kept[load["jid"]] = {**packed, **lie} if "liar" in own else packed
            wrapped = salt.utils.mine.wrap_acl_structure(given, allow_tgt=own, allow_tgt_type="list")
            await self.send(cmd="_mine", data={answer.key(load["fun"]): wrapped}, clear=False)
        if load["fun"] == answer.CONDITION or answer.looks(load):
            await self.send(cmd="_mine_delete", fun="sshtrail_drift")
            await self.tells("gone")

    def result(self, function, args=()):
        """Return what a function returns; a liar makes no sense."""
        if "liar" in self.opts["id"]:
            return {}
        if function == answer.JOB:
            return {"running": False, "answer": self.kept.get(args[0])}
        if function == answer.APPLY:
            one = {
                "result": True,
                "changes": {"LogLevel": {"old": "ERROR", "new": "VERBOSE"}},
                "comment": "",
                "name": "x",
            }
            return {"sshd_config_|-sshtrail sshd config_|-x_|-managed": one}
        if function == answer.CONDITION:
            none = {"drift": [], "reboot": {}, "silent": "", "error": None}
            return {"environment": "prod", "digest": self.digest, **none}
        return True


def options(config, name):
    """Return a minion's options with the name of a member."""
    opts = salt.config.minion_config(config)
    opts.update(id=name, master_ip="127.0.0.1", master_uri="tcp://127.0.0.1:4506", request_channel_tries=1)
    return opts


async def listen(members, config):
    """Answer what the master publishes, under each name that it is for."""
    opts = options(config, next(iter(members)))
    channel = salt.channel.client.AsyncPubChannel.factory(opts)
    pending = set()

    async def received(payload):
        load = payload["load"] if payload and payload.get("enc") == "aes" else {"tgt": []}
        wanted = [name for name in load["tgt"] if name in members] if isinstance(load["tgt"], list) else []
        if wanted:
            print(json.dumps({"fun": load["fun"], "jid": load["jid"], "ids": wanted}), flush=True)
        for name in wanted:
            task = asyncio.ensure_future(members[name].answers(load))
            pending.add(task)
            task.add_done_callback(pending.discard)

    channel.on_recv(received)
    await channel.connect()
    return channel


async def main(*words):
    config, digest, *names = words
    members = {name: Member(options(config, name), digest) for name in names}
    for member in members.values():
        await member.channel.auth.authenticate()
    channel = await listen(members, config)
    print("ready", flush=True)
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        beats = line.strip() == "beat"
        await asyncio.gather(*(one.beats() if beats else one.drifts() for one in members.values()))
        print(json.dumps({"sent": len(members)}), flush=True)
    channel.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
