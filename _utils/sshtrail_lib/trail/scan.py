"""
What was executed in sessions, and which files were changed: out of a large piece of an audit log.

Most of a log is of no concern, so that it is searched for what is and only that is taken apart. What comes out is
plain data, for another process may do it. Every function takes time in proportion to the text.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable

from sshtrail_lib.trail.audit_log import HEX, is_short_of
from sshtrail_lib.trail.audit_log import TITLE as TITLED

UNSET = b"4294967295"
#: An event whose records come later than this many bytes after its first is cut there.
LONGEST_EVENT = 32 * 2**20
#: Bytes before a message within which its process is looked for, and how many records are looked at.
NEAR, TRIES = 2**15, 8
#: Bytes within which the records of an event come that has all its arguments.
SOON = 2**17
# execve and execveat, by the architecture (linux/audit.h) as the kernel writes it.
EXEC = {
    b"c000003e": (b"59", b"322"),
    b"40000003": (b"11", b"358"),
    b"c00000b7": (b"221", b"281"),
    b"40000028": (b"11", b"387"),
    b"c0000015": (b"11", b"362"),
    b"80000016": (b"11", b"354"),
    b"c00000f3": (b"221", b"281"),
    b"400000f3": (b"221", b"281"),
    b"c0000102": (b"221", b"281"),
    b"80000015": (b"11", b"362"),
    b"14": (b"11", b"362"),
    b"16": (b"11", b"354"),
    b"40000008": (b"4011", b"4356"),
    b"c0000008": (b"5057", b"5316"),
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
# The order of the fields is the kernel's (audit_log_exit, audit_log_task_info).
CALL = re.compile(
    rb"(?:node=([^ ]*) )?type=SYSCALL msg=audit\(([0-9]{1,11}\.[0-9]{1,3}):([0-9]{1,20})\): arch=([0-9a-f]{1,8}) "
    rb"syscall=([0-9]{1,6})(?: per=[0-9a-f]+)?(?: success=(yes|no) exit=(-?[0-9]+))? a0=([0-9a-f]{1,16}) "
    rb"a1=([0-9a-f]{1,16}) a2=([0-9a-f]{1,16}) a3=[0-9a-f]{1,16} items=[0-9]+ ppid=([0-9]{1,10}) pid=([0-9]{1,10}) "
    rb"auid=([0-9]{1,10}) uid=([0-9]{1,10}) gid=[0-9]+ euid=([0-9]{1,10}) suid=[0-9]+ fsuid=[0-9]+ egid=[0-9]+ "
    rb"sgid=[0-9]+ fsgid=[0-9]+ tty=([^ ]+) ses=([0-9]{1,10}) comm=(?:\"[^\"]*\"|[^ ]+) exe=(\"[^\"]*\"|[^ \x1d]+)"
)
# A program that was started, as most are: its records one after the other, in the usual fields, with arguments that are
# all in one record. What is not like that is taken apart line by line.
_STARTS = b"|".join(b"%s syscall=(?:%s)" % (arch, b"|".join(calls)) for arch, calls in EXEC.items())
_FROM = (
    rb" a0=[0-9a-f]{1,16} a1=[0-9a-f]{1,16} a2=[0-9a-f]{1,16} a3=[0-9a-f]{1,16} items=[0-9]+ ppid=([0-9]{1,10}) pid="
)
_TO = (
    rb" auid=([0-9]{1,10}) uid=([0-9]{1,10}) gid=[0-9]+ euid=([0-9]{1,10}) suid=[0-9]+ fsuid=[0-9]+ egid=[0-9]+ "
    rb"sgid=[0-9]+ fsgid=[0-9]+ tty=([^ \n]+) ses="
)
_CALL = rb"type=SYSCALL msg=audit\([0-9.:]{1,40}\): arch=(?:" + _STARTS + rb")(?: per=[0-9a-f]+)? success="
# What a program tries in vain that looks for another along PATH, with the next try right behind it.
TRIED = (
    (
        _CALL.replace(rb"audit\([0-9.:]{1,40}\): ", rb"(?P<tried>audit\([0-9.:]{1,40}\): )")
        + (rb"no exit=-[0-9]+" + _FROM + rb"(?P<pid>[0-9]{1,10})" + _TO + rb"(?P<ses>[0-9]{1,10}) comm=[^\n]*\n")
        + (rb"(?:type=(?:CWD|PATH|PROCTITLE) msg=(?P=tried)[^\n]*\n)*(?=" + _CALL + rb"(?:yes|no) exit=-?[0-9]+")
        + (_FROM + rb"(?P=pid)" + _TO + rb"(?P=ses) comm=)")
    )
    .replace(rb"([0-9]{1,10})", rb"[0-9]{1,10}")
    .replace(rb"([^ \n]+)", rb"[^ \n]+")
)
WHOLE = re.compile(
    rb"^(?:"
    + TRIED
    + rb"|type=SYSCALL msg=(?P<event>audit\(([0-9]{1,11}\.[0-9]{1,3}):([0-9]{1,20})\): )arch=(?:"
    + _STARTS
    + rb")(?: per=[0-9a-f]+)? success=yes exit=0"
    + _FROM
    + rb"([0-9]{1,10})"
    + _TO
    + rb"([0-9]{1,10}) comm=(?:\"[^\"\n]*\"|[0-9A-F]+) exe=\"([^\"\n]*)\"([^\n]*)\n"
    rb"(?:type=BPRM_FCAPS msg=(?P=event)[^\n]*\n)?"
    rb"type=EXECVE msg=(?P=event)argc=([0-9]+)(?P<words>(?: a[0-9]+=(?:\"[^\"\n]*\"|(?:[0-9A-F][0-9A-F])+))+)\n"
    rb"type=CWD msg=(?P=event)cwd=([^\n]*)\n(?:type=PATH msg=(?P=event)[^\n]*\n)*"
    rb"(?:type=PROCTITLE msg=(?P=event)(?P<title>[^\n]*)(?:\n|\Z))?)",
    re.MULTILINE,
)
WORD = re.compile(rb"=(?:\"([^\"]*)\"|([0-9A-F]+))")
NAME = re.compile(rb"\x1d(?:.* )?UID=\"([^\"]*)\"")
KEY = re.compile(rb" key=(\"[^\"]*\"|[^ \x1d]+)")
TYPES = (b"SYSCALL", b"EXECVE", b"CWD", b"PATH", b"PROCTITLE")
# Both once in each record of a system call, so that they come in pairs: to look for what is rare, and for nothing that
# may be long, is five times as fast as to read the record.
ASKED = re.compile(
    rb"type=SYSCALL msg=audit\([0-9.]{1,20}:([0-9]{1,20})\): arch=([0-9a-f]+) syscall=([0-9]+)(?: per=[0-9a-f]+)?"
    rb"(?: success=(yes))?"
)
WHOSE = re.compile(rb" ses=([0-9]{1,10}) comm=")
NODE = re.compile(rb"(?:^|\n)node=([^ \n]*) type=SYSCALL ")
# One that begins behind another was cut short: the kernel writes no space in what people name.
MARK = b" msg=audit("
BEHIND = re.compile(rb"(?:node=[^ ]* )?type=(?:SYSCALL|EXECVE|CWD|PATH|PROCTITLE) msg=audit\(")
# Where the event's time and number begin in a line, by the first letters of its type.
WHERE = {kind[5:9]: len(kind) for kind in (b"type=%s msg=audit(" % one for one in TYPES)}
ARGUMENT = re.compile(rb" a([0-9]{1,9})(?:\[([0-9]{1,9})\])?=(?:\"([^\"]*)\"|([0-9A-Fa-f]+))(?![^ \r])")
LENGTH = re.compile(rb" a([0-9]{1,9})_len=([0-9]{1,9})(?= )")
TITLE = re.compile(rb"(?:^| )proctitle=(\"[^\"]*\"|[0-9A-F]+)")
ARGC = re.compile(rb"argc=([0-9]{1,9})")
PATH = re.compile(rb"item=([0-9]{1,9}) name=(\"[^\"]*\"|[^ ]+).* nametype=([A-Z]+)")


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


def ran(block: bytes, at: int, node: str, pid: int | None) -> str:
    """
    Return the program (str) that the process ``pid`` of a node was last seen to start shortly before the place ``at``
    (int) in ``block`` (bytes); "" for none.
    """
    mark, begin = b" pid=%d auid=" % (pid or 0), max(0, at - NEAR)
    for _ in range(TRIES):
        found = block.rfind(mark, begin, at)
        if found < 0:
            return ""
        at = block.rfind(b"\n", 0, found) + 1
        head = CALL.match(block, at)
        if head and head[5] in EXEC.get(head[4], ()) and head[6] == b"yes" and _str(head[1] or b"") == node:
            return _value(head[18]) or ""
    return ""


def doing(block: bytes, at: int) -> str:
    """
    Return the program (str) whose system call the record at a place (int) in ``block`` (bytes) came from, "" where the
    record of the call is not near.
    """
    event = block[block.find(b"msg=audit(", at) : block.find(b")", at) + 1]
    found = block.find(b"type=SYSCALL " + event, at, at + NEAR)
    head = CALL.match(block, block.rfind(b"\n", 0, found) + 1) if found >= 0 else None
    return (head and _value(head[18])) or ""


def calls(block: bytes, more: Iterable[bytes] = ()) -> dict[tuple[bytes, bytes], list[Call]]:
    """
    Return the system calls of sessions (dict of node and session to list of :class:`Call`) that begin in ``block``.

    more
        What follows ``block`` in the log (iterable of pieces that end with a line): the rest of its last events.
    """
    opened: dict[bytes, _Event] = {}
    found: dict[tuple[bytes, bytes], list[Call]] = {}
    at = 0
    for match in WHOLE.finditer(block):
        if match.start() > at:
            _lines(block[at : match.start()], opened, begin=True)
        at = match.end()
        if match["event"] and not (match["title"] or match["words"].endswith(b'"')):
            # The title, which tells whether the last word is whole, may come later.
            _lines(match[0], opened, begin=True)
        elif match["event"] and match[13] != UNSET:
            found.setdefault((b"", match[13]), []).append(_whole(match))
    _lines(block[at:], opened, begin=True)
    _rest({key: event for key, event in opened.items() if event.waiting}, more)
    for event in opened.values():
        call = event.call()
        if call:
            found.setdefault((event.head[1] or b"", event.head[17]), []).append(call)
    # A log may be there twice, or each of its lines.
    return {
        key: _searched(sorted({call.serial: call for call in calls}.values(), key=_serial))
        for key, calls in found.items()
    }


def _serial(call):
    return call.serial


def _whole(match):
    """Return what an event that stands in one piece executed (Call)."""
    _, time, serial, parent, pid, auid, uid, euid, tty, _ses, exe, rest, argc, words, cwd, title = match.groups()[3:]
    given = [bytes.fromhex(coded.decode()) if coded else quoted for quoted, coded in WORD.findall(words)]
    argv = tuple(map(_str, given))
    return Call(
        *(float(time), int(serial), int(parent), int(pid), int(uid), int(euid)),
        None if tty == b"(none)" else _str(tty),
        True,
        _str(exe),
        _value(cwd),
        argv,
        (),
        (),
        "written",
        len(argv) == int(argc) and (words.endswith(b'"') or _is_all(given, title or b"")),
        False,
        int(auid),
        None if auid == uid else _known(NAME.search(rest)),
    )


def _is_all(given, title):
    """Tell whether arguments are whole (bool), by a title as it is written; mostly its length tells."""
    size = sum(map(len, given))
    if size >= TITLED or 2 * (size + len(given) - 1) + len(b"proctitle=") == len(title):
        return True
    return not is_short_of(given, _title(title))


def _title(line):
    found = TITLE.search(line)
    return _bytes(found[1]) if found else b""


def _known(name):
    return _str(name[1]) if name and not name[1].startswith((b"unknown(", b"unset")) else None


def _lines(block, opened, begin):
    """Give each line to the event that it is of, where that is of a session; ``begin`` new ones, or not."""
    lines = block.split(b"\n")
    # Nobody knows whether there is all of a line that has no end, but where its last word is in quotes.
    if not (lines[-1].endswith(b'"') or b"type=SYSCALL " in lines[-1]):
        lines[-1] = lines[-1].rpartition(b" ")[0]
    for line in lines:
        while line:
            at = line.find(b" ") + 1 if line.startswith(b"node=") else 0
            kind = line[at + 5 : at + 9]
            place = WHERE.get(kind)
            if not place:
                break
            start, behind = at + place, b""
            if line.find(MARK, start) > 0 and (found := BEHIND.search(line, start)):
                # Nobody knows how much of its last word is there.
                line, behind = line[: found.start()].rpartition(b" ")[0], line[found.start() :]
            key = line[start : line.find(b")", start)]
            # Another node has events of its own.
            key = line[:at] + key if at else key
            if kind == b"SYSC":
                head = CALL.match(line) if begin else None
                if head and head[17] != UNSET:
                    opened.setdefault(key, _Event(head, line))
            elif event := opened.get(key):
                event.add(kind, line)
            line = behind


def _rest(waiting, more):
    """Read on as long as an event of the block may have more records."""
    read = 0
    for piece in more:
        if not waiting or read > LONGEST_EVENT:
            return
        _lines(piece, waiting, begin=False)
        read += len(piece)
        # The records of an event come within a moment of each other, and of the last of its arguments.
        for event in waiting.values():
            event.until = read + SOON if event.missing() else event.until
        waiting = {key: event for key, event in waiting.items() if event.waiting and read < event.until}


class _Event:
    """The records of one system call, as they come."""

    __slots__ = (
        *("head", "line", "argc", "single", "pieces", "lengths"),
        *("sizes", "cwd", "paths", "waiting", "until", "title"),
    )

    def __init__(self, head: typing.Any, line: bytes) -> None:
        self.head, self.line, self.argc, self.waiting = head, line, -1, True
        self.cwd: bytes | None = None
        self.until, self.title = SOON, b""
        self.single: dict[int, bytes] = {}
        self.pieces: dict[int, dict[int, bytes]] = {}
        self.paths: dict[bytes, None] = {}
        self.lengths: dict[int, int] = {}
        self.sizes: dict[int, int] = {}

    def add(self, kind, line):
        if kind == b"PATH":
            if not self.argc > 0:
                self.paths.setdefault(line)
        elif kind == b"PROC":
            self.waiting, self.title = False, line
        elif kind == b"CWD ":
            self.cwd = self.cwd or line
        else:
            self.arguments(line)

    def arguments(self, line):
        at = line.find(b"): ")
        if self.argc < 0:
            argc = ARGC.match(line, at + 3)
            self.argc = int(argc[1]) if argc else -1
        for number, length in LENGTH.findall(line, at + 2):
            self.lengths[int(number)] = int(length)
        for number, piece, quoted, coded in ARGUMENT.findall(line, at + 2):
            if len(coded) % 2:
                # Half a byte: what followed is gone.
                continue
            value = bytes.fromhex(coded.decode()) if coded else quoted
            if piece:
                pieces = self.pieces.setdefault(int(number), {})
                if int(piece) not in pieces:
                    self.sizes[int(number)] = self.sizes.get(int(number), 0) + len(coded or quoted)
                    pieces[int(piece)] = value
            else:
                self.single[int(number)] = value

    def missing(self):
        """Tell whether an argument has not come yet (bool)."""
        if any(self.sizes.get(number, 0) < length for number, length in self.lengths.items()):
            return True
        return self.argc > len(self.single | self.pieces) or (self.argc < 0 and self.executes())

    def executes(self):
        return self.head[5] in EXEC.get(self.head[4], ()) and self.head[6] == b"yes"

    def given(self):
        for number, pieces in self.pieces.items():
            self.single[number] = b"".join(pieces[at] for at in sorted(pieces))
        # What the log says is no measure of memory: only what came counts.
        return [self.single[number] for number in sorted(self.single)]

    def titled(self):
        """Return the arguments (tuple of str) as the record of the title has them: its 128 bytes at most, not all."""
        title = _title(self.title) if self.executes() else b""
        return tuple(map(_str, title.split(b"\0"))) if title else ()

    def whole(self):
        """Tell whether no argument is missing, nor a part of one (bool)."""
        return not self.missing() and not (self.executes() and is_short_of(self.given(), _title(self.title)))

    def call(self) -> Call | None:
        arch, number = self.head[4], self.head[5]
        tried = number in EXEC.get(arch, ())
        if not tried and self.argc < 0 and not self.paths:
            return None
        argv = tuple(map(_str, self.given())) if self.argc >= 0 else (self.titled() if tried else None)
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
            self.whole(),
            self.below(arch, number),
            int(self.head[13]),
            None if self.head[13] == self.head[14] else self.name(),
        )

    def keys(self):
        key = KEY.search(self.line, self.head.end())
        return tuple(_str(one) for one in _bytes(key[1]).split(b"\x01")) if key and key[1] != b"(null)" else ()

    def name(self):
        return _known(NAME.search(self.line, self.head.end()))

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


def _bytes(word):
    if word.startswith(b'"'):
        return word[1:].partition(b'"')[0]
    return bytes.fromhex(word.decode()) if HEX.fullmatch(word) else word


def _value(word):
    word = word.partition(b"\x1d")[0].rstrip()
    cut = word.startswith(b'"') and not word.endswith(b'"', 1)
    return None if cut or word in (b"", b"(null)") else _str(_bytes(word))


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
