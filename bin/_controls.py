"""
Make ``_utils/sshtrail_lib/policy/controls.py``, the table of controls, from two lists of facts.

Usage: ``python bin/_controls.py DIRECTORY``. The directory holds ``controls.tsv`` (framework, version, id, level,
check, check_type, description, what_to_check, source_rules) and ``checks.tsv`` (check, check_type, description,
what_to_check), each with a line of headings.
"""

import collections
import csv
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
TARGET = os.path.join(ROOT, "_utils", "sshtrail_lib", "policy", "controls.py")
#: The lists cut a cell here, so the last name of a longer one is lost.
WIDTH = 300
#: The check of a requirement that no program of the source decides.
NONE = "hand"
NAMES = {"DISA STIG": "STIG", "ISO/IEC 27001": "ISO 27001", "NIST SP 800-53": "NIST 800-53", "SOC 2 (TSC)": "SOC 2"}

HEAD = '''"""
The controls that ask for an SSH trail: every identifier with its framework and edition, and the check behind it.

The numbers of a benchmark differ from edition to edition, so an identifier alone says nothing. The titles are this
project's own words, not those of the benchmarks.

Sources: for CIS, DISA STIG, PCI DSS and NIST the identifiers, levels and rule names in ComplianceAsCode/content at
b3a2cca (``controls/*.yml``, ``products/*/controls``); for ISO 27001 and SOC 2, which are not there, their public
summaries.

This file is written by ``bin/_controls.py``; change that, or its input, and not this.
"""

from __future__ import annotations

import typing


class Check(typing.NamedTuple):
    """What is looked at: its ``kind`` (str), its ``title`` (str, what holds then) and what to ``look`` at (str)."""

    kind: str
    title: str
    look: str


class Control(typing.NamedTuple):
    """
    One control of a framework's edition.

    ``id`` (str), ``level`` (str: ``l1s`` a server's level 1, ``l1w`` a workstation's, a STIG's severity, or ""),
    ``checks`` (tuple of str, keys of :data:`CHECKS`; empty: see :data:`REQUIREMENTS`) and ``rules`` (tuple of str, the
    rules that the source has for it).
    """

    id: str
    level: str
    checks: tuple[str, ...]
    rules: tuple[str, ...]


'''


def rows(path):
    """Return the lines (list of dict of str) of a list of facts at ``path`` (str)."""
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def framework(row):
    """Return the short name (str) of a row's framework."""
    name = row["framework"]
    start = next((one for one in NAMES if name.startswith(one)), None)
    return name if start is None else NAMES[start] + name[len(start) :]


def source_rules(row):
    """Return the names (tuple of str) of the source's rules for a row; where it has a sentence instead, none."""
    text = row["source_rules"]
    names = text.split(",")[: -1 if len(text) >= WIDTH else None]
    return () if " " in text else tuple(names)


def controls(facts):
    """Return each framework's controls (dict of str to list of tuple), each identifier once, in the list's order."""
    found = collections.defaultdict(dict)
    for row in facts:
        entry = found[framework(row)].setdefault(row["id"], ([], [], row["level"]))
        entry[0].extend(one for one in [row["check"]] if one != NONE and one not in entry[0])
        entry[1].extend(one for one in source_rules(row) if one not in entry[1])
    return {
        name: [(number, level, tuple(checks), tuple(rules)) for number, (checks, rules, level) in entries.items()]
        for name, entries in found.items()
    }


def text(facts, checks):
    """Return the content (str) of the table, of the rows of both lists."""
    editions = {framework(row): row["version"] for row in facts}
    kinds = {row["check"]: (row["check_type"], row["description"], row["what_to_check"]) for row in checks}
    asked = {
        (framework(row), row["id"]): (row["check_type"], row["description"], row["what_to_check"])
        for row in facts
        if row["check"] == NONE
    }
    lines = ["#: The edition (str) of each framework.", f"EDITIONS: dict[str, str] = {editions!r}", ""]
    lines += ["#: Each check by its name.", "CHECKS: dict[str, Check] = {"]
    lines += [f"{name!r}: Check{kind!r}," for name, kind in kinds.items()] + ["}", ""]
    lines += ["#: What a requirement without checks of its source asks, by framework and identifier."]
    lines += ["REQUIREMENTS: dict[tuple[str, str], Check] = {"]
    lines += [f"{where!r}: Check{kind!r}," for where, kind in asked.items()] + ["}", ""]
    lines += ["#: The controls of each framework, in its order.", "CONTROLS: dict[str, tuple[Control, ...]] = {"]
    for name, entries in controls(facts).items():
        lines += [f"{name!r}: (", *(f"Control{entry!r}," for entry in entries), "),"]
    return HEAD + "\n".join([*lines, "}"]) + "\n"


def main(directory):
    """Write the table from the lists in ``directory`` (str), in the project's format."""
    content = text(rows(os.path.join(directory, "controls.tsv")), rows(os.path.join(directory, "checks.tsv")))
    with open(TARGET, "w", encoding="utf-8") as handle:
        handle.write(content)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", TARGET], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
