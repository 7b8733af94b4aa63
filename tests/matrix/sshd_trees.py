"""
Trees of sshd_config files by the thousand, and the sshd that judges them.

A tree is a mapping of path to bytes; what is not in it does not exist. The generator prefers lines that sshd
takes, with odd spelling, and mixes in some that it refuses.
"""

import atexit
import os
import pathlib
import random
import re
import shutil
import subprocess

from salt.exceptions import CommandExecutionError
from sshtrail_lib.sshd import effective as sshd_effective
from sshtrail_lib.sshd import include as sshd_include
from sshtrail_lib.sshd import keywords as sshd_keywords
from sshtrail_lib.sshd import language as sshd_language
from sshtrail_lib.sshd import match as sshd_match
from sshtrail_lib.sshd import plan as sshd_plan
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.daemon import BadValue, Daemon
from sshtrail_lib.sshd.host import DISK
from sshtrail_lib.sshd.resolver import NAMES

# Of this process alone: what another run left there must not be included.
HOME = f"/tmp/sshtrail-trees-{os.getpid()}"
MAIN = f"{HOME}/sshd_config"

_SWITCHES = [
    keyword.name
    for keyword in sshd_keywords.KEYWORDS.values()
    if keyword.kind == "flag" and keyword.since <= (8, 4) < keyword.until
]
_FLAGS = ["yes", "no", "YES", "No"]
_TIMES = ["0", "30", "2m", "1h30m", "90S", "1w2d"]
_NUMBERS = ["0", "3", "010", "+7", "100"]
_FORWARDS = ["yes", "no", "local", "remote", "all", "ALL"]
GOOD = {
    "Port": ["22", "2222", "0022"],
    "ListenAddress": ["127.0.0.1", "127.0.0.1:2022", "192.0.2.1", "[::1]:22", "::1", "0.0.0.0"],
    "AddressFamily": ["any", "inet", "INET6"],
    "HostKey": ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_rsa_key"],
    "PidFile": ["/run/x.pid", "none", '"/run/a b.pid"'],
    "XAuthLocation": ["/usr/bin/xauth"],
    "ModuliFile": ["/etc/ssh/moduli"],
    "Banner": ["/etc/issue", "none", "NONE", '"/etc/is sue"', "~/banner", "/b\xfcro"],
    "TrustedUserCAKeys": ["/etc/ssh/ca", "none"],
    "RevokedKeys": ["/etc/ssh/revoked", "none"],
    "PermitRootLogin": ["yes", "no", "prohibit-password", "without-password", "forced-commands-only", "YES"],
    "IgnoreRhosts": ["yes", "no", "shosts-only"],
    **dict.fromkeys([*_SWITCHES, "KeepAlive", "DSAAuthentication", "DebianBanner"], _FLAGS),
    "PermitUserEnvironment": ["yes", "no", "LANG,LC_*"],
    "Compression": ["yes", "no", "delayed"],
    "GatewayPorts": ["yes", "no", "clientspecified"],
    "AllowTcpForwarding": _FORWARDS,
    "AllowStreamLocalForwarding": _FORWARDS,
    "PermitTunnel": ["yes", "no", "point-to-point", "ethernet"],
    "LoginGraceTime": _TIMES,
    "ClientAliveInterval": _TIMES,
    "UnusedConnectionTimeout": [*_TIMES, "none"],
    **dict.fromkeys(["X11DisplayOffset", "MaxAuthTries", "MaxSessions", "ClientAliveCountMax"], _NUMBERS),
    "RequiredRSASize": ["2048", "3072"],
    "SyslogFacility": ["AUTH", "AUTHPRIV", "local3", "daemon"],
    "LogLevel": ["QUIET", "INFO", "verbose", "DEBUG", "DEBUG1", "debug3", "SILENT", "ERROR"],
    "LogVerbose": ["kex.c:*:1000", "none", "a.c:f():1 b.c:*:*"],
    "AllowUsers": ["alice", "alice bob@192.0.2.1", "*@10.0.0.0/8", "bob"],
    "DenyUsers": ["eve", "mallory@host"],
    "AllowGroups": ["root", "adm sudo"],
    "DenyGroups": ["nogroup"],
    "AcceptEnv": ["LANG LC_*", "TERM", "A"],
    "SetEnv": ["A=1", "A=1 B=2", '"C=a b"', "A=1 A=2 D=3"],
    "AuthorizedKeysFile": [".ssh/a", ".ssh/a .ssh/b", "none", "/etc/keys/%u"],
    "AuthorizedPrincipalsFile": ["/etc/p/%u", "none"],
    "ChrootDirectory": ["/srv", "none", "/srv/%u"],
    "AuthorizedKeysCommand": ["/usr/bin/keys %u", "none"],
    "AuthorizedKeysCommandUser": ["nobody", "none"],
    "AuthorizedPrincipalsCommand": ["none", "/usr/bin/principals --all"],
    "AuthorizedPrincipalsCommandUser": ["nobody"],
    "PAMServiceName": ["sshd", "other"],
    "ForceCommand": ["/bin/true", "internal-sftp -l INFO", 'echo "a b" # no comment', "none"],
    "VersionAddendum": ["none", "hello world", "Debian-1"],
    "AuthenticationMethods": ["any", "publickey", "publickey,password password", "publickey,keyboard-interactive:pam"],
    "PermitOpen": ["any", "none", "host:22 [::1]:80", "h:*"],
    "PermitListen": ["any", "none", "8080", "localhost:80 *:443"],
    "ChannelTimeout": ["none", "session:*=5m", "a=1 b=2h"],
    "PubkeyAuthOptions": ["none", "touch-required", "verify-required touch-required"],
    "Subsystem": ["sftp internal-sftp", "netconf /usr/bin/netconf -x", 'foo "/a b" c', "sftp /usr/lib/sftp-server"],
    "MaxStartups": ["10", "10:30:60", "5:50:5", "100:1:100"],
    "PerSourceMaxStartups": ["none", "5"],
    "PerSourceNetBlockSize": ["24", "24:64", "32:128"],
    "PerSourcePenalties": ["no", "yes", "crash:1m authfail:10s", "max:1h", "overflow:deny-all"],
    "PerSourcePenaltyExemptList": ["192.0.2.0/24", "10.0.0.1,::1"],
    "RekeyLimit": ["1G", "500M 1h", "default none", "default", "16 30", "1.5G"],
    "StreamLocalBindMask": ["0177", "022", "0"],
    "FingerprintHash": ["md5", "SHA256", "sha512"],
    "IPQoS": ["af21", "ef cs1", "0x10", "none", "32 af11", "lowdelay throughput", "le"],
    "SecurityKeyProvider": ["internal", "/usr/lib/sk.so"],
    "Ciphers": ["aes256-ctr", "aes128-ctr,aes256-ctr", "+aes128-cbc", "-aes*", "^aes256-ctr"],
    "MACs": ["hmac-sha2-256", "-umac*"],
    "KexAlgorithms": ["curve25519-sha256", "-diffie-hellman-*"],
    "HostKeyAlgorithms": ["ssh-ed25519", "+ssh-rsa", "^ssh-ed25519"],
    "PubkeyAcceptedAlgorithms": ["ssh-ed25519", "ssh-*", "-ecdsa*"],
    "PubkeyAcceptedKeyTypes": ["ssh-ed25519"],
    "HostbasedAcceptedAlgorithms": ["ssh-ed25519"],
    "CASignatureAlgorithms": ["ssh-ed25519", "-ecdsa*"],
    "Protocol": ["2", "2,1"],
    "UsePrivilegeSeparation": ["sandbox"],
    "RSAAuthentication": ["yes"],
    "RefuseConnection": ["no"],
    "GSSAPIKeyExchange": ["yes", "no"],
    "KeyRegenerationInterval": ["1h", "3600 # seconds"],
}
BAD = {
    "Port": ["0", "x", "22 23", "65536", "-1", "22,23"],
    "ListenAddress": ["a:b:c:x", "127.0.0.1:0", "127.0.0.1:x", "h/22"],
    "PermitRootLogin": ["true", "maybe", "yes no"],
    "X11Forwarding": ["true", "1", '""', "yes,"],
    "LogLevel": ["LOUD", "VERBOSE#note", "INFO INFO"],
    "SyslogFacility": ["KERN", "LOCAL8"],
    "LoginGraceTime": ["2x", "-1", "m", "1 m"],
    "MaxAuthTries": ["-1", "three", "99999999999", "3x"],
    "AcceptEnv": ["A=B"],
    "SetEnv": ["A", "A=1 B"],
    "MaxStartups": ["0", "10:30", "10:0:20", "30:50:20", "x"],
    "RekeyLimit": ["1", "x", "1G 1x", "1G 1h 2"],
    "IPQoS": ["af99", "256", "ef cs1 cs2"],
    "StreamLocalBindMask": ["999", "01000"],
    "Ciphers": ["aes256-ctr, aes128-ctr", "rot13", "aes256-ctr,"],
    "Subsystem": ["sftp", '"" x'],
    "PermitOpen": ["host", "host:99999", "any x:1"],
    "AuthenticationMethods": ["nothing", "any publickey", "publickey,publickey"],
    "AuthorizedKeysCommand": ["keys", "relative %u"],
    "AuthorizedKeysFile": ["none .ssh/a"],
    "PermitTunnel": ["YES", "maybe"],
    "Compression": ["maximal"],
    "Banner": ["/a /b", '"/a'],
    "AllowUsers": ["bob@10.0.0.1/8", ""],
    "NoSuchKeyword": ["x"],
    "Permitrootlogn": ["no"],
    "FingerprintHash": ["crc32"],
    "Match": ["", "all User bob", "Usr bob", "User", "Address 10.0.0.1/8", "LocalPort x", "User bob all"],
    "Include": ["", '""'],
    "RDomain": ["x"],
}
CRITERIA = [
    "all",
    "User bob",
    "User alice,bob",
    "User !bob,*",
    "User b?b",
    "user root",
    "Group root",
    "Group !root,*",
    "Host *.example.com",
    "Host CLIENT.example.com",
    "Address 192.0.2.0/24",
    "Address 192.0.2.7",
    "Address !192.0.2.7,192.0.*",
    "Address 2001:db8::/32",
    "LocalAddress 127.0.0.1",
    "LocalPort 22",
    "LocalPort 2222",
    "User bob Address 192.0.2.0/24",
    "Address 192.0.2.0/24 User root,bob",
    "User=bob",
    '"User" bob',
    'User "bob"',
    "User bob # only him",
    "Host * LocalPort 22 User *",
    "version OpenSSH_*",
    "invalid-user",
]
CONNECTIONS = [
    {"user": "bob", "host": "client.example.com", "addr": "192.0.2.7", "laddr": "127.0.0.1", "lport": 22},
    {"user": "alice", "host": "192.0.2.8", "addr": "192.0.2.8", "laddr": "10.0.0.1", "lport": 2222},
    {"user": "root", "host": "h.test", "addr": "2001:db8::1", "laddr": "::1", "lport": 22},
    {"user": "bob", "addr": "198.51.100.1", "host": "x", "laddr": "10.0.0.1", "lport": 99},
]


DATA = pathlib.Path(__file__).resolve().parent.parent / "data" / "sshd"


def parsed(text):
    """Return what ``sshd -T`` printed as ``{canonical keyword: [values]}``."""
    printed = {}
    for line in text.split("\n")[:-1]:
        word, _space, value = line.partition(" ")
        keyword = sshd_keywords.KEYWORDS.get(word.lower())
        printed.setdefault(keyword.name if keyword else word, []).append(value)
    return printed


def loaded(daemon, tree, main=MAIN):
    """Return the Tree of ``tree`` (``{path: bytes}``) as ``daemon`` (Daemon) reads it."""
    return sshd_include.load(main, daemon, DISK._replace(has_directory=lambda _path: True), tree)


def golden(release):
    """A Daemon with what ``sshd -T`` of that release (str) prints for an empty file: Debian's builds, recorded."""
    (path,) = DATA.glob(f"defaults-OpenSSH_{release}*.txt")
    numbers = tuple(map(int, release.split(".")))
    return Daemon(numbers, f"OpenSSH_{release}", parsed(path.read_text()), names=NAMES)


class Trees:
    """A reproducible stream of trees."""

    def __init__(self, seed, wrong=0.006, noise=0.01):
        self.random, self.wrong, self.noise = random.Random(seed), wrong, noise

    def tree(self):
        """Return one tree: ``{path: bytes}``."""
        files = {}
        drop_ins = self.random.choice([0, 0, 1, 2, 3])
        for number in self.random.sample(range(100), drop_ins):
            files[f"{HOME}/d/{number}-x.conf"] = self._file(self.random.randrange(1, 6), ())
        if self.random.random() < 0.2:
            files[f"{HOME}/nested.conf"] = self._file(4, (f"{HOME}/d/*.conf",))
        files[MAIN] = self._file(self.random.randrange(0, 16), tuple(files) + (f"{HOME}/d/*.conf", f"{HOME}/no/*"))
        return files

    def _file(self, size, includes):
        lines = [self._line() for _number in range(size)]
        for _block in range(self.random.choice([0, 0, 1, 1, 2, 3])):
            lines.append(f"Match {self.random.choice(CRITERIA)}")
            lines += [self._match_line() for _number in range(self.random.randrange(4))]
        for _include in range(self.random.choice([0, 1, 1, 2]) if includes else 0):
            chosen = self.random.sample(includes, min(len(includes), self.random.choice([1, 1, 2])))
            lines.insert(self.random.choice([0, self.random.randrange(len(lines) + 1)]), f"Include {' '.join(chosen)}")
        ending = self.random.choice(["\n", "\n", "\n", "\r\n"])
        text = "".join(self._noisy(self._odd(line)) + ending for line in lines)
        return (text.rstrip("\r\n") if self.random.random() < 0.1 else text).encode("latin-1")

    def _noisy(self, line):
        """Spoil a line here and there: what is left of it, both tokenizers have to agree about."""
        if self.random.random() > self.noise:
            return line
        position = self.random.randrange(len(line) + 1)
        return line[:position] + self.random.choice(_NOISE) + line[position + self.random.choice([0, 0, 1, 3]) :]

    def _line(self, keywords=tuple(GOOD)):
        if self.random.random() < self.wrong:
            keyword = self.random.choice(tuple(BAD))
            return f"{keyword} {self.random.choice(BAD[keyword])}"
        if self.random.random() < 0.1:
            return self.random.choice(["", "# comment", "#LogLevel INFO", "   ", "\t# x", "#"])
        keyword = self.random.choice(keywords)
        return f"{keyword} {self.random.choice(GOOD[keyword])}"

    def _match_line(self):
        return self._line(_IN_MATCH)

    def _odd(self, line):
        if self.random.random() < 0.75 or not line or line.startswith(("#", "Match", "Include", " ", "\t")):
            return line
        keyword, _space, value = line.partition(" ")
        return self.random.choice(_ODD)(keyword, value)


_IN_MATCH = tuple(
    name
    for name in GOOD
    if (found := sshd_keywords.find(name, (10, 0))) and found.in_match and name != "PAMServiceName"
)
_NOISE = [
    "",
    " ",
    "\t",
    '"',
    "'",
    "\\",
    "#",
    " #",
    "=",
    ",",
    "!",
    "*",
    "\f",
    "\r",
    "\xa0",
    "\xef\xbb\xbf",
    '""',
    " x",
    "0",
]
_ODD = [
    lambda keyword, value: f"{keyword.lower()} {value}",
    lambda keyword, value: f"{keyword.upper()}\t{value}",
    lambda keyword, value: f"  {keyword}   {value}",
    lambda keyword, value: f"\t{keyword}={value}",
    lambda keyword, value: f"{keyword} = {value}",
    lambda keyword, value: f"{keyword} ={value}",
    lambda keyword, value: f"{keyword}= {value}",
    lambda keyword, value: f"{keyword} {value}   \t",
    lambda keyword, value: f"{keyword} {value} # note",
    lambda keyword, value: f'"{keyword}" {value}',
    lambda keyword, value: f'{keyword} "{value}"' if " " not in value and '"' not in value else f"{keyword} {value}",
    lambda keyword, value: f"{keyword} {value}\f",
    lambda keyword, value: f"{keyword}  {value} \r",
]


class Oracle:
    """
    One installed sshd: ``run`` is what starts it (list of str), such as ``["chroot", DIR, "/usr/sbin/sshd"]``.

    root
        The directory that this sshd sees as ``/`` (str).
    """

    def __init__(self, run, root="/"):
        self.run, self.root, self.asked = run, pathlib.Path(root), {}
        atexit.register(shutil.rmtree, self._real(HOME), ignore_errors=True)
        shown = subprocess.run([*run, "-V"], capture_output=True, text=True, check=False)
        banner = re.search(r"OpenSSH_(\d+)\.(\d+)\w*", shown.stderr + shown.stdout)
        defaults = self.dump({MAIN: b""})
        for name, value in sshd_keywords.VENDOR.items():
            if self.dump({MAIN: f"{name} {value}\n".encode()}):
                defaults.setdefault(name, [])
        release = tuple(map(int, banner.groups()))
        self.daemon = Daemon(release, banner[0], defaults, self.ask, NAMES)

    def write(self, tree):
        home = self._real(HOME)
        for path in sorted(home.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for path, data in tree.items():
            self._real(path).parent.mkdir(parents=True, exist_ok=True)
            self._real(path).write_bytes(data)

    def _real(self, path):
        return self.root / path.lstrip("/")

    def dump(self, tree, connection=None, write=True):
        """Return what ``sshd -T`` prints for ``tree``: ``{canonical keyword: [values]}``; None when it refuses."""
        if write:
            self.write(tree)
        # Without a port sshd refuses to test a tree with a LocalPort criterion.
        spec = ["-C", ",".join(f"{key}={value}" for key, value in {"lport": 65535, **(connection or {})}.items())]
        result = subprocess.run([*self.run, "-T", "-f", MAIN, *spec], capture_output=True, check=False, cwd="/")
        self.error = result.stderr
        self.crashed = result.returncode < 0 or result.returncode > 128 and not result.stderr
        return None if result.returncode else parsed(sshd_language.decode(result.stdout))

    def ask(self, keyword, occurrences):
        text = "".join(f"{keyword} {' '.join(arguments.words)}\n" for arguments in occurrences)
        if text not in self.asked:
            self.asked[text] = self._ask(keyword, text)
        if self.asked[text] is None:
            raise BadValue("is refused by sshd")
        return self.asked[text]

    def _ask(self, keyword, text):
        path = self._real(f"{HOME}-ask")
        path.write_bytes(sshd_language.encode(text))
        result = subprocess.run([*self.run, "-T", "-f", f"{HOME}-ask"], capture_output=True, check=False, cwd="/")
        os.unlink(path)
        return None if result.returncode else parsed(sshd_language.decode(result.stdout)).get(keyword, [])


def compare(oracle, tree):
    """
    Return how our reading of ``tree`` differs from sshd's (list of str), empty when it does not.

    The second value tells whether sshd accepts it (bool).
    """
    theirs = oracle.dump(tree)
    ours = loaded(oracle.daemon, tree)
    problems = sshd_effective.problems(ours)
    if theirs is None and b"no hostkeys available" in oracle.error:
        # A matter of the host, not of the language.
        return [], False
    if bool(problems) != (theirs is None):
        return [
            f"sshd: {oracle.error.decode(errors='replace') or 'accepts'}, we: {[str(one) for one in problems]}"
        ], False
    if theirs is None:
        return [], False
    unprinted = {name for name, lines in oracle.daemon.defaults.items() if not lines}
    differences = []
    for spec in [{}, *CONNECTIONS]:
        theirs = oracle.dump(tree, spec, write=False)
        found = _effective(ours, sshd_match.Connection(**spec))
        if oracle.crashed:
            # 10.0 dies of a Subsystem in a Match block that is there globally too.
            continue
        if theirs is None or found is None:
            differences += [f"{spec}: sshd says {oracle.error!r}, we {found and 'accept'}"] if theirs or found else []
        else:
            known = {name: one for name, one in found.items() if name not in unprinted}
            differences += _differences(theirs, known, spec)
    return differences, True


def _effective(tree, connection):
    try:
        return sshd_effective.effective(tree, connection)
    except sshd_language.ConfigError:
        # Some lines sshd looks at only once a connection meets their Match block.
        return None


def _differences(theirs, ours, what):
    given = {name: found.value for name, found in ours.items() if found.value}
    values = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    names = {name for name in {**theirs, **values} if theirs.get(name) != values.get(name)}
    return [f"{what}: {name}: sshd {theirs.get(name)}, we {values.get(name)}" for name in sorted(names)]


class Wishes:
    """Random wishes, each applied to a tree, and judged by sshd."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def check(self, oracle, tree):
        """Plan a random wish for ``tree``; return what sshd says against the result, and whether it was possible."""
        before = oracle.dump(tree)
        ours = loaded(oracle.daemon, tree)
        if before is None or sshd_effective.problems(ours):
            return [], False
        wish = self._wish(oracle.daemon)
        if wish is None:
            return [], False
        try:
            plan = sshd_plan.plan(ours, [wish])
        except (sshd_language.ConfigError, sshd_wish.BadWish):
            return [], False
        except sshd_plan.NoEffectError as exc:
            return ([] if self._vain(wish, oracle) else [exc.message]), False
        except CommandExecutionError as exc:
            return [f"{wish.key}: {exc.message}"], False
        return self._judge(oracle, tree, before, wish, plan), True

    @staticmethod
    def _vain(wish, oracle):
        # Before 8.5 sshd reads SetEnv in a Match block and does nothing with it; the lists of several blocks that a
        # connection meets add up, and the last mask wins.
        vain = wish.keyword.name == "SetEnv" and oracle.daemon.release < (8, 5)
        lists = (sshd_keywords.ACCUMULATE, sshd_keywords.LAST)
        return vain or (wish.criteria is not None and wish.keyword.repeat in lists)

    def _wish(self, daemon):
        name = self.random.choice([name for name in GOOD if name not in _NO_WISH])
        match = self.random.choice([None, None, *_MATCHES])
        value = self.random.choice([None, *GOOD[name]])
        try:
            return sshd_wish.wish(name, value, daemon, match, exact=self.random.random() < 0.7)
        except sshd_wish.BadWish:
            return None

    def _judge(self, oracle, tree, before, wish, plan):
        found = []
        merged = {**tree, **plan.files}
        after = oracle.dump(merged)
        if after is None:
            return [f"{wish.key}: sshd refuses the edit: {oracle.error!r}", *_diff_of(tree, plan.files)]
        allowed = {wish.keyword.name, "ListenAddress" if wish.keyword.name in ("Port", "AddressFamily") else ""}
        changed = {name for name in {**before, **after} if before.get(name) != after.get(name)}
        if changed - allowed or (wish.criteria is not None and changed):
            found.append(f"{wish.key}: also changed {changed}")
        found += self._kept(oracle, merged, wish, after)
        if not sshd_wish.holds(wish, loaded(oracle.daemon, merged)):
            found.append(f"{wish.key}: not there on the second look")
        removed = _lines(tree) - _lines(merged)
        if any(line.lstrip().startswith(b"#") for line in removed):
            found.append(f"{wish.key}: a comment was lost")
        return found + _diff_of(tree, plan.files) if found else []

    def _kept(self, oracle, merged, wish, after):
        """What sshd itself says of the wish."""
        if wish.criteria is not None:
            connection = next(spec for match, spec in _MATCH_CONNECTIONS.items() if _same(match, wish, oracle))
            after = oracle.dump(merged, connection, write=False)
        if after is None and oracle.crashed:
            return []
        want = sshd_wish.value_of(wish, oracle.daemon)
        have = after.get(wish.keyword.name, [])
        if wish.occurrences is None:
            default = oracle.daemon.defaults.get(wish.keyword.name, [])
            fine = wish.criteria is not None or have == default or wish.keyword.name in ("ListenAddress", "HostKey")
        elif wish.keyword.kind == "listen":
            fine = len(have) >= 1
        elif isinstance(want, list):
            fine = sorted(want) == sorted(have) if wish.exact else set(want) <= set(have)
        else:
            fine = wish.keyword.name in oracle.daemon.defaults and oracle.daemon.defaults[wish.keyword.name] == []
            fine = fine or have == ([want] if want else []) or not wish.exact
        return [] if fine else [f"{wish.key}: wanted {want}, sshd has {have}"]


def _same(match, wish, oracle):
    ours = sshd_wish.wish("LogLevel", "INFO", oracle.daemon, match).criteria
    return sshd_match.canonical(ours) == sshd_match.canonical(wish.criteria)


def _lines(tree):
    return {line.strip() for data in tree.values() for line in data.split(b"\n")}


def _diff_of(tree, files):
    return [f"new {path}:\n{data.decode('latin-1')}" for path, data in files.items()]


# Wishes for these depend on what else there is (their user, each other), or mean nothing to sshd.
_NO_WISH = frozenset(
    ["AuthorizedKeysCommand", "AuthorizedPrincipalsCommand", "AuthenticationMethods", "HostKey", "GSSAPIKeyExchange"]
    + ["Protocol", "UsePrivilegeSeparation", "RSAAuthentication", "KeyRegenerationInterval", "PAMServiceName"]
    + ["ChallengeResponseAuthentication", "KbdInteractiveAuthentication", "AuthorizedKeysCommandUser"]
    + ["AuthorizedPrincipalsCommandUser", "Subsystem", "PubkeyAuthentication", "DSAAuthentication"]
)
_MATCH_CONNECTIONS = {
    "User bob": {"user": "bob"},
    "User carol": {"user": "carol"},
    "Address 192.0.2.0/24": {"addr": "192.0.2.0"},
    "LocalPort 2222": {"lport": 2222},
    "Host *.example.com": {"host": "x.example.com"},
    "User bob Address 192.0.2.0/24": {"user": "bob", "addr": "192.0.2.0"},
}
_MATCHES = list(_MATCH_CONNECTIONS)
