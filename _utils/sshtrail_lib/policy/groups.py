"""
Audit rule groups that are ready to use, and the sets that benchmarks compose from them.

Each group has a title and rules. Which controls ask for it depends on the host's distribution:
:mod:`sshtrail_lib.policy.claims`. A group is ``optional``: a rule that needs a directory which a host does not have is
left out there, and told. One group has no list at all: a rule is made for each ``privileged`` program of the host.

The rules are written as paths (``-F path=`` for a file, ``-F dir=`` for a directory and all that is below) and not as
``-w``, which compiles to another rule once a missing path has become a directory, and which newer releases call slow.
A ``path=`` on a directory sees that entries come and go, and nothing of what happens to files in it. It is right only
for directories below ``/run``, which are not there yet when the rules are loaded at boot: a ``dir=`` would stop the
load there, and everything behind it would not be loaded.

Sources: the benchmarks that :mod:`sshtrail_lib.policy.controls` names; ``30-pci-dss-v31.rules`` of audit-userspace.
"""

from __future__ import annotations

import typing


def both(calls: str, rest: str, key: str, b32: str = "") -> list[str]:
    """Return the rule for 64-bit programs and its twin for 32-bit ones, with what those have besides (list of str)."""
    twins = (("b64", calls), ("b32", f"{calls},{b32}" if b32 else calls))
    return [f"-a always,exit -F arch={arch} -S {names} {rest} -F key={key}" for arch, names in twins]


def watch(key: str, *paths: str, perm: str = "wa") -> list[str]:
    """Return one rule for each file of ``paths`` (list of str)."""
    return [f"-a always,exit -F path={path} -F perm={perm} -F key={key}" for path in paths]


def below(key: str, *paths: str, perm: str = "wa") -> list[str]:
    """Return one rule for each directory tree of ``paths``, which must exist (list of str)."""
    return [f"-a always,exit -F dir={path} -F perm={perm} -F key={key}" for path in paths]


# Newer calls do what those do that a benchmark names: util-linux (2.39) mounts by them, glibc (2.39) changes modes.
# By their numbers, which are the same on every machine, are those that a libaudit may not know.
FCHMODAT2, SETXATTRAT, REMOVEXATTRAT = "452", "463", "466"
MOUNT_SETATTR, OPEN_TREE_ATTR = "442", "467"
# A new kind of mount begins with fsopen or fspick, and what they return is configured: it is one only from fsmount on.
MOUNTS = f"mount,umount2,open_tree,move_mount,fsmount,fspick,{MOUNT_SETATTR},{OPEN_TREE_ATTR}"
OPENS = "creat,open,openat,openat2,open_by_handle_at,truncate,ftruncate"

# People, that is sessions with a login, and not the daemons that the system starts.
PEOPLE = "-F auid>=1000 -F auid!=unset"

#: What makes a rule of an executed program one of the group ``privileged``.
PRIVILEGED = f"-F perm=x {PEOPLE} -F key=privileged"

# The programs that a STIG names; one that a host lacks costs nothing.
TOOLS = (
    *("bin/sudo", "bin/sudoedit", "bin/su", "bin/newgrp", "bin/chsh", "bin/chfn", "bin/passwd", "bin/gpasswd"),
    *("bin/chage", "bin/crontab", "bin/mount", "bin/umount", "bin/ssh-agent", "lib/openssh/ssh-keysign"),
    *("libexec/openssh/ssh-keysign", "sbin/apparmor_parser", "sbin/fdisk", "sbin/unix_update", "sbin/unix_chkpwd"),
    *("sbin/pam_timestamp_check", "sbin/userhelper", "sbin/postdrop", "sbin/postqueue", "sbin/semanage"),
    *("sbin/setfiles", "sbin/setsebool", "sbin/init", "sbin/poweroff", "sbin/reboot", "sbin/shutdown"),
)


def used(key: str, *programs: str) -> list[str]:
    """Return one rule for each of ``programs`` (paths below ``/usr``) that people execute (list of str)."""
    return [f"-a always,exit -F path=/usr/{program} -F perm=x {PEOPLE} -F key={key}" for program in programs]


GROUPS: dict[str, dict[str, typing.Any]] = {
    "sshd": {
        "title": "sshd's runtime directory",
        # Under its real name: /var/run is a link, and a rule about a link sees nothing of what it points to.
        "rules": watch("sshd", "/run/sshd"),
    },
    "session": {
        "title": "Session starts and ends",
        # The databases of wtmpdb and, below, of lastlog2 are in directories of their own, and so are their journals.
        "rules": watch("session", "/run/utmp", "/var/log/wtmp", "/var/log/btmp") + below("session", "/var/lib/wtmpdb"),
    },
    "ssh_commands": {
        "title": "The commands of login sessions",
        "rules": both("execve,execveat", "-F auid!=unset", "ssh_commands"),
    },
    "ssh_config": {
        "title": "sshd's configuration and host keys",
        "rules": below("ssh_config", "/etc/ssh"),
    },
    "identity": {
        "title": "Users, groups and their passwords",
        "rules": watch(
            "identity",
            "/etc/group",
            "/etc/passwd",
            "/etc/gshadow",
            "/etc/shadow",
            "/etc/security/opasswd",
            "/etc/nsswitch.conf",
            "/etc/pam.conf",
        )
        + below("identity", "/etc/pam.d"),
    },
    "scope": {
        "title": "Who may act as another user: sudoers",
        "rules": watch("scope", "/etc/sudoers") + below("scope", "/etc/sudoers.d"),
    },
    "user_emulation": {
        "title": "Programs run as another user",
        "rules": both("execve,execveat", "-C euid!=uid -F auid!=unset", "user_emulation"),
    },
    "sudo_log": {
        "title": "sudo's own log",
        "rules": watch("sudo_log_file", "/var/log/sudo.log"),
    },
    "time_change": {
        "title": "The date and the time",
        "rules": [
            *both("adjtimex,settimeofday", "", "time-change", b32="stime"),
            # CLOCK_REALTIME only: the clocks of a process are no concern. glibc's adjtimex(3) is clock_adjtime(2).
            *both("clock_settime,clock_adjtime", "-F a0=0x0", "time-change", b32="clock_settime64,clock_adjtime64"),
            # The link itself is what changes with the time zone.
            *watch("time-change", "/etc/localtime"),
        ],
    },
    "system_locale": {
        "title": "The network environment: names and addresses of this host",
        "rules": both("sethostname,setdomainname", "", "system-locale")
        + watch("system-locale", "/etc/issue", "/etc/issue.net", "/etc/hosts", "/etc/networks", "/etc/hostname")
        + watch("system-locale", "/etc/sysconfig/network")
        + below("system-locale", "/etc/network", "/etc/netplan", "/etc/NetworkManager", "/etc/systemd/network")
        + below("system-locale", "/etc/sysconfig/network-scripts"),
    },
    "access": {
        "title": "Files that a person may not open",
        "rules": both(OPENS, f"-F exit=-EACCES {PEOPLE}", "access", b32="truncate64,ftruncate64")
        + both(OPENS, f"-F exit=-EPERM {PEOPLE}", "access", b32="truncate64,ftruncate64"),
    },
    "perm_mod": {
        "title": "Permissions, owners and attributes of files",
        "rules": both(f"chmod,fchmod,fchmodat,{FCHMODAT2}", PEOPLE, "perm_mod")
        + both("chown,fchown,lchown,fchownat", PEOPLE, "perm_mod", b32="chown32,fchown32,lchown32")
        + both(
            f"setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,{SETXATTRAT},{REMOVEXATTRAT}",
            PEOPLE,
            "perm_mod",
        ),
    },
    "mounts": {
        "title": "File systems mounted and unmounted by people",
        "rules": both(MOUNTS, PEOPLE, "mounts", b32="umount"),
    },
    "delete": {
        "title": "Files deleted or renamed by people",
        "rules": both("unlink,unlinkat,rename,renameat,renameat2,rmdir", PEOPLE, "delete"),
    },
    "logins": {
        "title": "The files that remember logins and failures",
        # pam_faillock makes its directory at the first failure after a boot, and opens each file as one to be made.
        "rules": watch("logins", "/var/log/lastlog", "/var/log/faillog", "/run/faillock")
        + below("logins", "/var/lib/lastlog"),
    },
    "mac_policy": {
        "title": "AppArmor's and SELinux's policies",
        "rules": below("MAC-policy", "/etc/apparmor", "/etc/apparmor.d", "/etc/selinux", "/usr/share/selinux"),
    },
    "privileged_tools": {
        "title": "Tools that change accounts, access lists and the system",
        "rules": used("perm_chng", "bin/chcon", "bin/setfacl", "bin/chacl")
        + used("usermod", "sbin/usermod")
        + used("privileged", *TOOLS),
    },
    "modules": {
        "title": "Kernel modules loaded and unloaded",
        "rules": both("init_module,finit_module,delete_module", PEOPLE, "kernel_modules")
        + used("kernel_modules", "bin/kmod"),
    },
    "audit_config": {
        "title": "Audit's own configuration, tools and logs, and who reads the logs",
        "rules": below("audit_config", "/etc/audit")
        + watch("audit_tools", "/usr/sbin/auditctl", "/usr/sbin/auditd", "/usr/sbin/augenrules", perm="x")
        + below("audit_logs", "/var/log/audit")
        + [f"-a always,exit -F dir=/var/log/audit -F perm=r {PEOPLE} -F key=audit_access"]
        + used("audit_access", "sbin/ausearch", "sbin/aureport", "bin/aulast", "bin/aulastlog"),
    },
    "cron": {
        "title": "Commands that run by the clock",
        "rules": below("cronjobs", "/etc/cron.d", "/var/spool/cron"),
    },
    "journal": {
        "title": "The files of the system's journal",
        "rules": below("systemd_journal", "/var/log/journal"),
    },
    "root_commands": {
        "title": "Programs that get root by being setuid or setgid",
        "rules": both("execve,execveat", "-C euid!=uid -F euid=0", "execpriv")
        + both("execve,execveat", "-C egid!=gid -F egid=0", "execpriv"),
    },
    "privileged": {
        "title": "Privileged programs run by people: every one that this host has",
        "rules": [],
        "privileged": PRIVILEGED,
    },
}
for _group in GROUPS.values():
    _group["optional"] = True
