"""
The language of ``auditd.conf``: text to lines and back, which line counts, what auditd would refuse, minimal edits.

auditd splits each line at spaces and nothing else, takes the last line of a keyword, and skips a line that is too
long for its buffer and a last line without a line feed.
"""

import functools
import grp
import os
import posixpath
import re
import stat
import typing

from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.auditd import keywords
from sshtrail_lib.base import text

PATH = "/etc/audit/auditd.conf"
# auditd reads with fgets(3) into 160 bytes, from 4.1.3 on into 512.
LONGEST, LONGEST_BEFORE, LONGER_SINCE = 511, 159, (4, 1, 3)
RESOLVED = ("hostname", "fqd", "numeric")
# Not taken up on SIGHUP, with the first version that does. Measured, and read in auditd-reconfigure.c, where
# priority_boost is taken as a further nice(2) on top of the old one.
NOT_RELOADED = {
    "local_events": None,
    "transport": None,
    "enable_krb5": None,
    "priority_boost": None,
    "end_of_event_timeout": None,
    "tcp_listen_port": None,
    "tcp_listen_queue": (4, 1),
    "krb5_key_file": (4, 2),
}
PROGRAM_MODES = (0o750, 0o755, 0o555, 0o550)


class Refused(CommandExecutionError):
    """auditd would not start with this file, or not do what it says."""


class Problem(typing.NamedTuple):
    """What is wrong: the line's number (0: none in particular), its keyword ("" for none) and the reason."""

    line: int
    keyword: str
    reason: str

    def __str__(self):
        return f"line {self.line}: {self.reason}" if self.line else self.reason


class Line(typing.NamedTuple):
    """One line: its number from 1, its bytes with the ending, and what stands in it."""

    number: int
    raw: bytes

    @property
    def words(self):
        """What auditd sees (tuple of str): split at spaces only, nothing in a comment or a blank line."""
        return _words(self.raw)

    @property
    def skipped(self):
        """Whether auditd passes over this line for its form (bool)."""
        return not self.raw.endswith(b"\n") or len(self.raw) > LONGEST

    @property
    def sets(self):
        """Whether auditd takes a value from this line (bool)."""
        words = self.words
        return not self.skipped and len(words) > 2 and words[1] == "=" and words[0].lower() == self.keyword

    @property
    def keyword(self):
        """The keyword in lower case (str), also where the line is written wrongly; "" when there is none."""
        return _keyword(self.raw)

    @property
    def value(self):
        """The value as written (str)."""
        return " ".join(self.words[2:])


# Each keyword of a policy is looked for in each line.
@functools.lru_cache(maxsize=4096)
def _words(raw):
    # For people and comparison only: what is written back is always the bytes.
    text = raw.removesuffix(b"\n").decode("utf-8", "backslashreplace")
    words = tuple(word for word in text.split(" ") if word)
    return () if words and words[0].startswith("#") else words


@functools.lru_cache(maxsize=4096)
def _keyword(raw):
    found = re.match(rb"[ \t]*([A-Za-z0-9_]+)", raw) if _words(raw) else None
    return found[1].decode().lower() if found else ""


def parse(data):
    """Split ``data`` (bytes) into :class:`Line` objects; their ``raw`` joined is ``data`` again."""
    return [Line(number, raw) for number, raw in enumerate(text.lines(data), 1)]


@functools.lru_cache(maxsize=8)
def deciding(data):
    """Return the line that counts for each keyword of ``data`` (bytes) (dict of keyword to :class:`Line`, shared)."""
    return {line.keyword: line for line in parse(data) if line.sets}


@functools.lru_cache(maxsize=8)
def settings(data):
    """Return what ``data`` (bytes) sets: a dict of keyword (lower case) to value as written (str), shared."""
    return {keyword: line.value for keyword, line in deciding(data).items()}


def effective(data, keyword):
    """Return the value (str, comparable) that auditd works with for ``keyword``, its default when unset."""
    entry = keywords.lookup(keyword)
    return entry.type.normal(settings(data).get(keyword, entry.default)) or entry.default


def writes_log(data):
    """Tell whether auditd writes a log at all with ``data`` (bytes)."""
    return effective(data, "write_logs") == "yes" and effective(data, "log_format") != "nolog"


def wanted(config, version=None):
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


def edit(data, config, version=None):
    """
    Return ``data`` (bytes) with the values of ``config`` (from :func:`wanted`), all else untouched.

    A value that means the same stays as written. A changed line is written in its place, a new one after the
    commented default of its keyword, else at the end.
    """
    lines = [line.raw for line in parse(data)]
    if lines and Line(0, lines[-1]).words and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    for keyword, value in config.items():
        lines = _with(lines, keyword, value, version)
    return b"".join(lines)


def _with(lines, keyword, value, version):
    places = [index for index, raw in enumerate(lines) if Line(0, raw).keyword == keyword]
    if value is None:
        return [raw for index, raw in enumerate(lines) if index not in places]
    new = f"{keyword} = {value}\n".encode()
    if not places:
        return _insert(lines, keyword, new)
    last = Line(0, lines[places[-1]])
    if last.sets and keywords.same(keyword, last.value, value, version):
        return lines
    return [*lines[: places[-1]], new, *lines[places[-1] + 1 :]]


def _insert(lines, keyword, new):
    default = re.compile(rb"[ \t]*#[# \t]*" + keyword.encode() + rb"[ \t]*=", re.IGNORECASE)
    places = [index + 1 for index, raw in enumerate(lines) if default.match(raw)] or [len(lines)]
    if keyword == "verify_email":
        # It counts only for an address that follows it.
        address = [index for index, raw in enumerate(lines) if Line(0, raw).keyword == "action_mail_acct"]
        places = address[:1] or places
    head = lines[: places[-1]]
    if head and not head[-1].endswith(b"\n"):
        head[-1] += b"\n"
    return [*head, new, *lines[places[-1] :]]


def differences(data, candidate, version=None):
    """Return ``{keyword: {"old": value, "new": value}}``: what ``candidate`` (bytes) sets otherwise than ``data``."""
    old, new = settings(data), settings(candidate)
    return {
        keyword: {"old": old.get(keyword), "new": new.get(keyword)}
        for keyword in {**old, **new}
        if old.get(keyword) != new.get(keyword) and not _same(keyword, old.get(keyword), new.get(keyword), version)
    }


def _same(keyword, old, new, version):
    return keyword in keywords.known(version) and keywords.same(keyword, old, new, version)


def needs_restart(data, candidate, version=None):
    """
    Tell whether auditd takes up ``candidate`` (bytes) instead of ``data`` (bytes) only when it starts (bool).

    ``data`` is None when nobody knows what the daemon read: then each keyword counts as changed that is not at
    its default.
    """
    at = version or keywords.NEWEST
    names = (*NOT_RELOADED, "name", "name_format")
    changed = {name for name in names if effective(data or b"", name) != effective(candidate, name)}
    if effective(candidate, "name_format") in RESOLVED and _loses_name(changed, candidate, at):
        return True
    return any(_unread(name, data, at) for name in changed)


def _loses_name(changed, candidate, version):
    # The name is resolved at the start only: a reload puts the configured one, or "(null)", in its place.
    return "name_format" in changed or "name" in settings(candidate) or version >= (4, 2)


def _unread(keyword, data, version):
    if keyword not in NOT_RELOADED:
        return False
    # 4.1 opens a listener where there was none.
    opens = keyword == "tcp_listen_port" and data is not None and keyword not in settings(data)
    since = (4, 1) if opens else NOT_RELOADED[keyword]
    return since is None or version < since


def problems(data, version=None):
    """
    Return everything in ``data`` (bytes) for which auditd would not start, or which it would pass over.

    version
        The auditd that will read it (tuple of int); the newest when None.

    Returns a list of :class:`Problem`, in the order of the lines, then what does not fit together.
    """
    found = [problem for line in parse(data) for problem in _line_problems(line, version)]
    return found or list(_relations(data))


def _line_problems(line, version):
    if line.words:
        reason = _form(line, version) or _meaning(line, version)
        if reason:
            yield Problem(line.number, line.keyword, reason)


def _form(line, version):
    longest = LONGEST_BEFORE if (version or keywords.NEWEST) < LONGER_SINCE else LONGEST
    if b"\0" in line.raw or b"\r" in line.raw or "\t" in "".join(line.words):
        return "a tab, a carriage return or a NUL stands in it, and auditd takes only spaces."
    if len(line.raw) > longest:
        return f"auditd passes over a line of more than {longest} bytes."
    if not line.raw.endswith(b"\n"):
        return "auditd passes over a last line without a line feed."
    if not line.sets:
        return f"auditd needs 'keyword = value' with spaces, not {' '.join(line.words)!r}."
    return ""


def _meaning(line, version):
    try:
        entry = keywords.lookup(line.words[0], version)
    except keywords.UnknownKeyword as exc:
        return exc.message
    if len(line.words) > 3 and not isinstance(entry.type, keywords.Action):
        return f"{line.keyword} takes one value, and {line.words[3]!r} follows it."
    if entry.type.normal(line.value) is None:
        return f"{line.keyword} = {line.value!r} is not possible: auditd wants {entry.type.allowed}."
    return ""


def _relations(data):
    lines = deciding(data)
    for test, keyword, reason in RELATIONS:
        if data and test(data):
            yield Problem(lines[keyword].number if keyword in lines else 0, keyword, reason)


def _space_is_reversed(data):
    left, admin = effective(data, "space_left"), effective(data, "admin_space_left")
    same_unit = left.endswith("%") == admin.endswith("%")
    return same_unit and int(left.removesuffix("%")) <= int(admin.removesuffix("%"))


def _flush_never(data):
    return effective(data, "flush") in ("incremental", "incremental_async") and effective(data, "freq") == "0"


def _group_in_var_log(data):
    directory = posixpath.dirname(effective(data, "log_file"))
    return directory == "/var/log" and effective(data, "log_group") not in ("0", "root")


def _name_missing(data):
    return effective(data, "name_format") == "user" and "name" not in settings(data)


def _address_is_odd(data):
    lines = deciding(data)
    address, verify = lines.get("action_mail_acct"), lines.get("verify_email")
    unverified = verify and address and verify.value.lower() == "no" and verify.number < address.number
    return bool(address) and not unverified and bool(re.fullmatch("[^@]*@[^.]*", address.value))


def _tls_lacks_key(data):
    present = settings(data)
    if effective(data, "transport") != "tls" or "tls_allowed_clients" in present:
        return False
    return "tls_psk_file" not in present or "tls_psk_identity" not in present


def _pqc_is_undone(data):
    profile = settings(data).get("tls_crypto_profile", "pqc")
    return effective(data, "tls_require_pqc") == "yes" and profile.lower() != "pqc"


RELATIONS = (
    (_space_is_reversed, "space_left", "space_left must be larger than admin_space_left."),
    (_flush_never, "freq", "flush = incremental or incremental_async needs a freq above 0."),
    (_group_in_var_log, "log_file", "log_file may not stand directly in /var/log when log_group is not root."),
    (_name_missing, "name_format", "name_format = user needs a name."),
    (_address_is_odd, "action_mail_acct", "action_mail_acct needs a dot after its @ (or verify_email = no before it)."),
    (_tls_lacks_key, "transport", "transport = tls needs tls_psk_file with tls_psk_identity, or tls_allowed_clients."),
    (_pqc_is_undone, "tls_crypto_profile", "tls_require_pqc = yes needs tls_crypto_profile = pqc."),
)


def host_problems(data):
    """
    Return what ``data`` (bytes) names and this host does not have: a list of :class:`Problem`.

    Looks at the log's directory and file and at its disk, the group, and the programs of ``exec`` actions.
    """
    lines = deciding(data)
    reasons = {keyword: HOST.get(keyword, _program)(line.value) for keyword, line in lines.items()}
    reasons["space_left"] = not reasons.get("log_file") and _space_of(data)
    return [Problem(lines[keyword].number, keyword, reason) for keyword, reason in reasons.items() if reason]


def _space_of(data):
    """Compare MiB with a percentage, as auditd does when it starts (it only complains in syslog then)."""
    left, admin = effective(data, "space_left"), effective(data, "admin_space_left")
    if left.endswith("%") == admin.endswith("%"):
        return ""
    disk = os.statvfs(os.path.dirname(effective(data, "log_file")))
    total = disk.f_blocks * disk.f_frsize // 2**20
    left_mib, admin_mib = (_mib(value, total) for value in (left, admin))
    if left_mib > admin_mib:
        return ""
    return f"space_left must be larger than admin_space_left: here they are {left_mib} and {admin_mib} MiB."


def _mib(value, total):
    return total * int(value[:-1]) // 100 if value.endswith("%") else int(value)


def _log_file(path):
    if not os.path.isdir(os.path.dirname(path)):
        return f"the directory of log_file, {os.path.dirname(path)}, does not exist."
    if os.path.exists(path) and not (os.path.isfile(path) and os.stat(path).st_uid == 0):
        return f"log_file {path} is not a regular file that root owns."
    return ""


def _log_group(name):
    if name[0].isdigit() or name in (entry.gr_name for entry in grp.getgrall()):
        return ""
    return f"log_group {name} does not exist on this host."


def _program(value):
    if not value.lower().startswith("exec /"):
        return ""
    path = value.split(" ")[1]
    try:
        about = os.stat(path)
    except OSError as exc:
        return f"the program {path} cannot be used: {exc.strerror}."
    fit = stat.S_ISREG(about.st_mode) and about.st_uid == 0 and stat.S_IMODE(about.st_mode) in PROGRAM_MODES
    return "" if fit else f"the program {path} must be root's own file with mode 0750, 0755, 0555 or 0550."


HOST = {"log_file": _log_file, "log_group": _log_group}


def file_problems(path, links=False):
    """
    Return for what reason, other than its content, auditd would not read the file at ``path`` (str).

    links
        Whether auditd may follow a symbolic link (bool, its option ``-l``).

    Returns a list of :class:`Problem`.
    """
    about = os.stat(path)
    reasons = [
        (os.path.islink(path) and not links, f"{path} is a symbolic link, which auditd without -l refuses."),
        (about.st_uid != 0, f"{path} is not owned by root."),
        (about.st_mode & stat.S_IWOTH, f"{path} is writable by everyone."),
        (not stat.S_ISREG(about.st_mode), f"{path} is not a regular file."),
    ]
    return [Problem(0, "", reason) for applies, reason in reasons if applies]


def demand(found, path):
    """Raise :class:`Refused` with every one of ``found`` (list of :class:`Problem`) in ``path`` (str), if any."""
    if found:
        raise Refused(f"{path}: " + " ".join(map(str, found)))
