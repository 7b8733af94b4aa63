"""
Every keyword of ``auditd.conf`` from auditd 3.0 to 4.2: its type, its limits, the versions that know it, and whether
auditd reads it again on a reload (SIGHUP).

Sources: auditd.conf(5) of 3.0, 3.0.9, 4.0.2 and 4.1.2; the parser of audit-userspace 3.0 to 4.2.1 where the page
is silent or wrong; each entry was tried with the installed parsers of 3.0, 3.0.9, 4.0.2 and 4.1.2. What a reload takes
up was measured, and read in auditd-reconfigure.c, where priority_boost is taken as a further nice(2) on top of the old
one.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Callable

from salt.exceptions import SaltInvocationError

INT_MAX = 2**31 - 1
ULONG_MAX = 2**64 - 1
PORT_MAX = 65535
# As people write it: 4.1.2 is (4, 1, 2).
Version = tuple[int, ...]
FIRST: Version = (3, 0)
# No version does it.
NEVER = None


class UnknownKeyword(SaltInvocationError):
    """A keyword that the installed auditd does not know, and that would stop it."""


class BadValue(SaltInvocationError):
    """A value that the keyword does not allow."""


class Type(typing.Protocol):
    """What a keyword allows."""

    @property
    def allowed(self) -> str:
        """What may be written, in words (str)."""

    def normal(self, text: str) -> str | None:
        """Return the form in which two values can be compared, or None when ``text`` (str) is not allowed."""


class Choice(typing.NamedTuple):
    """One of a few words; case does not matter."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What may be written, in words (str)."""
        return f"one of {', '.join(self.words)}"

    def normal(self, text: str) -> str | None:
        """Return the form in which two values can be compared, or None when ``text`` (str) is not allowed."""
        return text.lower() if text.lower() in self.words else None


class Action(Choice):
    """A word, or ``exec`` with the absolute path of a program."""

    @property
    def allowed(self) -> str:
        """What may be written, in words (str)."""
        return f"{super().allowed}, or exec with an absolute path"

    def normal(self, text: str) -> str | None:
        """As for :class:`Choice`; auditd ignores what follows another word than ``exec``."""
        word, _, rest = text.partition(" ")
        if word.lower() == "exec":
            program = rest.strip().split(" ")[0]
            return f"exec {program}" if program.startswith("/") else None
        return super().normal(word)


class Number(typing.NamedTuple):
    """A whole number; ``unit`` is for people."""

    low: int = 0
    high: int = INT_MAX
    unit: str = ""

    @property
    def allowed(self) -> str:
        """What may be written, in words (str)."""
        return " ".join(filter(None, [f"a whole number from {self.low} to {self.high}", self.unit]))

    def normal(self, text: str) -> str | None:
        """As for :class:`Choice`."""
        if not re.fullmatch("[0-9]{1,20}", text) or not self.low <= int(text) <= self.high:
            return None
        return str(int(text))


class Space:
    """Free space on the disk: MiB, or a share of the file system."""

    allowed = "a whole number (MiB), or 1% to 99%"

    def normal(self, text: str) -> str | None:
        """As for :class:`Choice`."""
        number, percent = text.removesuffix("%"), text.endswith("%")
        value = Number(1, 99).normal(number) if percent else Number(high=ULONG_MAX).normal(number)
        return value and value + "%" * percent


class Text(typing.NamedTuple):
    """A text of the given form, without spaces; case matters."""

    pattern: str = "[^ ]+"
    allowed: str = "a text without spaces"

    def normal(self, text: str) -> str | None:
        """As for :class:`Choice`."""
        return text if re.fullmatch(self.pattern, text) else None


class Ports:
    """A TCP port, or a range of them."""

    allowed = f"a port, or two with a dash, from 0 to {PORT_MAX}"

    def normal(self, text: str) -> str | None:
        """As for :class:`Choice`."""
        ports = [Number(0, PORT_MAX).normal(port) for port in text.split("-")]
        valid = [port for port in ports if port is not None]
        if len(ports) > 2 or len(valid) < len(ports) or int(valid[0]) > int(valid[-1]):
            return None
        return "-".join(valid)


class Interval:
    """A duration: a number of seconds, or with m, h, d, M for minutes, hours, days, months."""

    allowed = "seconds, or a number with m, h, d or M, up to 40 days"

    def normal(self, text: str) -> str | None:
        """As for :class:`Choice`: in seconds."""
        found = re.fullmatch("([0-9]{1,9})([mhdM]?)", text)
        if not found:
            return None
        seconds = int(found[1]) * {"": 1, "m": 60, "h": 3600, "d": 86400, "M": 30 * 86400}[found[2]]
        return str(seconds) if seconds <= 40 * 86400 else None


YES_NO = Choice(("yes", "no"))
PATH = Text("/[^ ]+", "an absolute path without spaces")
# auditd refuses a directory of fewer than four characters.
LOG_FILE = Text("/[^ ]{3,}/[^ /]+", "an absolute path, its directory of four characters or more")
MAIL = Text("[A-Za-z0-9@._-]{2,}", "an address of letters, digits and @ . - _")
MAIL_PLUS = Text("[A-Za-z0-9@._+-]{2,}", "an address of letters, digits and @ . - _ +")
DISK = ("ignore", "syslog", "rotate", "suspend", "single", "halt")
MAIL_DISK = (*DISK, "email")


class Keyword(typing.NamedTuple):
    """
    One keyword in one range of versions: ``since`` included, ``until`` excluded (tuples of int).

    ``reread`` is the first version that takes a new value up on a reload (SIGHUP); with :data:`NEVER` auditd has to be
    started again for it.
    """

    name: str
    type: Type
    since: Version = FIRST
    until: Version = ()
    default: str = ""
    reread: Version | None = FIRST

    def known_to(self, version: Version) -> bool:
        """Tell whether auditd ``version`` (tuple of int) has this entry."""
        return self.since <= version and not (self.until and version >= self.until)

    def read(self, text: str) -> str | None:
        """Return what auditd takes for its value where ``text`` (str) stands, comparable; None when it refuses that."""
        normal = self.type.normal(text)
        return AS_READ[self.name](text) if normal is None and self.name in AS_READ else normal

    def reread_by(self, version: Version) -> bool:
        """Tell whether auditd ``version`` (tuple of int) takes a new value up on a reload (SIGHUP)."""
        return self.reread is not None and self.reread <= version


def _space_as_read(text: str) -> str | None:
    # With a percent sign anywhere it is a share of the disk, and strtoul(3) reads the number in front.
    found = re.fullmatch("([0-9]{0,20})%[0-9%]*", text)
    share = int(found[1] or 0) if found else 100
    return f"{share}%" if share < 100 else None


def _ports_as_read(text: str) -> str | None:
    # The first number, and the one behind the last dash.
    found = re.fullmatch("([0-9]+)-[0-9-]*?([0-9]+)", text)
    return Ports().normal(f"{found[1]}-{found[2]}") if found else None


#: What auditd takes though it is not as it should be, by keyword: what it takes it for. Seen with 3.0.9.
AS_READ: dict[str, Callable[[str], str | None]] = {
    "space_left": _space_as_read,
    "admin_space_left": _space_as_read,
    "tcp_client_ports": _ports_as_read,
    "plugin_dir": lambda text: text if " " not in text else None,
}


KEYWORDS = (
    Keyword("local_events", YES_NO, default="yes", reread=NEVER),
    Keyword("write_logs", YES_NO, default="yes"),
    Keyword("log_file", LOG_FILE, default="/var/log/audit/audit.log"),
    Keyword("log_format", Choice(("raw", "nolog", "enriched")), default="enriched"),
    Keyword("log_group", Text(), default="0"),
    Keyword("flush", Choice(("none", "incremental", "incremental_async", "data", "sync")), default="none"),
    Keyword("freq", Number(unit="(records)"), default="0"),
    Keyword("num_logs", Number(0, 999, "(files)"), default="0"),
    Keyword("dispatcher", Text()),
    Keyword("name_format", Choice(("none", "hostname", "fqd", "numeric", "user")), default="none"),
    Keyword("name", Text()),
    Keyword("disp_qos", Text()),
    Keyword("max_log_file", Number(high=ULONG_MAX, unit="(MiB)"), default="0"),
    # 4.1 lists exec here, but its parser refuses the path that exec needs (so do 4.1.2 and 4.2.1).
    Keyword("max_log_file_action", Choice(("ignore", "syslog", "suspend", "rotate", "keep_logs")), default="ignore"),
    Keyword("space_left", Space(), default="0"),
    Keyword("space_left_action", Action(MAIL_DISK), until=(4, 0, 4), default="ignore"),
    Keyword("space_left_action", Action(tuple(w for w in MAIL_DISK if w != "halt")), (4, 0, 4), default="ignore"),
    Keyword("action_mail_acct", MAIL, until=(4, 0, 5), default="root"),
    Keyword("action_mail_acct", MAIL_PLUS, (4, 0, 5), default="root"),
    Keyword("verify_email", YES_NO, default="yes"),
    Keyword("admin_space_left", Space(), default="0"),
    Keyword("admin_space_left_action", Action(MAIL_DISK), default="ignore"),
    Keyword("disk_full_action", Action(DISK), default="ignore"),
    Keyword("disk_error_action", Action(tuple(w for w in DISK if w != "rotate")), default="syslog"),
    Keyword("priority_boost", Number(), default="4", reread=NEVER),
    Keyword("tcp_listen_port", Number(1, PORT_MAX), reread=NEVER),
    Keyword("tcp_listen_queue", Number(1, PORT_MAX), default="5", reread=(4, 1)),
    Keyword("tcp_max_per_addr", Number(1, 1024), default="1"),
    Keyword("use_libwrap", YES_NO, default="yes"),
    Keyword("tcp_client_ports", Ports(), default="0-65535"),
    Keyword("tcp_client_max_idle", Number(unit="(seconds)"), default="0"),
    Keyword("transport", Choice(("tcp", "krb5")), until=(4, 2), default="tcp", reread=NEVER),
    Keyword("transport", Choice(("tcp", "krb5", "tls")), (4, 2), default="tcp", reread=NEVER),
    Keyword("enable_krb5", YES_NO, default="no", reread=NEVER),
    Keyword("krb5_principal", Text()),
    Keyword("krb5_key_file", Text(), reread=(4, 2)),
    Keyword("tls_psk_file", PATH, (4, 2)),
    Keyword("tls_psk_identity", Text(), (4, 2)),
    Keyword("tls_cipher_suites", Text(), (4, 2)),
    Keyword("tls_key_exchange", Text(), (4, 2)),
    Keyword("tls_require_pqc", YES_NO, (4, 2), default="no"),
    Keyword("tls_auth", Choice(("psk",)), (4, 2), default="psk"),
    Keyword("tls_crypto_profile", Choice(("compatible", "system", "pqc")), (4, 2), default="compatible"),
    Keyword("tls_allowed_clients", PATH, (4, 2)),
    Keyword("distribute_network", YES_NO, default="no"),
    Keyword("q_depth", Number(0, 99999, "(events)"), until=(4, 2), default="2000"),
    Keyword("q_depth", Number(1, 99999, "(events)"), (4, 2), default="2000"),
    Keyword("overflow_action", Choice(("ignore", "syslog", "suspend", "single", "halt")), default="syslog"),
    Keyword("max_restarts", Number(), default="10"),
    Keyword("plugin_dir", PATH, default="/etc/audit/plugins.d"),
    Keyword("end_of_event_timeout", Number(high=ULONG_MAX, unit="(seconds)"), (3, 0, 1), default="2", reread=NEVER),
    Keyword("report_interval", Interval(), (4, 0, 5), default="0"),
)
NEWEST = max(keyword.since for keyword in KEYWORDS)
# What some version reads only when it starts.
READ_AT_START = tuple(dict.fromkeys(keyword.name for keyword in KEYWORDS if keyword.reread != FIRST))
ENTRIES: dict[str, list[Keyword]] = {}
for _keyword in KEYWORDS:
    ENTRIES.setdefault(_keyword.name, []).append(_keyword)


def lookup(name: str, version: Version | None = None) -> Keyword:
    """
    Return the :class:`Keyword` called ``name``.

    name
        As written (str); case does not matter.
    version
        The auditd that must know it (tuple of int, for example ``(3, 0, 9)``); the newest when None.

    Raises :class:`UnknownKeyword`, which says what was meant or which version is needed.
    """
    # Who asks for the keyword 5 has a number from YAML.
    name = str(name)
    entries = ENTRIES.get(name.lower(), [])
    for keyword in entries:
        if keyword.known_to(version or NEWEST):
            return keyword
    raise UnknownKeyword(_unknown(name, entries, version))


def _unknown(name: str, entries: list[Keyword], version: Version | None) -> str:
    if entries and version:
        return f"auditd {dotted(version)} does not know the keyword {name!r}: it came with {dotted(entries[0].since)}."
    near = difflib.get_close_matches(name.lower(), known(version), 1)
    return f"auditd.conf has no keyword {name!r}" + (f"; did you mean {near[0]!r}?" if near else ".")


def known(version: Version | None = None) -> list[str]:
    """Return the names (list of str) of the keywords that auditd ``version`` (tuple of int, None: newest) knows."""
    return list(dict.fromkeys(keyword.name for keyword in KEYWORDS if keyword.known_to(version or NEWEST)))


def dotted(version: Version) -> str:
    """Return ``version`` (tuple of int) as people write it (str)."""
    return ".".join(map(str, version))


def written(name: str, value: object, version: Version | None = None) -> str | None:
    """
    Return ``value`` as it stands in the file (str), or None for None (no line at all).

    name
        The keyword (str).
    value
        What a pillar may hold: int, str, or bool for yes and no.
    version
        The auditd that will read it (tuple of int); the newest when None.

    Raises :class:`UnknownKeyword` or :class:`BadValue`.
    """
    keyword = lookup(name, version)
    if value is None:
        return None
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value).strip()
    if keyword.type.normal(text) is None or not isinstance(value, (bool, int, str)) or not text.isprintable():
        raise BadValue(f"{keyword.name} = {value!r} is not possible: auditd wants {keyword.type.allowed}.")
    return text


def same(name: str, one: str | None, other: str | None, version: Version | None = None) -> bool:
    """Tell whether two values (str as written, or None) of the keyword ``name`` (str) mean the same to auditd."""
    if one is None or other is None:
        return one is other
    normal = lookup(name, version).type.normal
    return normal(one) == normal(other)
