"""
What is asked of a host for its controls: the kernel, sshd, auditd, files, packages, services; nothing is changed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import time
import typing
from collections.abc import Callable, Iterable, Mapping

from salt.exceptions import SaltException

from sshtrail_lib.auditd import host as auditd_host
from sshtrail_lib.auditd import keywords as auditd_keywords
from sshtrail_lib.auditd import language as auditd_language
from sshtrail_lib.base import directory, kernel, processes, programs, store, text
from sshtrail_lib.base import files as base_files
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.compliance import configs, daemons, demanded, places, sight, system
from sshtrail_lib.compliance.facts import Asked, Audit, Auditd, Clock, Facts, Sshd, Value
from sshtrail_lib.coverage import facts as coverage_facts
from sshtrail_lib.drift import history
from sshtrail_lib.policy import groups
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.rules import accounts, compile, privileged, target
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules.fields import RuleError, escape
from sshtrail_lib.rules.language import Rule
from sshtrail_lib.sshd import host as sshd_host

Answer = typing.TypeVar("Answer")
#: chronyc(1): the reference of a chronyd that serves its own clock (chrony.conf: local), as if that were right.
LOCAL_CLOCK = re.compile(r"Reference ID\s*:\s*7F7F0101\b", re.IGNORECASE)
SERVICES = (
    *(system.JOURNAL, system.SYSLOG, system.UPLOAD, system.REMOTE, *system.CHRONY, *system.TIMESYNCD),
    *("ntp", "ntpsec", "auditd"),
)
#: Which program reads each configuration once, when it begins: those of its files whose path has a word in it.
READ_AT_THE_START = (
    *(("rsyslog", "rsyslogd", ""), ("journald", "systemd-journald", ""), ("clock", "chronyd", "chrony")),
    *(("journal-upload", "systemd-journal-upload", ""), ("clock", "systemd-timesyncd", "timesyncd")),
)
#: The names of each service that synchronizes a clock: several of one are aliases.
CLOCKS = (system.CHRONY, system.TIMESYNCD, ("ntpsec", "ntp", "ntpd"), ("openntpd",))


def gather(minion: Minion, policy: Policy, search: float | None = 0.0) -> Facts:
    """
    Return what is known of a host with a ``policy`` (dict) for its controls (:class:`Facts`).

    search
        Whether its setuid programs are needed, and how old the answer may be: seconds (float), 0 for a search of now,
        None for not needed.
    """
    family, unread = str(minion.grains.get("os_family", "")), typing.cast("dict[str, str]", {})
    read, sshd = configs.gather(family, unread), policy["sshd"]["path"]
    auditd, proof = _auditd(minion, policy), _or(None, lambda: minion.call["sshtrail.proof"]())
    paths = (sshd, _included(minion, sshd), policy["auditd"]["path"], policy["rules"]["file"], auditd.log)
    return Facts(
        family,
        *(_audit(minion, policy, _logfile(read, unread), search), _sshd(minion, policy)),
        auditd,
        places.storage(auditd.log),
        _clock(minion, read),
        *(tuple(_text("/proc/cmdline").split()), configs.boot_entries(unread)),
        *(_packages(minion, family), _services(minion, policy)),
        places.files(*paths, unread),
        read,
        os.path.isdir("/var/log/journal"),
        _accounts(),
        tuple(_or([], lambda: minion.call["sshtrail.coverage"]())),
        proof,
        _age(proof),
        _drift(minion),
        policy,
        history.over(minion.cachedir, 90),
        _looked(minion, policy),
        *(unread, _stale(read)),
    )


def _stale(read: Mapping[str, configs.Lines | None]) -> dict[str, str]:
    """Return why daemons do not do what their configurations say (dict by name): these have been changed since."""
    found = {}
    for name, program, word in READ_AT_THE_START:
        paths = dict.fromkeys(place.rpartition(" line ")[0] for place, _line in read.get(name) or ())
        pids = _running(program)
        # What sources there are chronyd reads again when it is told to.
        late = [path for path in paths if word in path and not path.endswith(".sources") and _is_late(path, pids)]
        if late:
            found[name] = f"{late[0]} was changed after {program} began, and is not read again"
    return found


def _is_late(path: str, pids: Iterable[int]) -> bool:
    return any(_or(False, functools.partial(processes.rewritten, pid, [path])) for pid in pids)


def _running(program: str) -> list[int]:
    """Return the processes (list of int) of a program (str: its file's name) that are no container's."""
    return [pid for pid in places.running(program[:15]) if _or(False, functools.partial(_is_ours, pid, program))]


def _is_ours(pid: int, program: str) -> bool:
    named = os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    # A unit can have its own view of the files, a container has its own processes.
    return named == program and os.path.samefile(f"/proc/{pid}/ns/pid", "/proc/self/ns/pid")


def _logfile(read: Mapping[str, configs.Lines | None], unread: Mapping[str, str]) -> str | None:
    return None if "sudo" in unread else system.sudo_logfile(read["sudo"] or ())[0]


def _or(otherwise: Answer, ask: Callable[[], Answer]) -> Answer:
    """Return what ``ask()`` returns, ``otherwise`` where that cannot be told."""
    try:
        return ask()
    except (SaltException, OSError, KeyError, ValueError):
        return otherwise


def _text(path: str) -> str:
    try:
        data = base_files.read(path)
    except SaltException as exc:
        sight.note(str(exc))
        return ""
    if data is None:
        sight.missing(path)
    return (data or b"").decode("utf-8", "replace")


def _age(proof: Mapping | None) -> float:
    made = text.seconds(proof["time"]) if proof else None
    return time.time() - made if made else 0.0


def _drift(minion: Minion) -> tuple[Mapping, ...] | None:
    return _or(None, lambda: tuple(minion.call["sshtrail.drift"]()))


def _looked(minion: Minion, policy: Policy) -> float | None:
    """Return how many seconds ago the host's schedule has looked (float), None for never."""
    if minion.opts.get("file_client") == "local":
        return None
    told = _or(None, lambda: minion.call["sshtrail_watch.heartbeat"]()) if policy["drift"]["heartbeat"] else None
    if told is None:
        # Without a heartbeat nothing of it is kept.
        return 0.0
    return max(0.0, time.time() - told["looked"]) if told["looked"] else None


def _accounts() -> tuple[tuple[str, int], ...]:
    # What NSS tells may hide that passwd has a line twice; a commented one it passes over.
    lines = [line.lstrip() for line in _text("/etc/passwd").splitlines()]
    written = [line.split(":") for line in lines if line.count(":") >= 6 and not line.startswith("#")]
    found = [(words[0], int(words[2])) for words in written if words[2].isdecimal()]
    known = [(one.pw_name, one.pw_uid) for one in directory.users()]
    return (*found, *(one for one in dict.fromkeys(known) if one not in found))


# --- The kernel ---------------------------------------------------------------------------------------------------


def _audit(minion: Minion, policy: Policy, logfile: str | None, search: float | None) -> Audit:
    nothing: dict[str, typing.Any] = {}
    try:
        status, rules = kernel.status(), tuple(kernel.rules())
    except (kernel.KernelError, kernel.LibraryError) as exc:
        return Audit(exc.message, {}, {}, (), {}, "", None, {}, {}, lambda arch: 0, str, "", {}, ())
    rules_dir = os.path.dirname(policy["rules"]["file"])
    with sight.watched() as refused:
        compiled = _text(os.path.join(os.path.dirname(rules_dir), "audit.rules"))
        filed, error = _filed(rules_dir)
    programs = _programs(minion, search)
    asked, offered = _or(nothing, lambda: _asked(logfile, programs)), _offered(programs or ())
    return Audit(
        *("", status, _or(nothing, kernel.features), rules, filed),
        error or "; ".join(refused[:1]),
        None if refused else _differs(minion, compiled, filed),
        asked,
        demanded.links((*rules, *filed, *offered), asked),
        compile.exec_calls,
        target.describe,
        _last_line(compiled),
        offered,
        tuple(group["name"] for group in policy["rules"]["groups"]),
    )


def _asked(logfile: str | None, programs: list[str] | None) -> dict[str, tuple[Asked, ...]]:
    asked = demanded.asked(logfile or "", programs)
    # Without sudoers nobody knows which file that is.
    return {name: several for name, several in asked.items() if logfile is not None or name != "audit_sudo_log_events"}


def _programs(minion: Minion, age: float | None) -> list[str] | None:
    """Return the privileged programs (list of str), of a search that may have such an age (seconds), None for none."""
    if age is None:
        return None
    path = os.path.join(minion.cachedir, "sshtrail", "privileged.json")
    nothing: dict[str, typing.Any] = {"time": 0.0, "programs": []}
    known = _or(nothing, lambda: store.load(path) or nothing)
    if os.geteuid():
        # Whose programs are in directories that only root can enter is not known.
        return None
    if 0 <= time.time() - known["time"] < age:
        return [one for one in known["programs"] if os.path.exists(one)]
    found = privileged.programs()
    # To walk through all file systems costs a host more than all the rest.
    _or(None, lambda: store.save(path, {"time": time.time(), "programs": found}))
    return found


def _offered(programs: Iterable[str]) -> dict[bytes, str]:
    """Return the rules of the ready groups that this host can have, and the name of each one's group (dict)."""
    found: dict[bytes, str] = {}
    for name, group in groups.GROUPS.items():
        rest = group.get("privileged")
        own = [f"-a always,exit -F path={escape(path)} {rest}" for path in programs] if rest else []
        for line in (*group["rules"], *own):
            with contextlib.suppress(RuleError):
                found.setdefault(compile.compile(accounts.parse_rule(line)), name)
    return found


def _filed(rules_dir: str) -> tuple[dict[bytes, str], str]:
    """Return the rules of the files (dict of bytes to file and line), and why one could not be read (str)."""
    found: dict[bytes, str] = {}
    sight.missing(f"{rules_dir}/x")
    try:
        names = rules_files.order(os.listdir(rules_dir)) if os.path.isdir(rules_dir) else []
        for path in (os.path.join(rules_dir, name) for name in names):
            for entry in rules_files.parse_all({path: base_files.read(path) or b""}):
                if isinstance(entry.value, Rule) and entry.value.verb != "-d":
                    found.setdefault(compile.compile(entry.value), f"{entry.file} line {entry.line}")
    except (RuleError, SaltException, OSError) as exc:
        return found, str(exc)
    return found, ""


def _differs(minion: Minion, compiled: str, filed: Iterable[bytes]) -> tuple[str, ...] | None:
    """Return how the kernel's rules differ from the compiled ones, and from those of files that nobody compiled yet."""
    lines = [line for line in compiled.splitlines() if re.match(r"\s*-[aAw]\s", line)]
    known = set()
    for line in lines:
        with contextlib.suppress(RuleError):
            known.add(compile.compile(accounts.parse_rule(line)))
    lines += [target.describe(rule) for rule in filed if rule not in known]
    try:
        told = minion.call["audit_rules.diff"](lines)
    except (SaltException, KeyError):
        return None
    return (*(f"without {line}" for line in told["add"]), *(f"besides {line}" for line in told["remove"]))


def _last_line(content: str) -> str:
    lines = [line.strip() for line in content.splitlines() if line.strip() and not line.strip().startswith("#")]
    return lines[-1] if lines else ""


# --- The daemons --------------------------------------------------------------------------------------------------


def _sshd(minion: Minion, policy: Policy) -> Sshd:
    path, asked = policy["sshd"]["path"], [one.keyword for one in daemons.KEYWORDS.values()]
    try:
        branches, of_root = (sshd_host.branches(minion, path, user, asked) for user in (None, "root"))
    except (SaltException, OSError, ValueError) as exc:
        return Sshd(str(getattr(exc, "message", exc)) or "sshd's configuration cannot be read", {}, "", None)
    told, root = ({criteria: _values(one) for criteria, one in found.items()} for found in (branches, of_root))
    nobody: tuple[bool | None, dict[str, typing.Any]] = (None, {})
    has_read, overruled = _or(nobody, lambda: sshd_host.running(minion, path, asked))
    unread = None if has_read is None else "" if has_read else "the sshd that runs has not read it"
    pam = _or(None, lambda: tuple(one["reason"] for one in minion.call["sshtrail_pam.check"]()))
    return Sshd("", told, unread, pam, {name.lower(): str(value) for name, value in overruled.items()}, root)


def _included(minion: Minion, path: str) -> list[str]:
    """Return the files that sshd reads besides its main one (``path``, str)."""
    nothing: dict[str, typing.Any] = {"paths": [], "binary": None}
    told = _or(nothing, lambda: sshd_host.sources(minion, path))
    return [one for one in told["paths"] if one not in (path, told["binary"]) and os.path.isfile(one)]


def _values(found: Mapping[str, Mapping[str, typing.Any]]) -> dict[str, Value]:
    return {
        name.lower(): Value(
            str(" ".join(map(str, one["value"])) if isinstance(one["value"], list) else one["value"]),
            f"{one['file']} line {one['line']}" if one["file"] else "default",
        )
        for name, one in found.items()
    }


def _auditd(minion: Minion, policy: Policy) -> Auditd:
    path = policy["auditd"]["path"]
    pid = _or({"pid": 0}, kernel.status)["pid"]
    seen = coverage_facts.auditd(pid, path)
    data = _or(None, lambda: base_files.read(path))
    if data is None:
        return Auditd(f"{path} is not there", path, {}, "", pid, bool(seen and seen.genuine), "")
    lines, known = auditd_language.deciding(data), auditd_keywords.known()
    settings = {
        name: Value(
            auditd_language.effective(data, name), f"{path} line {lines[name].number}" if name in lines else "default"
        )
        for name in known
    }
    genuine = bool(seen and seen.genuine)
    unread = (seen.note or _behind(minion, path, pid)) if seen and genuine else ""
    return Auditd("", path, settings, unread, pid, genuine, auditd_language.effective(data, "log_file"))


def _behind(minion: Minion, path: str, pid: int) -> str:
    """Return why the auditd that runs does not work with the file at ``path`` (str), empty where it does."""
    told = _or(None, lambda: auditd_host.status(minion, path))
    if told is None:
        return "whether the auditd that runs has read it cannot be told"
    return "" if told["current"] or not processes.rewritten(pid, [path]) else "the auditd that runs has not read it"


# --- Packages, services, the clock --------------------------------------------------------------------------------


def _packages(minion: Minion, family: str) -> dict[str, str | None]:
    names = [system.package_name(name, family) for name in system.PACKAGES]
    try:
        found = minion.salts("pkg.version", *names)
    except (SaltException, KeyError):
        return dict.fromkeys(names)
    return {name: str(found.get(name) or "") for name in names}


def _services(minion: Minion, policy: Policy) -> dict[str, tuple[bool, bool] | None]:
    names = dict.fromkeys((*SERVICES, policy["auditd"]["service"]))
    return {name: _service(minion, name) for name in names}


def _service(minion: Minion, name: str) -> tuple[bool, bool] | None:
    # journald's socket has its name, and waits also where the service itself is masked.
    itself = f"{name}.service" if name == system.JOURNAL else name
    return _or(
        None,
        lambda: (
            bool(minion.call["sshtrail_service.status"](itself)),
            bool(minion.call["sshtrail_service.enabled"](name)),
        ),
    )


def _runs(minion: Minion, name: str) -> bool:
    return _or(False, lambda: bool(minion.call["sshtrail_service.status"](name)))


def _clock(minion: Minion, read: Mapping[str, configs.Lines | None]) -> Clock:
    running = tuple(name for names in CLOCKS for name in [one for one in names if _runs(minion, one)][-1:])
    synchronized, said = _synchronized(minion, running)
    with sight.watched() as refused:
        kept = _text("/etc/adjtime").splitlines()[2:3]
    local = None if refused else kept == ["LOCAL"]
    users = [name for pid in places.running("chronyd") if (name := places.owner(f"/proc/{pid}"))]
    # Anybody may run it as himself, and nobody else as these.
    user = next((one for one in (*system.CHRONY_USERS, "root", *users) if one in users), "")
    return Clock(running, synchronized, said, read["clock"] or (), user, local)


def _synchronized(minion: Minion, running: tuple[str, ...]) -> tuple[bool | None, str]:
    try:
        return _told_of_clock(minion, running)
    except programs.LateError as exc:
        return None, exc.message


def _told_of_clock(minion: Minion, running: tuple[str, ...]) -> tuple[bool | None, str]:
    if set(running) & set(system.CHRONY):
        done = minion.run("chronyc", "-n", "tracking")
        leap = re.search(r"Leap status\s*:\s*(.*)", done["stdout"])
        if LOCAL_CLOCK.search(done["stdout"]):
            return False, "chronyc tracking: the reference is this host's own clock"
        return (
            # Before a leap second it says that one is to be inserted or deleted.
            leap[1].strip() in ("Normal", "Insert second", "Delete second") if leap else None
        ), f"chronyc tracking: {leap[1].strip() if leap else 'no answer'}"
    done = minion.run("timedatectl", "show", "--property=NTPSynchronized")
    value = done["stdout"].strip().partition("=")[2]
    told = f"timedatectl: NTPSynchronized={value or 'not told'}"
    return (value == "yes" if value and not done["retcode"] else None), told
