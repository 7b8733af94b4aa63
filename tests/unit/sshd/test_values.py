"""What each kind of value takes, and how ``sshd -T`` of four releases spells it; measured on those."""

import pytest
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import keywords, values
from sshtrail_lib.sshd.daemon import Arguments, BadValue, Daemon, OnlySshdKnows

RELEASES = ("8.4", "9.2", "10.0", "10.6")


def spell(name, text, release="9.2"):
    daemon = golden(release)
    keyword = keywords.find(name, daemon.release, daemon.defaults)
    return values.spell(keyword, [Arguments(tuple(text.split(" ")), text)], daemon)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("name", "text", "printed"),
    [
        ("X11Forwarding", "YES", ["yes"]),
        ("LogLevel", "quiet", ["SILENT"]),
        ("LogLevel", "DEBUG1", ["DEBUG"]),
        ("SyslogFacility", "local3", ["LOCAL3"]),
        ("LoginGraceTime", "1h30m", ["5400"]),
        ("ClientAliveInterval", "1W2d", ["777600"]),
        ("X11DisplayOffset", "010", ["10"]),
        ("Compression", "delayed", ["yes"]),
        ("AllowTcpForwarding", "all", ["yes"]),
        ("MaxStartups", "10", ["10:30:10"]),
        ("MaxStartups", "10:20:30", ["10:20:30"]),
        ("RekeyLimit", "1G 1h", ["1073741824 3600"]),
        ("RekeyLimit", "1.5K", ["1536 0"]),
        ("StreamLocalBindMask", "22", ["022"]),
        ("FingerprintHash", "md5", ["MD5"]),
        ("IPQoS", "ef", ["ef ef"]),
        ("IPQoS", "af21 cs1", ["af21 cs1"]),
        ("PermitListen", "8080 localhost:80", ["*:8080 localhost:80"]),
        ("Banner", "None", ["none"]),
        ("Banner", "relative", ["//relative"]),
        ("AllowUsers", "a b@10.0.0.0/8", ["a", "b@10.0.0.0/8"]),
        ("VersionAddendum", "hello world", ["hello world"]),
        ("AuthenticationMethods", "publickey,password", ["publickey,password"]),
    ],
)
def test_spelling(name, text, printed, release):
    assert spell(name, text, release) == printed


@pytest.mark.parametrize(
    ("name", "text", "release", "printed"),
    [
        ("PermitRootLogin", "prohibit-password", "9.2", ["without-password"]),
        ("PermitRootLogin", "without-password", "10.6", ["prohibit-password"]),
        ("TCPKeepAlive", "yes", "10.0", ["yes"]),
        ("TCPKeepAlive", "yes", "10.6", ["true"]),
        ("PerSourceNetBlockSize", "24", "9.2", ["24:0"]),
        ("PerSourceNetBlockSize", "24", "10.6", ["24:128"]),
        ("Subsystem", "a b 'c", "9.2", ["a b 'c"]),
        ("Subsystem", "a b 'c", "10.0", [r"a b \'c"]),
        ("UnusedConnectionTimeout", "none", "9.2", ["none"]),
    ],
)
def test_spelling_of_a_release(name, text, release, printed):
    assert spell(name, text, release) == printed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("X11Forwarding", "true"),
        ("X11Forwarding", "yes no"),
        ("X11Forwarding", ""),
        ("LogLevel", "LOUD"),
        ("SyslogFacility", "KERN"),
        ("LoginGraceTime", "2x"),
        ("LoginGraceTime", "-1"),
        ("LoginGraceTime", "9999999999"),
        ("MaxAuthTries", "three"),
        ("MaxAuthTries", "\u0663"),
        ("Port", "0"),
        ("Port", "65536"),
        ("ListenAddress", "127.0.0.1:x"),
        ("ListenAddress", "127.0.0.1 rdomain x"),
        ("MaxStartups", "10:30"),
        ("MaxStartups", "30:50:20"),
        ("RekeyLimit", "1"),
        ("RekeyLimit", "1G 1h x"),
        ("StreamLocalBindMask", "999"),
        ("FingerprintHash", "crc32"),
        ("IPQoS", "af99"),
        ("PermitOpen", "host"),
        ("PermitOpen", "host:99999"),
        ("PermitTunnel", "YES"),
        ("AllowUsers", "bob@10.0.0.1/8"),
        ("AcceptEnv", "A=B"),
        ("SetEnv", "A"),
        ("Subsystem", "sftp"),
        ("AuthenticationMethods", "nothing"),
        ("AuthenticationMethods", "any publickey"),
        ("AuthorizedKeysCommand", "relative"),
        ("ChannelTimeout", "session"),
        ("PubkeyAuthOptions", "touch"),
        ("RDomain", "x"),
        ("Ciphers", "a, b"),
    ],
)
def test_what_is_refused(name, text):
    with pytest.raises(BadValue):
        spell(name, text)


def test_what_only_sshd_knows():
    with pytest.raises(OnlySshdKnows):
        spell("Ciphers", "+aes128-cbc")


@pytest.mark.parametrize(("value", "printed"), [("YES", ["yes"]), ("maybe", None)])
def test_a_flag_that_sshd_does_not_print(value, printed):
    """A keyword of which nothing is known but that it is there is still one of yes and no."""
    keyword = keywords.find("DebianBanner", (9, 2), ["DebianBanner"])
    arguments, daemon = [Arguments((value,), value)], Daemon(defaults={"DebianBanner": []})
    if printed:
        assert values.spell(keyword, arguments, daemon) == printed
    else:
        with pytest.raises(BadValue, match="takes yes, no"):
            values.spell(keyword, arguments, daemon)


def test_a_home_that_is_not_there():
    keyword = keywords.find("Banner", (9, 2))
    with pytest.raises(BadValue, match="home directory"):
        values.spell(keyword, [Arguments(("~bob/x",), "~bob/x")], Daemon())
