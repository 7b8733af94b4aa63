"""
The journal of a transaction over several files: what was there before, for whoever comes after a crash.
"""

import base64
import contextlib
import json
import os

from sshtrail_lib.base import files


def open_(journal, old, new):
    """
    Note, before the first file is written, what the transaction replaces.

    journal
        Path of the journal (str).
    old, new
        ``{path: bytes}`` before and after; None is no file.
    """
    os.makedirs(os.path.dirname(journal), mode=0o700, exist_ok=True)
    entries = {path: {"old": _packed(data), "new": _packed(new[path])} for path, data in old.items()}
    files.replace(journal, json.dumps(entries).encode(), mode=0o600)


def close(journal):
    """Note that the transaction has ended, in one way or the other; nothing happens when none is open."""
    files.remove(journal)


def before(journal):
    """
    Return what an interrupted transaction replaced: ``{path: bytes}``, None for a file that was not there.

    A file that somebody has changed since is not among them. Empty when no transaction was interrupted.
    """
    return {
        path: _unpacked(entry["old"])
        for path, entry in _entries(journal).items()
        if files.read(path) == _unpacked(entry["new"])
    }


def _entries(journal):
    # The journal is replaced atomically: a broken one was never a journal.
    with contextlib.suppress(ValueError):
        return json.loads(files.read(journal) or b"{}")
    return {}


def _packed(data):
    return None if data is None else base64.b64encode(data).decode()


def _unpacked(text):
    return None if text is None else base64.b64decode(text)
