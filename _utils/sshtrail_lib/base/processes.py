"""
What a running daemon has read: the question that neither its pid nor its configuration file answers alone.

A daemon that was told to read its files again keeps its start time, so a later run could not tell that
from one that was never told. After a reload the caller leaves a mark: which process, and the digest of
what it read.
"""

import contextlib
import hashlib
import os
import time

import psutil
from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files

RUN_DIR = "/run/sshtrail"


def process(pidfile, names):
    """
    Return the pid (int) of the living daemon that ``pidfile`` names, or None.

    pidfile
        Path of the file that holds the pid (str).
    names
        The process names (comm) that the daemon may have (list of str): a recycled pid is no daemon.
    """
    try:
        pid = int(files.read(pidfile) or b"")
        return pid if psutil.Process(pid).name() in names else None
    except (ValueError, psutil.Error):
        return None


def has_read(pid, paths, run_dir=RUN_DIR, again=0.0):
    """
    Tell whether the daemon ``pid`` (int) certainly works with what ``paths`` (list of str) hold now.

    That is so when it left a mark (:func:`mark`) with their digest, or left none and started after the
    last change of each of them. A path may be a directory: then it is its list of names that counts.

    again
        When it read its files for the last time, if that is known otherwise (float, seconds since the epoch): a mark
        from before that time tells nothing, for somebody else may have had it read other files since.
    """
    left = _left(pid, run_dir)
    if left is not None and _changed(mark_path(pid, run_dir)) >= again:
        return left[0] == _mark(pid, paths)
    return all(_changed(path) < max(_started(pid), again) for path in paths)


def mark(pid, paths, run_dir=RUN_DIR, content=b""):
    """
    Note that the daemon ``pid`` (int) has just read ``paths`` (list of str) as they are now.

    ``content`` (bytes) is kept for :func:`marked`: for a daemon that does not take up every setting when it
    reads again, so that somebody must know which ones changed.
    """
    os.makedirs(run_dir, mode=0o755, exist_ok=True)
    files.replace(mark_path(pid, run_dir), _mark(pid, paths) + b"\n" + content, mode=0o600)


def marked(pid, run_dir=RUN_DIR):
    """Return the ``content`` (bytes) of the last :func:`mark` of the daemon ``pid`` (int), None without one."""
    left = _left(pid, run_dir)
    return left and left[1]


def _left(pid, run_dir):
    """Return the mark and the content that this very process left behind, or None."""
    head, _, content = (files.read(mark_path(pid, run_dir)) or b"").partition(b"\n")
    return (head, content) if head.split(b" ")[0] == birth(pid) else None


def mark_path(pid, run_dir=RUN_DIR):
    """Return the path (str) of the mark of the daemon ``pid`` (int), there or not."""
    return os.path.join(run_dir, f"read-{pid}")


def _mark(pid, paths):
    digest = hashlib.sha256()
    for path in sorted(paths):
        names = b"\0".join(sorted(os.listdir(os.fsencode(path)))) if os.path.isdir(path) else None
        content = files.read(path) if names is None else names
        digest.update(os.fsencode(path) + b"\0" + hashlib.sha256(content or b"").digest())
    return birth(pid) + b" " + digest.hexdigest().encode()


def birth(pid):
    """Return what no later process with the same ``pid`` (int) shares (bytes): its start, in clock ticks since boot."""
    stat = b""
    # A process that ends while it is read gives an error of its own.
    with contextlib.suppress(CommandExecutionError):
        stat = files.read(f"/proc/{pid}/stat") or b""
    # The name in parentheses can hold spaces; starttime is the 20th field after it (proc(5), field 22).
    fields = stat.rpartition(b")")[2].split()
    return fields[19] if len(fields) > 19 else b"gone"


def _started(pid):
    """Return when ``pid`` started, in seconds since the epoch; psutil rounds this to a whole second."""
    with contextlib.suppress(ValueError):
        since_boot = int(birth(pid)) / os.sysconf("SC_CLK_TCK")
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
    return 0.0


def _changed(path):
    try:
        return os.stat(path).st_ctime
    except FileNotFoundError:
        return 0.0
