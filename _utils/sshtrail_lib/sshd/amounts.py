"""
Values that are numbers: amounts, times, rates, masks and classes of service.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sshtrail_lib.sshd.daemon import ARGV_SINCE, Arguments, BadValue, Daemon
from sshtrail_lib.sshd.keywords import Keyword
from sshtrail_lib.sshd.kinds import bare, end, one

INT_MAX = 2**31 - 1


def _integer(word: str, low: int = 0, high: int = INT_MAX) -> int:
    if not re.fullmatch(r"[ \t]*[+-]?[0-9]+", word) or not low <= int(word) <= high:
        raise BadValue(f"takes a whole number from {low} to {high}, not {word!r}")
    return int(word)


def number(word: str, _daemon: Daemon) -> str:
    """Return the whole number that ``word`` (str) is."""
    return str(_integer(word))


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(word: str, limit: int = INT_MAX) -> int:
    """
    Return the seconds (int) in a time such as ``1h30m`` (str), as sshd_config(5) "TIME FORMATS" says.

    Raises BadValue for what is no time, or is above ``limit`` (int).
    """
    if not re.fullmatch(r"(?:[+]?[0-9]+[smhdw])*(?:[+]?[0-9]+[smhdw]?)", word, re.IGNORECASE):
        raise BadValue(f"takes a time such as 30, 2m or 1h30m, not {word!r}")
    total = sum(int(n) * _UNITS[unit.lower()] for n, unit in re.findall(r"([0-9]+)([a-z]?)", word, re.IGNORECASE))
    if total > limit:
        raise BadValue(f"takes a time of at most {limit} seconds, not {word!r}")
    return total


def time(word: str, daemon: Daemon) -> str:
    """Return the seconds in a time such as ``1h30m`` (str)."""
    if daemon.release >= (8, 5):
        return str(seconds(word))
    # A long that is then kept as an int.
    return str((seconds(word, 2**63 - 1) + 2**31) % 2**32 - 2**31)


def idle(_keyword: Keyword, occurrences: Sequence[Arguments], _daemon: Daemon) -> list[str]:
    """Return the seconds of UnusedConnectionTimeout, or none."""
    words = [one(arguments) for arguments in occurrences]
    values = [0 if word.lower() == "none" else seconds(word) for word in words]
    # "none" overrides whatever an earlier line says; any other value only fills a gap.
    first = 0 if any(word.lower() == "none" for word in words) else values[0]
    return [str(first) if first else "none"]


def startups(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    """Return ``START:RATE:FULL`` of MaxStartups."""
    rate, printed = 30, []
    for arguments in occurrences:
        begin, rate, full = _startup(one(arguments), rate if daemon.release < (10, 1) else 30, daemon)
        printed = [f"{begin}:{rate}:{full}"]
    return printed


def _startup(word: str, rate: int, daemon: Daemon) -> tuple[int, int, int]:
    found = re.match(r"[ \t\v\f]*([+-]?\d+)(?::[ \t\v\f]*([+-]?\d+)(?::[ \t\v\f]*([+-]?\d+))?)?", word, re.ASCII)
    begin, given, full = found.groups() if found else (None, None, None)
    if begin is None or (given is not None and full is None):
        raise BadValue(f"takes START or START:RATE:FULL, not {word!r}")
    numbers = int(begin), int(given or rate), int(full or begin)
    if numbers[0] > numbers[2] or not 1 <= numbers[1] <= 100:
        raise BadValue(f"takes START:RATE:FULL with START up to FULL and RATE from 1 to 100, not {word!r}")
    if daemon.release >= ARGV_SINCE and numbers[0] <= 0:
        raise BadValue(f"takes numbers above 0, not {word!r}")
    return numbers


def persource(word: str, _daemon: Daemon) -> str:
    """Return a number of connections, or none."""
    return "none" if word == "none" else str(_integer(word))


_SCALES = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


def _amount(word: str) -> int:
    if word == "default":
        return 0
    found = re.fullmatch(r"[ \t\v\f]*\+?(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?([bkmgtpe]?)", word, re.IGNORECASE)
    if not found:
        raise BadValue(f"takes an amount such as 1G, or default, not {word!r}")
    whole, fraction, unit = found.groups()
    scale = 1024 ** _SCALES[unit.lower()]
    amount = int(whole or 0) * scale + int(fraction or 0) * scale // 10 ** len(fraction or "")
    if 0 < amount < 16 or amount >= 2**63:
        raise BadValue(f"takes at least 16 bytes, and less than 8E, not {word!r}")
    return amount


def rekey(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    """Return the bytes and the seconds of RekeyLimit."""
    amounts, times = [], []
    for arguments in occurrences:
        words = arguments.words
        if not words or not words[0]:
            raise BadValue("needs an amount")
        amounts.append(_amount(words[0]))
        bare(arguments, daemon)
        if len(words) > 1 and words[1] != "none":
            times.append(seconds(words[1]))
        end(arguments, 2)
    return [f"{amounts[0]} {times[0] if times else 0}"]


def mask(word: str, _daemon: Daemon) -> str:
    """Return the octal mask that ``word`` (str) is."""
    found = re.match(r"[ \t\v\f]*\+?([0-7]+)", word)
    if not found or int(found[1], 8) > 0o777:
        raise BadValue(f"takes an octal mask up to 0777, not {word!r}")
    return f"0{int(found[1], 8):o}" if int(found[1], 8) else "00"


_DSCP = {
    **{f"af{c}{d}": c * 32 + d * 8 for c in (1, 2, 3, 4) for d in (1, 2, 3)},
    **{f"cs{n}": n * 32 for n in range(8)},
    "ef": 0xB8,
    "le": 0x04,
    "lowdelay": 0x10,
    "throughput": 0x08,
    "reliability": 0x04,
}
_PLAIN_DSCP = re.compile(r"af[1-4][1-3]|cs[0-7]|ef|le|none", re.IGNORECASE)


def _service_class(word: str, daemon: Daemon) -> str:
    if word.lower() == "none":
        return "none"
    names = {**_DSCP, "le": 0x01} if daemon.release < (8, 5) else _DSCP
    number = names.get(word.lower(), -1)
    if number < 0:
        found = re.fullmatch(r"[ \t]*\+?(0x[0-9a-f]+|[0-9]+)", word, re.IGNORECASE)
        number = _c_integer(found[1]) if found else -1
    if not 0 <= number <= 255:
        raise BadValue(f"takes a DSCP name such as af21, a number up to 255, or none, not {word!r}")
    return {number: name for name, number in reversed(names.items())}.get(number, f"0x{number:02x}")


def _c_integer(digits: str) -> int:
    if digits.lower().startswith("0x"):
        return int(digits, 16)
    return int(digits, 8 if digits.startswith("0") and set(digits) <= set("01234567") else 10)


def qos(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    """Return the two classes of IPQoS."""
    arguments = occurrences[-1]
    words = arguments.words
    if not words or not words[0]:
        raise BadValue("needs a value")
    end(arguments, 2)
    bare(arguments, daemon)
    if daemon.release >= (10, 0) and not all(_PLAIN_DSCP.fullmatch(word) for word in words):
        # Numbers and the names of RFC 1349 are on their way out, in one release after the other.
        return daemon.ask(keyword.name, [arguments])
    return [" ".join(_service_class(word, daemon) for word in (words * 2)[:2])]
