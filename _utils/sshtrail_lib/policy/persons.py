"""
Who is who, as the pillar says it: the keys, the certificates and the accounts of each person.
"""

from __future__ import annotations

import re
import typing

from sshtrail_lib.policy.kinds import TEXT, shown

#: What is known of a person, and what ssh-keygen(1) prints of a key.
PERSON = ("keys", "certificates", "accounts")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}|MD5:[0-9a-f]{2}(:[0-9a-f]{2}){15}")

Person = dict[str, list[str]]


def people(value: typing.Any, path: str, problems: list[str]) -> dict[str, Person]:
    """Return a copy of the people (dict); arguments as :func:`sshtrail_lib.policy.schema.checked`."""
    if not isinstance(value, dict):
        problems.append(f"{path} must be a mapping of persons, not {shown(value)}.")
        return {}
    for name in value:
        TEXT.check(name, f"the name {path}:{name}", problems)
    return {str(name): _person(entry, f"{path}:{name}", problems) for name, entry in value.items()}


def _person(entry: typing.Any, path: str, problems: list[str]) -> Person:
    if not isinstance(entry, dict):
        problems.append(f"{path} must be a mapping with some of {', '.join(PERSON)}, not {shown(entry)}.")
        return {}
    problems += [f"{path}:{name} is unknown; allowed are {', '.join(PERSON)}." for name in entry if name not in PERSON]
    return {name: _texts(name, entry[name], f"{path}:{name}", problems) for name in PERSON if name in entry}


def _texts(name: str, value: typing.Any, path: str, problems: list[str]) -> list[str]:
    if not isinstance(value, list):
        problems.append(f"{path} must be a list, not {shown(value)}.")
        return []
    for number, one in enumerate(value):
        if not isinstance(one, str) or not one:
            problems.append(f"{path}:{number} must be text, not {shown(one)}.")
        elif name == "keys" and not FINGERPRINT.fullmatch(one):
            problems.append(
                f"{path}:{number} is {shown(one)}; write a fingerprint as ssh-keygen -l prints it (SHA256:…)."
            )
    return [str(one) for one in value]
