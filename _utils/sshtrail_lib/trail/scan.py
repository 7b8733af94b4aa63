"""
A large piece of an audit log: the few lines of it that tell of logins, and what was executed, each without the rest.

Most of a log is of no concern, so that it is searched for what is and only that is taken apart. What comes out is
plain data, for another process may do it. Every function takes time in proportion to the text.
"""

from __future__ import annotations

import posixpath
import re
import typing
from collections.abc import Iterable, Iterator

from sshtrail_lib.trail.audit_log import HEX

UNSET = b"4294967295"
#: An event whose records come later than this many bytes after its first is cut there.
LONGEST_EVENT = 32 * 2**20
# execve and execveat, by the architecture (linux/audit.h) as the kernel writes it.
EXEC = {
    b"c000003e": (b"59", b"322"),
    b"40000003": (b"11", b"358"),
    b"c00000b7": (b"221", b"281"),
    b"40000028": (b"11", b"387"),
    b"c0000015": (b"11", b"362"),
    b"80000016": (b"11", b"354"),
    b"c00000f3": (b"221", b"281"),
}
# The calls that open a file, with the argument that holds how (open(2)); creat(2) always writes.
OPEN = {
    **{(b"c000003e", b"2"): 1, (b"c000003e", b"257"): 2, (b"40000003", b"5"): 1, (b"40000003", b"295"): 2},
    **{(b"c00000b7", b"56"): 2, (b"40000028", b"5"): 1, (b"40000028", b"322"): 2, (b"c00000f3", b"56"): 2},
    **{(b"c0000015", b"5"): 1, (b"c0000015", b"286"): 2, (b"80000016", b"5"): 1, (b"80000016", b"288"): 2},
}
# What changes who may use a file, and not the file: chmod, chown, setxattr, removexattr and their kin.
ATTRIBUTES = {
    b"c000003e": frozenset(b"90 91 92 93 94 188 189 190 197 198 199 260 268 452".split()),
    b"40000003": frozenset(b"15 16 94 95 182 198 207 212 226 227 228 235 236 237 298 306 452".split()),
    b"c00000b7": frozenset(b"5 6 7 14 15 16 52 53 54 55 452".split()),
}
# The calls that take a name below an open directory, with the arguments that hold these; others go by the name alone.
_TWO, _SECOND = (0, 2), (1,)
BELOW = {
    **{(b"c000003e", b"%d" % call): (0,) for call in (257, 258, 259, 260, 261, 263, 268, 280, 437, 452)},
    **{(b"c000003e", b"%d" % call): _TWO for call in (264, 265, 316)},
    (b"c000003e", b"266"): _SECOND,
    **{(b"40000003", b"%d" % call): (0,) for call in (295, 296, 297, 298, 299, 301, 306, 320, 437, 452)},
    **{(b"40000003", b"%d" % call): _TWO for call in (302, 303, 353)},
    (b"40000003", b"304"): _SECOND,
    **{(b"c00000b7", b"%d" % call): (0,) for call in (33, 34, 35, 53, 54, 56, 88, 437, 452)},
    **{(b"c00000b7", b"%d" % call): _TWO for call in (37, 38, 276)},
    (b"c00000b7", b"36"): _SECOND,
}
AT_FDCWD = b"ffffff9c"
WRITES = 0o3 | 0o1000
LOGIN = b"type=LOGIN msg=audit("
JUMP = b"type=TIME_INJOFFSET msg=audit("
MESSAGE = b" msg='"
# Whoever tries passwords fills the log with these.
FAILED = b" res=failed'"
# What PAM, sshd, su and sudo write: the rest of what programs write is of no concern.
KINDS = frozenset(
    b"USER_START USER_END CRED_DISP CRED_REFR USER_LOGIN USER_AUTH USER_ACCT USER_CMD CRYPTO_KEY_USER".split()
)
# Of processes without a session only these tell of one that begins.
BEFORE = frozenset(b"USER_AUTH USER_ACCT CRYPTO_KEY_USER".split())
HEAD = re.compile(rb"(?:node=([^ ]*) )?type=([A-Z_0-9]+) msg=audit\(([0-9]{1,15})\.([0-9]{1,3}):([0-9]{1,20})\)")
# The order of the fields is the kernel's (audit_log_exit, audit_log_task_info).
CALL = re.compile(
    rb"(?:node=([^ ]*) )?type=SYSCALL msg=audit\(([0-9]{1,15}\.[0-9]{1,3}):([0-9]{1,20})\): arch=([0-9a-f]{1,8}) "
    rb"syscall=([0-9]{1,6})(?: per=[0-9a-f]+)?(?: success=(yes|no) exit=(-?[0-9]+))? a0=([0-9a-f]{1,16}) "
    rb"a1=([0-9a-f]{1,16}) a2=([0-9a-f]{1,16}) a3=[0-9a-f]{1,16} items=[0-9]+ ppid=([0-9]{1,10}) pid=([0-9]{1,10}) "
    rb"auid=([0-9]{1,10}) uid=([0-9]{1,10}) gid=[0-9]+ euid=([0-9]{1,10}) suid=[0-9]+ fsuid=[0-9]+ egid=[0-9]+ "
    rb"sgid=[0-9]+ fsgid=[0-9]+ tty=([^ ]+) ses=([0-9]{1,10}) comm=(?:\"[^\"]*\"|[^ ]+) exe=(\"[^\"]*\"|[^ \x1d]+)"
)
NAME = re.compile(rb"\x1d(?:.* )?UID=\"([^\"]*)\"")
KEY = re.compile(rb" key=(\"[^\"]*\"|[^ \x1d]+)")
# Both once in each record of a system call, so that they come in pairs: to look for what is rare, and for nothing that
# may be long, is five times as fast as to read the record.
ASKED = re.compile(
    rb"type=SYSCALL msg=audit\([0-9.]{1,20}:([0-9]{1,20})\): arch=([0-9a-f]+) syscall=([0-9]+)(?: per=[0-9a-f]+)?"
    rb"(?: success=(yes))?"
)
WHOSE = re.compile(rb" ses=([0-9]{1,10}) comm=")
NODE = re.compile(rb"(?:^|\n)node=([^ \n]*) type=SYSCALL ")
ARGUMENT = re.compile(rb" a([0-9]{1,9})(?:\[([0-9]{1,9})\])?=(?:\"([^\"]*)\"|([0-9A-Fa-f]*))")
ARGC = re.compile(rb"argc=([0-9]{1,9})")
PATH = re.compile(rb"item=([0-9]{1,9}) name=(\"[^\"]*\"|[^ ]+).* nametype=([A-Z]+)")
#: Programs by which somebody becomes another.
SWITCHES = frozenset(
    ("su", "sudo", "sudo-rs", "doas", "pkexec", "runuser", "setpriv", "newgrp", "sg", "machinectl", "run0")
)


class Call(typing.NamedTuple):
    """
    A system call of a session, with the records that belong to it.

    ``time`` (float), ``serial``, ``parent``, ``pid``, ``uid``, ``euid`` (int), ``tty`` (str or None), ``success``
    (bool), ``exe`` (str or None), ``cwd`` (str or None), ``argv`` (tuple of str, or None for what is no execution),
    ``paths`` (tuple of name and kind, both str), ``keys`` (tuple of str), ``what`` (str: read, written, attributes),
    ``whole`` (bool: no argument is missing), ``below`` (bool: names without a slash first are not below ``cwd``),
    ``auid`` (int) and ``name`` (str or None: of the account ``uid``, as auditd looked it up, where it is another's).
    """

    time: float
    serial: int
    parent: int
    pid: int
    uid: int
    euid: int
    tty: str | None
    success: bool
    exe: str | None
    cwd: str | None
    argv: tuple[str, ...] | None
    paths: tuple[tuple[str, str], ...]
    keys: tuple[str, ...]
    what: str
    whole: bool
    below: bool
    auid: int
    name: str | None


class Clock:
    """Where one boot ends and the next begins in the records of one node: their serial numbers begin again."""

    #: Records may be out of order by so many events, and by so many seconds.
    EVENTS, SECONDS = 1000, 5.0

    def __init__(self) -> None:
        self.serial, self.time = -1, 0.0

    def restarted(self, serial: int, time: float) -> bool:
        """Tell whether a record (its serial number, int, and time, float) is the first known of another boot (bool)."""
        back = serial < self.serial - self.EVENTS
        # The number and the time of an event are taken together: what came late has both from before.
        back = back or (serial < self.serial and abs(time - self.time) > self.SECONDS)
        if back or serial > self.serial:
            self.serial, self.time = serial, time
        return back


def head(line: bytes) -> tuple[bytes, int, float]:
    """Return the node, the number and the time (bytes, int, float) of a line (bytes) that :func:`told` gave."""
    found = HEAD.match(line)
    assert found
    return found[1] or b"", int(found[5]), int(found[3]) + int(found[4]) / 1000


def told(block: bytes) -> list[tuple[int, bytes]]:
    """Return the lines of ``block`` (bytes) that tell of logins (list of where each begins and of bytes), in order."""
    found: dict[int, bytes] = {}
    for mark in (LOGIN, JUMP):
        marked = ((start, block[start:end]) for start, end in _marked(block, mark))
        found.update((start, line) for start, line in marked if HEAD.match(line))
    for start, end in _marked(block, MESSAGE):
        line = block[start:end]
        head = HEAD.match(line)
        if head and head[2] in KINDS and (_in_session(line, head.end()) or (head[2] in BEFORE and FAILED not in line)):
            found[start] = line
    return sorted(found.items())


def logins(block: bytes) -> list[bytes]:
    """Return the kernel's LOGIN records (list of bytes) in ``block`` (bytes)."""
    return [block[start:end] for start, end in _marked(block, LOGIN)]


def _in_session(line, end):
    """Tell whether the process that sent a message had a session: the kernel wrote that before the message."""
    return b" ses=%s " % UNSET not in line[end : line.find(MESSAGE) + 1]


def _marked(block: bytes, mark: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the lines that hold ``mark`` begin and end, each line once however often it holds it."""
    at = block.find(mark)
    while at >= 0:
        start = block.rfind(b"\n", 0, at) + 1
        end = block.find(b"\n", at)
        end = len(block) if end < 0 else end
        yield start, end
        at = block.find(mark, end)


def numbers(block: bytes) -> dict[tuple[bytes, bytes], list[int]]:
    """
    Return the numbers of the events (dict of node and session to list of int) in ``block`` (bytes) that started a
    program in a session.
    """
    asked, whose = ASKED.findall(block), WHOSE.findall(block)
    nodes = NODE.findall(block) if block.startswith(b"node=") or b"\nnode=" in block else [b""] * len(asked)
    if not len(asked) == len(whose) == len(nodes):
        return {key: [one.serial for one in found if one.success and one.argv] for key, found in calls(block).items()}
    found: dict[tuple[bytes, bytes], list[int]] = {}
    for (serial, arch, call, success), session, node in zip(asked, whose, nodes, strict=True):
        if session != UNSET and success and call in EXEC.get(arch, ()):
            found.setdefault((node, session), []).append(int(serial))
    return found


def calls(block: bytes, more: Iterable[bytes] = ()) -> dict[tuple[bytes, bytes], list[Call]]:
    """
    Return the system calls of sessions (dict of node and session to list of :class:`Call`) that begin in ``block``.

    more
        What follows ``block`` in the log (iterable of pieces that end with a line): the rest of its last events.
    """
    opened: dict[bytes, _Event] = {}
    for line in block.split(b"\n"):
        _line(line, opened)
    _rest({key: event for key, event in opened.items() if event.waiting}, more)
    found: dict[tuple[bytes, bytes], list[Call]] = {}
    for event in opened.values():
        call = event.call()
        if call:
            found.setdefault((event.head[1] or b"", event.head[17]), []).append(call)
    return {key: _searched(calls) for key, calls in found.items()}


def _line(line, opened):
    """Give a line to the event that it is of, where that is of a session."""
    at = line.find(b" ") + 1 if line.startswith(b"node=") else 0
    kind = line[at + 5 : at + 9]
    if kind == b"SYSC":
        head = CALL.match(line)
        if head and head[17] != UNSET:
            opened.setdefault(_key(line), _Event(head, line))
    elif kind in (b"EXEC", b"CWD ", b"PATH") and (event := opened.get(_key(line))):
        event.add(kind, line)
    elif kind == b"PROC" and (event := opened.get(_key(line))):
        event.waiting = False


def _key(line):
    """Return what all records of an event have in common."""
    event = line[line.find(b"audit(") : line.find(b"): ")]
    return line[: line.find(b" ")] + event if line.startswith(b"node=") else event


def _rest(waiting, more):
    """Read on as long as an event of the block may have more records."""
    read = 0
    for piece in more:
        if not waiting or read > LONGEST_EVENT:
            return
        for line in piece.split(b"\n"):
            if line.find(b"type=SYSC", 0, 300) < 0:
                _line(line, waiting)
        read += len(piece)
        # The records of an event come within a moment of each other, unless arguments are still missing.
        waiting = {key: event for key, event in waiting.items() if event.waiting and event.missing()}


class _Event:
    """The records of one system call, as they come."""

    __slots__ = ("head", "line", "argc", "single", "pieces", "cwd", "paths", "waiting")

    def __init__(self, head: typing.Any, line: bytes) -> None:
        self.head, self.line, self.argc, self.waiting = head, line, -1, True
        self.cwd: bytes | None = None
        self.single: dict[int, bytes] = {}
        self.pieces: dict[int, dict[int, bytes]] = {}
        self.paths: list[bytes] = []

    def add(self, kind, line):
        if kind == b"PATH":
            self.paths.append(line)
        elif kind == b"CWD ":
            self.cwd = self.cwd or line
        else:
            self.arguments(line)

    def arguments(self, line):
        at = line.find(b"): ")
        if self.argc < 0:
            argc = ARGC.match(line, at + 3)
            self.argc = int(argc[1]) if argc else -1
        for number, piece, quoted, coded in ARGUMENT.findall(line, at + 2):
            value = _plain(coded) if coded else quoted
            if piece:
                self.pieces.setdefault(int(number), {})[int(piece)] = value
            else:
                self.single[int(number)] = value

    def missing(self):
        """Tell whether an argument has not come yet (bool)."""
        return self.argc > len(self.single) + len(self.pieces) or (self.argc < 0 and self.executes())

    def executes(self):
        return self.head[5] in EXEC.get(self.head[4], ()) and self.head[6] == b"yes"

    def argv(self):
        for number, pieces in self.pieces.items():
            self.single[number] = b"".join(pieces[at] for at in sorted(pieces))
        # What the log says is no measure of memory: only what came counts.
        return tuple(_str(self.single[number]) for number in sorted(self.single))

    def call(self) -> Call | None:
        arch, number = self.head[4], self.head[5]
        tried = number in EXEC.get(arch, ())
        if not tried and self.argc < 0 and not self.paths:
            return None
        argv = self.argv() if self.argc >= 0 else (() if tried else None)
        paths = tuple(self.named()) if argv is None or not argv else ()
        serial, parent, pid, uid, euid = map(int, self.head.group(3, 11, 12, 14, 15))
        return Call(
            *(float(self.head[2]), serial, parent, pid, uid, euid),
            None if self.head[16] == b"(none)" else _str(self.head[16]),
            self.head[6] == b"yes",
            _value(self.head[18]),
            _value(self.cwd.partition(b"cwd=")[2]) if self.cwd else None,
            argv,
            paths,
            self.keys(),
            self.what(arch, number),
            not self.missing(),
            self.below(arch, number),
            int(self.head[13]),
            None if self.head[13] == self.head[14] else self.name(),
        )

    def keys(self):
        key = KEY.search(self.line, self.head.end())
        return tuple(_str(one) for one in _bytes(key[1]).split(b"\x01")) if key and key[1] != b"(null)" else ()

    def name(self):
        found = NAME.search(self.line, self.head.end())
        return _str(found[1]) if found and not found[1].startswith((b"unknown(", b"unset")) else None

    def below(self, arch, number):
        if arch not in ATTRIBUTES:
            return True
        return any(not self.head[8 + at].endswith(AT_FDCWD) for at in BELOW.get((arch, number), ()))

    def what(self, arch, number):
        where = OPEN.get((arch, number))
        if where:
            return "written" if int(self.head[8 + where], 16) & WRITES else "read"
        return "attributes" if number in ATTRIBUTES.get(arch, ()) else "written"

    def named(self):
        for line in self.paths:
            found = PATH.search(line.partition(b"\x1d")[0])
            if found:
                yield _value(found[2]) or "", found[3].decode()


def _plain(coded):
    return bytes.fromhex(coded.decode()) if len(coded) % 2 == 0 else coded


def _bytes(word):
    if word.startswith(b'"'):
        return word[1:].partition(b'"')[0]
    return bytes.fromhex(word.decode()) if HEX.fullmatch(word) else word


def _value(word):
    word = word.partition(b"\x1d")[0].rstrip()
    return None if word in (b"", b"(null)") else _str(_bytes(word))


def _str(value):
    return value.decode("utf-8", "backslashreplace")


def _searched(calls: list[Call]) -> list[Call]:
    """
    Return the calls without the attempts that another of the same process follows.

    A program that looks for another along PATH tries one name after the other; the last try says what came of it.
    """
    if all(call.success or call.argv is None for call in calls):
        return calls
    later: set[int] = set()
    kept = []
    for call in reversed(calls):
        if call.argv is None or call.success or call.pid not in later:
            kept.append(call)
        if call.argv is not None:
            later.add(call.pid)
    return kept[::-1]


def odd(call: Call) -> bool:
    """Tell whether a call may tell of a change of user (bool)."""
    return call.uid != call.auid or call.euid != call.uid or posixpath.basename(call.exe or "") in SWITCHES
