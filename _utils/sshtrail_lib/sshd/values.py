"""
The values of sshd_config(5): what each kind of keyword takes, and how ``sshd -T`` spells it.

What a kind is, :mod:`sshtrail_lib.sshd.kinds` tells; the numbers and the network have rooms of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from sshtrail_lib.sshd import amounts, network
from sshtrail_lib.sshd.daemon import ARGV_SINCE, ARRAYS_SINCE, LONE_NONE_SINCE, Arguments, BadValue, Daemon
from sshtrail_lib.sshd.keywords import ACCUMULATE, LAST, MERGE, SILENT, Keyword
from sshtrail_lib.sshd.kinds import Kind, as_written, choice, each, given, line, one, single, upper

_Occurrence = TypeVar("_Occurrence")


def spell(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    """
    Return the lines that ``sshd -T`` prints after ``keyword`` (Keyword) for its ``occurrences``.

    occurrences
        The arguments of each line that counts (list of :class:`Arguments`).
    daemon
        The sshd that is to read them (Daemon).

    Raises BadValue where sshd refuses one, OnlySshdKnows where nobody else does and there is none.
    """
    return KINDS[keyword.kind](keyword, occurrences, daemon)


def check(keyword: Keyword, arguments: Arguments, daemon: Daemon) -> None:
    """Raise BadValue when sshd would refuse one line of ``keyword`` with ``arguments``."""
    spell(keyword, [arguments], daemon)


def _default(keyword: Keyword, daemon: Daemon) -> str:
    """Return what ``sshd -T`` prints for an empty file, which is nothing for some keywords (str)."""
    return next(iter(daemon.defaults.get(keyword.name, ())), "")


def _flag(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    value = choice("yes", "no")(keyword, occurrences, daemon)
    # 10.6 prints true and false for some of them.
    if _default(keyword, daemon) in ("true", "false"):
        return [{"yes": "true", "no": "false"}[word] for word in value]
    return value


def _root(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    password = "prohibit-password" if daemon.release >= (10, 4) else "without-password"
    same = {"prohibit-password": password, "without-password": password}
    return choice("yes", "no", "prohibit-password", "forced-commands-only", same=same)(keyword, occurrences, daemon)


def _home(word: str, daemon: Daemon) -> str:
    expanded = daemon.names.home(word)
    if word.startswith("~") and expanded.startswith("~"):
        raise BadValue(f"names a home directory that is not there: {word!r}")
    return expanded


def _path(word: str, daemon: Daemon) -> str:
    if word.lower() == "none":
        return "none"
    expanded = _home(word, daemon)
    # A daemon works in /, and glues its working directory in front.
    return expanded if expanded.startswith("/") else f"//{expanded}"


def _host_key(word: str, daemon: Daemon) -> str:
    # sshd takes it, and prints the pointer that it has become.
    return "(null)" if word.lower() == "none" else _path(word, daemon)


def _agent(word: str, daemon: Daemon) -> str:
    return word if word == "SSH_AUTH_SOCK" else _path(word, daemon)


def _provider(word: str, daemon: Daemon) -> str:
    return word if word.lower() == "internal" else _path(word, daemon)


def _file(word: str, daemon: Daemon) -> str:
    return "none" if word.lower() == "none" else _home(word, daemon)


def _word_none(word: str, _daemon: Daemon) -> str:
    return "none" if word.lower() == "none" else word


FACILITIES = ("DAEMON", "USER", "AUTH", "AUTHPRIV", *(f"LOCAL{n}" for n in range(8)))
_LEVELS = ("QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3")


def _accepted(word: str, _daemon: Daemon) -> str:
    if "=" in word:
        raise BadValue(f"takes names of environment variables, not {word!r}")
    return word


def _setenv(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    printed, names = [], set()
    if daemon.release < ARRAYS_SINCE and not occurrences[0].words:
        return []
    for position, word in enumerate(given(occurrences[0])):
        name, equals, _value = word.partition("=")
        if not equals:
            raise BadValue(f"takes NAME=VALUE, not {word!r}", position)
        if name not in names or daemon.release < ARGV_SINCE:
            names.add(name)
            printed.append(word)
    return printed


def _keyfiles(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    if daemon.release < ARRAYS_SINCE and not occurrences[0].words:
        return []
    alone = ("none",) if daemon.release >= LONE_NONE_SINCE else ()
    return line(_home, alone)(keyword, occurrences, daemon)


def _revoked(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    if daemon.defaults.get("RevokedKeys"):
        return single(_path)(keyword, occurrences, daemon)
    return line(_home, alone=("none",))(keyword, occurrences, daemon)


def _timeout(word: str, _daemon: Daemon) -> str:
    name, equals, time = word.partition("=")
    if word.lower() != "none":
        if not name or not equals:
            raise BadValue(f"takes TYPE=TIME or none, not {word!r}")
        amounts.seconds(time)
    return word


_METHODS = ("publickey", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "none")


def _method(word: str, daemon: Daemon) -> str:
    names = [item.partition(":")[0] for item in word.split(",")]
    known = set(_METHODS) | {"gssapi-keyex"}
    if daemon.defaults and "GSSAPIAuthentication" not in daemon.defaults:
        known -= {"gssapi-with-mic", "gssapi-keyex"}
    if not set(names) <= known:
        raise BadValue(f"takes any, or lists of {', '.join(_METHODS)}, not {word!r}")
    return word


def _methods(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    words = given(occurrences[0])
    if "any" in words and len(words) > 1:
        raise BadValue("takes 'any' only alone")
    return [" ".join(word if word == "any" else _method(word, daemon) for word in words)]


def _subsystem(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
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


def _quoted(word: str) -> str:
    if re.search(r"[ \t]", word):
        return '"' + re.sub(r"([\\\"'])", r"\\\1", word) + '"'
    return re.sub(r"([\\\"'])", r"\\\1", word)


_HASHES = ("MD5", "SHA1", "SHA256", "SHA384", "SHA512")


def _pubkey_options(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    words = [word.lower() for word in occurrences[0].words]
    known = ("touch-required", "verify-required")
    if daemon.defaults.get(keyword.name, ["none"]) != ["none"]:
        # 10.6 has options of its own.
        return daemon.ask(keyword.name, occurrences)
    if not set(words) <= {"none", *known}:
        raise BadValue(f"takes none, {', '.join(known)}, not {' '.join(words)!r}")
    return [" ".join(word for word in known if word in words) or "none"]


def _raw(_keyword: Keyword, occurrences: Sequence[Arguments], _daemon: Daemon) -> list[str]:
    if not occurrences[0].rest:
        raise BadValue("needs a value")
    return [occurrences[0].rest]


def _addendum(_keyword: Keyword, occurrences: Sequence[Arguments], _daemon: Daemon) -> list[str]:
    rest = occurrences[0].rest
    if not rest or "\r" in rest:
        raise BadValue("needs a value on one line")
    return ["none" if rest.lower() == "none" else rest]


def _command(_keyword: Keyword, occurrences: Sequence[Arguments], _daemon: Daemon) -> list[str]:
    rest = occurrences[0].rest
    if rest.lower() == "none":
        return ["none"]
    if not rest.startswith("/"):
        raise BadValue(f"takes an absolute path or none, not {rest!r}")
    return [rest]


def _algorithms(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    word = one(occurrences[0])
    default = _default(keyword, daemon).split(",")
    wanted = word.split(",")
    # A plain list of what the daemon itself offers stays as it is; the rest depends on how it was built.
    if set(wanted) <= set(default) and len(set(wanted)) == len(wanted):
        return [word]
    return daemon.ask(keyword.name, occurrences)


def _opaque(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    return daemon.ask(keyword.name, occurrences)


def _refused(_keyword: Keyword, _occurrences: Sequence[Arguments], _daemon: Daemon) -> list[str]:
    raise BadValue("is not supported on this platform")


def _ignored(_keyword: Keyword, _occurrences: Sequence[Arguments], _daemon: Daemon) -> list[str]:
    return []


KINDS: Mapping[str, Kind] = {
    "port": single(network.port),
    "listen": network.listen,
    "family": choice("any", "inet", "inet6"),
    "path": single(_path),
    "hostkey": single(_host_key),
    "agent": single(_agent),
    "provider": single(_provider),
    "file": single(_file),
    "revoked": _revoked,
    "root": _root,
    "rhosts": choice("yes", "no", "shosts-only"),
    "flag": _flag,
    "environment": single(as_written),
    "compression": choice("yes", "no", same={"delayed": "yes"}),
    "gateway": choice("yes", "no", "clientspecified"),
    "forwarding": choice("yes", "no", "local", "remote", same={"all": "yes"}),
    "tunnel": choice("yes", "no", "point-to-point", "ethernet", fold=False),
    "time": single(amounts.time),
    "idle": amounts.idle,
    "number": single(amounts.number),
    "facility": upper(FACILITIES, {}),
    "level": upper(_LEVELS, {"quiet": "SILENT", "silent": "SILENT", "debug1": "DEBUG"}),
    "words_none": line(as_written, alone=("none",)),
    "users": each(network.user_pattern, lenient_before=ARRAYS_SINCE),
    "words": each(lenient_before=ARRAYS_SINCE),
    "accept": each(_accepted, lenient_before=ARRAYS_SINCE),
    "setenv": _setenv,
    "keyfiles": _keyfiles,
    "word": single(as_written),
    "word_none": single(_word_none),
    "command": _command,
    "raw": _raw,
    "addendum": _addendum,
    "methods": _methods,
    "opens": network.forward(bare_port=False),
    "listens": network.forward(bare_port=True),
    "timeouts": line(_timeout, alone=("none",)),
    "pubkeyoptions": _pubkey_options,
    "subsystem": _subsystem,
    "startups": amounts.startups,
    "persource": single(amounts.persource),
    "netblock": single(network.netblock),
    "addresses": single(network.addresses),
    "rekey": amounts.rekey,
    "mask": single(amounts.mask),
    "hash": upper(_HASHES, {}),
    "qos": amounts.qos,
    "algorithms": _algorithms,
    "opaque": _opaque,
    "refused": _refused,
    "ignored": _ignored,
}


def counting(keyword: Keyword, occurrences: Sequence[_Occurrence]) -> list[_Occurrence]:
    """Return those of ``occurrences`` (any sequence, in sshd's order) that decide the value of ``keyword``."""
    if keyword.repeat in (ACCUMULATE, MERGE):
        return list(occurrences)
    return list(occurrences[-1:] if keyword.repeat == LAST else occurrences[:1])


def unsupported(keyword: Keyword, daemon: Daemon) -> bool:
    """Return whether this build takes ``keyword`` (Keyword) without doing anything with it."""
    known = bool(daemon.defaults) and keyword.kind not in ("ignored", "refused")
    return known and keyword.name not in daemon.defaults and keyword.name not in SILENT
