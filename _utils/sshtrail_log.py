"""
The audit log and sshd's log as text that nobody may trust: records, the events that they make up, sshd's lines.

Sources: the record grammar as auditd 3.0 to 4.1 and Linux 6.18 write it, libaudit's encoding of untrusted strings
(``audit_encode_nv_string(3)``), the messages of OpenSSH 8.4, 9.2, 10.0 and 10.6. Every function takes time in
proportion to the text, whatever a user managed to get logged.
"""

import collections
import dataclasses
import datetime
import re

# Enriched logs put the interpretations of the numbers after this byte (auditd.conf(5), log_format).
ENRICHED = b"\x1d"
HEAD = re.compile(rb"(?:node=([^ ]*) )?type=([^ ]+) msg=audit\(([0-9]{1,15})\.([0-9]{1,3}):([0-9]{1,20})\): ?")
NAME = re.compile(rb"[^ =]+")
HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
ARGUMENT = re.compile(rb"a([0-9]{1,9})(?:\[([0-9]{1,9})\])?")
# What the kernel and libaudit write quoted, or as hexadecimal digits when it holds a space, a quote or worse.
ENCODED = frozenset(
    b"acct cmd comm cwd data device dir exe file grp key name new-disk new-grp new-net new-vcpu ocomm old-disk path "
    b"proctitle vm watch".split()
)
KEY_SEPARATOR = b"\x01"

# sshd cuts its messages at 1,024 bytes (log.c, MSGBUFSIZ); what is much longer is not its own.
LONGEST = 2048
TAGS = ("sshd", "sshd-session", "sshd-auth")
SYSLOG = re.compile(
    r"(?:<[0-9]{1,3}>)?(?P<time>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|[0-9]{4}-[^ ]{5,40}) "
    rf"(?P<host>[^ ]+) (?P<tag>{'|'.join(TAGS)})\[(?P<pid>[0-9]{{1,10}})\]: (?P<text>.*)"
)
PEER = r"(?P<address>[^ ]+) port (?P<port>[0-9]{1,5})"
CHANNEL = r"(?P<channel>[0-9]{1,10})"
KEY = r"(?P<key_type>[A-Z0-9@.a-z-]+) (?P<fingerprint>SHA256:[A-Za-z0-9+/]{43}|MD5:[0-9a-f:]{47})"
CERTIFICATE = (
    r" ID (?P<id>.*) \(serial (?P<serial>[0-9]{1,20})\) CA (?P<ca_type>[A-Z0-9-]+) (?P<ca>SHA256:[A-Za-z0-9+/]{43})"
)
# Only this follows the peer; a user name can hold all that precedes it, but no colon (sshd takes that off).
AFTER_PEER = re.compile(rf"(?:: {KEY}(?:{CERTIFICATE})?)?")
ATTEMPT = re.compile(r"(Accepted|Failed|Postponed|Partial) ([a-z/-]+) for (invalid user )?")
FROM = re.compile(rf" from {PEER} ssh2(?=: |$)")
MESSAGES = (
    (
        "connection",
        re.compile(
            rf"Connection from {PEER} on (?P<local_address>[^ ]+) port (?P<local_port>[0-9]{{1,5}})(?: rdomain .*)?"
        ),
    ),
    ("key", re.compile(rf"Accepted key {KEY} found at (?P<found>.*)")),
    ("child", re.compile(r"User child is on pid (?P<child>[0-9]{1,10})")),
    (
        "session",
        re.compile(
            rf"Starting session: (?P<what>.*?)(?: on (?P<terminal>[^ ]+))? for (?P<user>[^ ]+) from {PEER} id {CHANNEL}"
        ),
    ),
    ("session_end", re.compile(rf"Close session: user (?P<user>.*) from {PEER} id {CHANNEL}")),
    ("disconnect", re.compile(rf"Disconnected from user (?P<user>.*) {PEER}")),
    ("invalid_user", re.compile(rf"Invalid user (?P<user>.*) from {PEER}")),
)


@dataclasses.dataclass(frozen=True)
class Record:
    """
    One line of the audit log.

    ``node`` (str, "" for none), ``type`` (str), ``seconds`` and ``milliseconds`` since the epoch, ``serial`` (int);
    ``fields`` (dict of str to decoded bytes), ``message`` (the same, from inside the ``msg='…'`` that a program
    wrote) and ``names`` (the same, what auditd itself looked up for numbers; keys in capitals).
    """

    node: str
    type: str
    seconds: int
    milliseconds: int
    serial: int
    fields: dict
    message: dict
    names: dict

    @property
    def event(self):
        """What all records of one event share (tuple): node, seconds, milliseconds, serial."""
        return self.node, self.seconds, self.milliseconds, self.serial

    def text(self, name):
        """Return the field ``name`` (str), the kernel's before a program's, as printable str, or None."""
        value = self.fields.get(name, self.message.get(name))
        return None if value is None else printable(value)


@dataclasses.dataclass(frozen=True)
class Event:
    """The records (tuple of :class:`Record`) of one event, in the order in which they came."""

    records: tuple

    @property
    def id(self):
        """Node, seconds, milliseconds and serial (tuple)."""
        return self.records[0].event

    def first(self, kind):
        """Return the first record of the type ``kind`` (str), or None."""
        return next((record for record in self.records if record.type == kind), None)

    @property
    def arguments(self):
        """What was executed (list of bytes), long arguments and long lists put together; empty without EXECVE."""
        pieces = collections.defaultdict(dict)
        for record in self.records:
            for name, value in record.fields.items() if record.type == "EXECVE" else ():
                found = ARGUMENT.fullmatch(name.encode())
                if found:
                    pieces[int(found[1])][int(found[2] or 0)] = value
        return [b"".join(parts[number] for number in sorted(parts)) for _, parts in sorted(pieces.items())]

    @property
    def keys(self):
        """The keys of the rules that matched (list of str)."""
        record = self.first("SYSCALL")
        value = record.fields.get("key", b"(null)") if record else b"(null)"
        return [] if value == b"(null)" else [printable(key) for key in value.split(KEY_SEPARATOR)]


def printable(value):
    """Return ``value`` (bytes) as str that is safe to show: what is no printable character is escaped."""
    text = value.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def records(lines):
    """
    Read the audit log.

    lines
        Lines (iterable of bytes), with or without their line feeds. What is no record is passed over.

    Yields :class:`Record`.
    """
    for line in lines:
        found = record(line)
        if found:
            yield found


def record(line):
    """
    Return the :class:`Record` in ``line`` (bytes), or None when there is none.

    Of a field that stands twice the first counts: what follows may be somebody's text.
    """
    head = HEAD.match(line)
    if not head:
        return None
    node, kind, seconds, milliseconds, serial = head.groups()
    body, _, looked_up = line[head.end() :].rstrip(b"\r\n").partition(ENRICHED)
    own, message = _split(body)
    execve = kind == b"EXECVE"
    return Record(
        printable(node or b""),
        printable(kind),
        int(seconds),
        int(milliseconds),
        int(serial),
        _fields(own, execve),
        _fields(message),
        _fields(looked_up),
    )


def _split(body):
    """Split ``body`` into the record's own fields and those inside ``msg='…'``, which a program wrote."""
    own, found, message = body.partition(b" msg='")
    if found:
        return own, message.removesuffix(b"'")
    return (b"", body[5:].removesuffix(b"'")) if body.startswith(b"msg='") else (body, b"")


def _fields(body, execve=False):
    found = {}
    for name, value in _pairs(body):
        found.setdefault(printable(name), _value(name, value, execve))
    return found


def _pairs(body):
    """Yield names and values as written; a word without ``=`` belongs to the bare value before it, or to nothing."""
    name, start, end, position = b"", 0, 0, 0
    while word := NAME.search(body, position):
        position = word.end()
        if body[position : position + 1] == b"=":
            if name:
                yield name, body[start:end]
            name, start = word[0], position + 1
            end = position = _after_value(body, start)
        elif body[start : start + 1] != b'"':
            end = position
    if name:
        yield name, body[start:end]


def _after_value(body, start):
    quoted = body[start : start + 1] == b'"'
    end = body.find(b'"', start + 1) + 1 if quoted else body.find(b" ", start)
    return end if end > 0 else len(body)


def _value(name, value, execve):
    if value.startswith(b'"'):
        return value[1:].removesuffix(b'"')
    if (name in ENCODED or (execve and ARGUMENT.fullmatch(name))) and HEX.fullmatch(value):
        return bytes.fromhex(value.decode())
    return value


def events(lines, window=5, most=10_000):
    """
    Put the records of each event together, which auditd writes neither in one piece nor in order.

    lines
        Lines of the audit log (iterable of bytes).
    window
        Seconds (int): an event is whole when the log has moved on, or back, by more than that.
    most
        How many events may be open at once (int), so that nobody can fill the memory.

    Yields :class:`Event`, those of one node in the order of their first records.
    """
    nodes, held = collections.defaultdict(dict), 0
    for found in records(lines):
        waiting = nodes[found.node]
        held += found.event not in waiting
        waiting.setdefault(found.event, []).append(found)
        # Each node has a clock of its own, so that it can close only its own events.
        while abs(found.seconds - next(iter(waiting))[1]) > window or (held > most and len(waiting) > 1):
            held -= 1
            yield _first(waiting)
    for waiting in nodes.values():
        while waiting:
            yield _first(waiting)


def _first(waiting):
    return Event(tuple(waiting.pop(next(iter(waiting)))))


@dataclasses.dataclass(frozen=True)
class SshdLine:
    """
    One line that sshd logged.

    ``when`` (datetime with zone), ``host``, ``tag`` (str), ``pid`` (int), ``event`` (str: connection, accepted,
    failed, postponed, partial, key, child, session, session_end, disconnect, invalid_user) and ``fields`` (dict of
    str): what the message tells, for example user, address, port, method, key_type, fingerprint, and of a certificate
    id, serial, ca_type, ca.
    """

    when: datetime.datetime
    host: str
    tag: str
    pid: int
    event: str
    fields: dict


def sshd_lines(lines, now=None):
    """
    Read what sshd wrote to syslog, on one host or several.

    lines
        Lines (iterable of bytes) with time stamps as in RFC 3164 (local time) or RFC 3339. What is not sshd's, or
        tells nothing about who came and went, is passed over.
    now
        The time before which the lines were written (datetime with zone; the present when None): RFC 3164 has no year.

    Yields :class:`SshdLine`.
    """
    now = now or datetime.datetime.now(datetime.timezone.utc)
    for line in lines:
        found = SYSLOG.fullmatch(printable(line.rstrip(b"\r\n"))) if len(line) <= LONGEST else None
        when = found and _when(found["time"], now)
        event, fields = _told(found["text"].removesuffix(" [preauth]")) if when else ("", {})
        if event:
            yield SshdLine(when, found["host"], found["tag"], int(found["pid"]), event, fields)


def _when(text, now):
    """Return the time that ``text`` (str) tells, or None when it is none."""
    if text[0].isdigit():
        return _parsed(text, "%Y-%m-%dT%H:%M:%S.%f%z") or _parsed(text, "%Y-%m-%dT%H:%M:%S%z")
    # A day's leave, for clocks and zones that differ; nine years, for 29 February is not in every one.
    latest = now.astimezone() + datetime.timedelta(days=1)
    tries = (_parsed(f"{latest.year - back} {text}", "%Y %b %d %H:%M:%S") for back in range(9))
    return next((when for when in tries if when and when <= latest), None)


def _parsed(text, form):
    try:
        return datetime.datetime.strptime(text, form).astimezone()
    except (ValueError, OverflowError):
        return None


def _told(text):
    attempt = ATTEMPT.match(text)
    if attempt:
        return _attempt(text, attempt)
    for event, pattern in MESSAGES:
        found = pattern.fullmatch(text)
        if found:
            return event, {key: value for key, value in found.groupdict().items() if value is not None}
    return "", {}


def _attempt(text, attempt):
    for peer in FROM.finditer(text, attempt.end()):
        after = AFTER_PEER.fullmatch(text, peer.end())
        if after:
            fields = {
                "method": attempt[2],
                "user": text[attempt.end() : peer.start()],
                **peer.groupdict(),
                **after.groupdict(),
            }
            known = {key: value for key, value in fields.items() if value is not None}
            return attempt[1].lower(), known | ({"invalid": "yes"} if attempt[3] else {})
    return "", {}
