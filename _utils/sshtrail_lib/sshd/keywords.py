"""
The keywords of sshd_config(5): how each is written, what repeating it does, where it may stand, and since when.

Facts only. Read from ``servconf.c`` of OpenSSH 8.4 to 10.5 and measured on sshd 8.4, 9.2, 10.0 and 10.6.
"""

from __future__ import annotations

import typing
from collections.abc import Collection

Release = tuple[int, int]

#: The first line that sshd reads decides.
FIRST = "first"
#: The last line that sshd reads decides.
LAST = "last"
#: Every line adds to the list.
ACCUMULATE = "accumulate"
#: The parts of the value are decided one by one, each by the first line that has it.
MERGE = "merge"

ALWAYS = (0, 0)
NEVER = (999, 0)
#: Newer than any: where nobody has asked an sshd which one it is.
UNKNOWN = (99, 0)


class Keyword(typing.NamedTuple):
    """
    One keyword.

    name
        Its canonical spelling (str).
    kind
        What its arguments are (str, a key of ``values.KINDS``).
    in_match
        Whether it may stand in a Match block (bool).
    repeat
        What a second line does: FIRST, LAST, ACCUMULATE or MERGE.
    since, until
        The first release that has it, the first that has it no more ((major, minor)).
    last_until
        The first release in which the first line decides; before it the last one did.
    match_since
        The first release in which it may stand in a Match block, for a keyword that once could not.
    """

    name: str
    kind: str
    in_match: bool = False
    repeat: str = FIRST
    since: Release = ALWAYS
    until: Release = NEVER
    last_until: Release = ALWAYS
    match_since: Release = ALWAYS


def called(release: Release) -> str:
    """Return what a release of sshd is called (str)."""
    return "OpenSSH" if release == UNKNOWN else f"OpenSSH {release[0]}.{release[1]}"


def _rows(kind: str, names: str, **options: typing.Any) -> list[Keyword]:
    return [Keyword(name, kind, **options) for name in names.split()]


_KEYWORDS = [
    *_rows("port", "Port", repeat=ACCUMULATE),
    *_rows("listen", "ListenAddress", repeat=ACCUMULATE),
    *_rows("family", "AddressFamily"),
    *_rows("hostkey", "HostKey", repeat=ACCUMULATE),
    *_rows("path", "HostCertificate", repeat=ACCUMULATE),
    *_rows("agent", "HostKeyAgent"),
    *_rows("path", "PidFile XAuthLocation"),
    *_rows("path", "ModuliFile", since=(8, 6)),
    *_rows("path", "SshdSessionPath", since=(9, 8)),
    *_rows("path", "SshdAuthPath", since=(10, 0)),
    *_rows("path", "Banner TrustedUserCAKeys", in_match=True),
    *_rows("revoked", "RevokedKeys", in_match=True),
    *_rows("root", "PermitRootLogin", in_match=True),
    *_rows("rhosts", "IgnoreRhosts", in_match=True),
    *_rows("flag", "UsePAM IgnoreUserKnownHosts PrintMotd PrintLastLog StrictModes TCPKeepAlive UseDNS"),
    *_rows("flag", "KerberosOrLocalPasswd KerberosTicketCleanup KerberosGetAFSToken"),
    *_rows("flag", "GSSAPICleanupCredentials GSSAPIStrictAcceptorCheck"),
    *_rows("flag", "GSSAPIDelegateCredentials", since=(10, 3)),
    # Debian, Red Hat and others carry a patch for these; whether a build has them only the build can tell.
    *_rows("flag", "DebianBanner GSSAPIKeyExchange GSSAPIStoreCredentialsOnRekey", since=NEVER),
    *_rows("opaque", "GSSAPIKexAlgorithms", since=NEVER),
    *_rows("flag", "WarnWeakCrypto", since=NEVER, in_match=True),
    *_rows("opaque", "AgentSocketPath", since=NEVER),
    *_rows("flag", "HostbasedAuthentication HostbasedUsesNameFromPacketOnly PubkeyAuthentication", in_match=True),
    *_rows("flag", "KerberosAuthentication GSSAPIAuthentication PasswordAuthentication", in_match=True),
    *_rows("flag", "KbdInteractiveAuthentication X11Forwarding X11UseLocalhost PermitTTY PermitUserRC", in_match=True),
    *_rows("flag", "PermitEmptyPasswords AllowAgentForwarding DisableForwarding ExposeAuthInfo", in_match=True),
    *_rows("flag", "StreamLocalBindUnlink", in_match=True),
    *_rows("flag", "RefuseConnection", in_match=True, since=(9, 9)),
    # Before 8.7 this was a keyword of its own.
    *_rows("flag", "ChallengeResponseAuthentication", until=(8, 7)),
    *_rows("environment", "PermitUserEnvironment"),
    *_rows("compression", "Compression"),
    *_rows("gateway", "GatewayPorts", in_match=True),
    *_rows("forwarding", "AllowTcpForwarding AllowStreamLocalForwarding", in_match=True),
    *_rows("tunnel", "PermitTunnel", in_match=True),
    *_rows("time", "LoginGraceTime"),
    *_rows("time", "ClientAliveInterval", in_match=True),
    *_rows("idle", "UnusedConnectionTimeout", in_match=True, repeat=MERGE, since=(9, 2)),
    *_rows("number", "X11DisplayOffset MaxAuthTries MaxSessions ClientAliveCountMax", in_match=True),
    *_rows("number", "RequiredRSASize", in_match=True, since=(9, 1)),
    *_rows("facility", "SyslogFacility"),
    *_rows("level", "LogLevel", in_match=True),
    *_rows("words_none", "LogVerbose", in_match=True, since=(8, 5)),
    *_rows("users", "AllowUsers DenyUsers", in_match=True, repeat=ACCUMULATE),
    *_rows("words", "AllowGroups DenyGroups", in_match=True, repeat=ACCUMULATE),
    *_rows("accept", "AcceptEnv", in_match=True, repeat=ACCUMULATE),
    *_rows("setenv", "SetEnv", in_match=True),
    *_rows("keyfiles", "AuthorizedKeysFile", in_match=True),
    *_rows("file", "AuthorizedPrincipalsFile", in_match=True),
    *_rows("word_none", "ChrootDirectory", in_match=True),
    *_rows("word", "AuthorizedKeysCommandUser AuthorizedPrincipalsCommandUser", in_match=True),
    *_rows("word", "PAMServiceName", in_match=True, since=(9, 8)),
    *_rows("command", "AuthorizedKeysCommand AuthorizedPrincipalsCommand", in_match=True),
    *_rows("raw", "ForceCommand", in_match=True),
    *_rows("addendum", "VersionAddendum"),
    *_rows("methods", "AuthenticationMethods", in_match=True),
    *_rows("opens", "PermitOpen", in_match=True),
    *_rows("listens", "PermitListen", in_match=True),
    *_rows("timeouts", "ChannelTimeout", in_match=True, since=(9, 2)),
    *_rows("pubkeyoptions", "PubkeyAuthOptions", in_match=True, since=(8, 2)),
    *_rows("subsystem", "Subsystem", repeat=ACCUMULATE, match_since=(9, 5)),
    *_rows("startups", "MaxStartups", last_until=(10, 1)),
    *_rows("persource", "PerSourceMaxStartups", since=(8, 5), last_until=(9, 5)),
    *_rows("netblock", "PerSourceNetBlockSize", since=(8, 5), last_until=(10, 1)),
    *_rows("opaque", "PerSourcePenalties", since=(9, 8), repeat=MERGE),
    *_rows("addresses", "PerSourcePenaltyExemptList", since=(9, 8)),
    *_rows("rekey", "RekeyLimit", in_match=True, repeat=MERGE),
    *_rows("mask", "StreamLocalBindMask", in_match=True, last_until=(10, 6)),
    *_rows("hash", "FingerprintHash", repeat=LAST),
    *_rows("qos", "IPQoS", in_match=True, last_until=(10, 3)),
    *_rows("provider", "SecurityKeyProvider"),
    *_rows("algorithms", "Ciphers MACs KexAlgorithms HostKeyAlgorithms"),
    *_rows("algorithms", "HostbasedAcceptedAlgorithms PubkeyAcceptedAlgorithms", in_match=True, since=(8, 5)),
    *_rows("algorithms", "HostbasedAcceptedKeyTypes PubkeyAcceptedKeyTypes", in_match=True, until=(8, 5)),
    *_rows("algorithms", "CASignatureAlgorithms", in_match=True),
    *_rows("refused", "RDomain", in_match=True),
    *_rows("match", "Match", in_match=True),
    *_rows("include", "Include", in_match=True),
    *_rows("ignored", "ServerKeyBits KeyRegenerationInterval RhostsAuthentication CheckMail UseLogin"),
    *_rows("ignored", "VerifyReverseMapping ReverseMappingCheck UsePrivilegeSeparation Protocol"),
    *_rows("ignored", "KerberosTgtPassing AFSTokenPassing"),
    *_rows("ignored", "PAMAuthenticationViaKbdInt", until=(10, 5)),
    *_rows("ignored", "RhostsRSAAuthentication RSAAuthentication AuthorizedKeysFile2", in_match=True),
]

#: name in lower case: Keyword
KEYWORDS = {keyword.name.lower(): keyword for keyword in _KEYWORDS}

#: alias in lower case: (canonical name, since, may stand in Match)
ALIASES = {
    "hostdsakey": ("HostKey", ALWAYS, False),
    "dsaauthentication": ("PubkeyAuthentication", ALWAYS, False),
    "keepalive": ("TCPKeepAlive", ALWAYS, False),
    "hostbasedacceptedkeytypes": ("HostbasedAcceptedAlgorithms", (8, 5), True),
    "pubkeyacceptedkeytypes": ("PubkeyAcceptedAlgorithms", (8, 5), True),
    "challengeresponseauthentication": ("KbdInteractiveAuthentication", (8, 7), True),
    "skeyauthentication": ("KbdInteractiveAuthentication", (8, 7), True),
    "gssapicleanupcreds": ("GSSAPICleanupCredentials", NEVER, False),
}

#: What `sshd -T` leaves out while it is unset: absence there says nothing about the build.
SILENT = frozenset(
    ["AllowUsers", "DenyUsers", "AllowGroups", "DenyGroups", "AcceptEnv", "SetEnv", "Subsystem", "HostCertificate"]
    + ["HostKey", "LogVerbose", "ChannelTimeout", "RevokedKeys", "Match", "Include", "RDomain", "PAMServiceName"]
)

#: Keywords of some builds that `sshd -T` does not print there, each with a value to find out.
VENDOR = {"DebianBanner": "yes"}

#: Kinds for which `sshd -T` prints one line for each item: their values are lists.
LISTED = frozenset(["port", "listen", "users", "words", "accept", "setenv", "subsystem"])
LISTED_NAMES = frozenset(["HostKey", "HostCertificate"])


def is_list(keyword: Keyword) -> bool:
    """Return whether the value of ``keyword`` (Keyword) is a list of items, as ``sshd -T`` prints them."""
    return keyword.kind in LISTED or keyword.name in LISTED_NAMES


def find(word: str, release: Release, printed: Collection[str] = ()) -> Keyword | None:
    """
    Return the Keyword that ``word`` (str, any case) names for an OpenSSH ``release`` ((major, minor)), or None.

    printed
        Names that this very build's ``sshd -T`` prints: they exist whatever the table says.
    """
    lower = word.lower() if word.isascii() else word
    name, since, in_match = ALIASES.get(lower, (None, NEVER, False))
    if name and (release >= since or (since == NEVER and name in printed)):
        return KEYWORDS[name.lower()]._replace(in_match=in_match)
    keyword = KEYWORDS.get(lower)
    if keyword is None:
        return next((Keyword(name, "opaque", True) for name in printed if name.lower() == lower), None)
    return _as_of(keyword, release) if keyword.name in printed or _exists(keyword, release) else None


def _exists(keyword: Keyword, release: Release) -> bool:
    return keyword.since <= release < keyword.until


def _as_of(keyword: Keyword, release: Release) -> Keyword:
    if release < keyword.last_until:
        return keyword._replace(repeat=LAST)
    if keyword.match_since != ALWAYS:
        return keyword._replace(in_match=release >= keyword.match_since)
    return keyword


def names(release: Release, printed: Collection[str] = ()) -> list[str]:
    """Return the canonical names of all keywords of ``release`` (sorted list of str)."""
    known = {keyword.name for keyword in _KEYWORDS if keyword.kind != "ignored" and _exists(keyword, release)}
    return sorted(known | set(printed))
