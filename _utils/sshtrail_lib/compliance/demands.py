"""
Which rules the kernel must hold for each demand on audit rules.

The demands have the names that ComplianceAsCode (github.com/ComplianceAsCode/content) gives to its rules, by which the
table of the controls refers to them. Each says what is to be recorded, not how a rule for it is written.
"""

from __future__ import annotations

import typing

#: People, that is sessions with a login, and not the daemons that the system starts.
PEOPLE = "-F auid>=1000 -F auid!=unset"
#: Stands for the file that sudo logs to.
SUDO_LOG = "sudo's log"
#: Stands for every setuid and setgid program of the host.
PRIVILEGED = "every setuid and setgid program"


class Demand(typing.NamedTuple):
    """
    Something that is to be recorded.

    kind
        ``calls`` (system calls), ``watch`` (changes of a file), ``tree`` (changes of what is below a directory),
        ``reads`` (of the same) or ``run`` (a program, by people) (str).
    what
        The names of the calls, each of which is demanded; or the path and those that can stand for it, of which the
        first that is there counts (tuple of str).
    rest
        What limits the calls (str, as in a rule).
    """

    kind: str
    what: tuple[str, ...]
    rest: str = ""


def calls(*names: str, rest: str = PEOPLE) -> Demand:
    """Return the demand that system calls of these names (str) are recorded, those of people by default."""
    return Demand("calls", names, rest)


def watch(*paths: str) -> Demand:
    """Return the demand that changes of a file (its path, or the first of several that is there) are recorded."""
    return Demand("watch", paths)


def tree(path: str) -> Demand:
    """Return the demand that changes of what is below a directory (str) are recorded."""
    return Demand("tree", (path,))


def reads(*paths: str) -> Demand:
    """Return the demand that whoever reads a path (str) is recorded."""
    return Demand("reads", paths, PEOPLE)


def run(*paths: str) -> Demand:
    """Return the demand that people are recorded who run a program (its path, or the first that is there)."""
    return Demand("run", paths, PEOPLE)


# What fails has no success: whoever records all failures records these.
def _refused(*names: str) -> tuple[Demand, ...]:
    return tuple(calls(*names, rest=f"-F exit=-{error} -F success=0 {PEOPLE}") for error in ("EACCES", "EPERM"))


EMULATION = calls("execve", rest="-C euid!=uid -F auid!=unset")
MODIFIED = ("creat", "ftruncate", "open", "openat", "truncate", "open_by_handle_at")
CHANGED_MODES = (
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
)
#: With what a file is renamed today, coreutils' mv among others, is renameat2.
DELETED = {
    **{"unlink": ("unlink",), "unlinkat": ("unlinkat",), "rmdir": ("rmdir",)},
    **{"rename": ("rename",), "renameat": ("renameat", "renameat2")},
}
IDENTITIES = {name: f"/etc/{name}" for name in ("group", "gshadow", "passwd", "shadow")}
PROGRAMS = {
    **{name: f"/usr/bin/{name}" for name in ("chage", "chfn", "chsh", "gpasswd", "newgrp", "passwd", "crontab")},
    **{name: f"/usr/bin/{name}" for name in ("mount", "umount", "su", "sudo", "sudoedit", "kmod")},
    **{name: f"/usr/sbin/{name}" for name in ("usermod", "pam_timestamp_check", "unix_update", "unix_chkpwd")},
    **{name: f"/usr/sbin/{name}" for name in ("userhelper", "apparmor_parser", "fdisk", "postdrop", "postqueue")},
    **{"modprobe": "/usr/sbin/modprobe", "ssh_agent": "/usr/bin/ssh-agent"},
}
SHELL_TOOLS = {
    **{name: f"/usr/bin/{name}" for name in ("chcon", "setfacl", "chacl")},
    **{name: f"/usr/sbin/{name}" for name in ("semanage", "setfiles", "setsebool")},
}
CRON = (tree("/etc/cron.d"), tree("/var/spool/cron"))
SUDOERS, SUDOERS_D = watch("/etc/sudoers"), tree("/etc/sudoers.d")
# Where wtmpdb and lastlog2 keep what utmp, wtmp and lastlog had: Debian 13, Ubuntu 25.04.
UTMP = watch("/run/utmp", "/var/lib/wtmpdb/wtmp.db")
WTMP = watch("/var/log/wtmp", "/var/lib/wtmpdb/wtmp.db")
BTMP = watch("/var/log/btmp")
LASTLOG = watch("/var/log/lastlog", "/var/lib/lastlog/lastlog2.db")

DEMANDS: dict[str, tuple[Demand, ...]] = {
    "audit_rules_sysadmin_actions": (SUDOERS, SUDOERS_D),
    "audit_rules_sudoers": (SUDOERS,),
    "audit_rules_sudoers_d": (SUDOERS_D,),
    "audit_rules_suid_auid_privilege_function": (EMULATION,),
    "audit_rules_suid_privilege_function": (
        calls("execve", rest="-C uid!=euid -F euid=0"),
        calls("execve", rest="-C gid!=egid -F egid=0"),
    ),
    "audit_sudo_log_events": (watch(SUDO_LOG),),
    "audit_rules_time_adjtimex": (calls("adjtimex", rest=""),),
    "audit_rules_time_settimeofday": (calls("settimeofday", rest=""),),
    # CLOCK_REALTIME only: the clocks of a process are no concern.
    "audit_rules_time_clock_settime": (calls("clock_settime", rest="-F a0=0x0"),),
    "audit_rules_time_watch_localtime": (watch("/etc/localtime"),),
    "audit_rules_networkconfig_modification": (
        calls("sethostname", "setdomainname", rest=""),
        *map(watch, ("/etc/issue", "/etc/issue.net", "/etc/hosts", "/etc/hostname")),
        *map(tree, ("/etc/network", "/etc/netplan")),
    ),
    "audit_rules_networkconfig_modification_hostname_file": (watch("/etc/hostname"),),
    "audit_rules_networkconfig_modification_network_scripts": (tree("/etc/sysconfig/network-scripts"),),
    "audit_rules_networkconfig_modification_networkmanager": (tree("/etc/NetworkManager"),),
    "audit_rules_privileged_commands": (run(PRIVILEGED),),
    **{f"audit_rules_unsuccessful_file_modification_{name}": _refused(name) for name in MODIFIED},
    **{f"audit_rules_usergroup_modification_{name}": (watch(path),) for name, path in IDENTITIES.items()},
    "audit_rules_usergroup_modification_opasswd": (watch("/etc/security/opasswd"),),
    "audit_rules_usergroup_modification_nsswitch_conf": (watch("/etc/nsswitch.conf"),),
    "audit_rules_usergroup_modification_pam_conf": (watch("/etc/pam.conf"),),
    "audit_rules_usergroup_modification_pamd": (tree("/etc/pam.d"),),
    **{f"audit_rules_dac_modification_{name}": (calls(name),) for name in (*CHANGED_MODES, "umount", "umount2")},
    "audit_rules_media_export": (calls("mount"),),
    "audit_rules_session_events": (UTMP, WTMP, BTMP),
    "audit_rules_session_events_utmp": (UTMP,),
    "audit_rules_session_events_wtmp": (WTMP,),
    "audit_rules_session_events_btmp": (BTMP,),
    "audit_rules_login_events_faillock": (tree("/run/faillock"),),
    "audit_rules_login_events_lastlog": (LASTLOG,),
    "audit_rules_login_events_faillog": (watch("/var/log/faillog"),),
    **{f"audit_rules_file_deletion_events_{name}": (calls(*names),) for name, names in DELETED.items()},
    "audit_rules_mac_modification_etc_apparmor": (tree("/etc/apparmor"),),
    "audit_rules_mac_modification_etc_apparmor_d": (tree("/etc/apparmor.d"),),
    "audit_rules_mac_modification": (tree("/etc/selinux"),),
    "audit_rules_mac_modification_usr_share": (tree("/usr/share/selinux"),),
    **{f"audit_rules_execution_{name}": (run(path),) for name, path in SHELL_TOOLS.items()},
    **{f"audit_rules_privileged_commands_{name}": (run(path),) for name, path in PROGRAMS.items()},
    "audit_rules_privileged_commands_ssh_keysign": (
        run("/usr/lib/openssh/ssh-keysign", "/usr/libexec/openssh/ssh-keysign", "/usr/lib/ssh/ssh-keysign"),
    ),
    **{
        f"audit_privileged_commands_{name}": (run(f"/usr/sbin/{name}"),)
        for name in ("init", "poweroff", "reboot", "shutdown")
    },
    "audit_rules_etc_cron_d": CRON[:1],
    "audit_rules_var_spool_cron": CRON[1:],
    "audit_rules_cron_execution": CRON,
    "audit_rules_var_log_journal": (tree("/var/log/journal"),),
    "audit_rules_kernel_module_loading_init": (calls("init_module"),),
    "audit_rules_kernel_module_loading_finit": (calls("finit_module"),),
    "audit_rules_kernel_module_loading_delete": (calls("delete_module"),),
    # No standard's own, but what PCI DSS and others ask for in words.
    "commands_of_people": (calls("execve", "execveat", rest="-F auid!=unset"),),
    "commands_as_root": (calls("execve", "execveat", rest="-F auid!=unset -F euid=0"),),
    "audit_log_changes": (tree("/var/log/audit"),),
    "audit_log_reads": (
        reads("/var/log/audit"),
        *map(run, ("/usr/sbin/ausearch", "/usr/sbin/aureport", "/usr/bin/aulast", "/usr/bin/aulastlog")),
    ),
    "ssh_configuration": (tree("/etc/ssh"),),
    "audit_configuration": (tree("/etc/audit"),),
}
#: Calls that kernels had before 2.6: nothing can make them any more.
GONE = {f"audit_rules_kernel_module_loading_{name}": f"{name}_module" for name in ("create", "query")}
