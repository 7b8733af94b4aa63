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
    Leave a minion's name (str) to somebody who is at work; return whether there is one (bool).

    He takes who lies in the queue. A job of the runner for each would cost as much as a repair, and more with every key
    that the master has.
    """
    place = os.path.join(__opts__["cachedir"], "sshtrail")
    working, queued = os.path.join(place, "repairs.working"), os.path.join(place, "queue", minion)
    try:
        if not os.path.isfile(working) or not os.path.isfile(os.path.join(__opts__["pki_dir"], "minions", minion)):
            return False
        with open(queued, "ab"):
            os.utime(queued)
        # First left, then asked: who has just ended looks there once more.
        return time.time() < os.stat(working).st_mtime + SIGN
    except OSError:
        return False
