"""
What a pillar may hold: every key with what it takes, what it means, its default and its check.

The reference of the pillar is made from this.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator

from salt.exceptions import SaltInvocationError

from sshtrail_lib.auditd import plan as auditd_plan
from sshtrail_lib.policy import claims, groups, needs, persons, verdicts
from sshtrail_lib.policy.kinds import (
    ACCOUNTS,
    FLAG,
    NAME,
    PATH,
    RULES_FILE,
    SECONDS,
    TEXT,
    TEXTS,
    Key,
    Kind,
    Tree,
    absolute,
    allowed,
    is_mapping,
    judged,
    list_of,
    named,
    one_of,
    plain,
    shown,
    told_by,
)
from sshtrail_lib.rules import accounts as rules_accounts
from sshtrail_lib.rules import compile as rules_compile
from sshtrail_lib.rules import hiding as rules_hiding
from sshtrail_lib.rules import language as rules_language
from sshtrail_lib.sshd import keywords as sshd_keywords
from sshtrail_lib.sshd import values as sshd_values
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.resolver import NAMES
from sshtrail_lib.trail import notable

KEY = "sshtrail"
#: A part that has this key may be left to another tool: ``sshd: false`` is short for it.
MANAGED = "managed"
# What useradd(8) takes everywhere.
PROOF_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")

# A pillar is for many hosts: it may name every keyword that some sshd has. The state asks the host's own.
ANY_SSHD = Daemon(
    defaults={keyword.name: [] for keyword in sshd_keywords.KEYWORDS.values()},
    names=NAMES,
)

DEFAULTS = {
    "audit": True,
    "full": "resume",
    "sshd": {
        **{"managed": True, "path": "/etc/ssh/sshd_config", "logs": {}, "matches": [], "admins": [], "pam": True},
        **{"shadowed": "own", "exact": True, "lowered": "remove", "force": False},
        **needs.DEFAULTS["sshd"],
    },
    "auditd": {"managed": True, "path": "/etc/audit/auditd.conf", "service": "auditd", **needs.DEFAULTS["auditd"]},
    "rules": {
        "managed": True,
        "file": "/etc/audit/rules.d/zz-sshtrail.rules",
        "groups": {},
        "unknown": "report",
        "allowed": [],
        "immutable": False,
        "loginuid_immutable": False,
        **needs.DEFAULTS["rules"],
    },
    "drift": {"interval": 10, "splay": 2, "action": "repair", "heartbeat": 300},
    # Each proof is a login that everybody sees in the records: how often is for an environment to say.
    "proof": {"account": None, "interval": 0},
    "compliance": {"accepted": {}, "verdicts": {}},
    "people": {},
    "sessions": {
        "tell": {
            **{"root": False, "password": False, "unknown_key": False, "new_account": False},
            **{"networks": [], "hours": []},
        }
    },
}


def keys(schema: Tree, path: str = KEY) -> Iterator[tuple[str, Key]]:
    """Yield the path in the pillar (str) and the :class:`Key` of every key of a ``schema`` (dict)."""
    for name, expected in schema.items():
        if isinstance(expected, dict):
            yield from keys(expected, f"{path}:{name}")
        else:
            yield f"{path}:{name}", expected


# --- Checks: each returns a plain copy of the value and adds to the problems ------------------------------------


def checked(value: typing.Any, expected: Tree | Key, path: str, problems: list[str]) -> typing.Any:
    """
    Return a plain copy of what a pillar holds, and add what is wrong with it to the problems.

    value
        What the pillar holds.
    expected
        The schema for it: a :class:`Key`, or a dict of these by name.
    path
        Where it stands in the pillar (str).
    problems
        Gets a sentence (str) for each thing that is wrong (list).
    """
    if isinstance(expected, dict):
        if MANAGED in expected and isinstance(value, bool):
            value = {MANAGED: value}
        elif MANAGED in expected and not isinstance(value, dict):
            problems.append(f"{path} must be true, false or a mapping, not {named(value)}.")
            return {}
        return _check_keys(value, expected, path, problems)
    return expected.kind.check(value, path, problems)


def _check_keys(value: typing.Any, expected: Tree, path: str, problems: list[str]) -> Tree:
    if not is_mapping(value, path, problems):
        return {}
    for key in value:
        if key not in expected:
            problems.append(f"{path}:{key} is unknown; {allowed(key, expected)}.")
    return {key: checked(value[key], one, f"{path}:{key}", problems) for key, one in expected.items() if key in value}


def _proof_account(value, path, problems):
    named = isinstance(value, str) and PROOF_ACCOUNT.fullmatch(value) and value not in ("root", "nobody")
    if value is not None and not named:
        problems.append(
            f"{path} must be null, or the name of an account that is made for proofs: lower case letters, digits, "
            f"hyphens and underscores, and neither root nor nobody; not {shown(value)}."
        )
    return value


def _sshd_config(value, path, problems):
    return _sshd_keywords(value, path, problems, None)


def _sshd_keywords(value, path, problems, match):
    def spelled(name, wanted):
        return sshd_wish.wish(name, wanted, ANY_SSHD, match).keyword.name

    return _keywords(value, path, problems, spelled)


def _matches(value, path, problems):
    if not isinstance(value, list):
        problems.append(f"{path} must be a list, not {named(value)}.")
        return []
    return [_match(item, f"{path}:{number}", problems) for number, item in enumerate(value)]


def _match(value, path, problems):
    """Check one Match block: a mapping of its criteria to the keywords in it."""
    if not is_mapping(value, path, problems):
        return {}
    return {
        criteria: _sshd_keywords(config, f"{path}:{criteria}", problems, criteria) for criteria, config in value.items()
    }


def _logs(value, path, problems):
    if not is_mapping(value, path, problems):
        return {}
    for facility in value:
        if facility not in sshd_values.FACILITIES:
            problems.append(f"{path}:{facility} is no facility; {allowed(facility, sshd_values.FACILITIES)}.")
    return {facility: absolute(file, f"{path}:{facility}", problems) for facility, file in value.items()}


def _auditd_config(value, path, problems):
    return _keywords(value, path, problems, lambda name, wanted: next(iter(auditd_plan.wanted({name: wanted}))))


def _keywords(value, path, problems, spelled):
    """Check keywords, each by what judges it (``spelled``), which returns its one spelling: none may stand twice."""
    if not is_mapping(value, path, problems):
        return {}
    names: dict[str, str] = {}

    def distinct(keyword, wanted):
        name = spelled(keyword, wanted)
        if names.setdefault(name, keyword) != keyword:
            raise SaltInvocationError(f"{names[name]} stands there already, and means the same keyword; keep one")

    for keyword, wanted in value.items():
        told_by(distinct, (keyword, wanted), f"{path}:{keyword}", problems)
    return plain(value)


def _rule_groups(value, path, problems):
    if not is_mapping(value, path, problems):
        return {}
    return {name: _rule_group(name, group, f"{path}:{name}", problems) for name, group in value.items()}


def _rule_group(name, group, path, problems):
    ready = [*groups.GROUPS, *claims.SETS]
    if group is True and name not in ready:
        problems.append(f"{path} is no ready group; {allowed(name, ready)}, or give its rules.")
    if isinstance(group, bool) or group is None:
        return group
    if not isinstance(group, dict):
        problems.append(f"{path} must be true, false or a mapping with its rules, not {named(group)}.")
        return {}
    TEXT.check(name, f"the name {path}", problems)
    return _check_keys(group, GROUP, path, problems)


def _compile(line):
    # Only the host's libaudit knows its syscalls: parsing alone would let -S session pass.
    rules_compile.compile(rules_accounts.parse_rule(line))


def _allow(line):
    # A policy is for many hosts: a line that could not be loaded on this one allows nothing here.
    rules_hiding.allowed([line])


def _status(value, path, problems):
    def spelled(name, wanted):
        rules_language.validate_status(name, wanted)
        return name

    return _keywords(value, path, problems, spelled)


def _named_layers(value, path, problems):
    """Check every layer, also one that belongs to no environment of this host."""
    if not is_mapping(value, path, problems):
        return {}
    return {name: _check_keys(layer, LAYER, f"{path}:{name}", problems) for name, layer in value.items()}


# --- The shape of the pillar ------------------------------------------------------------------------------------

VALUES = "text, a number, true or false for yes and no, a list"


def _managed(part: str, what: str) -> Key:
    return Key(
        FLAG,
        f"Whether the policy manages {what}. Set it to false where another tool does: then none of it is changed or "
        f"compared. {part}: false is short for it, and a later layer says {part}: true.",
    )


GROUP = {
    "title": Key(TEXT, "What the group records, for a person. It is written into the rules file as a comment."),
    "controls": Key(TEXTS, "The controls of standards that ask for it."),
    "rules": Key(
        Kind("list of lines as in a rules file", list_of(judged(_compile))), "The rules. Each must compile on the host."
    ),
    "optional": Key(
        FLAG,
        "Whether a rule that needs a directory which a host does not have is left out there and told, as the ready "
        "groups do. Otherwise it is an error.",
    ),
}

LAYER = {
    "audit": Key(
        FLAG,
        "Whether the kernel's audit belongs to this host. Set it to false in a container: then auditd and the rules "
        "are left out, and sshd is still managed.",
    ),
    "full": Key(
        one_of("resume", "leave"),
        "What to do when auditd has suspended its log, because the volume was full or by another action of "
        "auditd.conf: have it go on as soon as there is room, or leave that to a person. It is told either way.",
    ),
    "sshd": {
        MANAGED: _managed("sshd", "its package, configuration, PAM stack and service"),
        "package": Key(NAME, "The package that sshd is in."),
        "service": Key(NAME, "The service that runs sshd."),
        "path": Key(PATH, "The main configuration file of sshd."),
        "logs": Key(
            Kind("mapping of a syslog facility to an absolute path", _logs),
            "The file to which syslog writes the messages of each facility.",
        ),
        "config": Key(
            Kind(f"mapping of keywords of sshd_config to values: {VALUES}, or null for sshd's default", _sshd_config),
            "What sshd must do for every connection, as effective values.",
        ),
        "matches": Key(
            Kind("list of mappings: the criteria of a Match block to a mapping like config", _matches),
            "What sshd must do for some connections.",
        ),
        "shadowed": Key(
            one_of("fix", "drop_in", "fail", "own"),
            "Where the values stand, and what to do when a line outside the main file decides. own: in a file of our "
            "own where sshd reads that before all else, in place elsewhere; other files are changed only where they "
            "must be. fix: in place, in whatever file it is. drop_in: in the main file, or a drop-in that is read "
            "before the line that decides. fail: in the main file, or not at all.",
        ),
        "exact": Key(FLAG, "For a keyword that takes a list: true for exactly these items, false for at least these."),
        "lowered": Key(
            one_of("remove", "keep"),
            "What to do where config has a LogLevel and a Match block that is not in matches lowers it for some.",
        ),
        "force": Key(
            FLAG,
            "Whether to change sshd's configuration even though that may lock the administrator out. Better for one "
            "run, by the argument pillar of state.apply, than in a file.",
        ),
        "admins": Key(
            ACCOUNTS,
            "The accounts that must still be able to log in after a change. If the list is empty, one account with a "
            "shell must.",
        ),
        "pam": Key(
            FLAG,
            "Whether every session must go by pam_loginuid.so in sshd's PAM stack. Without it no command has a login "
            "id, and the rules of the group ssh_commands record none.",
        ),
    },
    "auditd": {
        MANAGED: _managed("auditd", "its package, configuration and service"),
        "package": Key(NAME, "The package that auditd is in."),
        "service": Key(NAME, "The service that runs auditd."),
        "path": Key(PATH, "The configuration file of auditd."),
        "config": Key(
            Kind("mapping of keywords of auditd.conf to values, or null for no such line", _auditd_config),
            "What auditd.conf must say.",
        ),
    },
    "rules": {
        MANAGED: _managed("rules", "the kernel's rules and settings, and the files that they come from"),
        "file": Key(RULES_FILE, "The file for the rules. It should sort last in its directory (ls -v)."),
        "groups": Key(
            Kind("mapping of a name to true or false, or to a mapping with title, controls and rules", _rule_groups),
            "Which groups of rules apply: ready groups and sets by their name, and groups of your own.",
        ),
        "unknown": Key(
            one_of("keep", "report", "remove"),
            "What to do with rules that the policy does not have, in files and kernel.",
        ),
        "status": Key(
            Kind(f"mapping of {', '.join(rules_language.SETTINGS)} to whole numbers", _status),
            "The settings of the kernel's audit: see auditctl(8) under -b, --backlog_wait_time, -e, -f and -r.",
        ),
        "allowed": Key(
            Kind("list of lines as in a rules file", list_of(judged(_allow))),
            "Rules of others that may keep records out of the log: with never, or on the lists exclude, task, user and "
            "filesystem. All others are differences, and are removed where drift is repaired.",
        ),
        "immutable": Key(FLAG, "Whether to lock the rules until the next reboot, as soon as they are right."),
        "loginuid_immutable": Key(
            FLAG,
            "Whether everybody keeps the login id that he has, root too. The kernel locks it until the next reboot. "
            "sshd must be started by the system then: one that was started from a login cannot give others theirs.",
        ),
    },
    "drift": {
        "interval": Key(SECONDS, "The time between two looks of a host at itself; 0 is never."),
        "splay": Key(SECONDS, "How much later a look may be, at random. It must be less than the interval."),
        "action": Key(
            one_of("report", "repair"), "Whether the master only reports drift, or also applies the policy again."
        ),
        "heartbeat": Key(
            SECONDS,
            "The time between two heartbeats, with which a host tells the master that it looks; 0 is never. After "
            "three that did not come the host counts as not watched.",
        ),
    },
    "proof": {
        "account": Key(
            Kind("the name of an account of its own, or null", _proof_account),
            "The account that a proof logs in to. The policy makes it, locked, and removes it when another one or none "
            "is named. With null a proof opens a session of PAM's stack beside sshd, and is turned away by sshd.",
        ),
        "interval": Key(
            SECONDS,
            "The time between two proofs that a login is recorded; 0 is never again after the first highstate. Each "
            "one is a login, with its records.",
        ),
    },
    "people": Key(
        Kind(
            "mapping of a person to a mapping with keys, certificates and accounts, each a list of texts",
            persons.people,
        ),
        "Who is who: the fingerprints of a person's keys (SHA256:...), patterns of the ids of a person's certificates, "
        "and accounts that are a person's alone.",
    ),
    "sessions": {
        "tell": {
            "root": Key(FLAG, "Whether to tell the master of each login as root."),
            "password": Key(FLAG, "Whether to tell of each login with a password, or by questions of PAM."),
            "unknown_key": Key(FLAG, "Whether to tell of each login with a key or a certificate that people has not."),
            "new_account": Key(FLAG, "Whether to tell of an account's first login, as far as the logs go back."),
            "networks": Key(
                Kind("list of networks (192.0.2.0/24, 2001:db8::/32)", list_of(judged(notable.network))),
                "The networks that people come from: a login from elsewhere is told. An empty list tells of none.",
            ),
            "hours": Key(
                Kind("list of times of the host (22:00-06:00, sat-sun 00:00-24:00)", list_of(judged(notable.hours))),
                "When each login is told.",
            ),
        },
    },
    "compliance": {
        "accepted": Key(
            Kind("mapping of a control to a mapping with reason, by and until", verdicts.exceptions),
            "Deviations that somebody has taken upon him: a control that fails is accepted until the end of that day, "
            "and fails again afterwards.",
        ),
        "verdicts": Key(
            Kind("mapping of a control to a mapping with status, reason, by and until", verdicts.verdicts),
            "What a person found of a control that no program can judge: pass, fail or not applicable, until the end "
            "of that day. Afterwards it fails until somebody has looked again.",
        ),
    },
}

POLICY = {
    "environment": Key(TEXT, "The environment of the host. It must be given."),
    "layers": Key(
        Kind("mapping of a layer's name to a mapping of the keys below", _named_layers),
        "The layer common is for all hosts, the others are for the environment with that name.",
    ),
    **LAYER,
}
