"""
What the audit log says of the host's own SSH audit configuration: who changed it.
"""

import os
import pwd
import time

from salt.exceptions import SaltException
from sshtrail_lib.trail import audit_log, author

__virtualname__ = "sshtrail_trail"

#: Bytes of the log's end that are read: some ten thousand records, a tenth of a second.
MOST = 4 * 2**20
#: Rotated logs that are looked at when the current one is young; auditd keeps 999 at most.
ROTATED = 9
LOG = "/var/log/audit/audit.log"


def __virtual__():
    return __virtualname__


def attribute(differences, policy, after=0.0):
    """
    Return the ``differences`` with who made them, as far as the audit log tells.

    differences
        What ``sshtrail.drift`` found (list of dict).
    policy
        The host's policy (dict), as ``sshtrail.policy`` returns it.
    after
        When nothing differed for the last time (float, seconds since the epoch; 0 when that is not known).

    Each gets ``since`` (str, ISO 8601 in UTC, or None) and ``by``: None where nobody knows, else ``auid``, ``user``,
    ``session``, ``exe``, ``comm``, ``time`` and ``op``. No error is raised for a log that is missing or unreadable.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.attribute '[]' '{audit: false}'
    """
    if not differences:
        return differences
    sources = _sources(policy)
    files = lambda found: _files(found, policy, sources)  # noqa: E731
    wanted = {path for found in differences for path in files(found)}
    events = _events(policy, wanted) if policy["audit"] else []
    rules = [rule for group in policy["rules"]["groups"] for rule in group["rules"]]
    trail = author.Trail(events, author.watches(rules), files, after, _name_of, _changed, time.time())
    return author.attribute(differences, trail)


def _sources(policy):
    """Return the files of sshd's configuration, and the directories in which one more would count or did."""
    try:
        found = __salt__["sshd_config.sources"](policy["sshd"]["path"])
    except SaltException:
        return [policy["sshd"]["path"]]
    return [path for path in found["paths"] if path != found["binary"]]


def _files(found, policy, sources):
    """Return the files (list of str) whose change can have made a difference."""
    if found["layer"] in ("file", "compiled"):
        # A rules file is named itself; what else this layer has are keywords of auditd.conf.
        return [found["what"] if os.path.isabs(found["what"]) else policy["auditd"]["path"]]
    if found["layer"] == "effective" or found["what"] == "sshd":
        return sources
    return [policy["auditd"]["path"]] if found["what"] == "auditd" else []


def _events(policy, paths):
    """Return the events (list) of the log that can explain anything: of the kernel's configuration, or about a path."""
    lines = _tail(_log(policy))
    marks = [b"type=CONFIG_CHANGE ", b"type=DAEMON_", *(os.fsencode(os.path.basename(path)) for path in paths)]
    # The kernel writes a name with a space in it as hexadecimal digits.
    marks += [os.fsencode(path).hex().upper().encode() for path in paths if " " in path]
    wanted = {_id(line) for line in lines if any(mark in line for mark in marks)}
    return list(audit_log.events(line for line in lines if _id(line) in wanted))


def _id(line):
    return line.partition(b"msg=audit(")[2].partition(b")")[0]


def _log(policy):
    try:
        found = __salt__["auditd_conf.get"]("log_file", path=policy["auditd"]["path"])
    except SaltException:
        found = None
    return found["value"] if found else LOG


def _tail(path):
    """Return the last lines (list of bytes) of a log and of those that were rotated away, the oldest first."""
    pieces, left = [], MOST
    for name in [path, *(f"{path}.{number}" for number in range(1, ROTATED + 1))]:
        piece = _end_of(name, left) if left > 0 else b""
        left -= len(piece)
        pieces.insert(0, piece)
    return b"".join(pieces).splitlines()


def _end_of(path, most):
    """Return the last bytes of a file from the beginning of a line, nothing of one that cannot be read."""
    try:
        with open(path, "rb") as handle:
            start = max(0, os.fstat(handle.fileno()).st_size - most)
            handle.seek(start)
            data = handle.read(most)
    except OSError:
        return b""
    return data.partition(b"\n")[2] if start else data


def _name_of(auid):
    try:
        return pwd.getpwuid(auid).pw_name
    except (KeyError, OverflowError):
        return None


def _changed(path):
    try:
        return os.stat(path).st_ctime
    except OSError:
        return None
