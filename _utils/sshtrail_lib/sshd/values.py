"""
The values of sshd_config(5): what each kind of keyword takes, and how ``sshd -T`` spells it.

A kind is a function of the occurrences of a keyword (the arguments of each line that counts, in sshd's order)
and of the daemon; it returns the lines that ``sshd -T`` would print after the keyword.
"""

import os
import re
import socket
import types
import typing
from collections.abc import Callable, Mapping

from sshtrail_lib.sshd import match
from sshtrail_lib.sshd.keywords import ACCUMULATE

INT_MAX = 2**31 - 1
#: Since this release sshd splits arguments like a shell, before like strsep(3).
ARGV_SINCE = (8, 7)
#: Since this release it reads all arguments of a line before it looks at what is set already.
ARRAYS_SINCE = (9, 7)
#: Since this release "none" among several arguments of AuthorizedKeysFile is an error.
LONE_NONE_SINCE = (10, 3)


class BadValue(ValueError):
    """sshd would refuse this value; ``position`` (int) is the index of the argument at fault."""

    def __init__(self, reason, position=0):
        super().__init__(reason)
        self.position = position


def _no_daemon(keyword, _occurrences):
    raise LookupError(f"only sshd itself knows the values of {keyword}, and there is none")


class Daemon(typing.NamedTuple):
    """
    What must be known of the installed sshd.

    release
        ``(major, minor)`` (tuple of int).
    banner
        What it calls itself, ``OpenSSH_9.2p1`` (str).
    defaults
        Canonical keyword: the lines that ``sshd -T`` prints for an empty configuration (list of str).
    ask
        Called with a keyword and its occurrences; returns what sshd itself prints for them (list of str) or
        raises BadValue. For the values that depend on how this sshd was built.
    """

    release: tuple = (99, 0)
    banner: str = "OpenSSH"
    defaults: Mapping = types.MappingProxyType({})
    ask: Callable = _no_daemon


def spell(keyword, occurrences, daemon):
    """
    Return the lines that ``sshd -T`` prints after ``keyword`` (Keyword) for its ``occurrences``.

    occurrences
        The arguments of each line that counts (list of :class:`Arguments`).
    daemon
        The sshd that is to read them (Daemon).

    Raises BadValue where sshd refuses one, LookupError where only sshd knows and there is none.
    """
    return KINDS[keyword.kind](keyword, occurrences, daemon)


def check(keyword, arguments, daemon):
    """Raise BadValue when sshd would refuse one line of ``keyword`` with ``arguments``."""
    spell(keyword, [arguments], daemon)


class Arguments(typing.NamedTuple):
    """The arguments of one line: split into words (tuple of str), and as the rest of the line (str)."""

    words: tuple
    rest: str = ""


def _one(arguments):
    if not arguments.words or not arguments.words[0]:
        raise BadValue("needs a value")
    _end(arguments, 1)
    return arguments.words[0]


def _end(arguments, count):
    if len(arguments.words) > count and arguments.words[count]:
        raise BadValue(f"takes no further argument after {arguments.words[count - 1]!r}", count)


def _single(convert):
    """Return a kind that takes one argument and prints ``convert(argument, daemon)``."""

    def kind(keyword, occurrences, daemon):
        return [convert(_one(arguments), daemon) for arguments in occurrences]

    return kind


def _choice(*values, same=None, fold=True):
    """Return a kind that takes one of ``values``; ``same`` maps what sshd prints in another way."""

    def convert(word, _daemon):
        folded = word.lower() if fold else word
        if folded not in values and folded not in (same or {}):
            raise BadValue(f"takes {', '.join(values)}, not {word!r}")
        return (same or {}).get(folded, folded)

    return _single(convert)


def _flag(keyword, occurrences, daemon):
    value = _choice("yes", "no")(keyword, occurrences, daemon)
    # 10.6 prints true and false for some of them.
    if daemon.defaults.get(keyword.name, [""])[0] in ("true", "false"):
        return [{"yes": "true", "no": "false"}[word] for word in value]
    return value


def _root(keyword, occurrences, daemon):
    password = "prohibit-password" if daemon.release >= (10, 4) else "without-password"
    same = {"prohibit-password": password, "without-password": password}
    return _choice("yes", "no", "prohibit-password", "forced-commands-only", same=same)(keyword, occurrences, daemon)


def _integer(word, low=0, high=INT_MAX):
    if not re.fullmatch(r"[ \t]*[+-]?[0-9]+", word) or not low <= int(word) <= high:
        raise BadValue(f"takes a whole number from {low} to {high}, not {word!r}")
    return int(word)


def _number(word, _daemon):
    return str(_integer(word))


def _port_number(word):
    try:
        number = match.port(word)
    except match.BadCriteria as exc:
        raise BadValue(f"takes a port from 1 to 65535, not {word!r}") from exc
    if not number:
        raise BadValue("takes a port from 1 to 65535, not 0")
    return number


def _port(word, _daemon):
    return str(_port_number(word))


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(word, limit=INT_MAX):
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


def _time(word, daemon):
    if daemon.release >= (8, 5):
        return str(seconds(word))
    # A long that is then kept as an int.
    return str((seconds(word, 2**63 - 1) + 2**31) % 2**32 - 2**31)


def _idle(_keyword, occurrences, _daemon):
    words = [_one(arguments) for arguments in occurrences]
    values = [0 if word.lower() == "none" else seconds(word) for word in words]
    # "none" overrides whatever an earlier line says; any other value only fills a gap.
    first = 0 if any(word.lower() == "none" for word in words) else values[0]
    return [str(first) if first else "none"]


def _home(word):
    expanded = os.path.expanduser(word)
    if word.startswith("~") and expanded.startswith("~"):
        raise BadValue(f"names a home directory that is not there: {word!r}")
    return expanded


def _path(word, _daemon):
    if word.lower() == "none":
        return "none"
    expanded = _home(word)
    # A daemon works in /, and glues its working directory in front.
    return expanded if expanded.startswith("/") else f"//{expanded}"


def _host_key(word, daemon):
    # sshd takes it, and prints the pointer that it has become.
    return "(null)" if word.lower() == "none" else _path(word, daemon)


def _agent(word, daemon):
    return word if word == "SSH_AUTH_SOCK" else _path(word, daemon)


def _provider(word, daemon):
    return word if word.lower() == "internal" else _path(word, daemon)


def _file(word, _daemon):
    return "none" if word.lower() == "none" else _home(word)


def _word_none(word, _daemon):
    return "none" if word.lower() == "none" else word


def _word(word, _daemon):
    return word


def _environment(word, _daemon):
    return word


_FACILITIES = ("DAEMON", "USER", "AUTH", "AUTHPRIV", *(f"LOCAL{n}" for n in range(8)))
_LEVELS = ("QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3")


def _upper(values, same):
    lower = {value.lower(): value for value in values}
    table = {**lower, **same}

    def convert(word, _daemon):
        if word.lower() not in table:
            raise BadValue(f"takes {', '.join(values)}, not {word!r}")
        return table[word.lower()]

    return _single(convert)


def _given(arguments, complaint="needs a value"):
    words = arguments.words
    if not words:
        raise BadValue(complaint)
    for position, word in enumerate(words):
        if not word:
            raise BadValue("has an empty argument", position)
    return words


def _each(test=lambda word: None, lenient_before=None):
    """Return a kind that prints each argument on a line of its own, once ``test`` has let it pass."""

    def kind(keyword, occurrences, daemon):
        printed = []
        for arguments in occurrences:
            if lenient_before and daemon.release < lenient_before and not arguments.words:
                continue
            for position, word in enumerate(_given(arguments)):
                _located(test, word, position)
                printed.append(word)
        return printed

    return kind


def _located(test, word, position):
    try:
        test(word)
    except BadValue as exc:
        raise BadValue(str(exc), position) from exc


def _user_pattern(word):
    _name, at, host = word.partition("@")
    if at:
        try:
            match.in_addresses(None, host)
        except match.BadCriteria as exc:
            raise BadValue(f"{word!r}: {exc}") from exc


def _accepted(word):
    if "=" in word:
        raise BadValue(f"takes names of environment variables, not {word!r}")


def _setenv(_keyword, occurrences, daemon):
    printed, names = [], set()
    if daemon.release < ARRAYS_SINCE and not occurrences[0].words:
        return []
    for position, word in enumerate(_given(occurrences[0])):
        name, equals, _value = word.partition("=")
        if not equals:
            raise BadValue(f"takes NAME=VALUE, not {word!r}", position)
        if name not in names or daemon.release < ARGV_SINCE:
            names.add(name)
            printed.append(word)
    return printed


def _line(convert, alone=()):
    """Return a kind that prints its arguments on one line; those in ``alone`` exclude any other."""

    def kind(keyword, occurrences, daemon):
        words = _given(occurrences[0])
        for word in words if len(words) > 1 else ():
            if word.lower() in alone and daemon.release >= ARGV_SINCE:
                raise BadValue(f"takes {word!r} only alone")
        return [" ".join(convert(word) for word in words)]

    return kind


def _keyfiles(keyword, occurrences, daemon):
    if daemon.release < ARRAYS_SINCE and not occurrences[0].words:
        return []
    alone = ("none",) if daemon.release >= LONE_NONE_SINCE else ()
    return _line(_home, alone)(keyword, occurrences, daemon)


def _revoked(keyword, occurrences, daemon):
    if daemon.defaults.get("RevokedKeys"):
        return _single(_path)(keyword, occurrences, daemon)
    return _line(_home, alone=("none",))(keyword, occurrences, daemon)


def _timeout(word):
    name, equals, time = word.partition("=")
    if word.lower() != "none":
        if not name or not equals:
            raise BadValue(f"takes TYPE=TIME or none, not {word!r}")
        seconds(time)
    return word


_METHODS = ("publickey", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "none")


def _method(word, daemon):
    names = [item.partition(":")[0] for item in word.split(",")]
    known = set(_METHODS) | {"gssapi-keyex"}
    if daemon.defaults and "GSSAPIAuthentication" not in daemon.defaults:
        known -= {"gssapi-with-mic", "gssapi-keyex"}
    if not set(names) <= known:
        raise BadValue(f"takes any, or lists of {', '.join(_METHODS)}, not {word!r}")
    return word


def _methods(keyword, occurrences, daemon):
    words = _given(occurrences[0])
    if "any" in words and len(words) > 1:
        raise BadValue("takes 'any' only alone")
    return [" ".join(word if word == "any" else _method(word, daemon) for word in words)]


def _forward(bare_port):
    def convert(word):
        host, port = _split_host(f"*:{word}" if bare_port and ":" not in word else word)
        if not host or port is None:
            raise BadValue(f"takes HOST:PORT, not {word!r}")
        if port != "*":
            _forwarded_port(port)
        return f"{host}:{port}"

    def kind(keyword, occurrences, daemon):
        words = _given(occurrences[0])
        if words[0] in ("any", "none") and daemon.release < ARRAYS_SINCE:
            _end(occurrences[0], 1)
            return [words[0]]
        if {"any", "none"} & set(words[1:]):
            raise BadValue("takes any and none only as the first argument")
        return [" ".join(word if word in ("any", "none") else convert(word) for word in words)]

    return kind


def _forwarded_port(word):
    try:
        _port_number(word)
    except BadValue as exc:
        raise BadValue(f"takes a port from 1 to 65535 or *, not {word!r}") from exc


def _split_host(word):
    """Split ``host:port``, ``[host]:port`` or ``host``; the port is None where there is none."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:/]*)(?::(.*))?", word, re.DOTALL)
    return found.groups() if found else (None, None)


class Address(typing.NamedTuple):
    """One ListenAddress as written: host, port (int or None), routing domain (str or None)."""

    host: str
    port: int | None
    rdomain: str | None = None


def listen_address(arguments):
    """Return the Address that the arguments of one ListenAddress line (Arguments) mean; raises BadValue."""
    words = arguments.words
    if not words or not words[0]:
        raise BadValue("needs an address")
    if len(words) > 1:
        raise BadValue("takes ADDRESS or ADDRESS:PORT; routing domains do not exist on this platform", 1)
    word = words[0]
    if "[" not in word and word.count(":") > 1:
        return Address(word, None)
    host, port = _split_host(word)
    if not host:
        raise BadValue(f"takes ADDRESS or ADDRESS:PORT, not {word!r}")
    return Address(host[1:-1] if host.startswith("[") else host, None if port is None else _port_number(port))


def _bare(arguments, daemon):
    """Before 8.7 a closing quote at the end of a line counts as one more argument, an empty one."""
    if daemon.release < ARGV_SINCE and len(arguments.words) == 1 and arguments.rest.endswith('"'):
        raise BadValue("takes no quotes around a lone value in this release")


def _listen(_keyword, occurrences, daemon):
    for arguments in occurrences:
        _bare(arguments, daemon)
    addresses = [listen_address(arguments) for arguments in occurrences]
    return [address.host if address.port is None else f"{address.host}:{address.port}" for address in addresses]


_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


def endpoints(addresses, ports, family):
    """
    Return the ``ListenAddress`` lines that ``sshd -T`` prints (list of str).

    addresses
        The Address of each line; none means the wildcard addresses.
    ports
        The effective ports (list of int).
    family
        The effective AddressFamily (str).

    Raises BadValue for a host name that cannot be resolved.
    """
    printed = []
    for address in addresses or [Address("", None)]:
        for port in [address.port] if address.port else ports:
            printed += reversed(_resolve(address.host, port, _FAMILIES[family]))
    return printed


def _resolve(host, port, family):
    flags = 0 if host else socket.AI_PASSIVE
    name = host.encode("utf-8", "surrogateescape") or None
    try:
        found = socket.getaddrinfo(name, port, family=family, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as exc:
        raise BadValue(f"names a host that cannot be resolved: {host!r}") from exc
    return [f"[{to[0]}]:{port}" if kind == socket.AF_INET6 else f"{to[0]}:{port}" for kind, _t, _p, _n, to in found]


def _subsystem(_keyword, occurrences, daemon):
    printed, names = [], set()
    for arguments in occurrences:
        words = arguments.words
        if len(words) < 2 or not words[0] or not words[1]:
            raise BadValue("takes a name and a command")
        if words[0] in names:
            if daemon.release < (9, 5):
                raise BadValue(f"subsystem {words[0]!r} is defined twice")
            continue
        names.add(words[0])
        quoted = words[1:] if daemon.release < (9, 5) else [_quoted(word) for word in words[1:]]
        printed.append(" ".join((words[0], *quoted)))
    return printed


def _quoted(word):
    if re.search(r"[ \t]", word):
        return '"' + re.sub(r"([\\\"'])", r"\\\1", word) + '"'
    return re.sub(r"([\\\"'])", r"\\\1", word)


def _startups(_keyword, occurrences, daemon):
    rate, printed = 30, []
    for arguments in occurrences:
        begin, rate, full = _startup(_one(arguments), rate if daemon.release < (10, 1) else 30, daemon)
        printed = [f"{begin}:{rate}:{full}"]
    return printed


def _startup(word, rate, daemon):
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


def _persource(word, _daemon):
    return "none" if word == "none" else str(_integer(word))


def _netblock(word, daemon):
    found = re.match(r"[ \t\v\f]*([+-]?\d+)(?::[ \t\v\f]*([+-]?\d+))?", word, re.ASCII)
    four, six = found.groups() if found else ("-1", None)
    if not 0 <= int(four) <= 32 or not 0 <= int(six or 0) <= 128:
        raise BadValue(f"takes IPV4BITS or IPV4BITS:IPV6BITS, up to 32 and 128, not {word!r}")
    # Giving one number used to mean no IPv6 bits at all, contrary to the man page.
    return f"{int(four)}:{int(six) if six else 128 if daemon.release >= (10, 1) else 0}"


def _addresses(word, _daemon):
    try:
        match.in_addresses(None, word)
    except match.BadCriteria as exc:
        raise BadValue(str(exc)) from exc
    return word


_SCALES = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


def _amount(word):
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


def _rekey(_keyword, occurrences, daemon):
    amounts, times = [], []
    for arguments in occurrences:
        words = arguments.words
        if not words or not words[0]:
            raise BadValue("needs an amount")
        amounts.append(_amount(words[0]))
        _bare(arguments, daemon)
        if len(words) > 1 and words[1] != "none":
            times.append(seconds(words[1]))
        _end(arguments, 2)
    return [f"{amounts[0]} {times[0] if times else 0}"]


def _mask(word, _daemon):
    found = re.match(r"[ \t\v\f]*\+?([0-7]+)", word)
    if not found or int(found[1], 8) > 0o777:
        raise BadValue(f"takes an octal mask up to 0777, not {word!r}")
    return f"0{int(found[1], 8):o}" if int(found[1], 8) else "00"


_HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")
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


def _service_class(word, daemon):
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


def _c_integer(digits):
    if digits.lower().startswith("0x"):
        return int(digits, 16)
    return int(digits, 8 if digits.startswith("0") and set(digits) <= set("01234567") else 10)


def _qos(keyword, occurrences, daemon):
    arguments = occurrences[-1]
    words = arguments.words
    if not words or not words[0]:
        raise BadValue("needs a value")
    _end(arguments, 2)
    _bare(arguments, daemon)
    if daemon.release >= (10, 0) and not all(_PLAIN_DSCP.fullmatch(word) for word in words):
        # Numbers and the names of RFC 1349 are on their way out, in one release after the other.
        return daemon.ask(keyword.name, [arguments])
    return [" ".join(_service_class(word, daemon) for word in (words * 2)[:2])]


def _pubkey_options(keyword, occurrences, daemon):
    words = [word.lower() for word in occurrences[0].words]
    known = ("touch-required", "verify-required")
    if daemon.defaults.get(keyword.name, ["none"]) != ["none"]:
        # 10.6 has options of its own.
        return daemon.ask(keyword.name, occurrences)
    if not set(words) <= {"none", *known}:
        raise BadValue(f"takes none, {', '.join(known)}, not {' '.join(words)!r}")
    return [" ".join(word for word in known if word in words) or "none"]


def _raw(_keyword, occurrences, _daemon):
    if not occurrences[0].rest:
        raise BadValue("needs a value")
    return [occurrences[0].rest]


def _addendum(_keyword, occurrences, _daemon):
    rest = occurrences[0].rest
    if not rest or "\r" in rest:
        raise BadValue("needs a value on one line")
    return ["none" if rest.lower() == "none" else rest]


def _command(_keyword, occurrences, _daemon):
    rest = occurrences[0].rest
    if rest.lower() == "none":
        return ["none"]
    if not rest.startswith("/"):
        raise BadValue(f"takes an absolute path or none, not {rest!r}")
    return [rest]


_ALGORITHM = re.compile(r"[!-~]+")


def _algorithms(keyword, occurrences, daemon):
    word = _one(occurrences[0])
    default = daemon.defaults.get(keyword.name, [""])[0].split(",")
    wanted = word.split(",")
    # A plain list of what the daemon itself offers stays as it is; the rest depends on how it was built.
    if set(wanted) <= set(default) and len(set(wanted)) == len(wanted):
        return [word]
    return daemon.ask(keyword.name, occurrences)


def _opaque(keyword, occurrences, daemon):
    return daemon.ask(keyword.name, occurrences)


def _refused(keyword, _occurrences, _daemon):
    raise BadValue("is not supported on this platform")


def _ignored(_keyword, _occurrences, _daemon):
    return []


KINDS = {
    "port": _single(_port),
    "listen": _listen,
    "family": _choice("any", "inet", "inet6"),
    "path": _single(_path),
    "hostkey": _single(_host_key),
    "agent": _single(_agent),
    "provider": _single(_provider),
    "file": _single(_file),
    "revoked": _revoked,
    "root": _root,
    "rhosts": _choice("yes", "no", "shosts-only"),
    "flag": _flag,
    "environment": _single(_environment),
    "compression": _choice("yes", "no", same={"delayed": "yes"}),
    "gateway": _choice("yes", "no", "clientspecified"),
    "forwarding": _choice("yes", "no", "local", "remote", same={"all": "yes"}),
    "tunnel": _choice("yes", "no", "point-to-point", "ethernet", fold=False),
    "time": _single(_time),
    "idle": _idle,
    "number": _single(_number),
    "facility": _upper(_FACILITIES, {}),
    "level": _upper(_LEVELS, {"quiet": "SILENT", "silent": "SILENT", "debug1": "DEBUG"}),
    "words_none": _line(str, alone=("none",)),
    "users": _each(_user_pattern, lenient_before=ARRAYS_SINCE),
    "words": _each(lenient_before=ARRAYS_SINCE),
    "accept": _each(_accepted, lenient_before=ARRAYS_SINCE),
    "setenv": _setenv,
    "keyfiles": _keyfiles,
    "word": _single(_word),
    "word_none": _single(_word_none),
    "command": _command,
    "raw": _raw,
    "addendum": _addendum,
    "methods": _methods,
    "opens": _forward(bare_port=False),
    "listens": _forward(bare_port=True),
    "timeouts": _line(_timeout, alone=("none",)),
    "pubkeyoptions": _pubkey_options,
    "subsystem": _subsystem,
    "startups": _startups,
    "persource": _single(_persource),
    "netblock": _single(_netblock),
    "addresses": _single(_addresses),
    "rekey": _rekey,
    "mask": _single(_mask),
    "hash": _upper(_HASHES, {}),
    "qos": _qos,
    "algorithms": _algorithms,
    "opaque": _opaque,
    "refused": _refused,
    "ignored": _ignored,
}


def counting(keyword, occurrences):
    """Return those of ``occurrences`` (any sequence, in sshd's order) that decide the value of ``keyword``."""
    if keyword.repeat in (ACCUMULATE, "merge"):
        return list(occurrences)
    return list(occurrences[-1:] if keyword.repeat == "last" else occurrences[:1])
