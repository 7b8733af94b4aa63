"""
What is known of a host when its controls are judged: values, gathered by :mod:`sshtrail_lib.compliance.host`.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping

from sshtrail_lib.compliance.matching import Need


class Grant(typing.NamedTuple):
    """What an access control list gives: to a ``kind`` (str: user or group), its ``name`` (str), ``bits`` (int)."""

    kind: str
    name: str
    bits: int


class File(typing.NamedTuple):
    """
    A file's ``mode`` (int, permission bits), ``owner`` and ``group`` (str: names, or numbers without one).

    ``grants`` (tuple of :class:`Grant`) is what its access control list gives to others, and ``above`` (str) the
    directory on the way to it that others can write to, so that they can put another file in its place.
    """

    mode: int
    owner: str
    group: str
    grants: tuple[Grant, ...] = ()
    above: str = ""


class Value(typing.NamedTuple):
    """A setting: its ``value`` (str) and ``where`` it comes from (str: file and line, or "default")."""

    value: str
    where: str


class Asked(typing.NamedTuple):
    """
    A demand on the audit rules as this host has it.

    needs
        What the kernel has to record (tuple of :class:`Need`).
    absent
        Why there is nothing to record here (str), empty where there is.
    """

    needs: tuple[Need, ...]
    absent: str = ""


class Audit(typing.NamedTuple):
    """
    The kernel's audit.

    error
        Why it does not answer (str), empty when it does.
    status, features
        As :mod:`sshtrail_lib.base.kernel` returns them (dict).
    rules
        The rules that it holds, in its order (tuple of bytes).
    filed
        The rules of the files in rules.d, with file and line (dict of bytes to str).
    files_error
        Why these could not be read (str).
    differs
        How the kernel's rules differ from the compiled file (tuple of str, one for each rule), None where that cannot
        be told.
    asked
        The demands (dict of their name to a tuple of :class:`Asked`).
    links, execs, lines
        As :func:`sshtrail_lib.compliance.matching.recorded` takes them, and a rule as a line (callable: bytes → str).
    last_line
        The last line that the compiled file loads (str).
    offered, chosen
        The rules of the ready groups, with the group (dict of bytes to str), and the groups that the policy has
        (tuple of str).
    """

    error: str
    status: Mapping[str, int]
    features: Mapping[str, Mapping[str, bool]]
    rules: tuple[bytes, ...]
    filed: Mapping[bytes, str]
    files_error: str
    differs: tuple[str, ...] | None
    asked: Mapping[str, tuple[Asked, ...]]
    links: Mapping[str, str]
    execs: Callable[[int], int]
    lines: Callable[[bytes], str]
    last_line: str
    offered: Mapping[bytes, str]
    chosen: tuple[str, ...]


class Sshd(typing.NamedTuple):
    """
    What sshd does.

    error
        Why that cannot be told (str), empty when it can.
    branches
        For everybody (under ""), and for whom each Match block is (str): each keyword's :class:`Value`.
    unread
        Why the running sshd does otherwise (str), empty when it does not, None where that cannot be told.
    root
        The same for root alone, without the blocks that root never meets; empty where that was not asked.
    overruled
        What its command line decides instead (dict of keyword in lower case to str).
    pam
        What keeps sessions from having their login id (tuple of str), None where that cannot be told.
    """

    error: str
    branches: Mapping[str, Mapping[str, Value]]
    unread: str | None
    pam: tuple[str, ...] | None
    overruled: Mapping[str, str] = {}
    root: Mapping[str, Mapping[str, Value]] = {}


class Auditd(typing.NamedTuple):
    """
    auditd's configuration.

    error
        Why it cannot be read (str).
    path
        Its file (str).
    settings
        Each keyword that auditd knows, in lower case, with its :class:`Value`.
    unread
        Why the auditd that runs works with other values (str), empty when it does not, or none runs.
    pid
        The kernel's audit daemon (int), 0 for none.
    genuine
        Whether that is the installed auditd (bool).
    log
        Where it writes (str).
    """

    error: str
    path: str
    settings: Mapping[str, Value]
    unread: str
    pid: int
    genuine: bool
    log: str


class Storage(typing.NamedTuple):
    """
    The place of the audit logs: ``directory`` (str), the ``mount`` it is on (str), whether that is its own (bool),
    ``options`` (tuple of str), bytes in all, free, and of the ``logs`` (int each), and the age of the ``oldest`` record
    in seconds (float, None for none).
    """

    directory: str
    mount: str
    own: bool
    options: tuple[str, ...]
    size: int
    free: int
    logs: int
    oldest: float | None


class Clock(typing.NamedTuple):
    """
    How the clock is kept.

    running
        The synchronisation services that run (tuple of str).
    synchronized
        Whether the one that runs says so (bool, None where it cannot be told), and ``said`` what it says (str).
    config
        The lines of its configuration (tuple of ``(place, line)``).
    user
        The account that chronyd runs as (str), empty where it does not run.
    local
        Whether the hardware clock keeps local time (bool), None where that cannot be told.
    """

    running: tuple[str, ...]
    synchronized: bool | None
    said: str
    config: tuple[tuple[str, str], ...]
    user: str
    local: bool | None


class Facts(typing.NamedTuple):
    """
    All of it.

    family
        Salt's grain ``os_family`` (str).
    audit, sshd, auditd, storage, clock
        As above; ``storage`` is None where there is no log.
    boot
        The words of the kernel's command line (tuple of str); ``entries`` those of each boot entry (dict of its place
        to a tuple of str).
    packages
        Each package's version (dict of str to str, empty for not installed), None where it cannot be told.
    services
        Each service: whether it runs and starts at boot (dict of str to ``(bool, bool)``), None where it cannot be
        told.
    files
        Kinds of files, each with the path and :class:`File` of what is there.
    configs
        The lines of other configurations by name, such as ``rsyslog`` (tuple of ``(place, line)``), None for one that
        is not there.
    journal_log
        Whether /var/log/journal is there (bool).
    accounts
        Names and numbers of all accounts (tuple of ``(str, int)``), as the host looks them up and as passwd has them.
    coverage
        What ``sshtrail.coverage`` told (tuple of dict).
    proof
        The last proof (dict or None), and ``proof_age`` its age in seconds (float).
    drift
        The differences of now (tuple of dict), None where that cannot be told.
    policy
        The host's policy (dict).
    period
        The host's history (dict), as :mod:`sshtrail_lib.drift.history` tells it, None for none.
    unread
        Why a configuration, or files of a kind, could not be looked at, or not all of it (dict of its name to str).
    stale
        Why the daemon that runs does not do what a configuration says (dict of its name to str): it was changed since.
    looked
        How many seconds ago the host has looked at itself (float), None for never.
    """

    family: str
    audit: Audit
    sshd: Sshd
    auditd: Auditd
    storage: Storage | None
    clock: Clock
    boot: tuple[str, ...]
    entries: Mapping[str, tuple[str, ...]]
    packages: Mapping[str, str | None]
    services: Mapping[str, tuple[bool, bool] | None]
    files: Mapping[str, Mapping[str, File]]
    configs: Mapping[str, tuple[tuple[str, str], ...] | None]
    journal_log: bool
    accounts: tuple[tuple[str, int], ...]
    coverage: tuple[Mapping[str, typing.Any], ...]
    proof: Mapping[str, typing.Any] | None
    proof_age: float
    drift: tuple[Mapping[str, typing.Any], ...] | None
    policy: Mapping[str, typing.Any]
    period: Mapping[str, typing.Any] | None = None
    looked: float | None = 0.0
    unread: Mapping[str, str] = {}
    stale: Mapping[str, str] = {}
