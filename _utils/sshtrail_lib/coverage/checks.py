"""
The ways in which a trail breaks: each a check with a fixed id, a sentence for a person, and what to do about it.

A check *hides* when, as long as it does not hold, what people run in their sessions is not recorded, or not under their
name. The others are ways in which records can be lost, changed or missed.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping

from sshtrail_lib.base import text

Row = dict[str, typing.Any]
#: Characters of an evidence: one difference must fit into an event.
LONGEST = 400


class Check(typing.NamedTuple):
    """
    One way in which records would not be written, read or kept.

    hides
        Whether commands of sessions go unrecorded while it is open (bool).
    good
        What is true while it is closed (str).
    what
        What is not recorded while it is open (str), a sentence for a person.
    remedy
        What to do (str).
    """

    hides: bool
    good: str
    what: str
    remedy: str


class Cause(typing.NamedTuple):
    """
    Where the audit log may tell who opened a way: a difference as :mod:`sshtrail_lib.trail.author` explains it.

    ``layer`` and ``what`` (str), ``expected`` and ``actual``.
    """

    layer: str
    what: str
    expected: typing.Any = None
    actual: typing.Any = None


class Verdict(typing.NamedTuple):
    """
    What a check came to here.

    check
        Its id (str), a key of :data:`CHECKS`.
    holds
        True, False, or None where it cannot be told.
    evidence
        What was seen, and where (str); the same as long as the same is seen.
    since
        Since when it does not hold (float, seconds since the epoch), None where only the looks tell.
    cause
        Where the log may tell who did it (:class:`Cause`), None for nowhere.
    hides
        Whether it hides commands here (bool), None for what the check says.
    """

    check: str
    holds: bool | None
    evidence: str = ""
    since: float | None = None
    cause: Cause | None = None
    hides: bool | None = None


def verdict(check: str, bad: str = "", **more: typing.Any) -> Verdict:
    """
    Return the :class:`Verdict` on ``check`` (str): it holds when nothing ``bad`` (str) was seen.

    more
        Further fields of a verdict, for one that does not hold.
    """
    return Verdict(check, False, bad, **more) if bad else Verdict(check, True)


def unknown(check: str, why: str, hides: bool | None = None) -> Verdict:
    """Return the :class:`Verdict` on ``check`` (str) that it cannot be told here, ``why`` (str), and what it hides."""
    return Verdict(check, None, why, hides=hides)


def row(found: Verdict, since: str | None, by: Mapping | None) -> Row:
    """
    Return a finding as ``sshtrail.coverage`` tells it (dict).

    found
        The :class:`Verdict`.
    since, by
        Since when it does not hold (str, ISO 8601 in UTC, or None), and who did it (dict or None).
    """
    about = CHECKS[found.check]
    return {
        "check": found.check,
        "holds": found.holds,
        "hides": about.hides if found.hides is None else found.hides,
        "what": about.what if found.holds is False else about.good,
        "since": since,
        "by": by,
        "evidence": text.line(found.evidence, LONGEST),
        "remedy": about.remedy if found.holds is False else "",
    }


def broken(rows: Iterable[Row]) -> list[Row]:
    """Return those of the findings (iterable of dict) that do not hold."""
    return [one for one in rows if one["holds"] is False]


# Ids are for good: drift, events and other people's scripts know them.
CHECKS = {
    "audit-off-at-boot": Check(
        True,
        "the kernel was started with audit",
        "The kernel was started with audit off, so nothing is recorded until the next reboot",
        "Take audit=0 off the kernel's command line (better: audit=1) and reboot.",
    ),
    "audit-disabled": Check(
        True,
        "the kernel audits",
        "Auditing is switched off in the kernel, so nothing is recorded",
        "auditctl -e 1; the policy's rules:status:enabled keeps it.",
    ),
    "auditd-absent": Check(
        True,
        "an audit daemon receives the records",
        "No audit daemon receives the kernel's records, so they reach no audit log",
        "Start auditd.",
    ),
    "auditd-impostor": Check(
        True,
        "the audit daemon is auditd",
        "Another program than auditd, a library that was put into it, or a filter that was put on its socket takes the "
        "kernel's records, so they do not reach the audit log",
        "End that program and start auditd anew, with no LD_PRELOAD in its unit; find out who started it.",
    ),
    "auditd-stopped": Check(
        True,
        "auditd runs",
        "auditd is stopped and writes nothing: records pile up in the kernel and are lost",
        "kill -CONT the process (or thaw its cgroup); find out who stopped it.",
    ),
    "auditd-traced": Check(
        True,
        "nobody traces auditd",
        "Another process traces auditd, as a debugger does, and can have it write nothing",
        "End that process; find out who started it.",
    ),
    "auditd-elsewhere": Check(
        True,
        "auditd works with the policy's configuration",
        "auditd works with another configuration than the policy's, so records go where nobody looks, or nowhere",
        "Take the option -c out of what starts auditd (its unit, its defaults) and restart it.",
    ),
    "log-off": Check(
        True,
        "auditd writes a log",
        "auditd is told to write no log, so nothing is recorded",
        "write_logs = yes and log_format = ENRICHED in auditd.conf, and no option -f; then restart auditd.",
    ),
    "log-replaced": Check(
        True,
        "the log on the disk is the one that auditd writes",
        "auditd writes to another file than the log on the disk (deleted, moved, mounted over, or of another mount "
        "namespace), so what people do is not in the log, and gone when auditd ends",
        "Copy what is left from /proc/PID/fd, then rotate the log (kill -USR1) or restart auditd.",
    ),
    "auditd-suspended": Check(
        True,
        "auditd has not suspended its log",
        "auditd has suspended its log and writes nothing, also when there is room again",
        "Make room, then have it resume: auditctl --signal resume (kill -USR2).",
    ),
    "log-unwritten": Check(
        True,
        "a record that the kernel makes arrives in the log",
        "A record that was sent through the kernel does not arrive in the audit log",
        "Look at what auditd says in syslog and at its log volume; restart auditd.",
    ),
    "log-exposed": Check(
        False,
        "only root can change the log",
        "Others than root can change, remove or read the audit log",
        "chown root and chmod 0600 the log, 0700 its directory (0640 and 0750 with a log_group).",
    ),
    "log-brief": Check(
        True,
        "the log holds more than the last few records",
        "auditd begins a new log with each record and keeps a few of them: what is recorded is deleted at once",
        "Give max_log_file in auditd.conf a number of MiB above 0, then reload auditd.",
    ),
    "log-volatile": Check(
        False,
        "the log is on a volume that is there after a reboot",
        "The audit log is in memory alone: what is recorded is gone with the next reboot, or with a umount",
        "umount what covers the log's directory and restart auditd, or have log_file on a disk.",
    ),
    "log-volume-low": Check(
        False,
        "the log volume has room",
        "The log volume has less room than admin_space_left: auditd stops writing, or is about to",
        "Make room on the log volume.",
    ),
    "rate-limited": Check(
        True,
        "the kernel makes as many records as there are",
        "The kernel drops what exceeds a rate limit, so most of what people do is not recorded",
        "auditctl -r 0; the policy's rules:status:rate_limit keeps it.",
    ),
    "backlog-small": Check(
        False,
        "the kernel's queue is large enough",
        "The kernel's queue is so short that a burst of commands loses records",
        "auditctl -b 8192; the policy's rules:status:backlog_limit keeps it.",
    ),
    "backlog-full": Check(
        False,
        "the kernel's queue is not full",
        "The kernel's queue is nearly full: records are about to be lost",
        "Find out why auditd does not keep up; raise rules:status:backlog_limit.",
    ),
    "records-lost": Check(
        False,
        "no record was lost",
        "Records were lost: the kernel dropped them, or made none for a while, nobody took them, or they were cut out "
        "of the log",
        "Find out who did it; where the kernel dropped them, raise rules:status:backlog_limit. What was lost cannot be "
        "recovered.",
    ),
    "session-misattributed": Check(
        True,
        "what is done in a session bears its login id",
        "A process of a session bears another login id: what it does is recorded under another name",
        "End the session; find out who changed the id (LOGIN). rules:loginuid_immutable keeps ids.",
    ),
    "jobs-without-login": Check(
        False,
        "PAM gives the jobs of cron, at and systemd --user their login ids",
        "Jobs of cron, at or systemd --user do not go by pam_loginuid.so: what people have them run is not recorded",
        "session required pam_loginuid.so in that file of /etc/pam.d.",
    ),
    "rules-hide": Check(
        True,
        "no foreign rule hides records",
        "A rule that the policy does not name hides records",
        "auditctl -d the rule and take it out of its file, or name it in the policy (sshtrail:rules:allowed).",
    ),
    "commands-unruled": Check(
        True,
        "the kernel has a rule for each command of a session",
        "No rule of the kernel records the commands of login sessions",
        "salt-call state.apply sshtrail, or audit_rules.load.",
    ),
    "watch-moved": Check(
        False,
        "the watched directories are those that are there",
        "A watched directory was replaced, so that the kernel's rule looks at the old one",
        "Delete the rule and load it again (auditctl -d, then audit_rules.load).",
    ),
    "sshd-without-pam": Check(
        True,
        "sshd asks PAM for each session",
        "sshd goes without PAM, so sessions have no login id and none of their commands is recorded",
        "sshd:config:UsePAM: yes in the pillar.",
    ),
    "pam-without-loginuid": Check(
        True,
        "PAM gives each session its login id",
        "A session of sshd does not go by pam_loginuid.so, so it has no login id and none of its commands is recorded",
        "session required pam_loginuid.so in /etc/pam.d/sshd.",
    ),
    "sshd-quiet": Check(
        False,
        "sshd logs who comes",
        "sshd's LogLevel is too low to tell who came, from where and with which key",
        "sshd:config:LogLevel: VERBOSE in the pillar.",
    ),
    "sshd-options": Check(
        False,
        "no option of the running sshd overrides the files",
        "sshd was started with options that override its files",
        "Take the options out of the unit, /etc/default/ssh or /etc/sysconfig/sshd, and restart sshd.",
    ),
    "sshd-inherited-login": Check(
        False,
        "sshd belongs to nobody's login",
        "sshd was started from somebody's login and bears its login id: what has no login of its own counts as that "
        "person's",
        "Restart sshd through the init system, or from a process without a login (salt).",
    ),
    "other-way-in": Check(
        False,
        "only the policy's sshd lets people in",
        "Another program than the policy's sshd listens and gives shells",
        "Stop it and take it out of what starts at boot.",
    ),
    "session-unattributed": Check(
        True,
        "every session has its login id",
        "A session has no login id, so its commands are not recorded",
        "End the session; find out who took the id away (LOGIN with auid=4294967295), or why PAM did not set it.",
    ),
    "session-older": Check(
        False,
        "no session is older than auditing",
        "A session began before the kernel audited: what its first processes do themselves is not recorded",
        "End the session; audit=1 on the kernel's command line has the kernel audit from the start.",
    ),
    "shell-without-login": Check(
        True,
        "no interactive shell goes without a login id",
        "An interactive shell has no login id (of systemd-run, an agent, a service's terminal), so its commands "
        "are not recorded",
        "End it, and what gives such shells; let nobody but administrators start units.",
    ),
    "login-unmatched": Check(
        True,
        "each login that sshd accepted is in the audit log",
        "sshd accepted logins that the audit log knows nothing of, or by no login id",
        "See which station loses them: sshtrail.prove.",
    ),
    "accepted-unmatched": Check(
        False,
        "each login in the audit log is in sshd's log",
        "Logins are in the audit log that sshd's own log does not have: with which key and from where is not known",
        "See whether syslog drops messages (a rate limit), or sshd logs elsewhere.",
    ),
    "messages-suppressed": Check(
        False,
        "the journal leaves out nothing of sshd's",
        "The journal left out messages of sshd's: who came, from where and with which key may be missing",
        "LogRateLimitIntervalSec=0 in a drop-in of sshd's unit.",
    ),
    "files-untold": Check(
        False,
        "what sftp does is logged",
        "Which files are read and written by sftp is in no log",
        "Subsystem sftp internal-sftp -l INFO.",
    ),
    "other-readers": Check(
        False,
        "nobody else gets the kernel's records, or it does no harm",
        "Others read the kernel's records too",
        "Nothing; they do not take records away.",
    ),
}
