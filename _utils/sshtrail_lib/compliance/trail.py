"""
What this project itself knows of a host: whether logins are recorded, what differs from the policy, and its history.
"""

from __future__ import annotations

from collections.abc import Mapping

from sshtrail_lib.base import text
from sshtrail_lib.compliance.facts import Facts
from sshtrail_lib.compliance.finding import MANUAL, UNKNOWN, Finding, combined, judged
from sshtrail_lib.drift import difference, heartbeat

TRAIL = "trail"
HOUR, DAY = 3600, 86400


def proven(facts: Facts) -> Finding:
    """Return whether a login was followed from sshd to the log, and lately."""
    if facts.proof is None:
        return Finding(UNKNOWN, "no login has been followed to the log yet (sshtrail.prove)", TRAIL)
    told = f"{text.line(str(facts.proof['said']))} ({facts.proof['time']})"
    if not facts.proof["holds"]:
        return judged(False, told, TRAIL, "salt '*' sshtrail.prove", "proof")
    asked = facts.policy.get("proof", {}).get("interval") or 0
    if not -HOUR <= facts.proof_age <= max(2 * asked, 2 * DAY):
        age = f"{text.span(abs(facts.proof_age))} {'old' if facts.proof_age > 0 else 'from now'}"
        return Finding(UNKNOWN, f"the last proof is {age}: {told}", TRAIL)
    return judged(True, told, TRAIL)


def recording(facts: Facts, *checks: str) -> Finding:
    """Return whether no way is open by which what people do is not recorded: all that are known, or these (str)."""
    rows = [row for row in facts.coverage if not checks or row["check"] in checks]
    if not rows:
        return Finding(UNKNOWN, "nobody has looked yet (sshtrail.coverage)", TRAIL)
    found = [_way(row) for row in rows]
    if all(one.holds for one in found):
        return judged(True, f"{len(found)} ways looked at in which it would not be recorded, and none is open", TRAIL)
    return combined(found)


def _way(row: Mapping) -> Finding:
    told = f"{row['check']}: {text.line(str(row.get('evidence') or row.get('what')))}"
    return judged(row["holds"], told, TRAIL, str(row.get("remedy") or ""), str(row["check"]))


def in_policy(facts: Facts) -> Finding:
    """Return whether nothing differs from the policy."""
    if facts.drift is None:
        return Finding(UNKNOWN, "how the host differs from its policy cannot be told", TRAIL)
    told = [text.line(difference.sentence(dict(one))) for one in facts.drift]
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    names = [str(one["what"]) for one in facts.drift]
    said = "; ".join(told[:3]) + more if told else "nothing differs from the policy"
    return judged(not told, said, TRAIL, "state.apply sshtrail", *names)


def watched(facts: Facts) -> Finding:
    """Return whether the host looks at itself, and tells its master."""
    asked = facts.policy.get("drift", {})
    interval, beat = asked.get("interval", 0), asked.get("heartbeat", 0)
    told = f"looked for every {interval} s, told at least every {beat} s"
    if not interval:
        return judged(False, told, "policy", "sshtrail:drift:interval: 60")
    wrong = [one for one in facts.drift or () if str(one["what"]).startswith("schedule ")]
    if wrong:
        said = text.line(difference.sentence(dict(wrong[0])))
        return judged(False, said, "service", "state.apply sshtrail", str(wrong[0]["what"]))
    late = facts.looked is None or facts.looked > heartbeat.longest_silence(interval, beat)
    last = "never by itself" if facts.looked is None else f"last {text.span(facts.looked)} ago"
    return judged(not late, f"{told}; the host has looked {last}" if late else told, TRAIL if late else "policy",
                  "a minion that runs, with a master: its schedule looks")  # fmt: skip


def answered(facts: Facts) -> Finding:
    """Return whether what drifts is repaired."""
    action = facts.policy.get("drift", {}).get("action")
    return judged(action == "repair", f"drift is answered by: {action}", "policy", "sshtrail:drift:action: repair")


def uninterrupted(facts: Facts) -> Finding:
    """Return whether the history shows no time in which something differed or a proof was lost."""
    period = facts.period
    if not period or not period.get("looks"):
        return Finding(UNKNOWN, "there is no history yet", TRAIL)
    spans = period["spans"]
    since = f"since {period['from']}, {len(period['proofs'])} proofs"
    if not spans and not period["gaps"]:
        began, ended = (text.seconds(period[name]) for name in ("from", "to"))
        if began and ended and ended - began < DAY:
            # Of a history that has just begun nothing else can be said.
            return Finding(
                UNKNOWN, f"the history is only {text.span(ended - began)} long: nothing differed {since}", TRAIL
            )
        return judged(True, f"nothing differed and no proof was lost {since}", TRAIL)
    told = [f"{len(period['gaps'])} times nobody looked for more than an hour"] if period["gaps"] else []
    if spans:
        longest = max(spans, key=lambda one: one["seconds"])
        said = f"longest for {text.span(longest['seconds'])}: {longest['what']}"
        told.insert(0, f"{len(spans)} times something differed, {said}")
    # Whether that was dealt with in time is not for a program to say.
    return Finding(MANUAL, text.line(f"{', '.join(told)}; {since}", 400), TRAIL)
