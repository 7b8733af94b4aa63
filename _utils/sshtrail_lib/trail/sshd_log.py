"""
sshd's log as text that nobody may trust: who came, with which key, and who went.

Sources: the messages of OpenSSH 8.4, 9.2, 10.0 and 10.6. Every function takes time in proportion to the text, whatever
a user managed to get logged.
"""

from __future__ import annotations

import datetime
import itertools
import json
import posixpath
import re
import typing
from collections.abc import Callable, Iterable, Iterator

from sshtrail_lib.base.text import printable

# sshd cuts its messages at 1,024 bytes (log.c, MSGBUFSIZ); what is much longer is not its own.
LONGEST = 2048
TAGS = ("sshd", "sshd-session", "sshd-auth")
# The journal's times, that of the message before that of its receipt, in microseconds; the last that can be told.
STAMPS, LATEST = ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"), 2**53
# How each entry of an exported journal begins, what names a field, and bytes of one from which on it tells nothing.
CURSOR, NAME, LONG = b"__CURSOR", re.compile(rb"[A-Z0-9_]{1,64}"), 4096
TIME = r"(?P<time>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}(?:\.[0-9]{1,6})?|[0-9]{4}-[^ ]{5,40})"
TAG = rf"(?P<tag>{'|'.join(TAGS)})"
SYSLOG = re.compile(rf"(?:<[0-9]{{1,3}}>)?{TIME} (?P<host>[^ ]+) {TAG}\[(?P<pid>[0-9]{{1,10}})\]: (?P<text>.*)")
# RFC 5424: the process is no part of the tag, and structured data (none, or elements in brackets) precede the text.
DATA = r"(?:-|(?:\[[^\]\"]*(?:\"(?:[^\"\\]|\\.)*\"[^\]\"]*)*\])+)"
SYSLOG_1 = re.compile(
    rf"<[0-9]{{1,3}}>1 {TIME} (?P<host>[^ ]+) {TAG} (?P<pid>[0-9]{{1,10}}) [^ ]+ {DATA} +(?:\\ufeff)?(?P<text>.*)"
)
PEER = r"(?P<address>[^ ]+) port (?P<port>[0-9]{1,5})"
BRACKETS = r"\[(?P<address>[^ \]]+)\]:(?P<port>[0-9]{1,5})"
CHANNEL = r"(?P<channel>[0-9]{1,10})"
# A forced command, which stands before it, is in quotes.
OWNER = r"(?P<user>[^ '][^']*)"
# FingerprintHash has two.
PRINT = r"SHA256:[A-Za-z0-9+/]{43}|MD5:[0-9a-f:]{47}"
KEY = rf"(?P<key_type>[A-Z0-9@.a-z-]+) (?P<fingerprint>{PRINT})"
CERTIFICATE = rf" ID (?P<id>.*) \(serial (?P<serial>[0-9]{{1,20}})\) CA (?P<ca_type>[A-Z0-9-]+) (?P<ca>{PRINT})"
# Only this follows the peer; a user name can hold all that precedes it, but no colon (sshd takes that off).
# Beside the key stands, or in its place, what hostbased and GSSAPI know of the client (auth2.c, format_method_key).
CLIENT = r", client user \"(?P<client_user>.*)\", client host \"(?P<client_host>[^\" ]*)\""
# The id of a certificate can be so long that sshd cuts the line in it.
CUT = r" ID (?P<cut>.{500,})"
AFTER_PEER = re.compile(rf"(?:: (?:{KEY}(?:{CERTIFICATE}|{CUT})?(?:{CLIENT})?|(?P<principal>[^ ]+)))?")
ATTEMPT = re.compile(r"(Accepted|Failed|Postponed|Partial) ([a-z/-]+) for (invalid user )?")
FROM = re.compile(rf" from {PEER} ssh2(?=: |$)")
REPEATED = re.compile(r"message repeated (?P<times>[0-9]{1,6}) times: \[ ?(?P<text>.*)\]")
ESCAPED = re.compile(rb"\\(?:([0-3][0-7]{2})|\\)")
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
#: By how much a line of a log can be earlier than the one before.
LATE = datetime.timedelta(minutes=5)
#: What can come again from one process, and is then written once.
AGAIN = ("failed", "invalid_user")
#: What else a process can say twice in a second, and what it says once only.
OFTEN, ONCE = (*AGAIN, "postponed", "partial", "session", "session_end"), ("connection", "accepted", "child")
#: Of so many lines, and of as many before, it is known whether they were there already.
REMEMBERED = 250_000
MESSAGES = (
    (
        "connection",
        re.compile(
            rf"Connection from {PEER} on (?P<local_address>[^ ]+) port (?P<local_port>[0-9]{{1,5}})(?: rdomain .*)?"
        ),
    ),
    ("key", re.compile(rf"Accepted key {KEY} found at (?P<found>.*)")),
    (
        "certificate",
        re.compile(
            r'Accepted certificate ID "(?P<id>.*)" \(serial (?P<serial>[0-9]{1,20})\) signed by '
            rf"(?:CA )?(?P<ca_type>[A-Z0-9-]+) (?:CA )?(?P<ca>{PRINT}) (?:found at|via) (?P<found>.*)"
        ),
    ),
    ("child", re.compile(r"User child is on pid (?P<child>[0-9]{1,10})")),
    *(
        ("session", re.compile(rf"Starting session: (?P<what>.*){terminal} for {OWNER} from {PEER} id {CHANNEL}"))
        for terminal in (r" on (?P<terminal>(?:/dev/)?(?:pts/|tty)[^ ']+)", "")
    ),
    ("session_end", re.compile(rf"Close session: user (?P<user>.*) from {PEER} id {CHANNEL}")),
    ("opened", re.compile(r"pam_unix\(sshd:session\): session opened for user (?P<user>[^ ]+)(?: by .*)?")),
    ("closed", re.compile(r"pam_unix\(sshd:session\): session closed for user (?P<user>[^ ]+)")),
    ("disconnect", re.compile(rf"Disconnected from user (?P<user>.*) {PEER}")),
    (
        "gone",
        re.compile(
            r"(?:Connection (?:closed|reset) by|Timeout, client not responding from|Read error from remote host) "
            rf"(?:user (?P<user>.*) )?{PEER}(?:: .*)?"
        ),
    ),
    ("dropped", re.compile(rf"drop connection #[0-9]{{1,9}} from {BRACKETS} on [^ ]+ (?P<why>.*)")),
    ("late", re.compile(rf"(?:fatal: )?Timeout before authentication for {PEER}")),
    (
        "late",
        re.compile(
            r"Timeout before authentication for connection from (?P<address>[^ ]+) to [^ ]+, "
            r"pid = (?P<child>[0-9]{1,10})"
        ),
    ),
    ("invalid_user", re.compile(rf"Invalid user (?P<user>.*) from {PEER}")),
    (
        "left",
        re.compile(
            r"(?:Connection (?:closed|reset) by|Disconnected from) (?P<how>authenticating|invalid) user "
            rf"(?P<user>.*) {PEER}"
        ),
    ),
)


#: When, on which host and as which process something was said, and what.
Said = tuple[datetime.datetime, str, int, str]


class Line(typing.NamedTuple):
    """
    One line that sshd logged.

    ``when`` (datetime with zone), ``host``, ``tag`` (str), ``pid`` (int), ``event`` (str: connection, accepted,
    failed, postponed, partial, key, certificate, child, session, session_end, opened, closed, disconnect, gone,
    invalid_user, left, late, dropped)
    and ``fields`` (dict of str): what the message tells, for example user, address, port, method, key_type,
    fingerprint, of a certificate id, serial, ca_type, ca, and ``times`` where syslog wrote several as one. ``uid``
    (int) is that of the process that sent it, as the journal knows it, and None in a file, which does not tell;
    ``message`` (str) is the text. ``clock`` (float) is when the machine started by its clock, in seconds since the
    epoch, as the journal tells: it moves when the clock is set. ``other`` (datetime) is when else it may have been, of
    an hour that the clock shows twice.
    """

    when: datetime.datetime
    host: str
    tag: str
    pid: int
    event: str
    fields: dict[str, str]
    uid: int | None = None
    message: str = ""
    clock: float | None = None
    other: datetime.datetime | None = None


def lines(
    logged: Iterable[bytes], now: datetime.datetime | None = None, zone: datetime.tzinfo | None = None
) -> Iterator[Line]:
    """
    Read what sshd wrote to syslog, on one host or several.

    logged
        Lines (iterable of bytes) as in RFC 3164 (local time), with time stamps of RFC 3339, or as in RFC 5424. What is
        not sshd's, or tells nothing about who came and went, is passed over.
    now
        The time before which the lines were written (datetime with zone; the present when None): RFC 3164 has no year.
    zone
        The time zone of RFC 3164 (datetime.tzinfo), this host's when None.

    Yields :class:`Line`.
    """
    days: dict[datetime.date, bool] = {}
    for when, found in spoken(logged, now, zone):
        event, fields = _repeated(found["text"])
        if event:
            said = found["host"], found["tag"], int(found["pid"]), event, fields, None, found["text"], None
            yield Line(when, *said, None if found["time"][0].isdigit() else _other(when, zone, days))


def spoken(
    logged: Iterable[bytes], now: datetime.datetime | None = None, zone: datetime.tzinfo | None = None
) -> Iterator[tuple[datetime.datetime, re.Match[str]]]:
    """
    Yield when something was said (datetime with zone), and what (re.Match with ``host``, ``tag``, ``pid``, ``text``):
    all that is sshd's. Arguments are those of :func:`lines`.
    """
    now = now or datetime.datetime.now(datetime.timezone.utc)
    before: dict[str, datetime.datetime] = {}
    for line in logged:
        plain = printable(line.rstrip(b"\r\n")) if len(line) <= LONGEST else ""
        found = SYSLOG.fullmatch(plain) or SYSLOG_1.fullmatch(plain)
        when = _when(found["time"], now, zone, before.get(found["host"])) if found else None
        if found and when:
            before[found["host"]] = when
            yield when, found


def _repeated(text):
    """Return what a line in a file tells: syslog writes what comes again and again once, with its number."""
    times = REPEATED.fullmatch(text)
    event, fields = _told((times["text"] if times else text).removesuffix(" [preauth]"))
    # More than once nobody is let in by one process.
    return (event, fields) if not times else (event, fields | {"times": times["times"]}) if event in AGAIN else ("", {})


def journal(entries: Iterable[bytes], seen: Callable[[Said], object] | None = None) -> Iterator[Line]:
    """
    Read what sshd wrote to the journal.

    entries
        What ``journalctl -o json`` writes (iterable of bytes, an entry each). Who sent a message is what the journal
        itself found out (``_PID``, ``_UID``, ``_COMM``, ``_EXE``; systemd.journal-fields(7)) and not what the message
        says; of a process that had ended already it knows no name.
    seen
        Called with all that says it is sshd's, whoever sent it (callable that takes :data:`Said`).

    Yields :class:`Line`.
    """
    for entry in entries:
        try:
            fields = json.loads(entry) if b"sshd" in entry else None
        except (ValueError, RecursionError):
            continue
        said = _said(fields) if isinstance(fields, dict) else None
        if said and seen:
            seen(said)
        line = _entry(fields, said) if said else None
        if line:
            yield line


def entries(logged: Iterable[bytes]) -> Iterator[bytes]:
    """
    Yield the entries of a journal that say they are sshd's, or all, as JSON (bytes).

    logged
        Lines (iterable of bytes) of what ``journalctl`` wrote, with ``-o json`` or ``-o export``
        (https://systemd.io/JOURNAL_EXPORT_FORMATS).

    What was exported is read up to where it is not whole: behind that, a message could be taken for entries.
    """
    lines_ = iter(logged)
    first = next(lines_, b"")
    whole = itertools.chain((first,), lines_)
    return _exported(whole) if first.startswith(CURSOR + b"=") else whole


def _exported(logged: Iterator[bytes]) -> Iterator[bytes]:
    fields: dict[str, typing.Any] = {}
    for line in itertools.chain(logged, (b"\n",)):
        name, given, value = line.removesuffix(b"\n").partition(b"=")
        if line == b"\n":
            if fields.get("SYSLOG_IDENTIFIER") in TAGS:
                yield json.dumps(fields).encode()
            fields = {}
            continue
        data = value if given else _binary(logged)
        if data is None or not NAME.fullmatch(name) or (not fields and name != CURSOR):
            return
        # What stands twice is in a list, as in JSON: nobody's number or message.
        fields[name.decode()] = [_in_json(data)] if name.decode() in fields else _in_json(data)


def _binary(logged: Iterator[bytes]) -> bytes | None:
    """Return a field that is written as its length and its bytes, None where it is not whole."""
    data, line = b"", b""
    while len(data) < 9 and (line := next(logged, b"")):
        data += line
    left, parts = int.from_bytes(data[:8], "little") + 9 - len(data), [data[8:]]
    while left > 0 and (line := next(logged, b"")):
        left -= len(line)
        parts += [line] if len(parts) < LONG else []
    return b"".join(parts)[:-1] if left == 0 and line.endswith(b"\n") else None


def _in_json(data):
    """Return a field as the journal's JSON has it: nothing where it is long, its bytes where it is no text."""
    try:
        return data.decode() if len(data) < LONG else None
    except UnicodeDecodeError:
        return list(data)


def once(said: Iterable[Line]) -> Iterator[Line]:
    """
    Yield lines (iterable of :class:`Line`) without those that are there twice: a log may have been joined with a copy
    of itself, or each line of it written twice.

    A process can say some things twice at a time, where this is told in seconds; not that it let somebody in.
    """
    seen: set[int] = set()
    before: set[int] = set()
    copied: set[tuple[str, int]] = set()
    for line in said:
        mark, process = hash((line.host, line.pid, line.when, line.message)), (line.host, line.pid)
        known = mark in seen or mark in before
        if line.event in ONCE:
            of = {process, (line.host, int(line.fields.get("child", line.pid)))}
            (copied.update if known else copied.difference_update)(of)
        exact = line.event not in OFTEN or (line.event in AGAIN and line.when.microsecond)
        if known and (exact or process in copied):
            continue
        seen.add(mark)
        if len(seen) > REMEMBERED:
            seen, before = set(), seen
        yield line


def _entry(fields, said):
    """Return the :class:`Line` of an entry of the journal (dict), None when it is not sshd's or tells nothing."""
    pid, uid = _number(fields.get("_PID")), _number(fields.get("_UID"))
    if not (pid and uid and _is_sshd(fields, pid)):
        return None
    when, host, _, text = said
    event, told = _told(text.removesuffix(" [preauth]"))
    tag, clock = fields["SYSLOG_IDENTIFIER"], _clock(fields)
    return Line(when, host, tag, int(pid), event, told, int(uid), text, clock) if event else None


def _clock(fields):
    """Return when the machine started (float), by what its clock said when an entry (dict) came; None if unknown."""
    received, since_start = (_number(fields.get(name)) for name in ("__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP"))
    return (int(received) - int(since_start)) / 1e6 if received and since_start else None


def _is_sshd(fields, pid):
    """Tell whether an entry of the journal (dict) is of who it says (bool): a process, and sshd."""
    senders = (fields.get("_COMM"), posixpath.basename(str(fields.get("_EXE") or "")))
    return fields.get("SYSLOG_PID", pid) == pid and all(not one or one in TAGS for one in senders)


def _said(fields):
    """Return what an entry of the journal (dict) says (:data:`Said`), None when it does not say that it is sshd's."""
    text = _message(fields.get("MESSAGE")) if fields.get("SYSLOG_IDENTIFIER") in TAGS else None
    when = next((one for name in STAMPS if (one := _number(fields.get(name)))), None)
    pid = _number(fields.get("SYSLOG_PID", fields.get("_PID")))
    if text is None or not when or not pid or len(text) > LONGEST or int(when) > LATEST:
        return None
    stamp = datetime.datetime.fromtimestamp(int(when) / 1e6, datetime.timezone.utc)
    return stamp, printable(str(fields.get("_HOSTNAME", "")).encode(errors="replace")), int(pid), text


def _number(value):
    return value if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else None


def _message(value):
    """Return a message as str: the journal writes what is not UTF-8 as a list of bytes."""
    try:
        return printable(value.encode(errors="replace") if isinstance(value, str) else bytes(value))
    except (TypeError, ValueError):
        return None


def _when(text, now, zone=None, before=None):
    """Return the time that ``text`` (str) tells, or None when it is none; ``before`` is that of the line before."""
    if text[0].isdigit():
        return _iso(text) or _parsed(text, "%Y-%m-%dT%H:%M:%S.%f%z") or _parsed(text, "%Y-%m-%dT%H:%M:%S%z")
    # A day's leave, for clocks and zones that differ; nine years, for 29 February is not in every one.
    latest = now.astimezone() + datetime.timedelta(days=1)
    tries = (_in_year(latest.year - back, text, zone, before) for back in range(9))
    return next((when for when in tries if when and when <= latest), None)


def _in_year(year, text, zone, before):
    """Return a time without a year (``Nov 25 23:20:16``, with or without a fraction) in a year, None for none."""
    try:
        clock = int(text[4:6]), int(text[7:9]), int(text[10:12]), int(text[13:15]), int(text[16:].ljust(6, "0"))
        return _local(datetime.datetime(year, MONTHS.index(text[:3]) + 1, *clock), zone, before)
    except (ValueError, OverflowError):
        return None


def _iso(text):
    """Return a time as most are written (datetime), a tenth of the time that strptime takes; None for others."""
    try:
        when = datetime.datetime.fromisoformat(text) if text[10:11] == "T" else None
    except ValueError:
        return None
    return when if when and when.tzinfo else None


def _parsed(text, form):
    try:
        when = datetime.datetime.strptime(text, form)
        return when if when.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _local(when, zone, before):
    """Return a time of a zone (datetime); of an hour that a clock shows twice it is the later one if the log is."""
    first = _fixed(when.replace(tzinfo=zone))
    if not before or first >= before - LATE:
        return first
    again = _fixed(when.replace(tzinfo=zone, fold=1))
    return again if again >= before - LATE else first


def _other(when, zone, days):
    """
    Return when else (datetime) a clock showed what it showed at a time (datetime) of a zone; None for never.

    On few ``days`` (dict of date to bool, which is filled) clocks are put forward or back.
    """
    shown = when.replace(tzinfo=None)
    day = shown.date()
    if not (days[day] if day in days else days.setdefault(day, _is_set_then(day, zone))):
        return None
    first, again = (_fixed(shown.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    return None if again <= first else again if when == first else first


def _is_set_then(day, zone):
    begin = datetime.datetime.combine(day, datetime.time(0))
    offsets = (_fixed(one.replace(tzinfo=zone)).utcoffset() for one in (begin, begin + datetime.timedelta(days=1)))
    return len(set(offsets)) > 1


def _fixed(when):
    """Return a time with what it is off UTC (datetime): two of one zone would be compared by what the clock shows."""
    offset = when.utcoffset()
    return when.astimezone() if offset is None else when.replace(tzinfo=datetime.timezone(offset), fold=0)


def _told(text):
    attempt = ATTEMPT.match(text)
    if attempt:
        return _attempt(text, attempt)
    for event, pattern in MESSAGES:
        found = pattern.fullmatch(text)
        if found:
            return event, _plain(found.groupdict())
    return "", {}


def _plain(fields):
    """Return what a message tells (dict) as it is: sshd writes what is no plain letter as vis(3) does (log.c)."""
    known = {key: value for key, value in fields.items() if value is not None}
    return {key: _unescaped(value) if "\\" in value else value for key, value in known.items()}


def _unescaped(value):
    plain = ESCAPED.sub(lambda found: bytes([int(found[1], 8)]) if found[1] else b"\\", value.encode(errors="replace"))
    return plain.decode("utf-8", "backslashreplace")


def _attempt(text, attempt):
    for peer in FROM.finditer(text, attempt.end()):
        after = AFTER_PEER.fullmatch(text, peer.end())
        if after and (not after["principal"] or attempt[2].startswith("gssapi")):
            fields = {
                "method": attempt[2],
                "user": text[attempt.end() : peer.start()],
                **peer.groupdict(),
                **after.groupdict(),
            }
            return attempt[1].lower(), _plain(fields) | ({"invalid": "yes"} if attempt[3] else {})
    return "", {}
