"""
Audit rule groups that are ready to use, and the sets that benchmarks compose from them.

Each group has a title, the identifiers of the controls that ask for it, and rules. A rule that names a file or a
program loads where the directory of that file exists, which on some hosts it does not: choose groups, not all.

Sources of the identifiers: CIS Ubuntu Linux 22.04 LTS Benchmark 2.0.0 and 24.04 LTS Benchmark 1.0.0, section 6.2.3
(6.3.3 in the 24.04 and Red Hat editions), DISA STIG for Canonical Ubuntu 22.04 LTS, PCI DSS 4.0 section 10.2.

The rules are written as paths (``-F path=``, ``-F dir=``) and not as ``-w``, which compiles to another rule once a
missing path has become a directory, and which newer releases call slow.
"""

from __future__ import annotations

import typing


def both(calls: str, rest: str, key: str) -> list[str]:
    """Return the rule for 64-bit programs and its twin for 32-bit ones (list of str)."""
    return [f"-a always,exit -F arch={arch} -S {calls} {rest} -F key={key}" for arch in ("b64", "b32")]


def watch(key: str, *paths: str, perm: str = "wa") -> list[str]:
    """Return one rule for each file of ``paths`` (list of str)."""
    return [f"-a always,exit -F path={path} -F perm={perm} -F key={key}" for path in paths]


def below(key: str, *paths: str, perm: str = "wa") -> list[str]:
    """Return one rule for each directory tree of ``paths``, which must exist (list of str)."""
    return [f"-a always,exit -F dir={path} -F perm={perm} -F key={key}" for path in paths]


# People, that is sessions with a login, and not the daemons that the system starts.
PEOPLE = "-F auid>=1000 -F auid!=unset"

PROGRAMS = (
    *("bin/sudo", "bin/sudoedit", "bin/su", "bin/newgrp", "bin/chsh", "bin/chfn", "bin/passwd", "bin/gpasswd"),
    *("bin/chage", "bin/crontab", "bin/mount", "bin/umount", "bin/ssh-agent", "bin/pkexec", "bin/fusermount3"),
    *("sbin/apparmor_parser", "sbin/unix_update", "sbin/unix_chkpwd", "sbin/pam_timestamp_check"),
    "sbin/fdisk",
)

GROUPS: dict[str, dict[str, typing.Any]] = {
    "sshd": {
        "title": "sshd's runtime directory",
        "controls": [],
        # Under its real name: /var/run is a link, and a rule about a link sees nothing of what it points to.
        "rules": watch("sshd", "/run/sshd"),
    },
    "session": {
        "title": "Session starts and ends",
        "controls": [
            "CIS 6.2.3.11",
            "STIG UBTU-22-654195",
            "STIG UBTU-22-654200",
            "STIG UBTU-22-654205",
            "PCI DSS 10.2.1.2",
        ],
        "rules": watch("session", "/run/utmp", "/var/log/wtmp", "/var/log/btmp"),
    },
    "ssh_commands": {
        "title": "The commands of login sessions",
        "controls": ["PCI DSS 10.2.1.1", "PCI DSS 10.2.1.2"],
        "rules": both("execve,execveat", "-F auid!=unset", "ssh_commands"),
    },
    "ssh_config": {
        "title": "sshd's configuration and host keys",
        "controls": [],
        "rules": below("ssh_config", "/etc/ssh"),
    },
    "identity": {
        "title": "Users, groups and their passwords",
        "controls": [
            "CIS 6.2.3.8",
            *(f"STIG UBTU-22-6541{number}" for number in (30, 35, 40, 45, 50)),
            "PCI DSS 10.2.1.5",
        ],
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
        "controls": ["CIS 6.2.3.1", "PCI DSS 10.2.1.5"],
        "rules": watch("scope", "/etc/sudoers", "/etc/sudoers.d"),
    },
    "user_emulation": {
        "title": "Programs run as another user",
        "controls": ["CIS 6.2.3.2", "STIG UBTU-22-654230", "PCI DSS 10.2.1.2"],
        "rules": both("execve", "-C euid!=uid -F auid!=unset", "user_emulation"),
    },
    "sudo_log": {
        "title": "sudo's own log",
        "controls": ["CIS 6.2.3.3", "STIG UBTU-22-654235", "PCI DSS 10.2.1.3"],
        "rules": watch("sudo_log_file", "/var/log/sudo.log"),
    },
    "time_change": {
        "title": "The date and the time",
        "controls": ["CIS 6.2.3.4"],
        "rules": [
            "-a always,exit -F arch=b64 -S adjtimex,settimeofday -F key=time-change",
            "-a always,exit -F arch=b32 -S adjtimex,settimeofday,stime -F key=time-change",
            # CLOCK_REALTIME only: the clocks of a process are no concern.
            *both("clock_settime", "-F a0=0x0", "time-change"),
            # The link itself is what changes with the time zone.
            *watch("time-change", "/etc/localtime"),
        ],
    },
    "system_locale": {
        "title": "The network environment: names and addresses of this host",
        "controls": ["CIS 6.2.3.5"],
        "rules": both("sethostname,setdomainname", "", "system-locale")
        + watch("system-locale", "/etc/issue", "/etc/issue.net", "/etc/hosts", "/etc/networks", "/etc/hostname")
        + watch("system-locale", "/etc/network", "/etc/netplan"),
    },
    "access": {
        "title": "Files that a person may not open",
        "controls": ["CIS 6.2.3.7", "STIG UBTU-22-654165", "PCI DSS 10.2.1.4"],
        "rules": both("creat,open,openat,open_by_handle_at,truncate,ftruncate", f"-F exit=-EACCES {PEOPLE}", "access")
        + both("creat,open,openat,open_by_handle_at,truncate,ftruncate", f"-F exit=-EPERM {PEOPLE}", "access"),
    },
    "perm_mod": {
        "title": "Permissions, owners and attributes of files",
        "controls": ["CIS 6.2.3.9", "STIG UBTU-22-654155", "STIG UBTU-22-654160"],
        "rules": both("chmod,fchmod,fchmodat", PEOPLE, "perm_mod")
        + both("chown,fchown,lchown,fchownat", PEOPLE, "perm_mod")
        + both("setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr", PEOPLE, "perm_mod"),
    },
    "mounts": {
        "title": "File systems mounted by people",
        "controls": ["CIS 6.2.3.10"],
        "rules": both("mount", PEOPLE, "mounts"),
    },
    "delete": {
        "title": "Files deleted or renamed by people",
        "controls": ["CIS 6.2.3.13", "STIG UBTU-22-654185", "PCI DSS 10.2.1.7"],
        "rules": both("unlink,unlinkat,rename,renameat,renameat2,rmdir", PEOPLE, "delete"),
    },
    "logins": {
        "title": "The files that remember logins and failures",
        "controls": ["CIS 6.2.3.12", "STIG UBTU-22-654210", "STIG UBTU-22-654215", "PCI DSS 10.2.1.4"],
        "rules": watch("logins", "/var/log/lastlog", "/var/log/faillog", "/run/faillock"),
    },
    "mac_policy": {
        "title": "AppArmor's and SELinux's policies",
        "controls": ["CIS 6.2.3.14"],
        "rules": watch("MAC-policy", "/etc/apparmor", "/etc/apparmor.d", "/etc/selinux"),
    },
    "privileged_tools": {
        "title": "Tools that change accounts and access lists",
        "controls": [
            "CIS 6.2.3.15",
            "CIS 6.2.3.16",
            "CIS 6.2.3.17",
            "CIS 6.2.3.18",
            "STIG UBTU-22-654025",
            "STIG UBTU-22-654085",
            "STIG UBTU-22-654015",
            "STIG UBTU-22-654125",
        ],
        "rules": [
            f"-a always,exit -F path=/usr/bin/chcon -F perm=x {PEOPLE} -F key=perm_chng",
            f"-a always,exit -F path=/usr/bin/setfacl -F perm=x {PEOPLE} -F key=perm_chng",
            f"-a always,exit -F path=/usr/bin/chacl -F perm=x {PEOPLE} -F key=perm_chng",
            f"-a always,exit -F path=/usr/sbin/usermod -F perm=x {PEOPLE} -F key=usermod",
        ],
    },
    "modules": {
        "title": "Kernel modules loaded and unloaded",
        "controls": [
            "CIS 6.2.3.19",
            "STIG UBTU-22-654170",
            "STIG UBTU-22-654175",
            "STIG UBTU-22-654055",
            "STIG UBTU-22-654060",
            "PCI DSS 10.2.1.7",
        ],
        "rules": both("init_module,finit_module,delete_module", PEOPLE, "kernel_modules")
        + [f"-a always,exit -F path=/usr/bin/kmod -F perm=x {PEOPLE} -F key=kernel_modules"],
    },
    "audit_config": {
        "title": "Audit's own configuration, tools and logs",
        "controls": ["CIS 6.2.4", "PCI DSS 10.2.1.3", "PCI DSS 10.2.1.6"],
        "rules": below("audit_config", "/etc/audit")
        + watch("audit_tools", "/usr/sbin/auditctl", "/usr/sbin/auditd", "/usr/sbin/augenrules", perm="x")
        + watch("audit_logs", "/var/log/audit"),
    },
    "root_commands": {
        "title": "Programs that get root by being setuid or setgid",
        "controls": ["STIG UBTU-22-654230"],
        "rules": both("execve", "-C euid!=uid -F euid=0", "execpriv")
        + both("execve", "-C egid!=gid -F egid=0", "execpriv"),
    },
    "privileged": {
        "title": "Privileged programs run by people",
        "controls": [
            "CIS 6.2.3.6",
            *(f"STIG UBTU-22-6540{number}" for number in ("10", "20", "35", "40", "45", "50", "70", "75", "80")),
            "STIG UBTU-22-654105",
            "STIG UBTU-22-654110",
            "STIG UBTU-22-654120",
        ],
        # The setuid programs of a distribution and those that STIG names; one that a host lacks costs nothing.
        "rules": [
            f"-a always,exit -F path=/usr/{program} -F perm=x {PEOPLE} -F key=privileged" for program in PROGRAMS
        ],
    },
}

# Which groups answer a standard's demands on audit rules; the files' and the daemon's settings are elsewhere.
SETS = {
    name: [
        group for group, content in GROUPS.items() if any(control.startswith(prefix) for control in content["controls"])
    ]
    for name, prefix in (("cis", "CIS"), ("stig", "STIG"), ("pci_dss", "PCI DSS"))
}
