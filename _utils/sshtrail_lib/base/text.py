"""
Text: split into lines that keep their endings, made safe to show whoever wrote it; and times in one form.
"""

from __future__ import annotations

import datetime
import re
import typing

#: Characters of a value that are shown.
LONGEST = 200
LINE = re.compile(rb"[^\n]*\n|[^\n]+")
#: What Python takes for printable, and nobody sees (Unicode: Default_Ignorable_Code_Point, and a blank of Braille's):
#: two names can differ by it alone.
UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
#: Half of a character that has two: no file can hold it.
HALF = "\ud800-\udc7f\udd00-\udfff"
#: How proc(5) writes a character that would end a word.
OCTAL = re.compile(r"\\([0-7]{3})")
#: What begins a formula where a spreadsheet reads a file, be it as wide as a letter of Japanese.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def lines(data: bytes) -> list[bytes]:
    """
    Split ``data`` (bytes) into lines that keep their endings; joining them gives ``data`` again.

    Only a line feed ends a line, as for ``getline(3)``: a carriage return alone belongs to the line.
    """
    return LINE.findall(data)


def of_proc(word: str) -> str:
    """Return a path (str) as it is, of a ``word`` (str) of proc(5), which has spaces and the like in octal numbers."""
    return OCTAL.sub(lambda found: chr(int(found[1], 8)), word)


def printable(value: bytes) -> str:
    """Return ``value`` (bytes) as str that is safe to show: what is no printable character is escaped."""
    text = value.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def line(text: str, longest: int = LONGEST) -> str:
    """Return ``text`` (str) as one printable line of at most ``longest`` characters; what is no such is escaped."""
    # What is not shown is not escaped: somebody may have written megabytes.
    text = text[: longest + 1]
    safe = text if _shows(text) else "".join(map(_escaped, text))
    return safe if len(safe) <= longest else safe[: longest - 1] + "…"


def cell(value: str, longest: int) -> str:
    """Return text (str) for a table that a spreadsheet reads: a line of at most ``longest`` characters, no formula."""
    safe = line(value, longest)
    return f"'{safe}" if safe.lstrip().startswith(FORMULA) else safe


def bounded(value: typing.Any, most: int, keys: int = 50) -> typing.Any:
    """
    Return plain data in which every text is one line (:func:`line`), and that has no more than it may have.

    most, keys
        How many parts of each list, and how many keys of each mapping stay (int).
    """
    if isinstance(value, str):
        return line(value)
    if isinstance(value, dict):
        return {line(str(name)): bounded(one, most, keys) for name, one in list(value.items())[:keys]}
    return [bounded(one, most, keys) for one in value[:most]] if isinstance(value, (list, tuple)) else value


def plain(value: typing.Any, levels: int = 20) -> typing.Any:
    """
    Return what somebody else told as data that JSON can hold and no terminal obeys.

    Each text, keys included, is printable but for line feeds and tabulators; what is no number (NaN, the infinities,
    one that no 64 bits hold) or lies deeper than ``levels`` (int) is None; what is neither is shown as text.
    """
    if isinstance(value, str):
        return value if _shows(value) else "".join(map(_harmless, value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if abs(value) < 2**63 else None
    if levels and isinstance(value, dict):
        return {line(str(name)): plain(one, levels - 1) for name, one in value.items()}
    if levels and isinstance(value, (list, tuple)):
        return [plain(one, levels - 1) for one in value]
    return None if isinstance(value, (dict, list, tuple)) else line(str(value))


def _harmless(sign: str) -> str:
    return sign if sign in "\n\t" else _escaped(sign)


def _escaped(sign: str) -> str:
    return sign if _shows(sign) else ascii(sign)[1:-1]


def _shows(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not UNSEEN.search(text))


def iso(seconds: float) -> str:
    """Return a time (float, seconds since the epoch) as ISO 8601 in UTC with milliseconds (str)."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(stamp: str) -> float | None:
    """Return the time (float, seconds since the epoch) that ISO 8601 text with an offset or Z says, None for none."""
    try:
        found = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def span(seconds: float) -> str:
    """Return a span of time (float, seconds) as a person reads it (str)."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
