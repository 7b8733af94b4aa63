"""
What is asked of sshd_config, and whether it can be meant: the arguments of what the state and the module do.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Mapping

from salt.exceptions import SaltInvocationError


class Asked(typing.NamedTuple):
    """
    What sshd should be; the fields are the arguments of ``sshd_config.apply``.

    path
        The main configuration file (str).
    config
        ``{keyword: value}`` of the global part; None as a value is sshd's default (dict or None).
    matches
        A list of ``{criteria: {keyword: value}}``, one for each Match block (or None).
    shadowed
        What to do where a line outside the main file decides: ``fix``, ``drop_in``, ``fail`` or ``own`` (str).
    exact
        For a list: True for exactly these items, False for at least these (bool).
    admins
        Accounts that must still be able to log in (list of str, one str, or None).
    force
        Whether to change it even though it may lock the administrator out (bool).
    lowered
        What to do with the LogLevel of a Match block that is not asked for: ``remove`` or ``keep`` (str).
    remember
        Whether to remember what stood there before, and to give back what an earlier call with this changed and this
        one does not ask for (bool).
    beside
        What other states of the same run ask of the file (see :func:`sshtrail_lib.sshd.beside.asked`).
    """

    path: str
    config: typing.Any = None
    matches: typing.Any = None
    shadowed: str = "fix"
    exact: bool = True
    admins: typing.Any = None
    force: bool = False
    lowered: str = "remove"
    remember: bool = False
    beside: typing.Any = None


#: What comes of a sshd without PAM.
WITHOUT_PAM = "no session has a login id, so that its commands are not recorded"


def is_off(value: typing.Any) -> bool:
    """Return whether ``value`` of a keyword turns off what is off by default (bool)."""
    return value is None or value is False or str(value).lower() == "no"


def unrecorded(config: typing.Any) -> list[str]:
    """Return a sentence (list of str) where ``config`` (a field of Asked) takes people off the record."""
    values = [one for name, one in config.items() if str(name).lower() == "usepam"] if hasattr(config, "items") else []
    return [f"UsePAM is off: {WITHOUT_PAM}."] if any(map(is_off, values)) else []


def unguarded(admins: typing.Any, unknown: Callable[[Iterable[str]], list[str]]) -> list[str]:
    """
    Return a sentence (list of str) where ``admins`` (a field of Asked) names somebody whom nothing can be kept for.

    unknown
        A function that returns which of some names are no account of this host.
    """
    names = unknown(_accounts(admins))
    told = "is no account" if len(names) == 1 else "are no accounts"
    return [f"{', '.join(names)} of admins {told} of this host: no way in is kept for a name alone."] if names else []


def parts(keyword: typing.Any, value: typing.Any, match: typing.Any) -> tuple[typing.Any, typing.Any]:
    """
    Return ``config`` and ``matches`` (fields of Asked) for one keyword; arguments as for :func:`one_keyword`. Raises
    SaltInvocationError for what can be no key of these.
    """
    if not isinstance(keyword, str) or not (match is None or isinstance(match, str)):
        told = ("keyword", keyword) if not isinstance(keyword, str) else ("match", match)
        raise SaltInvocationError("{} takes text, not {!r}".format(*told))
    return ({keyword: value}, None) if match is None else (None, [{match: {keyword: value}}])


def one_keyword(keyword: str, value: typing.Any, match: str | None, **options: typing.Any) -> Asked:
    """
    Return the Asked that one keyword has one value.

    keyword
        The keyword (str).
    value
        The value, None for sshd's default.
    match
        The criteria of the Match block that it is for (str), None for the global part.
    options
        Other fields of Asked.
    """
    config, matches = parts(keyword, value, match)
    return Asked(config=config, matches=matches, lowered="keep", **options)


def one_value(keyword: str, value: typing.Any, match: str | None, **options: typing.Any) -> Asked:
    """Return what :func:`one_keyword` does; raises SaltInvocationError for None, which is no value."""
    if value is None:
        raise SaltInvocationError("set needs a value; unset returns a keyword to sshd's default")
    return one_keyword(keyword, value, match, **options)


def checked(asked: Asked) -> Asked:
    """
    Return ``asked`` (Asked) with ``admins`` as a tuple of str; raises SaltInvocationError for what cannot be meant.

    What would be taken for True or for nothing because of its type decides here whether somebody is locked out.
    """
    for name in ("exact", "force", "remember"):
        if not isinstance(getattr(asked, name), bool):
            raise SaltInvocationError(f"{name} takes True or False, not {getattr(asked, name)!r}")
    if asked.lowered not in ("remove", "keep"):
        raise SaltInvocationError(f"lowered takes remove or keep, not {asked.lowered!r}")
    told = asked.beside or {}
    if not isinstance(told, dict) or not all(isinstance(one, list) for one in told.values()):
        raise SaltInvocationError(f"beside takes what the states of a run give it, not {told!r}")
    return asked._replace(admins=_accounts(asked.admins))


def words(given: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the arguments ``given`` (dict of str, int, or None) as text; raises SaltInvocationError for others."""
    wrong = next((name for name, one in given.items() if not (one is None or _is_word(one))), None)
    if wrong:
        raise SaltInvocationError(f"{wrong} takes text, not {given[wrong]!r}")
    return {name: None if one is None else str(one) for name, one in given.items()}


def _is_word(value: typing.Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _accounts(admins: typing.Any) -> tuple[str, ...]:
    """Return accounts that are given as a list, or as text with commas or spaces between."""
    given = re.split(r"[, \t]+", admins.strip()) if isinstance(admins, str) else () if admins is None else admins
    if not isinstance(given, (list, tuple)) or not all(_is_word(one) and str(one).strip() for one in given):
        raise SaltInvocationError(f"admins takes a list of accounts, not {admins!r}")
    return tuple(str(one).strip() for one in given)
