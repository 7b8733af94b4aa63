"""
Which frameworks and editions there are, and which are meant for a host.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from salt.exceptions import SaltInvocationError

from sshtrail_lib.policy.controls import EDITIONS

#: How one names a framework on the command line, and how its entries in the table begin.
NAMES = {
    **{"cis": "CIS", "stig": "STIG", "pci_dss": "PCI DSS", "nist_800_53": "NIST 800-53"},
    **{"iso_27001": "ISO 27001", "soc_2": "SOC 2"},
}
#: Those that have an edition for each distribution.
OF_A_SYSTEM = ("CIS", "STIG")
#: Whose benchmark also fits, as far as it goes.
REBUILDS = ("CentOS Stream", "CentOS", "Rocky", "AlmaLinux", "OEL", "Oracle Linux")
SYSTEMS = {"Debian": "Debian {}", "Ubuntu": "Ubuntu {}", "RedHat": "RHEL {}"}


def chosen(framework: str | None, edition: str | None, grains: Mapping) -> list[str]:
    """
    Return which entries of the table are meant (list of str).

    framework
        A name of :data:`NAMES` or of the table (str), None for all that fit the host.
    edition
        Which edition of it (str): a distribution's (``Debian 12``) or a version (``1.1.0``); None for the host's own.
    grains
        What Salt knows of the host (mapping).

    Raises SaltInvocationError for a framework or an edition that there is not, or that none fits this host.
    """
    if framework is None and edition is not None:
        raise SaltInvocationError("edition needs a framework: name one of " + ", ".join(NAMES))
    if framework is None:
        return [name for start in NAMES.values() for name in _of(start, None, grains, strict=False)]
    wanted = str(framework)
    if wanted in EDITIONS:
        return _checked(wanted, edition)
    start = NAMES.get(wanted.strip().lower().replace("-", "_").replace(" ", "_"))
    if start is None:
        known = (*NAMES, *EDITIONS)
        near = difflib.get_close_matches(wanted, known, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise SaltInvocationError(f"There is no framework {wanted!r}{hint} Known are {', '.join(known)}.")
    return _of(start, edition, grains, strict=True)


def _checked(name: str, edition: str | None) -> list[str]:
    if edition is not None and str(edition) not in (EDITIONS[name], name):
        raise SaltInvocationError(f"{name} has no edition {edition!r} here, but {EDITIONS[name]}.")
    return [name]


def _of(start: str, edition: str | None, grains: Mapping, strict: bool) -> list[str]:
    entries = [name for name in EDITIONS if name == start or name.startswith(f"{start} ")]
    if start not in OF_A_SYSTEM:
        return _checked(entries[0], edition)
    wanted = str(edition) if edition is not None else system(grains)
    ends = [name for name in entries if name.removeprefix(f"{start} ").lower() == wanted.lower()]
    ends += [name for name in entries if edition is not None and EDITIONS[name] == wanted]
    if strict and len(ends) != 1:
        known = ", ".join(f"{name.removeprefix(f'{start} ')} ({EDITIONS[name]})" for name in entries)
        raise SaltInvocationError(
            f"{start} has no one edition {wanted!r} here: known are {known}. Name one as edition."
        )
    return ends


def system(grains: Mapping) -> str:
    """Return how the benchmarks name a host's distribution (str)."""
    name = str(grains.get("os"))
    # Rebuilds of RHEL have its numbers, and its relatives (Fedora, Amazon Linux) none that it has.
    like = name in REBUILDS or grains.get("os_family") == "RedHat"
    name = "RedHat" if like and name not in SYSTEMS else name
    release = str(grains.get("osrelease", ""))
    return SYSTEMS.get(name, f"{name} {{}}").format(release if name == "Ubuntu" else release.split(".")[0])
