"""
Public keys as they stand in files: of which kind and how long, and what sshd takes them with.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import struct
import typing
from collections.abc import Iterator, Sequence

from sshtrail_lib.sshd import match

#: The kind and the key, as they stand in a line of authorized_keys, sshd(8).
_KEY = re.compile(r"(?P<kind>[a-z0-9][A-Za-z0-9@.-]*)[ \t]+(?P<blob>[A-Za-z0-9+/]+=*)(?=\s|$)")
_OPTION = re.compile(r'(?P<name>[A-Za-z0-9-]+)(?:="(?P<value>(?:\\"|[^"])*)")?')
#: Of how many parts a key of a kind is made.
_PARTS = {"ssh-ed25519": 2, "ssh-rsa": 3, "sk-ssh-ed25519@openssh.com": 3, "sk-ecdsa-sha2-nistp256@openssh.com": 4}
#: Characters of a line that is looked at: the file is its account's own, who may write into it what he likes.
_LONGEST = 65536
_PRIVATE = b"openssh-key-v1\0"
_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
#: What signs with an RSA key; every other kind of key has one algorithm, which is called as the kind.
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
#: In certificates and by clients before 8.8 alone: SHA-1.
_OLD_RSA = (*_RSA, "ssh-rsa")
_MORE = {"sk-ecdsa-sha2-nistp256@openssh.com": ("webauthn-sk-ecdsa-sha2-nistp256@openssh.com",)}
_CURVES = [f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)]
_SIGNERS = (*_OLD_RSA, "ssh-ed25519", "sk-ssh-ed25519", "sk-ecdsa-sha2-nistp256", *_CURVES)
_CERTIFICATES = [f"{one}-cert-v01@openssh.com" for one in _SIGNERS]


class Key(typing.NamedTuple):
    """
    A public key.

    kind
        What it is called (str), empty for a line of which this is not known.
    bits
        How long an RSA key is (int), 0 for others, and where it cannot be told.
    authority
        Whether it signs certificates, which are taken in its place (bool).
    safe
        Whether StrictModes takes the file that it is in (bool).
    blob
        The key itself as it is written (str), empty where that is no matter.
    command
        What its holder gets in place of a shell (str), empty for a shell.
    sources
        From where it is taken (str, a list as that of ``from=``), empty for everywhere.
    until
        When its time is over (float, seconds since the epoch), None for never.
    shell
        Whether a shell can come of ``command`` (bool).
    """

    kind: str = ""
    bits: int = 0
    authority: bool = False
    safe: bool = True
    blob: str = ""
    command: str = ""
    sources: str = ""
    until: float | None = None
    shell: bool = True


def authorized(data: bytes) -> Iterator[Key]:
    """
    Yield the Key of each line of a file like authorized_keys (bytes). What is no key opens nothing; of a line that is
    too long to be looked at nothing is known.
    """
    for line in data.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if len(text) > _LONGEST:
            yield Key()
        elif found := _key(text):
            yield found
        else:
            end = _past_options(text)
            found = _key(text[end:].lstrip())
            yield from [_with_options(found, text[:end])] if found else ()


def listed(data: bytes) -> tuple[list[Key], bool]:
    """
    Return the keys (list of Key) in a plain list (bytes) such as that of TrustedUserCAKeys, and whether sshd reads it
    to its end (bool): it stops at a line that is no key, authfile.c, sshkey_in_file.
    """
    found: list[Key] = []
    for line in data.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if not text or text.startswith("#") or len(text) > _LONGEST or re.match(r"\S+-cert-v0\S*\s", text):
            continue
        key = _key(text)
        if key is None:
            return found, False
        found.append(key)
    return found, True


_KRL = b"SSHKRL\n\0"


def is_krl(data: bytes) -> bool | None:
    """Return whether ``data`` (bytes) is a KRL that is whole (bool), None where it is none: PROTOCOL.krl."""
    if not data.startswith(_KRL):
        return None
    at = len(_KRL) + 4 + 3 * 8
    try:
        for _reserved_and_comment in range(2):
            at += 4 + struct.unpack_from(">I", data, at)[0]
        while at < len(data):
            at += 5 + struct.unpack_from(">I", data, at + 1)[0]
    except struct.error:
        return False
    return at == len(data)


def _key(text: str) -> Key | None:
    """Return the Key with which ``text`` begins, None where it begins with none."""
    found = _KEY.match(text)
    if not found or "-cert-v0" in found["kind"]:
        return None
    try:
        data, parts = base64.b64decode(found["blob"], validate=True), 0
        at = 0
        while at < len(data):
            (length,) = struct.unpack_from(">I", data, at)
            at, parts = at + 4 + length, parts + 1
        kind = _strings(data, 1)[0].decode("ascii")
    except (ValueError, binascii.Error, struct.error):
        return None
    if at != len(data) or kind != found["kind"] or parts != _PARTS.get(kind, parts):
        return None
    return Key(kind, _bits(found["blob"]), blob=found["blob"])


def _past_options(text: str) -> int:
    """Return where the options end that a line begins with: auth-options.c, sshkey_advance_past_options."""
    quoted = False
    for found in re.finditer(r'\\"|["\s]', text):
        if found[0] == '"':
            quoted = not quoted
        elif not quoted and found[0].isspace():
            return found.start()
    return len(text)


def _with_options(key: Key, text: str) -> Key:
    told = {one["name"].lower(): (one["value"] or "").replace('\\"', '"') for one in _OPTION.finditer(text)}
    until = _moment(told["expiry-time"]) if "expiry-time" in told else None
    authority = "cert-authority" in told
    return key._replace(authority=authority, command=told.get("command", ""), sources=told.get("from", ""), until=until)


def _moment(text: str) -> float:
    """Return when a date is (float) as sshd reads it, long ago for one that it refuses."""
    digits, zone = re.fullmatch(r"([0-9]*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(digits))
    if not form or zone.upper() not in ("", "Z", "UTC"):
        return 0.0
    try:
        found = datetime.datetime.strptime(digits, form)
        return (found.replace(tzinfo=datetime.timezone.utc) if zone else found).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def of_host(data: bytes) -> Key | None:
    """Return the Key of a host's key, from its public file or OpenSSH's private one (bytes); None where it is none."""
    text = data.decode("utf-8", "replace").strip()
    if not text.startswith(_BEGIN):
        return next((one._replace(blob="") for one in authorized(data) if one.kind), None)
    try:
        blob = base64.b64decode("".join(text.removeprefix(_BEGIN).partition(_END)[0].split()))
        fields = _strings(blob.removeprefix(_PRIVATE), 3)
        public = _strings(blob[len(_PRIVATE) + sum(4 + len(one) for one in fields) + 4 :], 1)[0]
        return Key(_strings(public, 1)[0].decode("ascii"), _bits(base64.b64encode(public).decode()))
    except (ValueError, struct.error):
        return None


def _strings(data: bytes, count: int) -> list[bytes]:
    """Return the first strings of ``data``: the length of each stands before it."""
    found, at = [], 0
    for _one in range(count):
        (length,) = struct.unpack_from(">I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _bits(blob: str) -> int:
    try:
        data = base64.b64decode(blob)
        if _strings(data, 1) != [b"ssh-rsa"]:
            return 0
        return int.from_bytes(_strings(data, 3)[2], "big").bit_length()
    except (ValueError, binascii.Error, struct.error):
        return 0


def signs(key: Key, algorithms: str, size: int = 0, earlier: bool = False) -> bool:
    """
    Return whether ``key`` (Key) signs with one of ``algorithms`` (str, with commas), and is no RSA key of fewer than
    ``size`` bits (int). What is not known of it is no reason against it. What only counts where it was signed
    ``earlier`` (bool), as a certificate, is SHA-1: no client of today does so.
    """
    if not key.kind or not algorithms or algorithms[0] in "+-^":
        return True
    rsa = _OLD_RSA if earlier else _RSA
    names = rsa if key.kind == "ssh-rsa" else (key.kind, *_MORE.get(key.kind, ()))
    return not 0 < key.bits < size and _any(names, algorithms)


def admits(key: Key, algorithms: str, by_authority: str, size: int = 0) -> bool:
    """
    Return whether sshd takes who has ``key`` (Key), or a certificate of it.

    algorithms
        PubkeyAcceptedAlgorithms (str).
    by_authority
        CASignatureAlgorithms (str).
    size
        RequiredRSASize (int, bits).
    """
    if not key.authority:
        return signs(key, algorithms, size)
    certificates = not algorithms or algorithms[0] in "+-^" or _any(_CERTIFICATES, algorithms)
    return certificates and signs(key, by_authority, earlier=True)


def _any(names: Sequence[str], algorithms: str) -> bool:
    return any(match.in_patterns(name, algorithms) == 1 for name in names)
