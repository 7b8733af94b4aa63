"""
An audit rule as the kernel holds it: ``struct audit_rule_data``, its numbers, its bytes ↔ its parts.

Source: linux/audit.h, the kernel's auditfilter.c.
"""

from __future__ import annotations

import struct
import typing
from collections.abc import Collection

# struct audit_rule_data without its buffer: list, action, number of fields, mask, fields, values, operators, bytes.
MASK_WORDS, MAX_FIELDS = 64, 64
HEADER = struct.Struct(f"={3 + MASK_WORDS + 3 * MAX_FIELDS + 1}I")
COUNT, FIELDS = 2, 3 + MASK_WORDS
VALUES, OPERATORS = FIELDS + MAX_FIELDS, FIELDS + 2 * MAX_FIELDS
LITTLE_ENDIAN = struct.pack("=H", 1)[0] == 1
# The kernel expands these class bits when it takes a rule, and lists the rule without them.
CLASS_BITS = 0xFFFF0000
FIRST_CLASS_BIT = 32 * MASK_WORDS - 16
FILTER_NUMBERS = {"user": 0, "task": 1, "exit": 4, "exclude": 5, "filesystem": 6, "io_uring": 7}
FILTER_NAMES = {number: name for name, number in FILTER_NUMBERS.items()}
ACTION_NUMBERS = {"never": 0, "always": 2}
ACTION_NAMES = {number: name for name, number in ACTION_NUMBERS.items()}
OPERATOR_NUMBERS = {
    "&": 0x08000000,
    "<": 0x10000000,
    ">": 0x20000000,
    "!=": 0x30000000,
    "=": 0x40000000,
    "&=": 0x48000000,
    "<=": 0x50000000,
    ">=": 0x60000000,
}
OPERATOR_NAMES = {number: name for name, number in OPERATOR_NUMBERS.items()}
ARCH, FSTYPE, SUCCESS = 11, 26, 104
WATCH, PERM, DIR, COMPARE, EXE, KEY = 105, 106, 107, 111, 112, 210
#: The fields whose value is a text, and their number the length of it.
STRINGS = frozenset((*range(13, 18), *range(19, 24), WATCH, DIR, EXE, KEY))
PERM_BITS = {"x": 1, "w": 2, "r": 4, "a": 8}
#: The list that leaves out, whatever the action; and those on which a rule matches nothing unless one of its fields
#: does (auditfilter.c: audit_filter; auditsc.c: __audit_inode). Seen on Linux 6.1.
EXCLUDE = "exclude"
BY_FIELDS = (EXCLUDE, "user", "filesystem")
#: What joins several keys of a rule.
KEY_SEPARATOR = "\1"


class Packed(typing.NamedTuple):
    """The numbers of a rule; each bit of ``mask`` is a system call, ``fields`` are (number, operator, value) each."""

    filter: int
    action: int
    mask: int
    fields: tuple[tuple[int, int, int], ...]


def unpack(data: bytes) -> tuple[Packed, list[str]]:
    """Return ``(Packed, strings)`` for the kernel's ``data`` (bytes); ``strings`` are those of its fields in order."""
    filter_, action, count = struct.unpack_from("=3I", data)
    columns = (struct.unpack_from(f"={count}I", data, 4 * at) for at in (FIELDS, OPERATORS, VALUES))
    rows = tuple(zip(*columns))  # noqa: B905  (all have the same length)
    return Packed(filter_, action, _mask(data[12 : 4 * FIELDS]), rows), _strings(rows, data[HEADER.size :])


def _mask(words):
    """Return the bits (int) of a mask's ``words`` (bytes): its first has the lowest, in whichever order bytes lie."""
    if not LITTLE_ENDIAN:
        words = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    return int.from_bytes(words, "little")


def _strings(rows, buffer):
    strings, start = [], 0
    for number, _operator, value in rows:
        if number in STRINGS:
            strings.append(buffer[start : start + value].decode("utf-8", "surrogateescape"))
            start += value
    return strings


def records(data: bytes) -> bool:
    """Tell whether a rule records what it matches (bool): its action is no ``never``."""
    return struct.unpack_from("=I", data, 4)[0] != ACTION_NUMBERS["never"]


def hides(data: bytes) -> bool:
    """Tell whether a rule can keep records out of the log (bool)."""
    filter_, action, count = struct.unpack_from("=3I", data)
    return leaves_out(ACTION_NAMES.get(action, ""), FILTER_NAMES.get(filter_, ""), count > 0)


def leaves_out(action: str, filter_: str, has_fields: bool) -> bool:
    """Tell the same of a rule's ``action`` and list (``filter_``), and whether it has a field (bool)."""
    return (action == "never" or filter_ == EXCLUDE) and (has_fields or filter_ not in BY_FIELDS)


def last_of(data: bytes) -> tuple[int, int, int] | None:
    """Return the last condition of a rule (number, operator, value), None without one."""
    (count,) = struct.unpack_from("=I", data, 4 * COUNT)
    if not count:
        return None
    number, operator, value = (
        struct.unpack_from("=I", data, 4 * (at + count - 1))[0] for at in (FIELDS, OPERATORS, VALUES)
    )
    return number, operator, value


def kind(data: bytes) -> tuple[bytes, ...]:
    """Return what rules share that a kernel takes or refuses alike: their list, fields and operators (tuple)."""
    (count,) = struct.unpack_from("=I", data, 4 * COUNT)
    columns = (data[4 * at : 4 * (at + count)] for at in (FIELDS, OPERATORS))
    return (data[:4], *columns)


def length(header: bytes) -> int:
    """Return how many bytes of text (int) follow the ``header`` (bytes) of a rule."""
    return int(struct.unpack_from("=I", header, HEADER.size - 4)[0])


def listed(data: bytes, filter_: str, action: str) -> bytes:
    """Return ``data`` (bytes), as libaudit hands it over, as the kernel lists it: on a list, with an action (str)."""
    at = 4 * (FIELDS - 1)
    (last,) = struct.unpack_from("=I", data, at)
    head = struct.pack("=2I", FILTER_NUMBERS[filter_], ACTION_NUMBERS[action])
    return b"".join((head, data[8:at], struct.pack("=I", last & ~CLASS_BITS), data[at + 4 :]))


def with_condition(data: bytes, number: int, operator: int, value: int) -> bytes:
    """Return ``data`` (bytes) with one more condition behind its others: a field's ``number``, compared (int each)."""
    words = list(HEADER.unpack_from(data))
    count = words[COUNT]
    words[FIELDS + count], words[OPERATORS + count], words[VALUES + count] = number, operator, value
    words[COUNT] = count + 1
    return HEADER.pack(*words) + data[HEADER.size :]


def without(data: bytes, numbers: Collection[int]) -> bytes:
    """Return ``data`` (bytes) without its conditions on the fields of these ``numbers`` (collection of int)."""
    packed, strings = unpack(data)
    texts = iter(strings)
    rows = [(*row, next(texts) if row[0] in STRINGS else "") for row in packed.fields]
    kept = [row for row in rows if row[0] not in numbers]
    words = list(HEADER.unpack_from(data))
    buffer = b"".join(text.encode("utf-8", "surrogateescape") for *_numbers, text in kept)
    words[COUNT], words[-1] = len(kept), len(buffer)
    for at in range(MAX_FIELDS):
        number, operator, value = kept[at][:3] if at < len(kept) else (0, 0, 0)
        words[FIELDS + at], words[OPERATORS + at], words[VALUES + at] = number, operator, value
    return HEADER.pack(*words) + buffer
