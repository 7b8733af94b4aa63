"""
A host that is not there, for what asks one by Salt's functions: it differs from its policy wherever a test says so.
"""

from salt.exceptions import CommandExecutionError
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.policy import schema as policy_schema
from sshtrail_lib.sshd import wish as sshd_wish

DEAF = "127.0.0.1:1"
FINDING = {
    **{"check": "auditd-stopped", "hides": True, "what": "auditd is stopped", "evidence": "pid 7"},
    **{"since": "2026-01-01T00:00:00Z", "by": None, "remedy": "kill -CONT"},
}
LOWERED = "LogLevel (Match User nobody)"
NEVER = "/etc/audit/rules.d/10-no-audit.rules"
HIDES = [
    {"rule": "-a never,task", "file": NEVER, "number": 3},
    {"rule": "-a never,task", "file": None, "number": 0},
]


class Host:
    """
    A host in its policy but for what ``wrong`` (set of str) names.

    wrong
        Names of packages, keywords as ``sshd_config.diff`` has them, keywords of auditd.conf, rules, settings of the
        kernel's status, ``NAME running`` and ``NAME enabled`` of services, ``sshd`` or ``auditd`` (has not read its
        files), :data:`LOWERED`, ``deaf sshd``, ``deaf auditd``, ``a way`` (in which records are lost), ``a file``, ``a
        stranger`` (a rule that nobody asked for), ``hiding rules`` (:data:`HIDES`), ``locked`` (the kernel), and names
        of functions that raise.
    """

    def __init__(self, wrong=()):
        self.wrong, self.asked = set(wrong), []

    def minion(self, **opts):
        names = [name for name in dir(self) if name.startswith("do_")]
        return Minion({name[3:].replace("__", "."): self.function(name) for name in names}, opts, {}, {})

    def function(self, name):
        public = name[3:].replace("__", ".")

        def call(*args, **kwargs):
            self.asked.append((public, args, kwargs))
            if public in self.wrong:
                raise CommandExecutionError(f"{public} cannot be told")
            return getattr(self, name)(*args, **kwargs)

        return call

    def do_pkg__version(self, *names):
        found = {name: "" if name in self.wrong else "1.0" for name in names}
        return found if len(found) > 1 else found[names[0]]

    def do_sshd_config__diff(self, config, matches, path, shadowed, exact, admins, force, lowered, remember):
        keys = [key_of(*one) for one in [*wishes(None, config), *in_matches(matches)]] + [LOWERED, "sshd"]
        return {key: {"old": "another", "new": "the asked"} for key in keys if key in self.wrong}

    def do_sshd_config__effective(self, path):
        named = {keyword: {"value": "x", "file": None, "line": None} for keyword in ("LogLevel", "X11Forwarding")}
        return {**named, "ListenAddress": {"value": [DEAF] if "deaf sshd" in self.wrong else []}}

    def do_sshd_config__get(self, keyword, match, path):
        return {"value": "x", "file": path, "line": 7}

    def do_sshd_config__listening(self, path):
        return 7

    def do_sshtrail__proof(self):
        lost = "proof" in self.wrong
        said = "It was lost." if lost else "It left a record."
        times = {"time": "2026-11-25T19:35:23.000Z", "seconds": 0.4}
        return {**times, "holds": not lost, "lost_at": "login" if lost else None, "said": said}

    def do_auditd_conf__diff(self, config, path, remember):
        keys = [keyword.lower() for keyword in config] + ["auditd"]
        return {key: {"old": "another", "new": "the asked"} for key in keys if key in self.wrong}

    def do_auditd_conf__get(self, keyword, path):
        return None

    def do_audit_rules__compare(self, **arguments):
        return self.planned(**arguments)["changes"]

    def do_audit_rules__plan(self, **arguments):
        return self.planned(**arguments)

    def planned(self, name, groups, unknown, status, immutable, allowed, hiding, loginuid_immutable, remember):
        rules = [rule for group in groups for rule in group["rules"] if rule in self.wrong]
        kernel = {"kernel": {"old": ["a stranger"] * ("a stranger" in self.wrong), "new": rules}}
        wrong = {setting: value for setting, value in status.items() if setting in self.wrong}
        settings = {"status": {"old": dict.fromkeys(wrong, 9), "new": wrong}}
        files = {name: {"old": [], "new": ["x"]}} if "a file" in self.wrong else {}
        found = {**(kernel if any(kernel["kernel"].values()) else {}), **(settings if wrong else {})}
        locked = "locked" in self.wrong
        reboot, hides = found if locked else {}, HIDES if "hiding rules" in self.wrong else []
        return {"changes": {**files, **({} if locked else found)}, "reboot": reboot, "hiding": hides}

    def do_audit_rules__diff(self, rules):
        return {"add": [rule for rule in rules if rule in self.wrong]}

    def do_audit_rules__groups(self, groups):
        return groups

    def do_audit_rules__status(self):
        return {"pid": 0 if "deaf auditd" in self.wrong else 9}

    def do_auditd_conf__status(self, path):
        if "another auditd" in self.wrong:
            return {"pid": 8, "reads": False, "note": "The kernel's audit daemon (pid 8) is another host's."}
        deaf = "deaf auditd" in self.wrong
        return {"pid": 0 if deaf else 9, "reads": not deaf, "note": "auditd is not running." if deaf else ""}

    def do_sshtrail_service__lost(self, name):
        return 9 if f"{name} pid file" in self.wrong else None

    def do_sshtrail_service__status(self, name):
        return f"{name} running" not in self.wrong

    def do_sshtrail_service__enabled(self, name):
        return f"{name} enabled" not in self.wrong

    def do_sshtrail_coverage__findings(self, policy):
        return [{**FINDING, "holds": "a way" not in self.wrong}]

    def do_sshtrail_coverage__sources(self, policy):
        return []

    def do_sshtrail_schedule__compare(self, name, wanted):
        assert wanted["function"] == "sshtrail_watch.tick"
        return {f"schedule {name}": {"old": "disabled", "new": "x"}} if f"schedule {name}" in self.wrong else {}

    def do_sshtrail_trail__attribute(self, differences, policy, after):
        return [{**one, "by": after} for one in differences]


def wishes(match, config):
    return [(keyword, value, match) for keyword, value in config.items()]


def in_matches(matches):
    return [wish for block in matches for match, config in block.items() for wish in wishes(match, config)]


def key_of(keyword, value, match):
    return sshd_wish.wish(keyword, value, policy_schema.ANY_SSHD, match).key
