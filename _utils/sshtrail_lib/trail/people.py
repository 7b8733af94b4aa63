"""
Who it was: keys, certificates and accounts, and the person that the policy names for each.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

from sshtrail_lib.trail.session import Session

People = Mapping[str, Mapping[str, Sequence[str]]]


def named(session: Session, people: People) -> Session:
    """
    Name the person of a session, or say in its ``unknown`` why there is none; return the session.

    people
        As the pillar's ``sshtrail:people`` has them (mapping of a person to ``keys``, ``certificates`` and
        ``accounts``).

    A key or a certificate tells more than the account, which several may share: the account counts where nobody is
    named for these, and then ``unknown`` tells that it does. Two persons for one thing are nobody: it is not guessed.
    """
    what, found = _by_credential(session, people)
    if not found:
        whose = [name for name, entry in people.items() if session.user in entry.get("accounts", ())]
        note = f"nobody is named for {what}" if what else ""
        found, what = whose, f"the account {session.user}"
        if note and len(whose) == 1:
            note += "; this is whom the account is named for"
        elif not whose:
            note = note or f"nobody is named for {what}"
    else:
        note = ""
    if len(found) > 1:
        note = f"several persons are named for {what}: {', '.join(sorted(found))}"
    session.person = found[0] if len(found) == 1 else None
    if note:
        session.unknown = {**session.unknown, "person": note}
    return session


def _by_credential(session: Session, people: People) -> tuple[str, list[str]]:
    """Return what somebody came with (str, empty for neither key nor certificate), and for whom it is named (list)."""
    if session.certificate:
        known = session.certificate.id
        owners = [name for name, entry in people.items() if _matches(known, entry.get("certificates", ()))]
        if owners:
            return f"the certificate {known}", owners
    if session.key:
        print_ = session.key.fingerprint
        return f"the key {print_}", [name for name, entry in people.items() if print_ in entry.get("keys", ())]
    return (f"the certificate {session.certificate.id}", []) if session.certificate else ("", [])


def _matches(known: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(known, pattern) for pattern in patterns)
