"""
What tells at a glance how a process stands: small enough for every tick to read.
"""

from __future__ import annotations

import posixpath
import re
import typing
from collections.abc import Sequence

#: The kernel's word for "no login".
UNSET = 0xFFFFFFFF
#: Letters of proc(5)'s ``stat`` for a process that does nothing: stopped, traced, ended.
STOPPED = {"T": "stopped by a signal", "t": "stopped by a debugger", "Z": "has ended", "X": "has ended"}
#: What a frozen process waits in: control groups of the second kind, with do_freezer_trap by itself or as a part of
#: what calls it (6.18; whatever else waits in there is stopped), and of the first kind.
FREEZERS = ("do_freezer_trap", "get_signal", "__refrigerator")
#: Part of the kernel's queue that may be in use.
NEARLY = 0.75
#: What the processes of sshd are called; from 9.8 and 10.0 on a connection has programs of its own.
SSHD = ("sshd", "sshd-session", "sshd-auth")
#: The title of a process that serves an open session; its monitor's ends in "[priv]", and before the login in "[net]".
SESSION = re.compile(r"sshd(?:-session)?: (?P<user>.+)@(?:notty|(?:pts/|tty)[0-9A-Za-z/,]+|internal-sftp)")
#: The title of a sshd that listens: what it is called, and its command line; what it does, unless that is cut off.
LISTENS = re.compile(
    r"(?P<name>[^\s:/]+): (?P<program>/\S*)(?P<listens>.* \[listener\] [0-9]+ of [0-9]+-[0-9]+ startups)?"
)
DELETED = " (deleted)"
#: Programs that are many: which one, they are told by their name, or by their first argument.
MANY = ("busybox", "toybox", "dropbearmulti")
#: Lines of the log for which a host is looked at as a whole: auditing was switched off, a rule came or went, the count
#: of lost records was set back, a login id was given up, or another was taken for it, a session of sshd's has none; who
#: has logged in and is root has run auditctl, whose changes a rule can hide; or somebody else than auditd has opened a
#: log to write in it, or changed whose it is (the ready group audit_config). An auditd with a name_format has the name
#: of the host before each.
INTERRUPTED = re.compile(
    rb"(?:node=[^ \n]+ )?type=(?:CONFIG_CHANGE [^\n]*(?:op=(?:add|remove)_rule|audit_enabled=0|lost=0 old=[1-9])"
    rb"|LOGIN [^\n]* old-auid=(?!4294967295 )[0-9]+ auid="
    rb"|USER_START [^\n]* auid=4294967295 [^\n]*exe=\"(?:[^\"\n]*/sshd|\?\" [^\n]*terminal=ssh )"
    rb"|SYSCALL [^\n]* auid=(?!4294967295 )[^\n]* euid=0 [^\n]* exe=\"(?:/usr)?/s?bin/auditctl\" "
    rb"|SYSCALL (?![^\n]* exe=\"/usr/sbin/auditd\")[^\n]* key=\"audit_logs\")"
)
#: What such a line has: the pattern alone would take ten times as long to go through a log.
INTERRUPTS = (b"type=CONFIG_CHANGE ", b"type=LOGIN ", b"type=USER_START ", b' key="audit_logs"', b'/auditctl" ')


def cut(before: Sequence[typing.Any], now: Sequence[typing.Any]) -> bool:
    """
    Tell whether something was taken out of a log, which only grows until it is rotated to another file.

    before, now
        Its inode, its bytes, and how it begins (sequence of two int and a str); empty where nobody has looked.
    """
    if not before or before[0] != now[0]:
        return False
    return now[1] < before[1] or not now[2].startswith(before[2])


def interrupted(lines: bytes) -> bool:
    """Tell whether lines of a log (bytes) tell that the trail was interrupted."""
    for mark in INTERRUPTS:
        at = lines.find(mark)
        while at >= 0:
            if INTERRUPTED.match(lines, lines.rfind(b"\n", 0, at + 1) + 1):
                return True
            at = lines.find(mark, at + 1)
    return False


def called(program: str, argv: Sequence[str]) -> tuple[str, Sequence[str]]:
    """
    Return what a process is by its executable (str), and its arguments (sequence of str).

    program, argv
        The executable (str), which may be deleted by now, and the command line (sequence of str).
    """
    name, words = posixpath.basename(program).removesuffix(DELETED), list(argv)
    while name in MANY and words:
        # A login shell's name begins with a dash.
        name = posixpath.basename(words.pop(0)).lstrip("-")
        if name not in MANY:
            return name, words
    return name, words[1:]


def user_of(comm: str, program: str, argv: Sequence[str]) -> str:
    """
    Return whose open session a process of sshd serves (str), empty for none: a monitor, or before the login.

    comm, program, argv
        The process's name and executable (str), and its command line (sequence of str): a process can call itself
        what it likes, but not change its program.
    """
    if comm not in SSHD or posixpath.basename(program).removesuffix(DELETED) not in SSHD:
        return ""
    found = SESSION.fullmatch(argv[0].rstrip()) if argv else None
    return found["user"] if found else ""
