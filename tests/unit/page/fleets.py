"""
Fleets that are not there, for the page: as many hosts as a test wants, quiet, busy or hostile.
"""

from sshtrail_lib.compliance import rows
from sshtrail_lib.page.view import Fleet

from unit.compliance.known import POLICY, audit, facts

NOW, SINCE = "2026-11-25T12:00:00.000Z", "2026-11-18T12:00:00.000Z"
#: What somebody might hope that a browser or a terminal takes for more than text.
HOSTILE = [
    "<script>document.title='owned'</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror="document.title=1">',
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\x1b[31mred\x1b]0;owned\x07",
    "\u202egnp.exe\u2066",
    "a\x00b\r\nc\td",
    "</style><style>*{display:none}",
    "<!--",
    "\ud800",
]
EXCEPTION = {"reason": "one disk only", "by": "alice", "until": "2026-12-31"}
ENDED = {**EXCEPTION, "until": "2026-01-31"}
ACCEPTED = {"CIS Debian 12 6.2.3.1": EXCEPTION, "CIS Debian 12 6.2.3.2": ENDED}


def compliance(accepted=None):
    """Return the rows of a host that keeps what CIS and PCI DSS ask, but for the kernel's rules."""
    known = facts(audit=audit(()), policy={**POLICY, "compliance": {"accepted": accepted or {}}})
    return rows.rows(known, ["CIS Debian 12", "PCI DSS"], str, {}, NOW)


ROWS, EXCEPTED = compliance(), compliance(ACCEPTED)
OF_A_STIG = {**ROWS[0], "framework": "STIG RHEL 9", "version": "V2R9"}


def command(*argv, success=True):
    told = {"time": "2026-11-24T23:10:05.000Z", "argv": list(argv), "exe": f"/usr/bin/{argv[0]}" if argv else None}
    return {**told, "uid": 1001, "euid": 0, "success": success}


def session(number, **changes):
    told = {
        **{"id": f"{number}@2026-11-24T23:10:00Z", "host": "x", "user": "deploy", "auid": 1001, "person": "alice"},
        **{"from": {"address": "192.0.2.7", "port": 40022}, "method": "publickey", "certificate": None},
        "key": {"type": "ED25519", "fingerprint": "SHA256:" + "a" * 43, "file": None, "line": None},
        **{"started": f"2026-11-2{number % 5}T23:10:00.000Z", "ended": None, "seconds": None, "state": "open"},
        **{"tty": "pts/0", "channels": [], "commands": [command("id"), command("cat", "/etc/shadow", success=False)]},
        "became": [
            {
                **{"time": "2026-11-24T23:11:00.000Z", "via": "sudo", "from": "deploy", "to": "root"},
                **{"command": "id", "result": "success", "serial": 7},
            }
        ],
        **{"files": [], "survived": [], "proof": {}, "unknown": {}},
    }
    return {**told, **changes}


WAY = {
    **{"check": "auditd-stopped", "hides": True, "what": "auditd is stopped", "evidence": "pid 7", "holds": False},
    **{"since": "2026-11-24T23:00:00.000Z", "by": None, "remedy": "kill -CONT 7"},
}
DIFFERENCE = {
    **{"layer": "kernel", "what": "-w /etc/sudoers -p wa -k scope", "expected": "present", "actual": "absent"},
    **{"since": "2026-11-24T23:05:00.000Z", "by": {"user": "mallory"}, "said": "removed by mallory (auid 1002)"},
}
SPAN = {
    **{"what": "auditd running", "layer": "service", "expected": "True", "actual": "False", "by": "mallory"},
    **{"from": "2026-11-24T23:00:00.000Z", "to": "2026-11-24T23:20:00.000Z", "seconds": 1200},
}
HISTORY = {"from": SINCE, "to": NOW, "looks": 3, "spans": [], "gaps": [], "proofs": [{"holds": True}]}
FAILURE = {
    **{"source": "198.51.100.9", "user": "root", "method": "password", "count": 40},
    **{"first": "2026-11-24T01:00:00.000Z", "last": "2026-11-24T02:00:00.000Z"},
}
QUIET = {
    **{"time": NOW, "since": SINCE, "system": "Debian 12.5", "drift": [], "coverage": [{**WAY, "holds": True}]},
    **{"compliance": ROWS, "history": HISTORY, "sessions": [], "failures": []},
    "log": {"oldest": "2026-10-01T00:00:00.000Z", "audit": True},
}
BUSY = {
    **QUIET,
    **{"drift": [DIFFERENCE], "history": {**HISTORY, "spans": [SPAN]}, "failures": [FAILURE], "compliance": EXCEPTED},
    "sessions": [session(1), session(2, person=None, key=None, certificate={"id": "ca-bob", "serial": "1", "ca": "x"})],
}
BLIND = {**QUIET, "coverage": [WAY], "log": {"oldest": None, "audit": True}}
PROOF = {"time": "2026-11-25T03:00:00.000Z", "holds": True, "lost_at": None}


def standing(name, differences=(), **changes):
    told = {"environment": "prod", "digest": "abcdef", "standing": name, "proof": PROOF, "looked": 12}
    return {**told, "differences": list(differences), **changes}


def fleet():
    """Return a small Fleet of which each host is of another kind."""
    lost = {**PROOF, "holds": False, "lost_at": "file"}
    return Fleet(
        "the fleet of master1",
        NOW,
        SINCE,
        {
            "blind1": standing("in policy", proof=lost),
            "db1": standing("differs", ["kernel: -w /etc/sudoers is absent"]),
            "dev1": standing("in policy", environment="dev"),
            "old1": standing("no modules", ["sshtrail.condition is not available"], proof=None, environment=None),
            "silent1": standing("no answer", environment=None, proof=None),
        },
        {"blind1": BLIND, "db1": BUSY, "dev1": QUIET, "old1": "no modules: not available", "silent1": "no answer"},
    )


def many(count):
    """Return a Fleet of ``count`` hosts, each with what a host can have."""
    names = [f"web{number:04d}.example.net" for number in range(count)]
    kinds = (BUSY, QUIET, BLIND, BUSY)
    told = {name: kinds[at % 4] for at, name in enumerate(names)}
    return Fleet("many", NOW, SINCE, {name: standing("differs", ["a", "b", "c", "d"]) for name in names}, told)


def hostile(size=1):
    """Return a Fleet whose every text is hostile, each ``size`` times as long."""
    told, standings = {}, {}
    for number, text in enumerate(HOSTILE):
        text = text * size
        name = f"{number}{text}"
        standings[name] = standing(text, [text] * 4, environment=text, proof={**PROOF, "time": text})
        row = {key: text if isinstance(value, str) else value for key, value in ROWS[0].items()}
        row |= {"status": "fail", "exception": {"reason": text, "by": text, "until": text, "expired": False}}
        told[name] = {
            **{"time": text, "since": text, "system": text, "compliance": [row]},
            **{"drift": [dict.fromkeys(DIFFERENCE, text)], "coverage": [{**dict.fromkeys(WAY, text), "holds": False}]},
            "history": {**HISTORY, "from": text, "spans": [{**dict.fromkeys(SPAN, text), "seconds": 3}]},
            "sessions": [
                session(1, **dict.fromkeys(("id", "user", "person", "method", "state", "started"), text)),
                session(2, commands=[command(text, text)], unknown={text: text}, key={"fingerprint": text}),
            ],
            **{"failures": [{**dict.fromkeys(FAILURE, text), "count": 2}], "log": {"oldest": text}},
        }
    return Fleet(HOSTILE[0], NOW, SINCE, standings, told)


def shouting(count):
    """Return a Fleet of hosts of which each has more to say than there is room for, and nothing that another said."""
    told, standings = {}, {}
    for number in range(count):
        text = f"{number}" + "<" * 300
        standings[text] = standing("differs", [text] * 4, environment=text)
        said = {"reason": text, "by": text, "until": "2027-01-31", "expired": False}
        told[text] = {**QUIET, "system": text, "compliance": [{**ROWS[0], "evidence": text, "exception": said}]}
    return Fleet("loud", NOW, SINCE, standings, told)
