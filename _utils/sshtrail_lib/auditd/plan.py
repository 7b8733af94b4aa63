"""
What has to change in ``auditd.conf``: the values of a policy, the smallest edit, what differs then, what auditd would
refuse, and whether it takes the change up on a reload.
"""

from __future__ import annotations

import posixpath
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping

from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.auditd import keywords, language
from sshtrail_lib.auditd.keywords import Version

# Under these the name of the host is looked up when auditd starts, and only then.
RESOLVED = ("hostname", "fqd", "numeric")
# From this version on a reload opens a listener where there was none.
OPENS_LISTENER_SINCE = (4, 1)


class Refused(CommandExecutionError):
    """auditd would not start with this file, or not do what it says."""


class Problem(typing.NamedTuple):
    """
    What is wrong: the line's number (0: none in particular), its keyword ("" for none), the reason, and whether auditd
    takes it all the same.
    """

    line: int
    keyword: str
    reason: str
    passes: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


def wanted(config: object, version: Version | None = None) -> dict[str, str | None]:
    """
    Return ``config`` (mapping of keyword to int, bool, str or None) as it would be written: lower case keyword to str.

    None means that the keyword is not to be there. Raises
    :class:`~sshtrail_lib.auditd.keywords.UnknownKeyword`, :class:`~sshtrail_lib.auditd.keywords.BadValue`, or
    :class:`~salt.exceptions.SaltInvocationError` when it is no mapping.
    """
    if not isinstance(config, dict) or not all(isinstance(name, str) for name in config):
        raise SaltInvocationError(f"auditd.conf needs a mapping of keywords to values, not {config!r}.")
    texts = {name.lower(): keywords.written(name, value, version) for name, value in config.items()}
    if len(texts) < len(config):
        raise SaltInvocationError(f"One keyword of auditd.conf stands twice in {', '.join(config)}.")
    return texts


def edit(data: bytes, config: Mapping[str, str | None], version: Version | None = None) -> bytes:
    """
    Return ``data`` (bytes) with the values of ``config`` (from :func:`wanted`), all else untouched.

    A value that means the same stays as written. A changed line is written in its place, a new one after the
    commented default of its keyword, else at the end.
    """
    lines = [line.raw for line in language.parse(data)]
    if lines and language.Line(0, lines[-1]).words and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    for keyword, value in config.items():
        lines = _with(lines, keyword, value, version)
    return b"".join(lines)


def _with(lines: list[bytes], keyword: str, value: str | None, version: Version | None) -> list[bytes]:
    places = [index for index, raw in enumerate(lines) if language.Line(0, raw).keyword == keyword]
    if value is None:
        return [raw for index, raw in enumerate(lines) if index not in places]
    new = f"{keyword} = {value}\n".encode()
    if not places:
        return _insert(lines, keyword, new)
    last = language.Line(0, lines[places[-1]])
    if last.sets and keywords.same(keyword, last.value, value, version):
        return lines
    return [*lines[: places[-1]], new, *lines[places[-1] + 1 :]]


def _insert(lines: list[bytes], keyword: str, new: bytes) -> list[bytes]:
    default = re.compile(rb"[ \t]*#[# \t]*" + keyword.encode() + rb"[ \t]*=", re.IGNORECASE)
    places = [index + 1 for index, raw in enumerate(lines) if default.match(raw)] or [len(lines)]
    if keyword == "verify_email":
        # It counts only for an address that follows it.
        address = [index for index, raw in enumerate(lines) if language.Line(0, raw).keyword == "action_mail_acct"]
        places = address[:1] or places
    head = lines[: places[-1]]
    if head and not head[-1].endswith(b"\n"):
        head[-1] += b"\n"
    return [*head, new, *lines[places[-1] :]]


def differences(data: bytes, candidate: bytes, version: Version | None = None) -> dict[str, dict[str, str | None]]:
    """Return ``{keyword: {"old": value, "new": value}}``: what ``candidate`` (bytes) sets otherwise than ``data``."""
    old, new = language.settings(data), language.settings(candidate)
    return {
        keyword: {"old": old.get(keyword), "new": new.get(keyword)}
        for keyword in {**old, **new}
        if old.get(keyword) != new.get(keyword) and not _same(keyword, old.get(keyword), new.get(keyword), version)
    }


def _same(keyword: str, old: str | None, new: str | None, version: Version | None) -> bool:
    return keyword in keywords.known(version) and keywords.same(keyword, old, new, version)


def needs_restart(data: bytes | None, candidate: bytes, version: Version | None = None) -> bool:
    """
    Tell whether auditd takes up ``candidate`` (bytes) instead of ``data`` (bytes) only when it starts (bool).

    ``data`` is None when nobody knows what the daemon read: then each keyword counts as changed that is not at
    its default.
    """
    at = version or keywords.NEWEST
    names = (*keywords.READ_AT_START, "name", "name_format")
    changed = {name for name in names if language.effective(data or b"", name) != language.effective(candidate, name)}
    if language.effective(candidate, "name_format") in RESOLVED and _loses_name(changed, candidate, at):
        return True
    return any(_unread(name, data, at) for name in changed)


def _loses_name(changed: set[str], candidate: bytes, version: Version) -> bool:
    # The name is resolved at the start only: a reload puts the configured one, or "(null)", in its place.
    return "name_format" in changed or "name" in language.settings(candidate) or version >= (4, 2)


def _unread(keyword: str, data: bytes | None, version: Version) -> bool:
    if keyword == "tcp_listen_port" and data is not None and keyword not in language.settings(data):
        return version < OPENS_LISTENER_SINCE
    return not keywords.lookup(keyword).reread_by(version)


def problems(data: bytes, version: Version | None = None) -> list[Problem]:
    """
    Return everything in ``data`` (bytes) for which auditd would not start, or which it would pass over.

    version
        The auditd that will read it (tuple of int); the newest when None.

    Returns a list of :class:`Problem`, in the order of the lines, then what does not fit together.
    """
    found = [problem for line in language.parse(data) for problem in _line_problems(line, version)]
    return found if any(blocking(found)) else [*found, *_relations(data)]


def blocking(found: Iterable[Problem]) -> list[Problem]:
    """Return those of ``found`` (iterable of :class:`Problem`) with which auditd would not start, or do otherwise."""
    return [problem for problem in found if not problem.passes]


def _line_problems(line: language.Line, version: Version | None) -> Iterator[Problem]:
    if line.words:
        if reason := _form(line, version) or _meaning(line, version):
            yield Problem(line.number, line.keyword, reason)
        elif reason := _manner(line, version):
            yield Problem(line.number, line.keyword, reason, passes=True)


def _form(line: language.Line, version: Version | None) -> str:
    longest = language.LONGEST_BEFORE if (version or keywords.NEWEST) < language.LONGER_SINCE else language.LONGEST
    if b"\0" in line.raw or b"\r" in line.raw or "\t" in "".join(line.words):
        return "a tab, a carriage return or a NUL stands in it, and auditd takes only spaces."
    if len(line.raw) > longest:
        return f"auditd passes over a line of more than {longest} bytes."
    if not line.raw.endswith(b"\n"):
        return "auditd passes over a last line without a line feed."
    if not line.sets:
        return f"auditd needs 'keyword = value' with spaces, not {' '.join(line.words)!r}."
    return ""


def _meaning(line: language.Line, version: Version | None) -> str:
    try:
        entry = keywords.lookup(line.words[0], version)
    except keywords.UnknownKeyword as exc:
        return exc.message
    if len(line.words) > 3 and not isinstance(entry.type, keywords.Action):
        return f"{line.keyword} takes one value, and {line.words[3]!r} follows it."
    if entry.read(line.value) is None:
        return f"{line.keyword} = {line.value!r} is not possible: auditd wants {entry.type.allowed}."
    return ""


def _manner(line: language.Line, version: Version | None) -> str:
    """Return how a value that auditd takes should be written (str), "" where it is."""
    entry = keywords.lookup(line.words[0], version)
    if entry.type.normal(line.value) is not None:
        return ""
    wants = f"{line.keyword} = {line.value!r} should be {entry.type.allowed}"
    return f"{wants}; auditd takes it for {entry.read(line.value)}."


def _relations(data: bytes) -> Iterator[Problem]:
    lines = language.deciding(data)
    for test, keyword, reason in RELATIONS:
        if data and test(data):
            yield Problem(lines[keyword].number if keyword in lines else 0, keyword, reason)


def _space_is_reversed(data: bytes) -> bool:
    left, admin = language.effective(data, "space_left"), language.effective(data, "admin_space_left")
    # Of a percentage and MiB only the volume tells which is more; nothing is less than 0.
    same_unit = left.endswith("%") == admin.endswith("%")
    return left == "0" or (same_unit and int(left.removesuffix("%")) <= int(admin.removesuffix("%")))


def _flush_never(data: bytes) -> bool:
    return (
        language.effective(data, "flush") in ("incremental", "incremental_async")
        and language.effective(data, "freq") == "0"
    )


def _log_of_one_record(data: bytes) -> bool:
    # No size is not without a limit: auditd has reached it at each record, and does what it does at the largest.
    return (
        language.effective(data, "max_log_file") == "0" and language.effective(data, "max_log_file_action") != "ignore"
    )


def _group_in_var_log(data: bytes) -> bool:
    directory = posixpath.dirname(language.effective(data, "log_file"))
    return directory == "/var/log" and language.effective(data, "log_group") not in ("0", "root")


def _name_missing(data: bytes) -> bool:
    return language.effective(data, "name_format") == "user" and "name" not in language.settings(data)


def _address_is_odd(data: bytes) -> bool:
    lines = language.deciding(data)
    address, verify = lines.get("action_mail_acct"), lines.get("verify_email")
    if not address or (verify and verify.value.lower() == "no" and verify.number < address.number):
        return False
    return bool(re.fullmatch("[^@]*@[^.]*", address.value))


def _tls_lacks_key(data: bytes) -> bool:
    present = language.settings(data)
    if language.effective(data, "transport") != "tls" or "tls_allowed_clients" in present:
        return False
    return "tls_psk_file" not in present or "tls_psk_identity" not in present


def _pqc_is_undone(data: bytes) -> bool:
    profile = language.settings(data).get("tls_crypto_profile", "pqc")
    return language.effective(data, "tls_require_pqc") == "yes" and profile.lower() != "pqc"


RELATIONS: tuple[tuple[Callable[[bytes], bool], str, str], ...] = (
    (_space_is_reversed, "space_left", "space_left must be larger than admin_space_left."),
    (_flush_never, "freq", "flush = incremental or incremental_async needs a freq above 0."),
    (
        _log_of_one_record,
        "max_log_file",
        "max_log_file must be above 0, for auditd has reached 0 at each record (or max_log_file_action = ignore).",
    ),
    (_group_in_var_log, "log_file", "log_file may not stand directly in /var/log when log_group is not root."),
    (_name_missing, "name_format", "name_format = user needs a name."),
    (_address_is_odd, "action_mail_acct", "action_mail_acct needs a dot after its @ (or verify_email = no before it)."),
    (_tls_lacks_key, "transport", "transport = tls needs tls_psk_file with tls_psk_identity, or tls_allowed_clients."),
    (_pqc_is_undone, "tls_crypto_profile", "tls_require_pqc = yes needs tls_crypto_profile = pqc."),
)


#: The keywords that each relation is about, by the one that is blamed.
ABOUT = {
    "space_left": ("space_left", "admin_space_left"),
    "freq": ("flush", "freq"),
    "max_log_file": ("max_log_file", "max_log_file_action"),
    "log_file": ("log_file", "log_group"),
    "name_format": ("name_format", "name"),
    "action_mail_acct": ("action_mail_acct", "verify_email"),
    "transport": ("transport", "tls_psk_file", "tls_psk_identity", "tls_allowed_clients"),
    "tls_crypto_profile": ("tls_crypto_profile", "tls_require_pqc"),
}


#: What the file of no package has: a policy that needs it must name it.
UNSHIPPED = frozenset(("name",))
#: What the file of every package has: whoever names one of two that belong together asks for the other as it is there.
SHIPPED = {
    **{"space_left": "75", "admin_space_left": "50", "flush": "incremental_async", "freq": "50"},
    **{"max_log_file": "8", "max_log_file_action": "rotate"},
}


def unfit(config: Mapping[str, typing.Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """
    Yield what does not fit together among values, whatever else a host's file says: the keywords, the one that is
    blamed first (tuple of str), and the reason (str).

    config
        As for :func:`wanted`, which also says what is raised. A relation with a keyword that it does not name is left
        to the host, unless no package's file has one, or each the same (:data:`UNSHIPPED`, :data:`SHIPPED`).
    """
    texts = wanted(config)
    for one in _relations(edit(b"", {**SHIPPED, **texts})):
        about = ABOUT[one.keyword]
        shipped = [name for name in about if name in SHIPPED and name not in texts]
        # Where one of them is to go, who knows what the host has then.
        known = not shipped or None not in map(texts.get, set(about) - set(shipped))
        if known and set(about) <= {*texts, *UNSHIPPED, *shipped} and set(about) & set(texts):
            told = ", ".join(f"{name} = {SHIPPED[name]}" for name in shipped)
            reason = f"{one.reason.removesuffix('.')} (packages ship {told})" if shipped else one.reason
            yield (one.keyword, *(name for name in about if name != one.keyword)), reason


def demand(found: Iterable[Problem], path: str) -> None:
    """Raise :class:`Refused` with every one of ``found`` (list of :class:`Problem`) in ``path`` (str), if any."""
    if sentences := " ".join(map(str, found)):
        raise Refused(f"{path}: {sentences}")
