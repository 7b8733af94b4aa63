"""
The sessions: what the kernel and PAM say of each login by SSH, with what sshd says added. Nothing is guessed.
"""

from __future__ import annotations

import base64
import collections
import re
from collections.abc import Iterable, Iterator, Mapping

from sshtrail_lib.base import text
from sshtrail_lib.trail import changes, join, missing
from sshtrail_lib.trail.gather import BACK, Gathered, Place
from sshtrail_lib.trail.kept import Commands, Joined, Kept, command
from sshtrail_lib.trail.known import Login, logins, moves, share
from sshtrail_lib.trail.session import CLOSED, KILLED, LOST, OPEN, Certificate, Channel, Key, Session
from sshtrail_lib.trail.sshd_log import Line
from sshtrail_lib.trail.told import Told

STARTED = re.compile(r"(?P<kind>shell|command|subsystem|forced-command)\b(?: \([^)]*\))?(?: '(?P<what>.*)')?")
FOUND = re.compile(r"(?P<file>.*):(?P<line>[0-9]{1,9})")
#: What a session did of which nothing is known.
NOTHING = Kept(lambda _: ())


class Sessions:
    """What makes sessions of logins: all that is known of the log."""

    def __init__(
        self, gathered: Gathered, kept: Mapping[Place, Kept], lines: Iterable[Line], host: str, full: bool
    ) -> None:
        """
        gathered, kept
            As :func:`logins` has them.
        lines
            sshd's (iterable of Line).
        host
            The name of the host (str) where the records have no node.
        full
            Whether the commands themselves are known (bool), and not just how many.
        """
        self.gathered, self.kept, self.host, self.full = gathered, kept, host, full
        self.book = join.Book(lines, {node for node, _ in gathered.boots})
        self.names: dict[str, dict[int, str]] = {}
        #: Numbers that several accounts of a node have.
        self.shared: set[tuple[str, int]] = set()
        #: The kernel's sessions that are sshd's.
        self.served: set[Place] = set()
        self.by_pid: dict[Place, list[Told]] = collections.defaultdict(list)
        for entry in gathered.entries.values():
            self._name(entry)
            if entry.login:
                self.by_pid[entry.node, entry.boot, entry.login.pid or 0].append(entry.login)
        #: Where events are missing, as :class:`sshtrail_lib.trail.missing.Missing` has them.
        self.gaps: Mapping[tuple[str, int], list[tuple[int, int]]] = {}
        #: Processes that live (collection of int), where that can be asked; None for the logs of another host.
        self.alive: frozenset[int] | None = None

    def _name(self, entry):
        names = self.names.setdefault(entry.node, {0: "root"})
        for record in (entry.login, *entry.starts):
            if not record or record.auid is None:
                continue
            # Who logs in to a sshd that somebody has started has another account, and that one's login id.
            own = not entry.login or record.pid == entry.login.pid
            name = (own and record.acct) or record.name
            if name and names.setdefault(record.auid, name) != name:
                self.shared.add((entry.node, record.auid))

    def made(self) -> Iterator[Session]:
        """Return the sessions (:class:`~sshtrail_lib.trail.session.Session`), in the order of their events."""
        found = logins(self.gathered, self.kept)
        self.served = {(one.entry.node, one.entry.boot, one.entry.ses) for one in found}
        asked = [self._asked(login) for login in found]
        return self._made(found, asked, self.book.join(asked))

    def _made(self, found, asked, joined):
        sharing: dict[int, list[Login]] = collections.defaultdict(list)
        for login in found:
            sharing[id(login.entry)].append(login)
        alone = collections.deque(sorted(self._without_pam(), key=lambda one: one.started or 0.0))
        for login, known, lines in zip(found, asked, joined, strict=True):
            while alone and (alone[0].started or 0.0) < login.first.time:
                yield alone.popleft()
            if not login.refused:
                yield self._session(login, known, lines, sharing[id(login.entry)])
        yield from alone

    def _without_pam(self):
        """
        Yield what sshd alone knows: with UsePAM no, neither the kernel nor PAM says that somebody came.

        Only where the journal vouches that root's sshd said so, and of a time of which the audit log tells.
        """
        spans = [(boot.first, boot.time) for boot in self.gathered.boots.values()]
        for line in self.book.unjoined():
            when_ = line.when.timestamp()
            if line.uid != 0 or not any(first <= when_ <= last for first, last in spans):
                continue
            session = Session(f"none@{_stamp(when_)}.{line.pid}", line.host or self.host, line.fields["user"])
            session.started, session.pid = when_, line.pid
            joined = self.book.whole(line)
            _said(session, joined, [])
            _moved(session, joined)
            over = next((one for one in joined.others if one.event in ("disconnect", "gone")), None)
            session.state, session.ended = (CLOSED, over.when.timestamp()) if over else (LOST, None)
            session.proof["session"] = [_line(line)]
            session.commands = Commands(NOTHING, 0) if self.full else 0
            gone = "the audit log has no record of this login (UsePAM no?)"
            session.unknown.update(
                dict.fromkeys(("auid", "commands", "became", "files", *(() if over else ("ended",))), gone)
            )
            yield session

    def _asked(self, login):
        peer = _message(login, "addr")
        return join.Login(
            login.entry.node or "", login.pid, login.first.time, self._user(login), peer, login.first.auid
        )

    def _user(self, login):
        if name := _message(login, "acct"):
            return name
        node, auid = login.entry.node, login.first.auid
        known = None if auid is None or (node, auid) in self.shared else self.names[node].get(auid)
        asked = [record.acct for record in self.gathered.before(login.entry, login.first) if record.acct]
        return next(reversed(asked), known)

    def _session(self, login, known, joined, sharing):
        first = login.first
        session = Session(
            f"{login.entry.ses}@{_stamp(first.time)}" + (f".{login.pid}" if login.inner else ""),
            login.entry.node or self.host,
            known.user,
            first.auid,
            address=known.address,
            started=first.time if login.login or login.start else None,
            pid=login.pid,
        )
        self._beginning(session, login)
        _said(session, joined, self.gathered.before(login.entry, first))
        self._end(session, login, joined)
        session.tty = _terminal(login, joined)
        self._did(session, login, joined, sharing)
        return session

    def _beginning(self, session, login):
        proof = session.proof
        proof["session"] = [_audit(record) for record in (login.login, login.start) if record]
        if session.started is None:
            session.unknown["started"] = "the records of its beginning are missing"
        if login.doubt:
            session.unknown["state"] = login.doubt
        elif not login.login and not login.inner:
            session.unknown["login"] = "the kernel's LOGIN record is missing"
        if session.user is None:
            session.unknown["user"] = "no record names the account"

    # --- Its end ------------------------------------------------------------------------------------------------

    def _end(self, session, login, joined):
        place = (login.entry.node, login.entry.boot)
        boot, later = self.gathered.boots[place], (place[0], place[1] + 1) in self.gathered.boots
        if login.end:
            session.state, session.ended = CLOSED, login.end.time
            session.proof["ended"] = [_audit(login.end)]
            self._clock(session, login, joined, boot)
            return
        session.state, why = self._open(login, joined, boot, later)
        session.unknown.setdefault("ended", why)

    def _open(self, login, joined, boot, later):
        """Return the state of what has no end in the audit log (str), and why nobody knows of one (str)."""
        over, again = _over(joined), self._again(login)
        lives = self.alive is not None and login.pid in self.alive and not later and not again
        if over and not lives:
            return over
        if again:
            return KILLED, f"its process had gone without a word when its number came again at {text.iso(again.time)}"
        if (gone := self._missing(login, missing.SPARE)) and not lives:
            return LOST, gone[0]
        if later:
            return LOST, f"the host stopped after {text.iso(boot.time)}, and no record tells of an end"
        if self.alive is not None and not lives:
            return KILLED, "its process has gone without a word"
        sure = "its process lives" if lives else "one whose sshd was killed looks the same"
        why = f"no record up to {text.iso(boot.time)} tells of an end ({sure})"
        return OPEN, "; ".join([why, *(() if lives else self._missing(login))])

    def _again(self, login):
        """Return the first record of another login by the process's number (Told), None where there is none."""
        of_pid = self.by_pid[login.entry.node, login.entry.boot, login.pid]
        return min((one for one in of_pid if one.serial > login.first.serial), key=lambda one: one.serial, default=None)

    def _clock(self, session, login, joined, boot):
        jumps = [jump for jump in boot.jumps if login.first.serial <= jump.serial <= login.end.serial]
        if jumps:
            set_ = ", ".join(f"by {jump.seconds:+.0f} s at {text.iso(jump.time)}" for jump in jumps[:3])
            session.unknown["seconds"] = f"the clock was set {set_}"
        elif session.started is not None and session.ended < session.started:
            session.unknown["seconds"] = "the clock was set back"
        else:
            _moved(session, joined)

    def _missing(self, login, spare=0):
        """Return which events of a session are missing (list of str), more than are ``spare`` (int) in one place."""
        last = login.end.serial if login.end else login.first.serial + 10**20
        gaps = self.gaps.get((login.entry.node, login.entry.boot), [])
        return missing.between(gaps, login.first.serial, last, spare)

    # --- What was done ------------------------------------------------------------------------------------------

    def _did(self, session, login, joined, sharing):
        entry = login.entry
        moved = moves(self.gathered, entry, self.served)
        session.proof["session"] += [_audit(record) for record in moved]
        began = [(record, self._of(entry, record.ses)) for record in moved if record.ses is not None]
        kept = self._of(entry, entry.ses)
        kept = Joined([kept, *(own for _, own in began)]) if began else kept
        if len(sharing) > 1:
            kept = share(kept, login, joined.child, sharing)
            session.unknown["commands"] = _shared(login, sharing)
        known = self._became(session, login, kept, began)
        session.became = known.became
        session.files, doubts = changes.files(kept.files(login.serial))
        gone = _unseen(login) + _gone(moved) + self._missing(login)
        _doubt(session, "became", known.doubts + gone)
        _doubt(session, "files", doubts + gone)
        _doubt(session, "commands", gone)
        if self.full:
            session.commands = Commands(kept, login.serial)
            self._after(session, login, kept)
        else:
            session.commands = kept.count(login.serial)

    def _of(self, entry, ses):
        return self.kept.get((entry.node, entry.boot, ses)) or NOTHING

    def _became(self, session, login, kept, began):
        """Return who became whom (Story), also in the sessions that processes began (LOGIN records with Kept)."""
        entry = login.entry
        if not (entry.switches or kept.odd or began):
            return changes.Story([], [])
        names = self._names(session, login, kept)
        # What PAM runs comes before its record, and is nothing that somebody became root for.
        odd = [call for call in kept.odd if call.serial > login.serial and (login.start or call.parent != login.pid)]
        below = (self.gathered.entries.get((entry.node, entry.boot, record.ses)) for record, _ in began)
        switches = [*entry.switches, *(record for one in below if one for record in one.switches)]
        calls = kept.calls() if self.full else ()
        return changes.story(() if login.inner else switches, calls, odd, names, session.auid, began)

    def _names(self, session, login, kept):
        """Return the accounts (dict of int to str) as this session has them: several may have one number."""
        own = {session.auid: session.user} if login.login and session.user and not login.inner else {}
        return self.names[login.entry.node] | kept.names | own

    def _after(self, session, login, kept):
        if login.end:
            session.survived = [command(call) for call in kept.calls(login.end.serial)]
        mine = [one for one in kept.segments if one.last > login.serial]
        _doubt(session, "commands", [f"arguments are missing from event {one}" for part in mine for one in part.cut])
        names = dict.fromkeys(name for part in mine for name, serial in part.outlives if serial > login.serial)
        if names and login.end and not session.survived:
            session.unknown["survived"] = f"{', '.join(names)} was started, and the kernel records no end of a process"
        if session.tty is None and not session.channels:
            terminal = next((part.tty for part in mine if part.tty), "")
            # The kernel writes the terminals of /dev/pts without the slash.
            session.tty = re.sub(r"^pts(?=[0-9])", "pts/", terminal) or None


def _unseen(login):
    """Return what is not known of a session's deeds because the log lacks the beginning of it (list of str)."""
    if login.start:
        return []
    if login.login:
        return ["PAM's record of its beginning is missing, and what PAM itself ran may be among this"]
    return ["the records of its beginning are missing, and with them what it did"]


def _shared(login, sharing):
    others = ", ".join(_stamp(one.first.time) for one in sharing if one is not login)
    return (
        f"the kernel gave the same number to the login at {others}: who did what is told by the parent "
        "processes, as far as they are known"
    )


def _gone(moved):
    """Return what is not known because processes gave up their login id (list of str): no session has them then."""
    return [
        f"process {record.pid} gave up its login id (event {record.serial}): what it did then is of no session"
        for record in moved
        if record.ses is None
    ]


def _moved(session, joined):
    """Say so where the journal tells that the clock was set: the kernel does so only if a rule asks for it."""
    clocks = [line.clock for line in (joined.accepted, *joined.others) if line and line.clock is not None]
    if clocks and max(clocks) - min(clocks) > BACK:
        session.unknown["seconds"] = f"the clock was set by {max(clocks) - min(clocks):.0f} s, or the machine slept"


def _over(joined):
    """
    Return what an end means that sshd tells of, and PAM's records do not: the state and why nobody knows more, or None.

    The process that closes PAM's session says so (pam_unix); when it was killed, only the one that served the login
    tells of its end.
    """
    told = {line.event: line for line in joined.others if line.event in ("opened", "closed", "disconnect", "gone")}
    end = told.get("closed") or told.get("disconnect") or told.get("gone")
    if not end:
        return None
    at = text.iso(end.when.timestamp())
    if "closed" in told:
        return CLOSED, f"PAM's record of the end is missing; sshd told of it at {at}"
    if "opened" in told:
        return KILLED, f"sshd said at {at} that it was over, and PAM did not"
    return LOST, f"sshd said at {at} that it was over, and no record tells how"


def _doubt(session, field, doubts):
    if doubts:
        more = f" and {len(doubts) - 3} more" if len(doubts) > 3 else ""
        before = f"{session.unknown[field]}; " if field in session.unknown else ""
        session.unknown[field] = before + "; ".join(doubts[:3]) + more


# --- What sshd said ---------------------------------------------------------------------------------------------


def _said(session, joined, early):
    """Add what sshd said of a login, and what PAM's and Red Hat's records say of its key."""
    line = joined.accepted
    if not line:
        why = joined.why
        fields = [name for name in ("port", "method", "key", "certificate", "channels") if not getattr(session, name)]
        session.unknown.update(dict.fromkeys(fields, why))
        _recorded(session, early)
        if session.address is None:
            session.unknown["address"] = why
        return
    fields = line.fields
    session.address, session.port = fields["address"], int(fields["port"])
    session.method = fields["method"]
    session.proof["from"] = [_line(line)]
    if session.user is None:
        session.user = fields["user"]
        session.unknown.pop("user", None)
    _credential(session, line, joined.others)
    _contradicted(session, early)
    _channels(session, joined)


def _credential(session, line, others):
    """Add the key and the certificate, be they what was accepted last or before (AuthenticationMethods)."""
    partial = [one for one in others if one.event == "partial"]
    session.proof["method"] = [_line(one) for one in (*partial, line)]
    if "fingerprint" not in line.fields:
        known = {one.fields["fingerprint"]: one for one in partial if "fingerprint" in one.fields}
        if len(known) > 1:
            session.unknown["key"] = "several were accepted before: " + ", ".join(known)
        line = next(iter(known.values())) if len(known) == 1 else line
    fields = line.fields
    if "fingerprint" in fields:
        session.key, proof = _key(session, line, others)
        session.proof["key"] = [_line(one) for one in proof]
    elif session.method in ("publickey", "hostbased"):
        session.unknown["key"] = "sshd did not log it"
    if "ca" in fields:
        session.certificate = Certificate(fields["id"], fields["serial"], fields["ca"])
        session.proof["certificate"] = [_line(line)]
    elif "cut" in fields:
        session.unknown["certificate"] = "its id is so long that sshd cut the line"


def _key(session, line, others):
    """Return the key (Key), and sshd's lines about it (list of Line)."""
    fields = line.fields
    places = [one for one in others if one.event in ("key", "certificate") and _same_key(one.fields, fields)]
    told = {one.fields["found"] for one in places}
    where = FOUND.fullmatch(next(iter(told))) if len(told) == 1 else None
    same = {one.fields["fingerprint"] for one in places if "ca" not in fields}
    key = Key(fields["key_type"], same.pop() if len(same) == 1 else fields["fingerprint"])
    if len(told) > 1:
        session.unknown["key.file"] = join.TWO
    elif not told:
        session.unknown["key.file"] = "sshd did not log it (LogLevel VERBOSE does)"
    elif not where:
        key = key._replace(file=next(iter(told)))
    else:
        key = key._replace(file=where["file"], line=int(where["line"]))
    return key, [line, *places[:1]]


def _same_key(one, fields):
    if "ca" in fields:
        return one.get("ca") == fields["ca"] and one.get("id") == fields["id"]
    # With FingerprintHash md5 sshd says in SHA256 where it found a key, and in MD5 that it accepted it.
    other = fields["fingerprint"].startswith("MD5:") and one.get("key_type") == fields["key_type"]
    return other or one.get("fingerprint") == fields["fingerprint"]


def _own(session, early):
    """Return what the process of a login sent shortly before (list of Told), and the fingerprints in that (set)."""
    own = [record for record in early if _of_login(session, record)]
    return own, {one for record in own if (one := _fingerprint(record))}


def _contradicted(session, early):
    """Believe no line that tells another key than the audit log: in syslog's files anybody can have written it."""
    _, prints = _own(session, early)
    if session.key and prints and session.key.fingerprint not in prints:
        session.key = session.certificate = None
        why = f"sshd's line tells another key than the audit log, which has {', '.join(sorted(prints))}"
        session.unknown.update(key=why, certificate=why)


def _recorded(session, early):
    """Add how somebody logged in, as far as the records of his process tell that without sshd's line."""
    own, prints = _own(session, early)
    by_pam = [record for record in own if record.type == "USER_AUTH" and record.op == "PAM:authentication"]
    if len(prints) == 1:
        session.method, session.key = "publickey", Key("", prints.pop())
        session.unknown.pop("key", None)
        session.unknown.pop("method", None)
        session.proof["key"] = [_audit(record) for record in own if _fingerprint(record)]
    elif by_pam and not prints:
        session.unknown["method"] = "PAM asked for it: a password, or what its configuration asks for"


def _of_login(session, record):
    """Tell whether a record of a process is of its login (bool), and not of one before that had its number."""
    same = record.addr in ("", session.address or record.addr) and record.acct in ("", session.user or record.acct)
    return record.worked and same


def _fingerprint(record):
    """Return the key's fingerprint (str) that Red Hat's sshd writes in hexadecimal, as ssh-keygen prints it, or ""."""
    return record.fp and "SHA256:" + base64.b64encode(bytes.fromhex(record.fp)).decode().rstrip("=")


def _channels(session, joined):
    """Add what the connection carried, as sshd logs it at VERBOSE."""
    lines = [line for line in joined.others if line.event == "session"]
    for line in lines:
        found = STARTED.match(line.fields["what"])
        if found:
            kind = "command" if found["kind"] == "forced-command" else found["kind"]
            session.channels.append(Channel(int(line.fields["channel"]), kind, found["what"]))
    if lines:
        session.proof["channels"] = [_line(line) for line in lines]
        return
    verbose = any(line.event in ("connection", "key", "certificate", "child") for line in joined.others)
    session.unknown["channels"] = (
        "sshd started no session for it; what it forwards it does not log" if verbose else "sshd did not log it"
    )


def _terminal(login, joined):
    told = [line.fields["terminal"] for line in joined.others if "terminal" in line.fields]
    return next(iter((*told, *(_tty(one) for one in login.entry.terminals if one.pid == login.pid))), None)


def _tty(record):
    name = record.terminal
    return name.removeprefix("/dev/") if name.startswith(("/dev/pts/", "/dev/tty", "pts/")) else None


# --- Proofs -----------------------------------------------------------------------------------------------------


def _message(login, name):
    """Return what PAM's records of a login say (str), None where they do not."""
    for record in (login.start, login.end):
        if record and getattr(record, name):
            return getattr(record, name)
    return None


def _audit(record):
    return f"audit({record.time:.3f}:{record.serial})"


def _line(line):
    return text.line(f"{text.iso(line.when.timestamp())} {line.tag}[{line.pid}]: {line.message}", 400)


def _stamp(seconds):
    return text.iso(seconds)[:19].replace("-", "").replace(":", "") + "Z"
