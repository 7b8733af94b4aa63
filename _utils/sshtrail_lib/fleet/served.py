"""
Where the SLS files and the pillar of this project lie on this machine, as a master's configuration names them.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping

from salt.exceptions import CommandExecutionError

#: The directory that holds this library: of a checkout, of a Python's packages, or what Salt has synced.
ABOVE = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
#: Beside it in a Python's packages (the wheel), and in a checkout.
PLACES = (os.path.join(ABOVE, "saltext", "sshtrail", "srv"), os.path.dirname(ABOVE))
ROOTS = {"file_roots": "salt", "pillar_roots": "pillar"}


def roots(opts: Mapping[str, typing.Any]) -> dict[str, dict[str, list[str]]]:
    """
    Return the options ``file_roots`` and ``pillar_roots`` (dict) of a master with what this project serves added.

    opts
        The master's configuration (mapping): its own roots come first.

    Raises an error where nothing of this project lies beside the library: it was synced, and the rest is elsewhere.
    """
    for place in PLACES:
        found = {option: os.path.join(place, name) for option, name in ROOTS.items()}
        if all(os.path.isfile(os.path.join(path, "top.sls")) for path in found.values()):
            return {option: _added(opts.get(option) or {}, path) for option, path in found.items()}
    raise CommandExecutionError(
        f"No SLS files lie beside the library in {ABOVE}: install the wheel for the Python of this master, or serve a "
        "checkout."
    )


def _added(own: Mapping[str, list[str]], path: str) -> dict[str, list[str]]:
    kept = {environment: list(paths) for environment, paths in own.items()}
    base = [one for one in kept.get("base", []) if one != path]
    return {**kept, "base": [*base, path]}
