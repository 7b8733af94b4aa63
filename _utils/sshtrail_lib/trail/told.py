"""
The few lines of an audit log that tell of logins: searched for in a large piece of it, and taken apart.

A process writes what it likes into a message, so that only what the kernel put before it counts. What comes out is
plain data, for another process may do it. Every function takes time in proportion to the text.
"""

from __future__ import annotations

import array
import bisect
import posixpath
import re
import typing
from collections.abc import Iterator

from sshtrail_lib.trail.audit_log import HEX, Find, marked

UNSET = 4294967295
#: sshd's programs, as OpenSSH 8.4 to 10.6 name them.
SSHD = frozenset(("sshd", "sshd-session", "sshd-auth"))
#: Programs by which somebody becomes another.
SWITCHES = frozenset(
    ("su", "sudo", "sudo-rs", "sudo.ws", "doas", "pkexec", "runuser", "setpriv", "newgrp", "sg", "machinectl", "run0")
)
#: Programs that let people in, or work for them later; some of them may have been started by hand.
DAEMONS = SSHD | {
    "cron",
    "crond",
    "atd",
    "fcron",
    "anacron",
    "systemd",
    "systemd-executor",
    "cockpit-session",
    "vsftpd",
}
DAEMONS |= {"proftpd", "smbd", "dovecot", "lightdm", "sddm-helper", "gdm-session-worker", "xrdp-sesman", "in.telnetd"}
LOGIN = b"type=LOGIN msg=audit("
JUMP = b"type=TIME_INJOFFSET msg=audit("
# Who has no message in it, and is the kernel's own.
ALONE = ("LOGIN", "TIME_INJOFFSET")
# Hardly any other record has it; where people wrote it more than a few times, the whole mark is looked for.
RARE, FEW = b"J", 100
# One byte is found much faster than several; before a message the kernel writes none such.
QUOTE, MESSAGE = b"'", b" msg='"
# What PAM and sshd say of a login, before it has a session and in it; and what su, sudo and their like say.
EARLY = frozenset(("USER_AUTH", "USER_ACCT", "CRYPTO_KEY_USER"))
OWN = frozenset(("USER_START", "USER_END", "CRED_DISP", "USER_LOGIN"))
OTHERS = frozenset(("USER_START", "USER_END", "CRED_DISP", "USER_AUTH", "USER_ACCT", "USER_CMD"))
# What systemd-update-utmp(8) says at each boot.
BOOT, UPDATE_UTMP = "SYSTEM_BOOT", "systemd-update-utmp"
# What alone can tell, by more than its number, that another boot has begun.
BEGINNINGS = ("LOGIN", BOOT)
KINDS = frozenset((*EARLY, *OWN, *OTHERS, BOOT))
HEAD = re.compile(rb"(?:node=([^ ]*) )?type=([A-Z_0-9]+) msg=audit\(([0-9]{1,11})\.([0-9]{1,3}):([0-9]{1,20})\):")
# What PAM says at each login and nobody asks for: it is known by its first letters.
IDLE, MARK = (b"type=CRED_ACQ ", b"type=CRED_REFR "), b" msg=audit("
FREE = re.compile(rb" (?:msg=['\"]|data=)")
HEADS = re.compile(rb"(?:node=[^ ]* )?type=[A-Z_0-9]+ msg=audit\(")
# What the kernel writes of a login, and libpam as most messages are: nothing else is in the line, so that it need not
# be taken apart, as what is no plain text is.
_FROM = r"msg=audit\(([0-9]{1,11})\.([0-9]{1,3}):([0-9]{1,20})\): pid=([0-9]{1,10}) uid=([0-9]{1,10})"
BY_KERNEL = re.compile(
    rf"(?:node=([^ ]*) )?type=LOGIN {_FROM}(?: subj=[^ =\x1d]+)? old-auid=[0-9]{{1,10}} auid=([0-9]{{1,10}})"
    r"(?: tty=[^ =\x1d]+)? old-ses=4294967295 ses=([0-9]{1,10}) res=([01])"
    r"(?:\x1dUID=\"[^\" ]*\" OLD-AUID=\"[^\" ]*\" AUID=\"([^\" ]*)\")?"
)
BY_PAM = re.compile(
    rf"(?:node=([^ ]*) )?type=([A-Z_]+) {_FROM} auid=([0-9]{{1,10}}) ses=([0-9]{{1,10}})(?: subj=[^ ]+)? "
    r"msg='op=(PAM:[a-z_]+)(?: grantors=[^ ']*)? acct=\"([^\"]*)\" exe=\"(?:[^\"]*/)?([^\"/]*)\" "
    r"hostname=([^ '\"]+) addr=([^ '\"]+) terminal=([^ '\"]+) res=(success|failed)'"
    r"(?:\x1dUID=\"[^\" ]*\" AUID=\"([^\" ]*)\")?"
)
NUMBER = re.compile(rb" (pid|uid|auid|ses|old-ses|res|sec)=(-?[0-9]{1,10})(?![^ \n])")
FIELD = re.compile(rb"[ '](op|acct|exe|hostname|addr|terminal|res|cmd|fp|kind)=(\"[^\"]*\"|[^ ']*)")
NAME = re.compile(rb"[\x1d ]AUID=\"([^\"]*)\"")


class Told(typing.NamedTuple):
    """
    A record that tells of a login, or of who becomes another in it.

    What the kernel says: ``node``, ``type`` (str), ``time`` (float), ``serial`` (int), ``pid``, ``uid``, ``auid`` and
    ``ses`` (int, None where they are missing or unset), ``seconds`` (int: by how much a clock was set) and ``worked``
    (bool; of a message, what it says). What the message says: ``op``, ``acct``, ``exe`` (a program's name), ``addr``,
    ``terminal``, ``cmd`` and ``fp`` (str, "" for none), and whether it names two programs (``doubled``, bool): libaudit
    adds the true one to whatever it was given. ``name`` (str) is the account of ``auid``, as auditd looked it up.
    ``old`` (int or None) is the session of which a process was that begins one (``login -f``).
    ``ran`` (str) is the program that the process ran, as the kernel said shortly before, "" where that is not known.
    """

    node: str
    type: str
    time: float
    serial: int
    pid: int | None
    uid: int | None
    auid: int | None
    ses: int | None
    seconds: int
    worked: bool
    op: str
    acct: str
    exe: str
    addr: str
    terminal: str
    cmd: str
    fp: str
    doubled: bool
    name: str
    old: int | None = None
    ran: str = ""


class Clock:
    """
    Where one boot ends and the next begins in the records of one node: the numbers of events and of sessions begin
    again, and systemd says that it has booted.
    """

    #: Records may be out of order by so many events, by so many seconds, and LOGIN records by these.
    EVENTS, SECONDS, LOGINS = 1000, 5.0, 60.0

    def __init__(self) -> None:
        self.serial, self.time = -1, 0.0
        self.ses, self.login = 0, 0.0
        self._serials, self._times = array.array("Q"), array.array("d")

    def restarted(self, record: Told) -> bool:
        """Tell whether a record (Told) is the first known of another boot (bool)."""
        serial, time = record.serial, record.time
        if serial > self.serial and record.type not in BEGINNINGS:
            self._went_on(serial, time)
            return False
        # The number and the time of an event are taken together: what came late has both from before.
        far = serial < self.serial - self.EVENTS or abs(time - self.time) > self.SECONDS
        back = serial < self.serial and far and not self._late(record)
        back = back or record.type == BOOT or self._again(record)
        if back:
            self._serials, self._times = array.array("Q"), array.array("d")
        if back or serial > self.serial:
            self._went_on(serial, time)
        if record.type == "LOGIN" and record.ses and (back or record.ses > self.ses):
            self.ses, self.login = record.ses, time
        return back

    def _went_on(self, serial, time):
        self.serial, self.time = serial, time
        if serial < 2**64 and (not self._serials or serial > self._serials[-1]):
            self._serials.append(serial)
            self._times.append(time)

    def _late(self, record):
        """Tell whether a record fits, by its number and its time, between two that are known of this boot (bool)."""
        after = bisect.bisect(self._serials, record.serial)
        if not 0 < after < len(self._serials):
            return False
        return self._times[after - 1] - self.SECONDS <= record.time <= self._times[after] + self.SECONDS

    def stands(self, record: Told) -> None:
        """Go on from a record (Told) that is known already."""
        self.serial, self.time = record.serial, record.time

    def _again(self, record):
        """Tell whether a session has a number from before: the kernel counts them up."""
        if record.type != "LOGIN" or record.serial <= self.serial or not record.ses or record.ses > self.ses:
            return False
        return record.ses == self.ses or record.time - self.login > self.LOGINS


def told(block: bytes, find: Find = bytes.find, messages: list[int] | None = None) -> list[tuple[int, Told]]:
    """
    Return what ``block`` (bytes, whole lines) tells of logins (list of where a line begins, and Told), in order.

    find
        How the kernel's records of logins are searched for, which is most of the work (callable).
    messages
        Gets where each line begins that has a message (list of int).
    """
    said = list(marked(block, QUOTE, MESSAGE))
    if messages is not None:
        messages += [start for start, _ in said]
    found = (*marked(block, LOGIN, find=find), *_jumps(block), *said)
    records = ((start, _record(line)) for start, line in found)
    return sorted(((start, record) for start, record in records if record), key=lambda one: one[0])


def _jumps(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Return what :func:`marked` does for :data:`JUMP`, which hardly any block has: one letter of it tells that."""
    at = block.find(RARE)
    for _ in range(FEW):
        if at < 0:
            return iter(())
        if block.startswith(JUMP, max(0, at - JUMP.index(RARE))):
            break
        at = block.find(RARE, at + 1)
    return marked(block, JUMP)


def logins(block: bytes, find: Find = bytes.find) -> set[tuple[str, int | None]]:
    """Return the sessions (set of node and number) that the kernel's LOGIN records in ``block`` (bytes) begin."""
    found = (_record(line) for _, line in marked(block, LOGIN, find=find))
    return {(record.node, record.ses) for record in found if record}


def _record(line: bytes) -> Told | None:
    """Return what a line tells (Told), None where it is of no concern."""
    if line.startswith(IDLE) and line.find(MARK, line.find(MARK) + 1) < 0:
        return None
    usual = line.decode() if line.isascii() else ""
    if pam := BY_PAM.fullmatch(usual):
        return _by_pam(*pam.groups())
    if login := BY_KERNEL.fullmatch(usual):
        return _by_kernel(*login.groups())
    return _unusual(_last(line))


def _unusual(line):
    """Return what a line tells that is not as most are (Told), None where it is of no concern."""
    head = HEAD.match(line)
    if not head:
        return None
    kind = head[2].decode()
    body, _, names = line.partition(b"\x1d")
    own, message, words = body.partition(MESSAGE) if kind not in ALONE else (body, b"", b"")
    if kind not in ALONE and not (message and kind in KINDS):
        return None
    numbers: dict[bytes, int] = {}
    for name, value in NUMBER.findall(own, head.end()):
        numbers.setdefault(name, int(value))
    fields, exes = _fields(words) if message else ({}, 0)
    if message and b"res" not in fields:
        # Cut before it came to what came of it.
        return None
    record = _made(head, kind, numbers, fields, exes > 1, names)
    return record if not message or _counts(record) else None


def _last(line):
    """
    Return the last record that begins in a line (bytes): the one before was cut where auditd or the machine stopped.

    Only up to a message, for there people write what they like; elsewhere the kernel writes what they name in quotes,
    or as hexadecimal digits where it has a space.
    """
    free, start = FREE.search(line), 0
    for found in HEADS.finditer(line, 0, free.start() if free else len(line)):
        start = found.start()
    return line[start:]


def _by_kernel(node, seconds, milliseconds, serial, pid, uid, auid, ses, worked, name):
    """Return what the kernel's record of a login tells (Told)."""
    time, own, known = int(seconds) + int(milliseconds) / 1000, worked == "1", _looked_up(name)
    said = (node or "", "LOGIN", time, int(serial), int(pid), int(uid), _set(auid), _set(ses), 0, own)
    return Told._make((*said, "", "", "", "", "", "", "", False, known, None, ""))


def _by_pam(node, kind, seconds, milliseconds, serial, pid, uid, auid, ses, op, acct, exe, host, addr, tty, came, name):
    """Return what a message of libpam's tells (Told), None where it is of no concern."""
    if (exe not in SSHD and exe not in SWITCHES) or kind not in KINDS:
        return None
    # libaudit looks up the address of a name (UseDNS), and leaves out the interface: that is not where somebody was.
    addr = "" if host != addr else _meant(addr)
    time, worked, known = int(seconds) + int(milliseconds) / 1000, came == "success", _looked_up(name)
    said = (node or "", kind, time, int(serial), int(pid), int(uid), _set(auid), _set(ses), 0, worked)
    record = Told._make((*said, op, _meant(acct), exe, addr, _meant(tty), "", "", False, known, None, ""))
    return record if _counts(record) else None


def _set(number):
    return None if number == "4294967295" else int(number)


def _meant(word):
    return "" if word in ("?", "(null)") else word


def _looked_up(name):
    """Return the account (str) that auditd found for a number, "" for none."""
    return "" if not name or name.startswith(("unset", "unknown(")) else _meant(name)


def _fields(words):
    """Return the fields of a message (dict), of which the first counts, and how many programs it names."""
    found: dict[bytes, bytes] = {}
    exes = 0
    for name, value in FIELD.findall(b" " + words):
        found.setdefault(name, value)
        exes += name == b"exe"
    if found.get(b"op", b"").startswith(b"PAM:") and found.get(b"hostname") != found.get(b"addr"):
        found[b"addr"] = b"?"
    return found, exes


def _made(head, kind, numbers, fields, doubled, names):
    name = NAME.search(b"\x1d" + names) if names else None
    ses, auid = numbers.get(b"ses"), numbers.get(b"auid")
    message = bool(fields)
    return Told(
        _text(head[1] or b""),
        kind,
        int(head[3]) + int(head[4]) / 1000,
        int(head[5]),
        numbers.get(b"pid"),
        numbers.get(b"uid"),
        None if auid == UNSET else auid,
        None if ses == UNSET else ses,
        numbers.get(b"sec", 0),
        fields.get(b"res") in (b"success", b"1") if message else numbers.get(b"res", 1) == 1,
        _text(fields.get(b"op", b"")),
        _text(fields.get(b"acct", b""), True),
        posixpath.basename(_text(fields.get(b"exe", b""), True)),
        _text(fields.get(b"addr", b"")),
        _text(fields.get(b"terminal", b"")),
        _text(fields.get(b"cmd", b""), True),
        _fingerprint(fields),
        doubled,
        _looked_up(_text(name[1])) if name else "",
        None if (old := numbers.get(b"old-ses")) == UNSET else old,
    )


def _counts(record):
    """Tell whether a message is of concern (bool), by who says that he sent it, and of which session he is."""
    if record.ses is None:
        if record.type == BOOT:
            return record.exe == UPDATE_UTMP
        return record.type in EARLY and record.exe in SSHD and record.worked
    if record.exe in SSHD:
        return record.type in OWN
    return record.exe in SWITCHES and record.type in OTHERS and (record.type != "USER_ACCT" or not record.worked)


def _fingerprint(fields):
    """Return the key's fingerprint (str, hexadecimal) that Red Hat's sshd writes, "" for none or a host key's."""
    digits = fields.get(b"fp", b"").removeprefix(b"SHA256:").replace(b":", b"")
    of_login = fields.get(b"kind", b"auth-key") == b"auth-key"
    return digits.decode() if of_login and len(digits) == 64 and HEX.fullmatch(digits) else ""


def _text(word, encoded=False):
    """Return a value as str; names are quoted, or hexadecimal when they hold what is no plain character."""
    if word.startswith(b'"'):
        word = word[1:].removesuffix(b'"')
    elif encoded and HEX.fullmatch(word):
        word = bytes.fromhex(word.decode())
    return "" if word in (b"?", b"(null)") else word.decode("utf-8", "backslashreplace")
