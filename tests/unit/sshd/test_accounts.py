"""The accounts of this host; root is always there."""

import base64
import os
import pathlib
import pwd
import shutil
import subprocess
import sys

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.sshd import accounts, pubkeys
from support import require_root

#: A key as it stands in a file.
BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()
LINE = f"ssh-ed25519 {BLOB}"


def test_who_is_nobody_here(monkeypatch):
    assert accounts.unknown(["root", "nobody-here", "a\0b", "ä" * 300, ""]) == ["nobody-here", "a\0b", "ä" * 300, ""]

    def late(name):
        raise CommandExecutionError("getpwnam does not answer")

    monkeypatch.setattr(accounts.directory, "user", late)
    assert accounts.unknown(["root", "nobody-here"]) == []


def test_groups():
    assert accounts.groups("root")[0] == "root"
    assert accounts.groups("no such account") == accounts.groups("") == accounts.groups("\udc80") == []


def test_home():
    assert accounts.home("~root/x") == f"{pwd.getpwnam('root').pw_dir}/x"
    assert accounts.home("~no such account/x") == "~no such account/x"


def test_who_has_a_shell():
    found = accounts.with_shell()
    assert found[0] == "root" and "nobody" not in found


@pytest.mark.parametrize(
    ("words", "content", "has"),
    [
        (["none"], "key", False),
        (["{dir}/%u"], "key", True),
        (["{dir}/%u"], "", False),
        (["{dir}/%u"], "# none yet\n\n  # here\n", False),
        (["{dir}/%u"], "# mine\nkey", True),
        (["{dir}/other", "{dir}/%u"], "key", True),
        (["{dir}/*"], "key", True),
        (["{dir}/[*]"], "key", False),
    ],
)
def test_has_key(tmp_path, words, content, has):
    name = pwd.getpwuid(os.getuid()).pw_name
    (tmp_path / name).write_text(content)
    assert accounts.has_key(name, [word.replace("{dir}", str(tmp_path)) for word in words]) is has
    assert accounts.has_key("no such account", words) is False


def test_what_stands_for_a_password(tmp_path, monkeypatch):
    told = {"root": "*", "alice": "$6$x", "bob": "!", "eve": "!$6$x", "cloud": "!!", "none": "", "caf\udce9": "!"}
    text = "".join(f"{name}:{one}:19000:0:99999:7:::\n" for name, one in told.items())
    (tmp_path / "shadow").write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(accounts, "SHADOW", str(tmp_path / "shadow"))
    assert accounts.hashes() == told
    who = accounts.known()
    assert [name for name in (*told, "of a directory service") if who.has_password(name)] == [
        *("alice", "none", "of a directory service")
    ]
    assert [name for name in told if who.is_locked(name)] == ["bob", "eve", "cloud", "caf\udce9"]
    monkeypatch.setattr(accounts, "SHADOW", str(tmp_path / "none"))
    assert accounts.hashes() == {} and accounts.known().has_password("bob")


def test_what_pam_asks_for_is_another_module_s_to_tell():
    asked = []

    def tell(service, path):
        asked.append((service, path))
        if service == "none":
            raise CommandExecutionError("There is no libpam.so.0 on this host.")
        return service != "sshd"

    who = accounts.known({"sshtrail_pam.without_password": tell})
    assert [who.asks_more(service) for service in ("sshd", "ssh-otp", "none", "sshd")] == [False, True, True, False]
    assert asked == [(service, f"/etc/pam.d/{service}") for service in ("sshd", "ssh-otp", "none")]
    # Where it cannot be told, keyboard-interactive is a way in.
    assert accounts.known({}).asks_more("sshd") and accounts.known().asks_more("sshd")


def cased(tmp_path, monkeypatch, shell="/bin/sh"):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    told = pwd.struct_passwd(("x", "x", os.getuid(), os.getgid(), "", str(home), shell))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: told)
    return home


@pytest.mark.parametrize(
    ("path", "mode", "safe"),
    [
        (None, None, True),
        (".ssh/authorized_keys", 0o620, False),
        (".ssh", 0o770, False),
        (".", 0o777, False),
        ("..", 0o777, True),
        (".ssh/authorized_keys", 0o644, True),
    ],
)
def test_what_strict_modes_takes(tmp_path, monkeypatch, path, mode, safe):
    home = cased(tmp_path, monkeypatch)
    (home / ".ssh" / "authorized_keys").write_text(f"{LINE}\n")
    for one in (home, home / ".ssh"):
        one.chmod(0o755)
    if path:
        (home / path).chmod(mode)
    assert accounts.keys("x", [".ssh/authorized_keys", "none", "/none"]) == [
        pubkeys.Key("ssh-ed25519", safe=safe, blob=BLOB)
    ]


def test_keys_of_nobody():
    assert accounts.keys("no such account", [".ssh/authorized_keys"]) == []


def test_why_there_is_no_shell_in_a_directory(tmp_path, monkeypatch):
    require_root()
    cased(tmp_path, monkeypatch)
    jail = pathlib.Path("/run/sshtrail-test-jail")
    try:
        assert accounts.cage("x", str(jail)) == f"{jail} is not there"
        jail.mkdir(mode=0o755)
        assert accounts.cage("x", str(jail)) == f"there is no {jail}/bin/sh"
        (jail / "bin").mkdir()
        (jail / "bin" / "sh").write_text("")
        assert accounts.cage("x", f"{jail}/../sshtrail-test-jail") is None
        jail.chmod(0o775)
        assert accounts.cage("x", str(jail)) == f"{jail} is not root's alone"
        assert accounts.cage("x", str(jail / "bin" / "sh")) == f"{jail} is not root's alone"
        assert accounts.cage("x", "%h").endswith("is not root's alone")
    finally:
        shutil.rmtree(jail)


def test_keys_of_the_host_and_of_authorities(tmp_path):
    (tmp_path / "k.pub").write_text(f"{LINE} host\n")
    (tmp_path / "other").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    assert accounts.host_key(str(tmp_path / "k")) == pubkeys.Key("ssh-ed25519")
    assert accounts.host_key(str(tmp_path / "other")) == pubkeys.Key()
    assert accounts.host_key(str(tmp_path / "none")) is None
    assert accounts.authorities(str(tmp_path / "k.pub")) == [pubkeys.Key("ssh-ed25519", authority=True, blob=BLOB)]
    assert accounts.revoked(str(tmp_path / "k.pub")) == {BLOB}
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", tmp_path / "krl"], check=True)
    assert accounts.revoked(str(tmp_path / "krl")) == accounts.revoked(str(tmp_path / "none")) == set()
    for data in (b"SSHKRL\n\0\0\0", b"<html>404</html>\n"):
        (tmp_path / "krl").write_bytes(data)
        assert accounts.revoked(str(tmp_path / "krl")) is None and accounts.authorities(str(tmp_path / "krl")) == []
    assert accounts.authorities(str(tmp_path / "none")) == []


def test_principals(tmp_path, monkeypatch):
    cased(tmp_path, monkeypatch)
    (tmp_path / "x").write_text('# those of the house\n\nops\nfrom="10.*" dba # at night\n  x \n')
    assert accounts.principals("x", f"{tmp_path}/%u", False) == {"ops", "dba", "x"}
    assert accounts.principals("x", f"{tmp_path}/none/%u", False) == set()
    (tmp_path / "x").chmod(0o666)
    assert accounts.principals("x", f"{tmp_path}/%u", True) == set()
    (tmp_path / "x").write_text("# nobody\n")
    assert accounts.principals("x", f"{tmp_path}/%u", False) == set()


def sparse(path):
    """As anybody can have one on no disk at all: ``truncate -s 1T``."""
    with open(path, "wb") as handle:
        handle.truncate(1 << 40)


TRAPS = {
    "a terabyte": sparse,
    "a pipe": os.mkfifo,
    "zeros without end": lambda path: os.symlink("/dev/zero", path),
    "the kernel's memory": lambda path: os.symlink("/proc/kcore", path),
    "a terminal": lambda path: os.symlink("/dev/tty", path),
    "itself": lambda path: os.symlink(path, path),
    "a directory": os.mkdir,
    "a line of 30 MB": lambda path: path.write_bytes(b"ssh-ed25519 " + b"A" * (30 << 20)),
}
ATTACKED = """
import resource, sys
from sshtrail_lib.sshd import accounts
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
name, path = sys.argv[1:]
print(accounts.has_key(name, [path, "none"]) in (True, False), isinstance(accounts.keys(name, [path]), list))
"""


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_no_file_of_keys_keeps_root_waiting_or_takes_its_memory(tmp_path, trap):
    """It is its account's own, and the guard reads those of all accounts that have a shell."""
    trap(tmp_path / "keys")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", ATTACKED, pwd.getpwuid(os.getuid()).pw_name, tmp_path / "keys"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=20)
    assert (done.stdout, done.returncode) == ("True True\n", 0), done.stderr
