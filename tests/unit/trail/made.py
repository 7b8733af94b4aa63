"""
Logs made up for tests: what the kernel, PAM, su, sudo and sshd write, for histories that nobody can have on demand.
"""

import datetime
import re

UNSET = 4294967295
SSHD = "/usr/lib/openssh/sshd-session"
SU, SUDO = "/usr/bin/su", "/usr/bin/sudo"
CALL = (
    "arch=c000003e syscall={call} success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=2 ppid={parent} pid={pid} auid={auid} "
    "uid={uid} gid=0 euid={euid} suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses={ses} comm={exe} exe={exe} "
    "key=(null)"
)


def fingerprint(letter):
    return "SHA256:" + letter * 43


def coded(text):
    """Return a string as the kernel writes what somebody named."""
    return f'"{text}"' if re.fullmatch("[!#-~]*", text) else text.encode().hex().upper()


class Made:
    """The ``audit`` log and sshd's lines in ``auth`` (lists of str), from a ``time`` and an event ``serial`` on."""

    def __init__(self, time=1795648800.0, serial=100):
        self.time, self.serial = time, serial
        self.audit, self.auth = [], []

    def event(self, *records):
        self.time, self.serial = self.time + 0.05, self.serial + 1
        self.audit += [f"type={kind} msg=audit({self.time:.3f}:{self.serial}): {body}" for kind, body in records]

    def message(self, kind, pid, auid, ses, text, uid=0):
        self.event((kind, f"pid={pid} uid={uid} auid={auid} ses={ses} subj=unconfined msg='{text}'"))

    def pam(self, kind, pid, auid, ses, account, exe, op="session_open", address="?", uid=0, result="success"):
        rest = f'acct="{account}" exe="{exe}" hostname={address} addr={address} terminal=ssh res={result}'
        self.message(kind, pid, auid, ses, f"op=PAM:{op} grantors=pam_unix {rest}", uid)

    def say(self, pid, text):
        when = datetime.datetime.fromtimestamp(self.time, datetime.timezone.utc)
        self.auth.append(f"{when:%Y-%m-%dT%H:%M:%S.%f}+00:00 host sshd-session[{pid}]: {text}")

    def login(self, ses, pid, auid, user, key="a", port=1000, address="10.0.0.9"):
        self.say(pid, f"Connection from {address} port {port} on 10.0.0.1 port 22")
        self.pam("USER_ACCT", pid, UNSET, UNSET, user, SSHD, "accounting", address)
        self.say(pid, f"Accepted publickey for {user} from {address} port {port} ssh2: ED25519 {fingerprint(key)}")
        self.kernel(ses, pid, auid, user, address)

    def kernel(self, ses, pid, auid, user, address="10.0.0.9"):
        """Begin a session without a word of sshd's."""
        old = f"old-auid={UNSET} auid={auid} tty=(none) old-ses={UNSET} ses={ses} res=1"
        self.event(("LOGIN", f"pid={pid} uid=0 subj=unconfined {old}"))
        self.pam("USER_START", pid, auid, ses, user, SSHD, address=address)

    def logout(self, ses, pid, auid, user, address="10.0.0.9"):
        self.pam("USER_END", pid, auid, ses, user, SSHD, "session_close", address)

    def run(self, ses, pid, auid, *argv, uid=None, euid=None, exe=None, parent=55, call=59):
        uid = auid if uid is None else uid
        about = {"parent": parent, "pid": pid, "auid": auid, "uid": uid, "ses": ses, "exe": coded(exe or argv[0])}
        words = " ".join(f"a{number}={coded(word)}" for number, word in enumerate(argv))
        called = CALL.format(call=call, euid=uid if euid is None else euid, **about)
        self.event(("SYSCALL", called), ("EXECVE", f"argc={len(argv)} {words}"), ("CWD", 'cwd="/"'))
