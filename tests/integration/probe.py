"""
How long an event takes over the master's bus, and a ping to a real minion: measured until the input ends.

    probe.py MASTER_CONFIG MINION

Writes one line of JSON in the end: the seconds of each event and of each ping.
"""

import json
import sys
import threading
import time

import salt.client
import salt.config
import salt.utils.event

PAUSE = 0.1


def events(opts, done, found):
    """Fire an event and wait for it, again and again."""
    with salt.utils.event.get_master_event(opts, opts["sock_dir"], listen=True) as bus:
        while not done.wait(PAUSE):
            tag, started = f"sshtrail/probe/{len(found)}", time.monotonic()
            bus.fire_event({}, tag)
            if bus.get_event(wait=60, tag=tag) is None:
                raise SystemExit(f"{tag} was lost")
            found.append(time.monotonic() - started)


def pings(opts, minion, done, found):
    """Ask a real minion whether it is there, again and again."""
    with salt.client.get_local_client(mopts=opts) as client:
        while not done.wait(10 * PAUSE):
            started = time.monotonic()
            if client.cmd([minion], "test.ping", tgt_type="list", timeout=60) != {minion: True}:
                raise SystemExit(f"{minion} did not answer")
            found.append(time.monotonic() - started)


def main(config, minion):
    opts, done, found = salt.config.client_config(config), threading.Event(), {"events": [], "pings": []}
    # The client of a publish needs an event loop of its own, so that the events get a thread and it has this one.
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
    listener = threading.Thread(target=events, args=[opts, done, found["events"]])
    listener.start()
    pings(opts, minion, done, found["pings"])
    listener.join()
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
