"""
Which files an augenrules reads that has the shell split the names: the words of a name are names to it, and patterns.

Source: augenrules until 4.1, ``for rules in $(ls -1v … | grep "\\.rules$")``, and sh(1) on what is not quoted.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection

from sshtrail_lib.rules.files import SUFFIX

PATTERN = re.compile(r"[*?\[]")


def read_for(name: str, names: Collection[str]) -> list[str]:
    """
    Return the names (list of str) of the files that are read where ``name`` (str) is listed; most stand for themselves.

    names
        All that there is in the directory (collection of str).
    """
    # A name of several lines goes line by line through grep.
    lines = [line for line in name.split("\n") if line.endswith(SUFFIX)]
    words = [word for line in lines for word in re.split("[ \t]+", line) if word]
    return [one for word in words for one in _matched(word, names) if one in names]


def _matched(word, names):
    if not PATTERN.search(word):
        return [word]
    found = [name for name in names if fnmatch.fnmatchcase(name, word) and (name[0] != "." or word[0] == ".")]
    return sorted(found) or [word]


def sentence(read: Collection[str]) -> str:
    """Return what happens (str) to a file that does not stand for itself, where those are ``read`` for it (str)."""
    if not read:
        return "augenrules reads no file with white space in its name."
    return f"augenrules takes its name for others, and reads in its place, maybe once more: {', '.join(read)}."
