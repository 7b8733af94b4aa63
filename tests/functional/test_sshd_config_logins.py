"""What the guard says of a change, and whether root still comes in with it: real logins at a real sshd."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from sshd_server import Server
from support import require_root

SSH = [
    "ssh",
    "-F",
    "none",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "BatchMode=yes",
]
SSH += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10"]
#: Root's keys alone let it in, from a directory in which StrictModes finds nothing.
ONLY_KEYS = ["UsePAM yes", "PermitRootLogin yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no"]


@pytest.fixture
def host(separation):
    """A Server below a directory of root's alone, with a key of each of two kinds that root has."""
    require_root()
    with tempfile.TemporaryDirectory(prefix="sshtrail-logins-", dir="/run") as directory:
        base = pathlib.Path(directory)
        base.chmod(0o755)
        one = Server(base)
        for kind, bits in (("ed25519", "256"), ("rsa", "2048")):
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", base / kind], check=True)
        one.keys = base / "authorized"
        (base / "jail").mkdir()
        (base / "open").mkdir(mode=0o777)
        (base / "open").chmod(0o777)
        shutil.copy(base / "ed25519.pub", base / "open" / "keys")
        certify(base)
        (base / "print").write_text(f"#!/bin/sh\ncat {base}/rsa.pub\n")
        (base / "print").chmod(0o755)
        shutil.copy(base / "print", base / "open" / "print")
        shutil.copy(base / "ed25519.pub", base / "root")
        (base / "names").write_text("ops\nroot # and who is on call\n")
        (base / "tell").write_text("#!/bin/sh\necho root\n")
        (base / "tell").chmod(0o755)
        (base / "page").write_text("<html><body>404 Not Found</body></html>\n")
        yield one
        one.stop()


def certify(base):
    """Have the RSA key sign a certificate for the other one."""
    command = ["ssh-keygen", "-q", "-s", base / "rsa", "-I", "root", "-n", "root", "-V", "always:forever"]
    subprocess.run([*command, base / "ed25519.pub"], check=True)
    (base / "ed25519-cert.pub").rename(base / "certificate.pub")


def comes_in(host, *keys):
    """Tell whether root gets a shell with one of ``keys``."""
    given = [word for key in keys for word in ("-i", host.base / ("ed25519" if key in OPTIONS else key))]
    if "certificate.pub" in keys:
        given = ["-i", host.base / "ed25519", "-o", f"CertificateFile={host.base}/certificate.pub"]
    command = [*SSH, "-p", str(host.port), *given, "root@127.0.0.1", "echo $((41 + 1))"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)
    return done.stdout == "42\n"


#: What stands before the ed25519 key, by what the key is called then.
OPTIONS = {
    "told": 'command="echo Please login as the user ubuntu;sleep 1;exit 142" ',
    "expired": 'expiry-time="20200101" ',
    "forced": 'command="sh -c \\"$SSH_ORIGINAL_COMMAND\\"" ',
    "restricted": 'restrict,pty,from="127.0.0.0/8,::1",expiry-time="20991231" ',
}
ASKED = {"AuthorizedKeysFile": "none", "AuthorizedKeysCommand": "@/print", "AuthorizedKeysCommandUser": "root"}
CERTIFIED = ["TrustedUserCAKeys @/rsa.pub"]
#: What is asked, which keys root has, and lines that are there before.
CASES = [
    ({"PubkeyAcceptedAlgorithms": "ecdsa-sha2-nistp256"}, "ed25519 rsa", ()),
    ({"PubkeyAcceptedAlgorithms": "rsa-sha2-512"}, "ed25519", ()),
    ({"PubkeyAcceptedAlgorithms": "rsa-sha2-512"}, "rsa", ()),
    ({"PubkeyAcceptedAlgorithms": "-ssh-ed25519"}, "ed25519", ()),
    ({"PubkeyAcceptedAlgorithms": "-rsa*"}, "ed25519", ()),
    ({"RequiredRSASize": 3072}, "rsa", ()),
    ({"RequiredRSASize": 3072}, "ed25519 rsa", ()),
    ({"RequiredRSASize": 2048}, "rsa", ()),
    ({"HostKeyAlgorithms": "rsa-sha2-512"}, "ed25519", ()),
    ({"HostKeyAlgorithms": "ssh-ed25519"}, "ed25519", ()),
    ({"HostKeyAlgorithms": "-ssh-ed25519"}, "ed25519", ()),
    ({"StrictModes": "yes", "AuthorizedKeysFile": "@/open/keys"}, "ed25519", ["StrictModes no"]),
    ({"StrictModes": "no", "AuthorizedKeysFile": "@/open/keys"}, "ed25519", ()),
    ({"StrictModes": "no"}, "ed25519", ()),
    ({"AuthorizedKeysFile": "@/none"}, "ed25519", ()),
    ({"AuthorizedKeysFile": ["@/none", "@/authorized"]}, "ed25519", ()),
    ({"ForceCommand": "/bin/false"}, "ed25519", ()),
    ({"ForceCommand": "internal-sftp"}, "ed25519", ()),
    ({"ForceCommand": "@/none"}, "ed25519", ()),
    ({"ForceCommand": 'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'}, "ed25519", ()),
    ({"ForceCommand": 'true; eval "$SSH_ORIGINAL_COMMAND"'}, "ed25519", ()),
    ({"ChrootDirectory": "@/none"}, "ed25519", ()),
    ({"ChrootDirectory": "@/jail"}, "ed25519", ()),
    ({"ChrootDirectory": "@/open"}, "ed25519", ()),
    ({"ChrootDirectory": "/"}, "ed25519", ()),
    ({"CASignatureAlgorithms": "ssh-ed25519"}, "certificate.pub", CERTIFIED),
    ({"CASignatureAlgorithms": "rsa-sha2-512"}, "certificate.pub", CERTIFIED),
    ({"PubkeyAcceptedAlgorithms": "ssh-ed25519"}, "certificate.pub", CERTIFIED),
    ({"PubkeyAcceptedAlgorithms": "*-cert-*"}, "certificate.pub", CERTIFIED),
    ({"TrustedUserCAKeys": "@/none"}, "certificate.pub", CERTIFIED),
    ({"AuthorizedPrincipalsFile": "@/none"}, "certificate.pub", CERTIFIED),
    ({"RevokedKeys": "@/ed25519.pub"}, "ed25519", ()),
    ({"RevokedKeys": "@/rsa.pub"}, "ed25519", ()),
    ({"RevokedKeys": "@/rsa.pub"}, "certificate.pub", CERTIFIED),
    ({"RevokedKeys": "@/page"}, "ed25519", ()),
    ({"TrustedUserCAKeys": "@/page"}, "certificate.pub", CERTIFIED),
    (ASKED, "rsa", ()),
    ({"AuthorizedKeysCommand": "@/none", "AuthorizedKeysCommandUser": "root", "AuthorizedKeysFile": "none"}, "rsa", ()),
    ({"ForceCommand": 'echo "no shell"; exit 1'}, "ed25519", ()),
    ({"ForceCommand": "/bin/echo 'maintenance; come back later'"}, "ed25519", ()),
    ({"ForceCommand": "/bin/false || true"}, "ed25519", ()),
    ({"ForceCommand": 'bash -c "exit 1"'}, "ed25519", ()),
    ({"ForceCommand": "@/page"}, "ed25519", ()),
    ({"ForceCommand": '[ "$SSH_CLIENT" ] || exit 1; eval "$SSH_ORIGINAL_COMMAND"'}, "ed25519", ()),
    # Keys that open nothing, or not what somebody wants who logs in.
    ({"RevokedKeys": "@/rsa.pub"}, "rsa told", ()),
    ({"RevokedKeys": "@/rsa.pub"}, "rsa expired", ()),
    ({"RevokedKeys": "@/rsa.pub"}, "rsa restricted", ()),
    ({"PermitRootLogin": "forced-commands-only"}, "forced", ()),
    ({"PermitRootLogin": "forced-commands-only"}, "rsa told", ()),
    ({"AuthorizedKeysFile": "@/page"}, "ed25519", ()),
    # What no client of today speaks.
    ({"Ciphers": "3des-cbc"}, "ed25519", ()),
    ({"KexAlgorithms": "diffie-hellman-group1-sha1"}, "ed25519", ()),
    ({"MACs": "hmac-md5"}, "ed25519", ()),
    ({"MACs": "hmac-md5"}, "ed25519", ["Ciphers aes128-ctr"]),
    ({"HostKeyAlgorithms": "ssh-rsa"}, "ed25519", ["HostKey @/rsa"]),
    ({"PubkeyAcceptedAlgorithms": "ssh-rsa"}, "rsa", ()),
    # Whose certificates are taken.
    *(({"AuthorizedPrincipalsFile": f"@/{name}"}, "certificate.pub", CERTIFIED) for name in ("page", "names", "%d")),
    *(
        (
            {"AuthorizedPrincipalsCommand": f"@/{name}", "AuthorizedPrincipalsCommandUser": "root"},
            "certificate.pub",
            CERTIFIED,
        )
        for name in ("none", "tell")
    ),
    ({"TrustedUserCAKeys": "@/rsa.pub", "AuthorizedKeysFile": "none"}, "ed25519", ()),
    # A command that is asked for keys, and tokens.
    *(
        ({**ASKED, "AuthorizedKeysCommand": command}, "rsa", ())
        for command in ("@/page", "@/open/print", "@/print %z", "@/print %u %f %t")
    ),
    ({**ASKED, "AuthorizedKeysCommandUser": "nosuchuser"}, "rsa", ()),
    ({"AuthorizedKeysCommandUser": "nosuchuser"}, "rsa", [f"{name} {value}" for name, value in ASKED.items()]),
    ({"AuthorizedKeysFile": ["@/keys/%d", "@/authorized"]}, "ed25519", ()),
    ({"AuthorizedKeysFile": ["@/authorized", "@/keys/%d"]}, "ed25519", ()),
    ({"AuthorizedKeysFile": "@/%u"}, "ed25519", ()),
    # Methods that sshd offers and that come to nothing here.
    ({"PubkeyAuthentication": "no"}, "ed25519", ["GSSAPIAuthentication yes"]),
    ({"PubkeyAuthentication": "no"}, "ed25519", ["HostbasedAuthentication yes"]),
    ({"AuthenticationMethods": "publickey,hostbased"}, "ed25519", ["HostbasedAuthentication yes"]),
    ({"PubkeyAuthentication": "no"}, "ed25519", ["KbdInteractiveAuthentication yes"]),
    ({"AuthenticationMethods": "publickey,keyboard-interactive"}, "ed25519", ["KbdInteractiveAuthentication yes"]),
    ({"GSSAPIAuthentication": "no", "KbdInteractiveAuthentication": "no"}, "ed25519", ["GSSAPIAuthentication yes"]),
    ({"PermitTTY": "no", "PermitOpen": "none", "X11Forwarding": "no"}, "ed25519", ()),
    # Who may come at all: sshd splits these lists at spaces, and a comma is a part of a name.
    ({"AllowUsers": "root,cloudsdk"}, "ed25519", ()),
    ({"AllowUsers": ["root", "cloudsdk"]}, "ed25519", ()),
    ({"AllowUsers": ["root,cloudsdk", "ro*"]}, "ed25519", ()),
    ({"AllowUsers": "root@10.*"}, "ed25519", ()),
    ({"AllowUsers": "root@127.0.0.0/8"}, "ed25519", ()),
    ({"AllowGroups": "root,wheel"}, "ed25519", ()),
    ({"AllowGroups": ["wheel", "root"]}, "ed25519", ()),
    ({"AllowUsers": "root", "AllowGroups": "wheel"}, "ed25519", ()),
    ({"DenyUsers": "root,games"}, "ed25519", ()),
    ({"DenyUsers": ["games", "root"]}, "ed25519", ()),
    ({"DenyUsers": "root@*"}, "ed25519", ()),
    ({"DenyUsers": "root@10.*"}, "ed25519", ()),
    ({"DenyUsers": "*"}, "ed25519", ()),
    ({"DenyGroups": "root,games"}, "ed25519", ()),
    ({"DenyGroups": "ro?t"}, "ed25519", ()),
    ({"PermitRootLogin": "no"}, "ed25519", ()),
    ({"PermitRootLogin": "forced-commands-only"}, "ed25519", ()),
    ({"PermitRootLogin": "prohibit-password"}, "ed25519", ()),
    ({"PubkeyAuthentication": "no"}, "ed25519", ()),
    ({"AuthenticationMethods": "publickey,publickey"}, "ed25519", ()),
    ({"AuthenticationMethods": "publickey,publickey"}, "ed25519 rsa", ()),
    ({"AuthenticationMethods": "password publickey"}, "ed25519", ()),
    ({"PermitRootLogin": "no"}, "ed25519", ["Match Address *", "PermitRootLogin yes"]),
    ({"PermitRootLogin": "no"}, "ed25519", ["Match User root", "PermitRootLogin yes"]),
]


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_login(host, modules, number):
    config, keys, lines = CASES[number]
    config = {name: _placed(host, value) for name, value in config.items()}
    host.keys.write_text("".join(line_of(host, key) for key in keys.split() if "." not in key))
    # The first line counts.
    lines = [*lines, *ONLY_KEYS] if "KbdInteractive" in str(lines) else [*ONLY_KEYS, *lines]
    lines = lines if "AuthorizedKeysFile" in str(lines) else [f"AuthorizedKeysFile {host.keys}", *lines]
    host.write(*(_placed(host, line) for line in lines))
    host.start()
    assert comes_in(host, *keys.split()), "root comes in before"
    before = host.path.read_bytes()
    asked = {"config": config, "path": str(host.path), "admins": ["root"]}
    with contextlib.suppress(Exception):
        modules.sshd_config.apply(**asked)
    refused = host.path.read_bytes() == before
    if refused:
        with pytest.raises(Exception, match="would lock out root|No key of this host|No client of today"):
            modules.sshd_config.apply(**asked)
    modules.sshd_config.apply(**asked, force=True)
    assert comes_in(host, *keys.split()) is not refused


def line_of(host, key):
    """Return a key's line in the file of those that root has."""
    name = "ed25519" if key in OPTIONS else key
    return OPTIONS.get(key, "") + (host.base / f"{name}.pub").read_text()


def _placed(host, value):
    if isinstance(value, list):
        return [_placed(host, one) for one in value]
    return value.replace("@/", f"{host.base}{os.sep}") if isinstance(value, str) else value
