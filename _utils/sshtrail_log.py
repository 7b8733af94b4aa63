"""
The audit log and sshd's log as text that nobody may trust: records, their values, the events that they make up.

Sources: the record grammar of auditd 3.0 to 4.1 as written by the daemon itself, libaudit's encoding of
untrusted strings (``audit_encode_nv_string(3)``), ausearch(8). Every function takes linear time, whatever a user
managed to get logged.
"""

import dataclasses
import re

# Enriched logs put the interpretations of the numbers after this byte (auditd.conf(5), log_format).
ENRICHED = b"\x1d"
HEAD = re.compile(rb"(?:node=([^ ]*) )?type=([^ ]+) msg=audit\(([0-9]{1,18})\.([0-9]{1,3}):([0-9]{1,20})\): ?")
HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
NAME = re.compile(rb"[^ =]+")
# What the kernel and libaudit write quoted, or as hexadecimal digits when it holds a space, a quote or worse.
ENCODED = frozenset(
    b"acct cmd comm cwd data device dir exe file grp key name new-disk new-grp new-net new-vcpu ocomm old-disk path "
    b"proctitle vm watch".split()
)
ARGUMENT = re.compile(rb"a[0-9]+(?:\[[0-9]+\])?")


@dataclasses.dataclass(frozen=True)
class Record:
    """
    One line of the audit log.

    ``node`` (str, "" for none), ``type`` (str), ``seconds`` and ``milliseconds`` since the epoch and ``serial``
    (int), ``fields`` (dict of str, decoded), ``message`` (dict, the fields inside ``msg='…'`` of a record that a
    program sent) and ``names`` (dict, what auditd itself looked up for numbers; keys in capitals).
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


def record(line):
    """
    Return the :class:`Record` in ``line`` (bytes, with or without its line feed), or None when there is none.

    Of a field that stands twice the first counts: what follows may be somebody's text.
    """
    head = HEAD.match(line)
    if not head:
        return None
    node, kind, seconds, milliseconds, serial = head.groups()
    body, _, looked_up = line[head.end() :].rstrip(b"\n").partition(ENRICHED)
    outer, nested = _nested(body)
    return Record(
        _text(node or b""),
        _text(kind),
        int(seconds),
        int(milliseconds),
        int(serial),
        _fields(outer, kind),
        _fields(nested, kind),
        _fields(looked_up, b""),
    )


def _nested(body):
    """Split ``body`` into the record's own fields and those inside ``msg='…'``, which a program wrote."""
    start = body.find(b"msg='")
    if start < 0 or (start and body[start - 1 : start] != b" "):
        return body, b""
    return body[:start], body[start + 5 :].removesuffix(b"'")


def _fields(body, kind):
    found = {}
    for name, value in _pairs(body):
        key = _text(name)
        if value is None:
            _continue(found)
        elif key not in found:
            found[key] = _value(name, value, kind)
    return found


def _continue(found):
    """A word without ``=`` tells nothing by itself; what it belongs to is in the raw line."""


def _pairs(body):
    position = 0
    while position < len(body):
        name = NAME.match(body, position)
        if not name:
            position += 1
            continue
        position = name.end()
        if body[position : position + 1] == b"=":
            value, position = _token(body, position + 1)
            yield name[0], value


def _token(body, start):
    """Return the value at ``start``, with its quotes, and the position after it."""
    if body[start : start + 1] == b'"':
        end = body.find(b'"', start + 1)
        return (body[start:], len(body)) if end < 0 else (body[start : end + 1], end + 1)
    end = body.find(b" ", start)
    return (body[start:], len(body)) if end < 0 else (body[start:end], end)


def _value(name, value, kind):
    if value[:1] == b'"':
        return _text(value.strip(b'"'))
    encoded = name in ENCODED or (kind == b"EXECVE" and ARGUMENT.fullmatch(name))
    if encoded and HEX.fullmatch(value):
        return _text(bytes.fromhex(value.decode()))
    return _text(value)


def _text(value):
    return value.decode("utf-8", "backslashreplace")
