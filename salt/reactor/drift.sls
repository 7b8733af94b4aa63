#!py
"""
Wake the runner that repairs drift, or leave the name of a host to the one that is at work already.

Python, and no template: Salt compiles a template anew for each event, which takes more than ten times as long.
"""

import os
import re
import time

#: An id is letters, digits and a few signs, or nothing is done.
ID = re.compile("[A-Za-z0-9][A-Za-z0-9._@-]*")
#: Seconds after which one who gives no sign of being at work is not.
SIGN = 5


def run():
    """
    Return what the reactor runs (dict), nothing where somebody is at work.

    Nothing of an event is believed but that somebody woke the master: the runner looks at what that minion claims in
    the mine, under the name that the master has authenticated.
    """
    minion = data.get("id")
    if not isinstance(minion, str) or not ID.fullmatch(minion) or left(minion):
        return {}
    return {"repair of drift": {"runner.sshtrail.remediate": [{"args": [{"minion": minion}]}]}}


def left(minion):
    """
    Leave a minion's name (str) in the queue; return whether somebody takes it who need not be woken (bool).

    A job of the runner for each would cost as much as a repair, and more with every key that the master has.
    """
    place = os.path.join(__opts__["cachedir"], "sshtrail")
    working, queue = os.path.join(place, "repairs.working"), os.path.join(place, "queue")
    try:
        if not os.path.isfile(os.path.join(__opts__["pki_dir"], "minions", minion)):
            return False
        os.makedirs(queue, mode=0o700, exist_ok=True)
        touch(os.path.join(queue, minion))
        # First left, then asked: who has just ended looks there once more.
        if os.path.isfile(working) and abs(time.time() - os.stat(working).st_mtime) < SIGN:
            return True
        # Whoever comes before the runner has begun is left to him too: a storm would begin hundreds.
        touch(working)
    except OSError:
        pass
    return False


def touch(path):
    """Have a file be there, and be new."""
    with open(path, "ab"):
        os.utime(path)
