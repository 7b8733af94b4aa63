"""
A login that is followed from sshd to the audit log: which station has it, and which one lost it first.

What the stations left is handed in (:class:`Evidence`). Nothing in it is believed for what it says of itself: what
counts names the key that was made for this login, or the mark that its command carries, which nobody knew before.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.trail import sshd_log
from sshtrail_lib.trail.audit_log import Event, Record

#: What every mark begins with; 32 random hexadecimal digits follow.
MARK = "sshtrail-proof-"
#: What the name of each stranger begins with whose login is tried; 8 random hexadecimal digits follow.
STRANGER = "sshtrail-nobody-"
#: What the session runs, before the mark: it does nothing.
COMMAND = "/bin/true"
#: The stations in the order in which a login passes them, each with what it does for a person.
STATIONS = {
    "accept": "sshd lets the login in",
    "log": "sshd's log tells of it",
    "pam": "PAM's stack for sshd reports it to the kernel's audit",
    "login": "pam_loginuid makes it a new session of the kernel's audit (LOGIN)",
    "command": "the kernel records its command (EXECVE)",
    "file": "auditd writes the records to its file",
    "remote": "the records reach another host",
}
UNSET = "4294967295"
# Records that PAM makes, be it through sshd's own process or another one.
PAM = ("USER_ACCT", "CRED_ACQ", "USER_START")
#: Where programs lie that root alone can change.
SYSTEM = ("/bin/", "/usr/bin/")
WHOLE_MARK = re.compile(rf"{MARK}[0-9a-f]{{32}}")
WHOLE_STRANGER = re.compile(rf"{STRANGER}[0-9a-f]{{8}}")
# Why sshd refuses, beside what it says of every failure: what ends a session that was let in, then all else.
REASONS = (
    re.compile(r"fatal:|[Cc]hroot|no more sessions"),
    re.compile(r"not allowed|refused|bad owner|Partial |PAM|expired|denied|not permitted|[Tt]oo many|locked|error:"),
)
# What it says of a login that went well, or of each that comes and goes; and of its own process that serves it.
WENT_WELL = re.compile(
    r"Accepted |Postponed |pam_unix\(sshd:session\): session |Connection from |Starting session: |Close session: "
    r"|User child is on pid |Received disconnect |Disconnected from "
)
CHILD = re.compile(r"User child is on pid ([0-9]+)")
# What is no program, and starts none: what the client asks for is left out.
INTERNAL = "internal-sftp"

Verdict = dict[str, typing.Any]


class Evidence(typing.NamedTuple):
    """
    What a login left behind.

    account, uid
        Whose login it was (str, int).
    mark
        What its command carries, for nobody else (str).
    fingerprint
        Of the key (str, ``SHA256:…``), "" for a login without one.
    stranger
        The name of nobody for which a login was tried instead (str), "" where the account's own was.
    pid
        The process that opened the session in place of sshd's (int), None where sshd's did.
    session
        Why there was no such session (str), "" where there was one.
    use_pam
        Whether sshd is configured to open sessions through PAM (bool), where its own was not tried.
    accepted
        Whether the login came to its command (bool); for a stranger, whether sshd turned it away.
    answer
        What the client said (str).
    forced
        What sshd runs in the place of every command of that account (str, ForceCommand), "" for nothing.
    log
        What came to sshd's log since (list of bytes), None where no log can be read.
    log_name
        Where that was read (str).
    heard
        What the kernel told whoever listens (list of Event), None where nobody could listen.
    written
        What came to auditd's file since (list of Event). Where nobody could listen, a message of the proof's own is to
        be among it: it tells a file that gets nothing from a kernel that makes nothing.
    file
        The path of that file (str).
    trouble
        What is known to be wrong with the file or auditd (str), "" for nothing.
    keys
        The keys of the policy's rules for commands (frozenset of str), empty for any.
    remote
        What sends records to another host (tuple of str).
    audit
        Whether the kernel's audit belongs to this host (bool).
    """

    account: str
    uid: int
    mark: str
    fingerprint: str = ""
    stranger: str = ""
    pid: int | None = None
    session: str = ""
    use_pam: bool = True
    accepted: bool = False
    answer: str = ""
    forced: str = ""
    log: Sequence[bytes] | None = None
    log_name: str = ""
    heard: Sequence[Event] | None = None
    written: Sequence[Event] = ()
    file: str = ""
    trouble: str = ""
    keys: frozenset[str] = frozenset()
    remote: tuple[str, ...] = ()
    audit: bool = True


class Found(typing.NamedTuple):
    """What a station has: ``holds`` (bool, None for cannot be told) and ``evidence`` (str)."""

    holds: bool | None
    evidence: str


def is_proof(found: Event | Sequence[bytes], uid: int | None = None) -> bool:
    """
    Tell whether a command is that of a proof (bool), so that a report leaves it out.

    found
        The event of the command, or its arguments (list of bytes).
    uid
        The number of the account that proofs log in to (int): nobody else's command is one then. Without it whoever
        runs the very same command, which does nothing, is left out too.

    It must be the whole command and nothing beside it: whoever adds the mark to another command hides nothing.
    """
    arguments = found.arguments if isinstance(found, Event) else found
    if isinstance(found, Event) and uid is not None and _auid(found) != str(uid):
        return False
    return _is_command(_words(arguments), _exe(found) if isinstance(found, Event) else "")


def is_nothing_else(commands: object) -> bool:
    """
    Tell whether a session was a proof and nothing else (bool), so that a report leaves it out.

    commands
        Its commands (list of mapping with ``argv`` and ``exe``, as :func:`sshtrail_lib.trail.session.told` has them):
        that of the proof, and the shell that sshd has it started by. Of anything else nobody can tell.
    """
    told = commands if isinstance(commands, list) else []
    return bool(told) and all(_is_command(one["argv"], one["exe"] or "") for one in told)


def _is_command(words: Sequence[str], exe: str) -> bool:
    """Tell whether that is what a proof executes (bool), or a shell of the system's (``exe``, str) that starts it."""
    ran = _ran(words)
    known = len(ran) == 2 and ran[0] == COMMAND and WHOLE_MARK.fullmatch(ran[1]) is not None
    return known and (len(words) == 2 or (len(words) == 3 and exe.startswith(SYSTEM)))


def _ran(words: Sequence[str]) -> Sequence[str]:
    """Return what is executed (sequence of str), be it through a shell (``-c``) or not."""
    return words[2].split(" ") if len(words) == 3 and words[1] == "-c" else words


def _words(arguments: Iterable[bytes]) -> list[str]:
    return [argument.decode("utf-8", "replace") for argument in arguments]


def _exe(event: Event) -> str:
    call = event.first("SYSCALL")
    return (call.text("exe") or "") if call else ""


def is_stranger(user: str, address: str) -> bool:
    """Tell whether a failed login was that of a proof (bool): of this ``user`` from this ``address`` (str)."""
    return WHOLE_STRANGER.fullmatch(user) is not None and address in ("127.0.0.1", "::1")


def marks(evidence: Evidence) -> list[bytes]:
    """Return what a line of the audit log holds that can be about this login (list of bytes)."""
    mark = evidence.mark.encode()
    named = [name.encode() for name in (evidence.account, evidence.stranger) if name]
    encoded = [mark.hex().upper().encode(), *(name.hex().upper().encode() for name in named)]
    return [mark, *encoded, *named, b" auid=%d " % evidence.uid]


def judge(evidence: Evidence) -> Verdict:
    """
    Return which station has a login, by what it left there.

    Keys: ``holds`` (bool: no station lost it), ``lost_at`` (str, the first that did, or None), ``stations`` (list of
    dict: ``station`` (str), ``holds`` (bool, or None for what cannot be told) and ``evidence`` (str)), ``mark`` (str),
    ``said`` (str, for a person) and ``open`` (list of str: what this leaves unsaid).
    """
    stations = [{"station": name, **found._asdict()} for name, found in _stations(evidence)]
    lost = next((one for one in stations if one["holds"] is False), None)
    return {
        "holds": lost is None,
        "lost_at": lost and lost["station"],
        "stations": stations,
        "mark": evidence.mark,
        "said": _said(lost, evidence),
        "open": [*_limits(evidence), *(one["evidence"] for one in stations if one["holds"] is None)],
    }


def sentence(verdict: Verdict) -> str:
    """Return how a proof ended (str), for a person."""
    return verdict["said"]


def _said(lost: typing.Any, evidence: Evidence) -> str:
    who = f"The login of {evidence.account}" if not evidence.stranger else "A session of PAM's stack for sshd"
    if lost is None:
        return f"{who} left a record at every station that could be asked."
    return f"{who} was lost where {STATIONS[lost['station']]}: {lost['evidence']}"


def _limits(evidence: Evidence) -> Iterator[str]:
    if evidence.stranger:
        yield (
            "No account is named for the proof (sshtrail:proof:account), so no login came in: whether sshd lets a key "
            "in, opens the session through PAM, and hands on the session to the command, is not proven."
        )


def _stations(evidence: Evidence) -> Iterator[tuple[str, Found]]:
    accepted = _accept(evidence)
    yield "accept", accepted
    if not accepted.holds:
        return
    yield "log", _log(evidence)
    if evidence.audit:
        known, ours = _known(evidence), _Ours(evidence)
        yield "pam", ours.judged(known, ours.pam)
        yield "login", ours.judged(known, ours.login)
        yield "command", ours.judged(known, ours.command)
        yield "file", _file(evidence, ours)
    if evidence.remote:
        yield "remote", Found(None, f"{', '.join(evidence.remote)} sends records away; what arrives is not seen here.")


# --- sshd -------------------------------------------------------------------------------------------------------


def _accept(evidence: Evidence) -> Found:
    if evidence.accepted and _instead(evidence):
        told = f"sshd runs ForceCommand {text.line(evidence.forced)} in the place of the proof's command"
        return Found(False, f"{told}: ForceCommand none in a block Match User {evidence.account} leaves it alone.")
    if evidence.accepted:
        done = "turned the stranger away" if evidence.stranger else "let the key in, and the command ended well"
        return Found(True, f"sshd {done}.")
    reason = _reason(evidence) or text.line(" ".join(evidence.answer.split())) or "the client said nothing"
    return Found(False, f"{reason}.")


def _reason(evidence: Evidence) -> str:
    """Return what sshd's log says about why it refused (str), "" where it says nothing."""
    told = [found for line in evidence.log or () if (found := _message(line))]
    mine = {pid for pid, message in told if evidence.account in message}
    mine |= {child[1] for pid, message in told if pid in mine and (child := CHILD.match(message))}
    said = [message for pid, message in told if pid in mine or message.startswith("Authentication refused")]
    said = [message for message in said if not WENT_WELL.match(message)]
    better = [message for reason in REASONS for message in said if reason.search(message)]
    return f"sshd's log says: {text.line((better or said)[0])}" if said else ""


def _instead(evidence: Evidence) -> bool:
    """
    Tell whether sshd has run something in the place of the proof's command (bool): commands of the login are recorded,
    and that is none of them. One that runs what it is asked for (SSH_ORIGINAL_COMMAND) is no obstacle.
    """
    if not evidence.forced or evidence.forced.split()[:1] == [INTERNAL]:
        return bool(evidence.forced)
    ours, events = _Ours(evidence), _known(evidence) or ()
    started = [event for event in events if event.arguments and _auid(event) == str(evidence.uid)]
    return bool(started) and not ours.commands(events)


def _message(line: bytes) -> tuple[str, str] | None:
    found = sshd_log.SYSLOG.fullmatch(text.printable(line.rstrip(b"\r\n")[: sshd_log.LONGEST]))
    return (found["pid"], found["text"].removesuffix(" [preauth]")) if found else None


def _log(evidence: Evidence) -> Found:
    if evidence.log is None:
        return Found(None, f"sshd's log cannot be read here: {evidence.log_name}.")
    for line in sshd_log.lines(evidence.log):
        if _is_ours(line, evidence):
            return Found(True, f"{evidence.log_name}: {line.event} {line.fields['user']}, sshd's pid {line.pid}.")
    return Found(False, f"{evidence.log_name} has no line about it. What are LogLevel and SyslogFacility of sshd?")


def _is_ours(line: sshd_log.Line, evidence: Evidence) -> bool:
    if evidence.stranger:
        return line.fields.get("user") == evidence.stranger
    return line.event == "accepted" and line.fields.get("fingerprint") == evidence.fingerprint


# --- The kernel -------------------------------------------------------------------------------------------------


def _known(evidence: Evidence) -> Sequence[Event] | None:
    """Return what the kernel is known to have recorded (list of Event), None where nothing tells that."""
    if evidence.heard is not None:
        return evidence.heard
    return evidence.written if evidence.written else None


class _Ours:
    """What of the audit's events is about this login."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    @property
    def why(self) -> str:
        """What is known to be wrong, behind what was not found (str), "" for nothing."""
        return f"; {self.evidence.trouble}" if self.evidence.trouble else ""

    def judged(self, events: Sequence[Event] | None, station: Callable[[Sequence[Event]], Found]) -> Found:
        if self.evidence.session:
            return Found(None, f"No session of PAM's could be tried beside sshd: {text.line(self.evidence.session)}.")
        if events is None:
            return Found(None, "Nothing of it came to auditd's file, and nobody could listen to the kernel itself.")
        return station(events)

    def pam(self, events: Sequence[Event]) -> Found:
        if not self.evidence.use_pam:
            return Found(False, "sshd is configured with UsePAM no.")
        records = list(self.pam_records(events))
        if not records:
            return Found(False, f"no record of PAM ({', '.join(PAM)}) names {self.evidence.account}{self.why}.")
        failed = [one for one in records if one.type == "USER_START" and one.text("res") == "failed"]
        if failed:
            return Found(False, "PAM refused the session (USER_START res=failed).")
        return Found(True, f"{', '.join(dict.fromkeys(one.type for one in records))} of pid {records[0].text('pid')}.")

    def pam_records(self, events: Sequence[Event]) -> Iterator[Record]:
        account, pid = self.evidence.account.encode(), self.evidence.pid
        for record in _records(events, PAM):
            if record.message.get("acct") == account and pid in (None, _number(record, "pid")):
                yield record

    def login(self, events: Sequence[Event]) -> Found:
        logins = list(self.logins(events))
        if not logins:
            return Found(False, f"no LOGIN record gives a session the auid {self.evidence.uid}{self.why}.")
        one = logins[0]
        before = one.text("old-auid")
        added = (
            "" if before in (None, UNSET) else f" It was auid {text.line(before)} before: sshd was started in a login."
        )
        return Found(True, f"session {one.text('ses')}, auid {one.text('auid')}, pid {one.text('pid')}.{added}")

    def logins(self, events: Sequence[Event]) -> list[Record]:
        """Return the LOGIN records (list), those of PAM's own process first: systemd's manager has one of its own."""
        by_sshd = {_number(record, "pid") for record in self.pam_records(events)}
        found = [
            record
            for record in _records(events, ("LOGIN",))
            if _number(record, "auid") == self.evidence.uid
            and record.text("ses") not in (None, UNSET)
            and self.evidence.pid in (None, _number(record, "pid"))
        ]
        return sorted(found, key=lambda record: _number(record, "pid") not in by_sshd)

    def command(self, events: Sequence[Event]) -> Found:
        commands = [(event, call) for event in self.commands(events) if (call := event.first("SYSCALL"))]
        if not commands:
            return Found(False, self._no_command(events))
        event, call = commands[-1]
        auid, ses = call.text("auid"), call.text("ses")
        if auid != str(self.evidence.uid) or ses in (None, UNSET):
            return Found(False, f"{COMMAND} is recorded with auid {auid} and session {ses}, which is nobody's login.")
        sessions = {record.text("ses") for record in self.logins(events)}
        if sessions and ses not in sessions:
            return Found(False, f"{COMMAND} is recorded in session {ses}, which is not that of the login.")
        keys = event.keys
        if self.evidence.keys and not self.evidence.keys & set(keys):
            return Found(False, f"{COMMAND} is recorded, by no rule of the policy (key {', '.join(keys) or 'none'}).")
        return Found(True, f"{COMMAND} in session {ses}, auid {auid}, key {', '.join(keys) or 'none'}.")

    def commands(self, events: Sequence[Event]) -> list[Event]:
        """Return the events (list) of the command, and not those of whoever else has the mark in his arguments."""
        return [event for event in events if _ran(_words(event.arguments)) == [COMMAND, self.evidence.mark]]

    def _no_command(self, events: Sequence[Event]) -> str:
        calls = [record for record in _records(events, ("SYSCALL",)) if _number(record, "auid") == self.evidence.uid]
        asked = f"no EXECVE record has {COMMAND} {self.evidence.mark}"
        if calls:
            return f"{asked}, though {len(calls)} SYSCALL records have its auid: is EXECVE excluded?"
        none = f"{asked}, and no SYSCALL record has auid {self.evidence.uid}{self.why}"
        return f"{none}: does a rule match, does none say never, and are such records excluded?"


def _records(events: Iterable[Event], kinds: Sequence[str]) -> Iterator[Record]:
    return (record for event in events for record in event.records if record.type in kinds)


def _number(record: Record, name: str) -> int | None:
    value = record.fields.get(name, b"")
    return int(value) if value.isdigit() and len(value) < 11 else None


def _auid(event: Event) -> str | None:
    call = event.first("SYSCALL")
    return call.text("auid") if call else None


# --- auditd -----------------------------------------------------------------------------------------------------


def _file(evidence: Evidence, ours: _Ours) -> Found:
    if evidence.session:
        return Found(None, "So nothing was there for auditd to write.")
    wanted = _kinds(ours, evidence.heard) if evidence.heard is not None else set()
    there = _kinds(ours, evidence.written)
    missing = [kind for kind in ("PAM", "LOGIN", "EXECVE") if kind in wanted - there]
    if missing:
        return Found(False, f"the kernel made {', '.join(missing)}, and {evidence.file} has not got it{ours.why}.")
    if there:
        return Found(True, f"{evidence.file} has {', '.join(sorted(there))} of it.")
    if evidence.heard is None:
        return Found(False, f"nothing of it came to {evidence.file}{ours.why}.")
    return Found(None, f"The kernel made no record of it that {evidence.file} could have.")


def _kinds(ours: _Ours, events: Sequence[Event]) -> set[str]:
    made = {"PAM": ours.pam_records(events), "LOGIN": ours.logins(events), "EXECVE": ours.commands(events)}
    made["a message of this proof"] = _records(events, ("USER",))
    return {kind for kind, found in made.items() if list(found)}
