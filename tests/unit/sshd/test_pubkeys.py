"""Public keys as ssh-keygen writes them, and what sshd takes them with."""

import subprocess

import pytest
from sshtrail_lib.sshd.pubkeys import Key, admits, authorized, is_krl, listed, of_host, signs
from support import spent

KIND_OF_A_CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com"
KINDS = {"ed25519": ("ssh-ed25519", 0), "rsa": ("ssh-rsa", 2048), "ecdsa": ("ecdsa-sha2-nistp256", 0)}


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """A pair of keys: its directory, and what it is."""
    directory = tmp_path_factory.mktemp("keys")
    bits = ["-b", "2048"] if request.param == "rsa" else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", request.param, *bits, "-N", "", "-C", "me@here", "-f", directory / "k"], check=True
    )
    return directory, Key(*KINDS[request.param])


def test_of_a_host(pair):
    directory, key = pair
    assert of_host((directory / "k.pub").read_bytes()) == of_host((directory / "k").read_bytes()) == key


def test_in_a_file(pair):
    directory, key = pair
    text = (directory / "k.pub").read_text().strip()
    lines = [
        *("", "# mine", text, f"\t{text}", f"no-pty {text}", f'command="a \\" b # c",from="10.*" {text}'),
        *(f"cert-authority {text}", f'principals="a,b",cert-authority {text}', f'command="cert-authority" {text}'),
        "what is this",
    ]
    found = list(authorized("\r\n".join(lines).encode()))
    assert {one.blob for one in found} == {text.split()[1]}
    found = [one._replace(blob="") for one in found]
    assert found == [
        *[key] * 3,
        key._replace(command='a " b # c', sources="10.*"),
        *[key._replace(authority=True)] * 2,
        key._replace(command="cert-authority"),
    ]
    more = f"# ours\n\n{text}\n{KIND_OF_A_CERTIFICATE} AAAA\n"
    (listed_key,), whole = listed(more.encode())
    assert listed_key._replace(blob="") == key and whole
    for wrong in ("<html>", f"cert-authority {text}", text[:-40]):
        found, whole = listed(f"{text}\n{wrong}\n{text}\n".encode())
        assert len(found) == 1 and not whole


def test_a_list_of_revoked_keys(pair):
    directory, _key = pair
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", directory / "krl", directory / "k.pub"], check=True)
    data = (directory / "krl").read_bytes()
    assert is_krl(data) is True and is_krl((directory / "k.pub").read_bytes()) is None
    assert not any(is_krl(data[:length]) for length in range(8, len(data)) if length != 44)
    assert is_krl(b"SSHKRL\n\0" + b"\xff" * 99) is False


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ('restrict,command="/bin/false" ', {"command": "/bin/false"}),
        ('FROM="10.0.0.0/8,!10.1.*",no-pty ', {"sources": "10.0.0.0/8,!10.1.*"}),
        ('command="echo \\"a\\\\b\\", c" ', {"command": 'echo "a\\\\b", c'}),
        ('expiry-time="19700102Z" ', {"until": 86400.0}),
        ('expiry-time="197001020001UTC" ', {"until": 86460.0}),
        ('expiry-time="tomorrow" ', {"until": 0.0}),
        ('expiry-time="20201301" ', {"until": 0.0}),
        ('environment="A=command=x" ', {}),
        ("no-pty\t", {}),
    ],
)
def test_what_stands_before_a_key(pair, options, told):
    directory, key = pair
    text = (directory / "k.pub").read_text().strip()
    assert [one._replace(blob="") for one in authorized(f"{options}{text}\n".encode())] == [key._replace(**told)]


def test_what_opens_nothing(pair):
    """sshd passes over it: a page in place of the keys, a key that was cut off or is of another kind."""
    kind, blob = (pair[0] / "k.pub").read_text().split()[:2]
    other = "ssh-dss" if kind != "ssh-dss" else "ssh-rsa"
    wrong = [
        "<!DOCTYPE html><html>404 Not Found</html>",
        f"{kind} {blob[:-8]}",
        f"{other} {blob}",
        f'command="x {kind} {blob}',
    ]
    wrong += [f"{kind}-cert-v01@openssh.com {blob}", blob, f"{kind}", f"{kind} AAAA", "what is this", f"no-pty, {blob}"]
    assert list(authorized("\n".join(wrong).encode())) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\2",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        b"ssh-rsa AAAA",
    ],
)
def test_what_is_no_key(data):
    assert of_host(data) in (None, Key("ssh-rsa"))


@pytest.mark.parametrize(
    ("key", "algorithms", "size", "does"),
    [
        (Key("ssh-ed25519"), "ssh-ed25519", 0, True),
        (Key("ssh-ed25519"), "rsa-sha2-512,ecdsa-*", 0, False),
        (Key("ssh-ed25519"), "*,!ssh-ed25519", 0, False),
        (Key("ssh-rsa", 2048), "rsa-sha2-256", 2048, True),
        (Key("ssh-rsa", 2048), "rsa-sha2-256", 2049, False),
        (Key("ssh-rsa", 2048), "ssh-ed25519", 0, False),
        (Key("ssh-rsa"), "ssh-*,rsa-sha2-256", 4096, True),
        # No client of today signs with SHA-1.
        (Key("ssh-rsa"), "ssh-rsa,ssh-ed25519", 0, False),
        (Key("sk-ecdsa-sha2-nistp256@openssh.com"), "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", 0, True),
        # What only sshd can tell, and what is not known of a key, is no reason.
        (Key("ssh-ed25519"), "-ssh-ed25519", 0, True),
        (Key("ssh-ed25519"), "", 0, True),
        (Key(), "ssh-ed25519", 4096, True),
    ],
)
def test_what_signs(key, algorithms, size, does):
    assert signs(key, algorithms, size) is admits(key, algorithms, "", size) is does


@pytest.mark.parametrize(
    ("accepted", "by", "does"),
    [
        ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", True),
        ("ssh-ed25519", "ssh-ed25519", False),
        ("ssh-ed25519,rsa-sha2-256-cert-v01@openssh.com", "ssh-ed25519", True),
        ("ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-512", False),
        ("+ssh-rsa", "ssh-ed25519", True),
    ],
)
def test_who_signs_certificates(accepted, by, does):
    assert admits(Key("ssh-ed25519", authority=True), accepted, by) is does
    assert admits(Key("ssh-rsa", authority=True), "*-cert-*", "ssh-rsa")


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    "line",
    [
        b'command="' + b"\\" * 5000 + b"x ssh-ed25519 AAAA",
        b'command="' + b'\\"' * 5000 + b" ssh-ed25519 AAAA",
        b'"" ' * 20000 + b"ssh-ed25519",
        b'"' * 60001,
        b" " * 60000 + b"x",
        b"a " * 30000,
        b"ssh-rsa " + b"A" * 60000 + b"=" * 5000,
        b"sk-" * 20000,
        b"\0" * (16 << 20),
        b'x="y" ' * 100000,
    ],
)
def test_no_line_takes_long(line):
    """Whose file it is may write into it what he likes, and root reads it."""
    keys, time = spent(lambda: list(authorized(line)))
    assert len(keys) <= 1 and time < 20
