"""
The kernel's audit rules and settings: is what a control demands recorded, and can nobody change that?
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sshtrail_lib.compliance import matching
from sshtrail_lib.compliance.daemons import APPLY
from sshtrail_lib.compliance.demands import DEMANDS, GONE
from sshtrail_lib.compliance.facts import Asked, Audit, Facts
from sshtrail_lib.compliance.finding import FAIL, NOT_APPLICABLE, PASS, UNKNOWN, Finding, combined, judged
from sshtrail_lib.compliance.matching import Need

KERNEL = "kernel"
#: So many of what is missing are named.
NAMED = 4
LOCKED = 2


def demand(facts: Facts, name: str) -> Finding:
    """Return whether the kernel records what a demand asks (:class:`Finding`); ``name`` (str) is one of the table's."""
    if name in GONE:
        return Finding(NOT_APPLICABLE, f"kernels have no {GONE[name]} since 2.6: nobody can call it", KERNEL)
    audit = facts.audit
    if audit.error:
        return Finding(UNKNOWN, audit.error, KERNEL)
    asked = audit.asked.get(name)
    if asked is None:
        return Finding(UNKNOWN, f"the rules for {name} could not be compiled", KERNEL)
    return combined([_one(audit, one) for one in asked])


def _one(audit: Audit, asked: Asked) -> Finding:
    if asked.absent and not asked.needs:
        return Finding(NOT_APPLICABLE, asked.absent, KERNEL)
    if not audit.status["enabled"]:
        return judged(False, "the kernel records nothing: enabled is 0", KERNEL, "sshtrail:rules:status:enabled: 1")
    found = [(need, matching.recorded(need, audit.rules, audit.links, audit.execs)) for need in asked.needs]
    missing = [(need, one) for need, one in found if one.by is None]
    if missing:
        return _missing(audit, missing, asked.absent)
    by = dict.fromkeys(audit.lines(one.by) for _need, one in found if one.by is not None)
    return Finding(PASS, _several("in the kernel: ", list(by)), KERNEL)


def _missing(audit: Audit, missing: Sequence[tuple[Need, matching.Recorded]], absent: str) -> Finding:
    if absent:
        # A program that is not here needs no rule; one that is there does no harm.
        return Finding(NOT_APPLICABLE, absent, KERNEL)
    hidden = {need.what: audit.lines(one.hidden) for need, one in missing if one.hidden is not None}
    told = [f"{what} is hidden by {line}" for what, line in hidden.items()]
    lacks = [need for need, one in missing if one.hidden is None]
    filed = list(dict.fromkeys(place for need in lacks if (place := _by(audit, need, audit.filed))))
    if lacks:
        told.append(_several("the kernel holds no rule that records ", [need.what for need in lacks]))
    if filed:
        told.append(_several("the files ask for it, and it is not loaded: ", filed))
    return Finding(FAIL, "; ".join(told), KERNEL, _remedy(audit, lacks), tuple(_about(audit, lacks)))


def _remedy(audit: Audit, lacks: Sequence[Need]) -> str:
    groups = dict.fromkeys(group for need in lacks if (group := _by(audit, need, audit.offered)))
    wanted = [group for group in groups if group not in audit.chosen]
    if wanted:
        return ", ".join(f"sshtrail:rules:groups:{group}: true" for group in wanted)
    return APPLY if groups else "sshtrail:rules:groups: a group of your own with such a rule"


def _about(audit: Audit, lacks: Sequence[Need]) -> Iterator[str]:
    """Yield how the search for drift names what is missing: the rules of the files that would record it."""
    for need in lacks:
        by = matching.recorded(need, list(audit.filed), audit.links, audit.execs).by
        if by is not None:
            yield audit.lines(by)


def _by(audit: Audit, need: Need, rules: Mapping[bytes, str]) -> str:
    found = matching.recorded(need, list(rules), audit.links, audit.execs).by
    return rules[found] if found is not None else ""


def _several(said: str, items: Sequence[str]) -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return said + ", ".join(items[:NAMED]) + more


# --- The kernel's own settings ------------------------------------------------------------------------------------


def immutable(facts: Facts) -> Finding:
    """Return whether the rules are locked, in the kernel and by the last line that is loaded."""
    audit = facts.audit
    if audit.error:
        return Finding(UNKNOWN, audit.error, KERNEL)
    enabled, last = audit.status["enabled"], audit.last_line
    if enabled == LOCKED and audit.files_error and not last:
        return Finding(UNKNOWN, f"the kernel's enabled is {enabled}; {audit.files_error}", KERNEL)
    told = f"the kernel's enabled is {enabled}; the last line that is loaded is {last or 'none'}"
    holds = enabled == LOCKED and last.replace(" ", "") == "-e2"
    return judged(holds, told, KERNEL, "sshtrail:rules:immutable: true", "enabled")


def failure(facts: Facts) -> Finding:
    """Return whether the kernel halts the host when it cannot record."""
    if facts.audit.error:
        return Finding(UNKNOWN, facts.audit.error, KERNEL)
    now = facts.audit.status["failure"]
    return judged(now == 2, f"the kernel's failure is {now}", KERNEL, "sshtrail:rules:status:failure: 2", "failure")


def fixed_logins(facts: Facts) -> Finding:
    """Return whether nobody can change a login id that is set."""
    if facts.audit.error:
        return Finding(UNKNOWN, facts.audit.error, KERNEL)
    found = facts.audit.features.get("loginuid_immutable")
    if found is None:
        return Finding(UNKNOWN, "the kernel does not tell its audit features", KERNEL)
    told = f"loginuid_immutable is {'on' if found['on'] else 'off'} and {'' if found['locked'] else 'not '}locked"
    return judged(found["on"] and found["locked"], told, KERNEL, "sshtrail:rules:loginuid_immutable: true")


def same(facts: Facts) -> Finding:
    """Return whether the kernel holds the rules of the compiled file, and no others."""
    if facts.audit.error or facts.audit.differs is None:
        return Finding(UNKNOWN, facts.audit.error or facts.audit.files_error or "the files cannot be read", KERNEL)
    told = _several("the kernel and the files differ: ", list(facts.audit.differs))
    if not facts.audit.differs:
        told = f"the kernel holds the {len(facts.audit.rules)} rules of the files"
    return judged(not facts.audit.differs, told, KERNEL, "salt-call audit_rules.load", *facts.audit.differs)


def backlog(facts: Facts) -> Finding:
    """Return whether as many records can wait as the standards ask, from boot on."""
    words = [word for word in _kernel_s(facts.boot) if word.startswith("audit_backlog_limit=")]
    found = _number(words[-1]) if words else 0
    told = f"/proc/cmdline has {words[-1] if words else 'no audit_backlog_limit'}"
    at_boot = _booted(facts, found >= 8192, told, "audit_backlog_limit=8192", lambda word: _number(word) >= 8192)
    if facts.audit.error:
        return combined([at_boot, Finding(UNKNOWN, facts.audit.error, KERNEL)])
    now = facts.audit.status["backlog_limit"]
    seen = f"the kernel's backlog_limit is {now}, lost {facts.audit.status['lost']}"
    remedy = "sshtrail:rules:status:backlog_limit: 8192"
    return combined([at_boot, judged(now >= 8192, seen, KERNEL, remedy, "backlog_limit")])


def from_boot(facts: Facts) -> Finding:
    """Return whether the kernel audits from the first process on."""
    words = [word for word in _kernel_s(facts.boot) if word.startswith("audit=")]
    told = f"/proc/cmdline has {words[-1] if words else 'no audit='}"
    # Documentation/admin-guide/kernel-parameters.txt: audit=on is the same.
    on = ("audit=1", "audit=on")
    return _booted(facts, bool(words) and words[-1] in on, told, "audit=1", lambda word: word in on)


def _booted(facts: Facts, holds: bool, told: str, word: str, good: Callable[[str], bool]) -> Finding:
    remedy = f"add {word} to the kernel's command line in the boot loader"
    if not holds:
        return judged(False, told, KERNEL, remedy)
    if "boot entries" in facts.unread:
        return Finding(UNKNOWN, f"{told}; of the next boot: {facts.unread['boot entries']}", KERNEL)
    if not facts.entries:
        return Finding(UNKNOWN, f"{told}; no boot entries were found, so nobody knows of the next boot", KERNEL)
    name = word.partition("=")[0] + "="
    # The last one counts.
    said = {
        place: [one for one in _kernel_s(words) if one.startswith(name)][-1:] for place, words in facts.entries.items()
    }
    wrong = [place for place, words in said.items() if not any(map(good, words))]
    return judged(not wrong, _several(f"{told}; not in ", wrong) if wrong else told, "file", remedy)


def _kernel_s(words: Sequence[str]) -> Sequence[str]:
    """Return those words (list of str) of a kernel's command line that are for itself: the others are for init."""
    return words[: words.index("--")] if "--" in words else words


def _number(word: str) -> int:
    # As the kernel reads it: 0x begins a hexadecimal number, 0 an octal one.
    match = re.fullmatch(
        r"(?:(0x)([0-9a-f]+)|(0)([0-7]+)|([1-9][0-9]*))", word.partition("=")[2], re.ASCII | re.IGNORECASE
    )
    if not match:
        return 0
    return int(match[2] or match[4] or match[5], 16 if match[1] else 8 if match[3] else 10)


DEMANDED = frozenset(DEMANDS) | frozenset(GONE)
