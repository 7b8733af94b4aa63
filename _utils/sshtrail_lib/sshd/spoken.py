"""
What clients of today offer by themselves, so that somebody can still connect.
"""

from __future__ import annotations

from sshtrail_lib.sshd import match
from sshtrail_lib.sshd.known import Values

#: First for every client, and it needs no MAC.
_CHACHA = "chacha20-poly1305@openssh.com"
_SHA2 = ("hmac-sha2-256", "hmac-sha2-512", "hmac-sha1", "umac-64", "umac-128")
#: The defaults of ssh from OpenSSH 8.4 to 10: one of them is enough, whichever client it is.
OFFERED = {
    "Ciphers": (
        *(_CHACHA, "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"),
        *("aes128-ctr", "aes192-ctr", "aes256-ctr"),
    ),
    "MACs": (
        *("hmac-sha2-256", "hmac-sha2-512", "hmac-sha1", "umac-64@openssh.com", "umac-128@openssh.com"),
        *(f"{one}-etm@openssh.com" for one in _SHA2),
    ),
    "KexAlgorithms": (
        *("mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"),
        *("curve25519-sha256", "curve25519-sha256@libssh.org", *(f"ecdh-sha2-nistp{bits}" for bits in (256, 384, 521))),
        *(
            "diffie-hellman-group-exchange-sha256",
            *(f"diffie-hellman-group{one}" for one in ("16-sha512", "18-sha512")),
        ),
        "diffie-hellman-group14-sha256",
    ),
}


def is_spoken(keyword: str, values: Values) -> bool:
    """
    Return whether a client of today speaks something of what sshd takes (bool), also where only sshd can tell.

    keyword
        One of :data:`OFFERED` (str).
    values
        What sshd does (values).
    """
    taken = values.get(keyword) or ""
    if not taken or taken[0] in "+-^":
        return True
    if keyword == "MACs" and _takes(values.get("Ciphers") or _CHACHA, [_CHACHA]):
        return True
    return _takes(taken, OFFERED[keyword])


def _takes(taken: str, offered: tuple[str, ...] | list[str]) -> bool:
    return taken[0] in "+-^" or any(match.in_patterns(one, taken) == 1 for one in offered)
