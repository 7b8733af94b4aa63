"""
What stands in the place of the shell of whom sshd has let in, and whether a shell can come of it.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Sequence

from sshtrail_lib.sshd.known import Accounts, Obstacle, Values
from sshtrail_lib.sshd.methods import knows_tokens

#: Programs that end at once, or do nothing that an administrator could use.
_NO_SHELL = frozenset(
    ["false", "true", "nologin", "exit", "logout", "return", "echo", "printf", "sleep", "cat", ":", "test", "[", "[["]
    + ["date", "uptime", "who", "w", "id", "whoami", "hostname", "uname", "tty", "last", "logger", "wall", "clear"]
    + ["read", "set", "unset", "export", "readonly", "shift", "trap", "umask", "ulimit", "cd", "wait", "kill", "break"]
)
_SFTP = re.compile(r"internal-sftp\b|sftp-server$")
#: What leads from one command to another: of these what follows is the command, of those nothing can be told.
_BEFORE = frozenset(["exec", "command", "builtin", "nohup", "env", "time", "!"])
_COMPOUND = frozenset(["if", "then", "elif", "else", "fi", "while", "until", "do", "done", "{", "}"])
_OPAQUE = frozenset(["for", "case", "select", "function", "in", "esac"])
_SHELLS = frozenset(["sh", "bash", "dash", "ksh", "zsh", "ash"])
_SIGNS = ";&|()<>\n"
#: Characters of a command that is looked at, and how many within each other.
_LONGEST, _DEEPEST = 1000, 4


def session(values: Values, account: str, accounts: Accounts) -> Obstacle | None:
    """Return what keeps ``account`` from a shell once it is in."""
    command, directory = (values.get(name) or "none" for name in ("ForceCommand", "ChrootDirectory"))
    # The programs of a directory of its own are others.
    caged = directory.lower() != "none"
    if command.lower() != "none" and not leads_on(command, lambda path: caged or accounts.runs(account, path)):
        return Obstacle("ForceCommand", f"with ForceCommand {command!r} {account} gets no shell")
    told = accounts.cage(account, directory) if caged else None
    told = told if knows_tokens("ChrootDirectory", directory) else "sshd ends at a token that it does not know"
    return Obstacle("ChrootDirectory", f"ChrootDirectory {directory} keeps {account} out: {told}") if told else None


def leads_on(command: str, runs: Callable[[str], bool], depth: int = _DEEPEST) -> bool:
    """
    Return whether a command in the place of the shell (str) can lead to one: most of them are there to note what was
    asked for, and to do it. What cannot be told is no reason against it.

    runs
        Called with the path of a program (str); returns whether the account can run it (bool).
    """
    parts = _parts(command) if depth and len(command) <= _LONGEST else None
    if parts is None:
        return True
    straight, before = True, ""
    for words, after in parts:
        straight = straight and not _COMPOUND & {*words} and "(" not in before
        if _continues(words, runs, depth):
            return True
        # What stands behind an end that nothing was asked before is not done.
        if straight and _ends(words) and before not in ("&&", "||", "|") and after not in ("|", "&"):
            return False
        before = after
    return False


@functools.lru_cache(maxsize=1024)
def _parts(command: str) -> list[tuple[list[str], str]] | None:
    """Return the simple commands of a command as a shell splits them, each with the sign behind it, or None."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_SIGNS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        tokens = list(lexer)
    except ValueError:
        return None
    parts: list[tuple[list[str], str]] = [([], "")]
    redirected = False
    for token in tokens:
        sign = bool(token) and set(token) <= set(_SIGNS)
        if sign and set(token) & set("<>"):
            if "<<" in token or "(" in token:
                return None
            redirected = True
        elif sign:
            parts[-1] = parts[-1][0], token.strip("\n") or ";"
            parts.append(([], ""))
        elif redirected:
            redirected = False
        else:
            parts[-1][0].append(token)
    return parts


def _program(words: Sequence[str]) -> list[str]:
    """Return the words of a simple command from its program on, none without any."""
    left = list(words)
    while left and (left[0] in _BEFORE | _COMPOUND or re.match(r"[A-Za-z_]\w*=", left[0])):
        del left[0]
    return left


def _ends(words: Sequence[str]) -> bool:
    return bool(words) and (words[0] in ("exit", "logout") or (words[0] == "exec" and len(words) > 1))


def _continues(words: Sequence[str], runs: Callable[[str], bool], depth: int) -> bool:
    """Whether a simple command can lead to a shell."""
    left = _program(words)
    if not left:
        return False
    program, name = left[0], left[0].rpartition("/")[2]
    if program in _OPAQUE or re.search(r"[$`]", program):
        return True
    if name in _NO_SHELL or _SFTP.match(name):
        return False
    if re.fullmatch(r"/[\w./+@-]+", program) and not runs(program):
        return False
    if name == "eval":
        return any(re.search(r"[$`]", word) for word in left) or leads_on(" ".join(left[1:]), runs, depth - 1)
    given = next((at for at, word in enumerate(left) if re.fullmatch(r"-[a-z]*c", word)), None)
    if name not in _SHELLS or given is None:
        return True
    return given + 1 < len(left) and leads_on(left[given + 1], runs, depth - 1)
