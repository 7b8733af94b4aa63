"""
``bin/demo``, as its reader runs it: what it shows is there, and nothing is left of it.
"""

import subprocess

from support import audit_status, auditctl, require_root

SHOWN = [
    "prod-1: 14 of 14 states succeeded; changed: nothing",
    "drift:action                       repair     repair     report",
    "changed by alice (auid 1001, session ",
    "removed by alice (auid 1001, session ",
    "sshtrail/drift/repaired  prod-1",
    "sshtrail.drift on prod-1: []",
    "sshtrail/drift/found  dev-1, action: report",
]


def test_it_shows_the_whole_loop_and_leaves_nothing(root):
    require_root()
    before = auditctl("-l"), audit_status()
    done = subprocess.run([root / "bin" / "demo"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [text for text in SHOWN if text not in done.stdout] == [], done.stdout
    assert (auditctl("-l"), audit_status()["enabled"]) == (before[0], before[1]["enabled"])
