"""
The language of ``auditd.conf``: text to lines and back, which line counts, what auditd works with.

auditd splits each line at spaces and nothing else, takes the last line of a keyword, and skips a line that is too
long for its buffer and a last line without a line feed.
"""

from __future__ import annotations

import functools
import re
import typing

from sshtrail_lib.auditd import keywords
from sshtrail_lib.base import text

PATH = "/etc/audit/auditd.conf"
# auditd reads with fgets(3) into 160 bytes, from LONGER_SINCE on into 512.
LONGEST, LONGEST_BEFORE, LONGER_SINCE = 511, 159, (4, 1, 3)


class Line(typing.NamedTuple):
    """One line: its number from 1, its bytes with the ending, and what stands in it."""

    number: int
    raw: bytes

    @property
    def words(self) -> tuple[str, ...]:
        """What auditd sees (tuple of str): split at spaces only, nothing in a comment or a blank line."""
        return _words(self.raw)

    @property
    def skipped(self) -> bool:
        """Whether auditd passes over this line for its form (bool)."""
        return not self.raw.endswith(b"\n") or len(self.raw) > LONGEST

    @property
    def sets(self) -> bool:
        """Whether auditd takes a value from this line (bool)."""
        words = self.words
        return not self.skipped and len(words) > 2 and words[1] == "=" and words[0].lower() == self.keyword

    @property
    def keyword(self) -> str:
        """The keyword in lower case (str), also where the line is written wrongly; "" when there is none."""
        return _keyword(self.raw)

    @property
    def value(self) -> str:
        """The value as written (str)."""
        return " ".join(self.words[2:])


# Each keyword of a policy is looked for in each line.
@functools.lru_cache(maxsize=4096)
def _words(raw: bytes) -> tuple[str, ...]:
    # For people and comparison only: what is written back is always the bytes.
    shown = raw.removesuffix(b"\n").decode("utf-8", "backslashreplace")
    words = tuple(word for word in shown.split(" ") if word)
    return () if words and words[0].startswith("#") else words


@functools.lru_cache(maxsize=4096)
def _keyword(raw: bytes) -> str:
    found = re.match(rb"[ \t]*([A-Za-z0-9_]+)", raw) if _words(raw) else None
    return found[1].decode().lower() if found else ""


def parse(data: bytes) -> list[Line]:
    """Split ``data`` (bytes) into :class:`Line` objects; their ``raw`` joined is ``data`` again."""
    return [Line(number, raw) for number, raw in enumerate(text.lines(data), 1)]


@functools.lru_cache(maxsize=8)
def deciding(data: bytes) -> dict[str, Line]:
    """Return the line that counts for each keyword of ``data`` (bytes) (dict of keyword to :class:`Line`, shared)."""
    return {line.keyword: line for line in parse(data) if line.sets}


@functools.lru_cache(maxsize=8)
def settings(data: bytes) -> dict[str, str]:
    """Return what ``data`` (bytes) sets: a dict of keyword (lower case) to value as written (str), shared."""
    return {keyword: line.value for keyword, line in deciding(data).items()}


def effective(data: bytes, keyword: str) -> str:
    """Return the value (str, comparable) that auditd works with for ``keyword``, its default when unset."""
    entry = keywords.lookup(keyword)
    return entry.read(settings(data).get(keyword, entry.default)) or entry.default


def writes_log(data: bytes) -> bool:
    """Tell whether auditd writes a log at all with ``data`` (bytes)."""
    return effective(data, "write_logs") == "yes" and effective(data, "log_format") != "nolog"
