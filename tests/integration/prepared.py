"""
A host as the benchmarks ask for it, each of the controls' checks seen failing there, and how one sees that otherwise.

The rules are written as CIS and DISA print them. What another program says (auditctl, sshd -T, stat, findmnt,
dpkg-query, cvtsudoers) is the other way to see a thing; where none is installed here it is the file itself, by grep.
"""

import typing

PEOPLE = "-F auid>=1000 -F auid!=unset"
TLS = 'StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name"'
STATIC_RULES = f"""\
-w /etc/sudoers -p wa -k scope
-w /etc/sudoers.d -p wa -k scope
-a always,exit -F arch=b64 -C euid!=uid -F auid!=unset -S execve -k user_emulation
-a always,exit -F arch=b32 -C euid!=uid -F auid!=unset -S execve -k user_emulation
-w /var/log/sudo.log -p wa -k sudo_log_file
-a always,exit -F arch=b64 -S adjtimex,settimeofday -k time-change
-a always,exit -F arch=b32 -S adjtimex,settimeofday -k time-change
-a always,exit -F arch=b64 -S clock_settime -F a0=0x0 -k time-change
-a always,exit -F arch=b32 -S clock_settime -F a0=0x0 -k time-change
-w /etc/localtime -p wa -k time-change
-a always,exit -F arch=b64 -S sethostname,setdomainname -k system-locale
-a always,exit -F arch=b32 -S sethostname,setdomainname -k system-locale
-w /etc/issue -p wa -k system-locale
-w /etc/issue.net -p wa -k system-locale
-w /etc/hosts -p wa -k system-locale
-w /etc/hostname -p wa -k system-locale
-w /etc/network -p wa -k system-locale
-w /etc/netplan -p wa -k system-locale
-w /etc/NetworkManager -p wa -k system-locale
-w /etc/sysconfig/network-scripts -p wa -k system-locale
-a always,exit -F arch=b64 -S creat,open,openat,open_by_handle_at,truncate,ftruncate -F exit=-EACCES {PEOPLE} -k access
-a always,exit -F arch=b64 -S creat,open,openat,open_by_handle_at,truncate,ftruncate -F exit=-EPERM {PEOPLE} -k access
-a always,exit -F arch=b32 -S creat,open,openat,open_by_handle_at,truncate,ftruncate -F exit=-EACCES {PEOPLE} -k access
-a always,exit -F arch=b32 -S creat,open,openat,open_by_handle_at,truncate,ftruncate -F exit=-EPERM {PEOPLE} -k access
-w /etc/group -p wa -k identity
-w /etc/passwd -p wa -k identity
-w /etc/gshadow -p wa -k identity
-w /etc/shadow -p wa -k identity
-w /etc/security/opasswd -p wa -k identity
-w /etc/nsswitch.conf -p wa -k identity
-w /etc/pam.conf -p wa -k identity
-w /etc/pam.d -p wa -k identity
-a always,exit -F arch=b64 -S chmod,fchmod,fchmodat {PEOPLE} -k perm_mod
-a always,exit -F arch=b64 -S chown,fchown,lchown,fchownat {PEOPLE} -k perm_mod
-a always,exit -F arch=b32 -S chmod,fchmod,fchmodat {PEOPLE} -k perm_mod
-a always,exit -F arch=b32 -S lchown,fchown,chown,fchownat {PEOPLE} -k perm_mod
-a always,exit -F arch=b64 -S setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr {PEOPLE} -k perm_mod
-a always,exit -F arch=b32 -S setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr {PEOPLE} -k perm_mod
-a always,exit -F arch=b64 -S mount {PEOPLE} -k mounts
-a always,exit -F arch=b32 -S mount {PEOPLE} -k mounts
-a always,exit -F arch=b32 -S umount {PEOPLE} -k umounts
-a always,exit -F arch=b64 -S umount2 {PEOPLE} -k umounts
-a always,exit -F arch=b32 -S umount2 {PEOPLE} -k umounts
-w /var/run/utmp -p wa -k session
-w /var/log/wtmp -p wa -k session
-w /var/log/btmp -p wa -k session
-w /var/log/lastlog -p wa -k logins
-w /var/run/faillock -p wa -k logins
-w /var/log/faillog -p wa -k logins
-a always,exit -F arch=b64 -S rename,renameat,renameat2,unlink,unlinkat,rmdir {PEOPLE} -k delete
-a always,exit -F arch=b32 -S rename,renameat,renameat2,unlink,unlinkat,rmdir {PEOPLE} -k delete
-w /etc/apparmor/ -p wa -k MAC-policy
-w /etc/apparmor.d/ -p wa -k MAC-policy
-w /etc/selinux -p wa -k MAC-policy
-a always,exit -F path=/usr/bin/chcon -F perm=x {PEOPLE} -k perm_chng
-a always,exit -F path=/usr/sbin/usermod -F perm=x {PEOPLE} -k usermod
-a always,exit -F path=/usr/sbin/unix_update -F perm=x {PEOPLE} -k privileged-unix-update
-a always,exit -F path=/usr/sbin/pam_timestamp_check -F perm=x {PEOPLE} -k privileged-pam
-a always,exit -F path=/usr/bin/kmod -F perm=x {PEOPLE} -k kernel_modules
-a always,exit -F arch=b64 -S init_module,finit_module,delete_module {PEOPLE} -k kernel_modules
-a always,exit -F arch=b32 -S init_module,finit_module,delete_module {PEOPLE} -k kernel_modules
-a always,exit -F path=/usr/bin/systemctl -F perm=x {PEOPLE} -k privileged-systemctl
-a always,exit -F path=/usr/lib/systemd/systemd -F perm=x {PEOPLE} -k privileged-init
-w /etc/cron.d -p wa -k cronjobs
-w /var/spool/cron -p wa -k cronjobs
-w /var/log/journal -p wa -k systemd_journal
-a always,exit -F path=/usr/bin/ssh-agent -F perm=x {PEOPLE} -k privileged-ssh
-a always,exit -F arch=b64 -S execve -C uid!=euid -F euid=0 -k execpriv
-a always,exit -F arch=b64 -S execve -C gid!=egid -F egid=0 -k execpriv
-a always,exit -F arch=b32 -S execve -C uid!=euid -F euid=0 -k execpriv
-a always,exit -F arch=b32 -S execve -C gid!=egid -F egid=0 -k execpriv
"""
PACKAGES = ("audispd-plugins", "rsyslog", "rsyslog-gnutls", "chrony", "systemd-journal-remote", "aide")
#: Init scripts of services that are not installed here: the status is a file's being there.
SERVICES = ("rsyslog", "systemd-journald.service", "chrony")
TOOLS = ("auditctl", "auditd", "ausearch", "aureport", "autrace", "augenrules")
SSHD = """\
UsePAM yes
LogLevel VERBOSE
PermitRootLogin no
PermitUserEnvironment no
MaxSessions 10
PrintLastLog yes
Subsystem sftp /usr/lib/openssh/sftp-server
"""
AUDITD = """\
log_file = /var/log/audit/audit.log
log_group = root
write_logs = yes
local_events = yes
log_format = ENRICHED
flush = INCREMENTAL_ASYNC
freq = 100
max_log_file = 8
num_logs = 5
name_format = HOSTNAME
max_log_file_action = KEEP_LOGS
space_left = 25%
space_left_action = EMAIL
action_mail_acct = root
admin_space_left = 5%
admin_space_left_action = HALT
disk_full_action = HALT
disk_error_action = HALT
overflow_action = SYSLOG
"""
RSYSLOG = f"""\
module(load="imuxsock")
$FileCreateMode 0640
auth.*,authpriv.* /var/log/auth.log
daemon.* -/var/log/daemon.log
cron.* /var/log/cron.log
action(type="omfwd" target="log.example.net" port="6514" protocol="tcp" {TLS})
"""
CHRONY = """\
server ntp.example.net iburst maxpoll 10
makestep 1 -1
port 0
cmdport 0
bindcmdaddress /run/chrony.sock
"""
FILES = {
    "/etc/ssh/sshd_config": SSHD,
    "/etc/ssh/sshd_config.d/10-local.conf": "# nothing\n",
    "/etc/audit/auditd.conf": AUDITD,
    "/etc/audit/plugins.d/au-remote.conf": "active = yes\ndirection = out\npath = /bin/true\ntype = always\n",
    "/etc/audit/audisp-remote.conf": "remote_server = log.example.net\nport = 60\n",
    "/etc/rsyslog.conf": RSYSLOG,
    "/etc/systemd/journald.conf": "[Journal]\nStorage=persistent\nCompress=yes\nForwardToSyslog=yes\n",
    "/etc/sudoers.d/log": 'Defaults logfile="/var/log/sudo.log"\n',
    "/etc/security/faillock.conf": "audit\ndeny = 3\n",
    "/etc/aliases": "root: alice\npostmaster: root\n",
    "/etc/adjtime": "0.0 0 0.0\n0\nUTC\n",
    "/etc/cron.daily/aide": "#!/bin/sh\naide --check\n",
    "/etc/aide/aide.conf": "".join(f"/usr/sbin/{name} p+i+n+u+g+s+b+acl+xattrs+sha512\n" for name in TOOLS),
    "/etc/chrony/chrony.conf": CHRONY,
    "/etc/logrotate.conf": "weekly\n",
    "/boot/grub/grub.cfg": "linux /vmlinuz root=/dev/sda1 audit=1 audit_backlog_limit=8192\n",
    "/run/cmdline": "root=/dev/sda1 audit=1 audit_backlog_limit=8192\n",
    "/run/tools/chronyc": '#!/bin/sh\necho "Leap status     : $(cat /run/leap)"\n',
    "/run/leap": "Normal\n",
}
SCRIPT = "#!/bin/sh\n[ -e /run/runs-{name} ]\n"
STATUS = (
    "\nPackage: {name}\nStatus: install ok installed\nVersion: 1.0\nArchitecture: all\nMaintainer: x\nDescription: x\n"
)
#: A process of this name is what runs as the account of chrony's.
CHRONYD = "#!/bin/sh\nsleep 600; :\n"
PREPARE = r"""
set -e
mkdir -p /etc/apparmor /etc/apparmor.d /etc/netplan /etc/network /etc/NetworkManager /etc/sysconfig/network-scripts
mkdir -p /var/run/faillock /var/spool/cron /var/log/journal/m /run/sshd /etc/cron.d /etc/sudoers.d
rm -rf /var/log/audit/* /etc/audit/rules.d/*
mount -t tmpfs -o mode=750,nodev,nosuid,noexec,size=512M tmpfs /var/log/audit
touch /var/log/wtmp /var/log/btmp /var/log/lastlog /var/log/faillog /run/utmp /var/log/journal/m/x.journal
find /var/log -type f -exec chmod 640 {} +
chmod 755 /run/tools/* /etc/cron.daily/aide
mount --bind /run/cmdline /proc/cmdline
find /etc/audit -type f -exec chown 0:0 {} + -exec chmod 640 {} +
chmod 600 /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*; chmod 700 /etc/ssh/sshd_config.d
chmod 440 /etc/sudoers.d/log
sed -i '1i auth requisite pam_faillock.so preauth' /etc/pam.d/common-auth
echo "type=DAEMON_START msg=audit($(($(date +%s) - 86400 * 90)).000:1): op=start" > /var/log/audit/audit.log.1
groupadd -f _chrony; id _chrony >/dev/null 2>&1 || useradd -r -g _chrony _chrony
awk -F: '!seen[$1]++ && !uids[$3]++' /etc/passwd > /run/passwd; cat /run/passwd > /etc/passwd
"""


class Break(typing.NamedTuple):
    """
    How a check is broken.

    check
        Its name (str).
    control
        One of the controls that ask for it (str).
    script
        What breaks it, for a shell (str). Files below /etc, /boot and /var/log, and rules, are put back afterwards.
    reading
        The other way to see it (str, for a shell), and ``seen`` what that says then and not before (str).
    evidence
        What the control's evidence has to name (str).
    also
        Other checks that rightly fail as well, by how they begin (tuple of str).
    rules
        Which of the kernel's rules go (str, an extended pattern), and the lines (str) that come instead.
    alone
        Whether nothing else can be broken at the same time (bool), as where what is undone is more than files.
    mounts
        Whether the script mounts something, so that it runs in mounts of the look's own (bool).
    undo
        What else has to be undone (str, for a shell).
    """

    check: str
    control: str
    script: str
    reading: str
    seen: str
    evidence: str
    also: tuple[str, ...] = ()
    rules: tuple[str, str] = ("", "")
    alone: bool = False
    mounts: bool = False
    undo: str = ""


def rule(check, control, pattern, evidence, instead="", listed="", also=()):
    """
    Return how a rule goes from the kernel while the files hold it: those lines that have ``pattern`` (str, extended).

    ``instead`` (str) is what the kernel holds then; ``listed`` (str, extended) is what auditctl -l has no line of any
    more, else the pattern.
    """
    reading = f"echo lines: $(auditctl -l | grep -cE -e '{listed or pattern}')"
    return Break(check, control, "", reading, "lines: 0", evidence, ("rule-same", *also), (pattern, instead))


def sh_rules(breaks):
    """Return what has the kernel hold the rules that several ``breaks`` (list of Break) leave (str, for a shell)."""
    patterns = "".join(f" -e '{one.rules[0]}'" for one in breaks if one.rules[0])
    more = "".join(f"{one.rules[1].strip()}\n" for one in breaks if one.rules[1])
    kept = f"grep -vE{patterns} /etc/audit/audit.rules"
    return f"{{ {kept}; printf %s '{more}'; }} > /run/some; auditctl -R /run/some" if patterns else ""


def rounds(breaks):
    """Return which of the ``breaks`` (list of Break) can be seen at one look (list of list)."""
    found = []
    for one in breaks:
        fits = (
            []
            if one.alone or one.mounts
            else [several for several in found if not any(_meet(one, other) for other in several)]
        )
        (fits[0].append if fits else lambda new: found.append([new]))(one)
    return found


def _meet(one, other):
    shared = {"rule-same"}
    touched = [any(a.check.startswith(also) for also in set(b.also) - shared) for a, b in ((one, other), (other, one))]
    return other.alone or other.mounts or one.check == other.check or any(touched)


def before(check, control, line, evidence):
    """Return how a rule (``line``, str) that stands before all others hides what they record."""
    script = f"{{ echo -D; echo '{line}'; grep -v ^-D /etc/audit/audit.rules; }} > /run/some; auditctl -R /run/some"
    return Break(check, control, script, "auditctl -l | grep never", "never", evidence, also=("rule-",), alone=True)


def sshd(check, control, lines, reading, seen, evidence, first=True):
    """Return how ``lines`` (str) of sshd_config, before its own or after them, are what the running sshd works with."""
    put = f"printf %s '{lines}' > /run/x; cat {'/run/x ' + MAIN if first else MAIN + ' /run/x'} > /run/y"
    return Break(check, control, f"{put}; cat /run/y > {MAIN}", f"sshd -T {FOR} {reading}", seen, evidence)


def auditd(check, control, keyword, value, also=()):
    """Return how a keyword of auditd.conf has another ``value`` (str), which auditd takes up."""
    script = f"sed -i 's/^{keyword} = .*/{keyword} = {value}/' {CONF}"
    reading = f"grep ^{keyword} {CONF}"
    told = f"{keyword} = {value.lower()}"
    return Break(check, control, script, reading, f"{keyword} = {value}", told, also)


def file(check, control, path, change, seen, also=()):
    """Return how a file gets another mode, owner or group (``change``, a command), as stat tells it (``seen``)."""
    return Break(
        check,
        control,
        f"{change} {path}",
        f"stat -Lc '%a %U:%G' {path}",
        seen,
        seen.split()[1],
        also,
        alone=check == "log-mode",
    )


def conf(check, control, path, old, new, evidence, also=()):
    """Return how a line (extended pattern) of a configuration becomes another one."""
    script = f"sed -i -E 's|{old}|{new}|' {path}"
    return Break(check, control, script, f"grep -cE '{old}' {path}", "0", evidence, also)


CIS, U24, U22, RHEL = "CIS Debian 12 ", "STIG Ubuntu 24.04 ", "STIG Ubuntu 22.04 ", "STIG RHEL 9 "
CONF, MAIN = "/etc/audit/auditd.conf", "/etc/ssh/sshd_config"
LOG = "chown root:root /var/log/audit /var/log/audit/*; chmod 600 /var/log/audit/*; chmod 750 /var/log/audit"
#: Somebody of whom all is known, so that each Match block can be asked for.
FOR = "-C user=bob,host=h,addr=192.0.2.1,laddr=192.0.2.2,lport=22"
#: Have the daemons read their files again.
READ = "kill -HUP $(cat /run/sshd.pid); sleep 0.2"
#: auditd takes some up at its start alone, and tells of none of it to whoever asks later.
RESTART = """
pid=$(cat /run/auditd.pid); kill $pid
for _ in $(seq 400); do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
auditd; for _ in $(seq 100); do [ -s /run/auditd.pid ] && break; sleep 0.05; done
"""
LOST = "the files ask for it, and it is not loaded: /etc/audit/rules.d/50-all.rules line"
NEWER = "[ {} -nt {} ] && echo newer || echo older"
KERNEL = "the kernel holds no rule that records "
KEPT = ("/etc", "/boot", "/var/log/journal", "/var/lib/dpkg/status", "/run/cmdline")
EXEC = f"-F perm=x {PEOPLE}"
B64 = "-a always,exit -F arch=b64"

BREAKS = [
    # --- the kernel's rules: gone while the files hold them, or with other fields
    rule("rule-sudoers", CIS + "6.2.3.1", "/etc/sudoers ", LOST),
    rule("rule-sudoers", U22 + "UBTU-22-654225", "/etc/sudoers.d ", KERNEL + "changes below /etc/sudoers.d"),
    rule("rule-sudoers", CIS + "6.2.3.1", "/etc/sudoers ", "changes of /etc/sudoers", "-w /etc/sudoers -p w -k scope",
         "/etc/sudoers .*(-p |perm=)wa"),
    rule("rule-sudoers", CIS + "6.2.3.1", "/etc/sudoers ", "changes of /etc/sudoers",
         f"{B64} -F path=/etc/sudoers -F perm=wa -F success=1 -k scope", "sudoers (-p |-F perm=)wa -(k |F key)"),
    rule("rule-user-emulation", CIS + "6.2.3.2", "user_emulation", KERNEL + "execve"),
    rule("rule-user-emulation", CIS + "6.2.3.2", "b32 .*user_emulation|b32 .*euid!=uid .*auid",
          KERNEL + "execve (b32)"),
    rule("rule-user-emulation", CIS + "6.2.3.2", "user_emulation", KERNEL + "execve",
         f"{B64} -C euid!=uid {PEOPLE} -S execve -k e", "user_emulation"),
    rule("rule-sudo-log", CIS + "6.2.3.3", "/var/log/sudo.log", "changes of /var/log/sudo.log"),
    rule("rule-time", CIS + "6.2.3.4", "adjtimex", KERNEL + "adjtimex"),
    rule("rule-time", CIS + "6.2.3.4", "clock_settime", "clock_settime",
         "".join(f"-a always,exit -F arch={arch} -S clock_settime -F a0=1 -k t\n" for arch in ("b64", "b32")),
         "clock_settime .*a0=0x0"),
    rule("rule-time", CIS + "6.2.3.4", "/etc/localtime", "changes of /etc/localtime"),
    rule("rule-network", CIS + "6.2.3.5", "sethostname", KERNEL + "sethostname"),
    rule("rule-network", CIS + "6.2.3.5", "/etc/netplan", "/etc/netplan"),
    rule("rule-privileged-all", CIS + "6.2.3.6", "/usr/bin/passwd", "who runs /usr/bin/passwd",
         also=("rule-account-tools",)),
    rule("rule-access", CIS + "6.2.3.7", "b64 .*-EPERM", KERNEL + "creat (b64)"),
    rule("rule-access", U22 + "UBTU-22-654165", "b32 .*-EACCES", "(b32)"),
    rule("rule-identity", CIS + "6.2.3.8", "/etc/nsswitch.conf", "changes of /etc/nsswitch.conf"),
    rule("rule-identity", RHEL + "RHEL-09-654245", "/etc/shadow ", "changes of /etc/shadow"),
    rule("rule-permissions", CIS + "6.2.3.9", "b64 -S chown", "chown (b64)",
         f"{B64} -S fchown,lchown,fchownat {PEOPLE} -k perm_mod", "b64 -S (.*,)?chown"),
    rule("rule-permissions", U22 + "UBTU-22-654155", "b32 -S chmod", "chmod (b32)", listed="b32 .*-S chmod"),
    rule("rule-mounts", CIS + "6.2.3.10", "-S mount", KERNEL + "mount"),
    rule("rule-sessions", CIS + "6.2.3.11", "/btmp", "changes of /var/log/btmp"),
    rule("rule-sessions", U22 + "UBTU-22-654200", "/wtmp", "/var/log/wtmp"),
    rule("rule-logins", CIS + "6.2.3.12", "/faillock", "/run/faillock"),
    rule("rule-logins", U22 + "UBTU-22-654210", "/faillog", "/var/log/faillog"),
    rule("rule-deletes", CIS + "6.2.3.13", "b64 -S rename", "renameat2 (b64)",
         f"{B64} -S rename,renameat,unlink,unlinkat,rmdir {PEOPLE} -k delete", "b64 .*renameat2"),
    rule("rule-deletes", CIS + "6.2.3.13", "-S rename", "unlink (b64)",
         f"{B64} -S rename,renameat,renameat2,unlink,unlinkat,rmdir -F auid>=2000 -F auid!=unset -k delete",
         "unlink.*auid>=1000"),
    rule("rule-mac", CIS + "6.2.3.14", "/etc/apparmor.d", "/etc/apparmor.d"),
    rule("rule-acl-tools", CIS + "6.2.3.15", "/usr/bin/chcon", "who runs /usr/bin/chcon"),
    rule("rule-acl-tools", CIS + "6.2.3.15", "/usr/bin/chcon", "who runs /usr/bin/chcon",
         f"-a always,exit -F path=/usr/bin/chcon -F perm=wa {PEOPLE} -k p", "chcon -F perm=x"),
    rule("rule-account-tools", CIS + "6.2.3.18", "/usr/sbin/usermod", "who runs /usr/sbin/usermod"),
    rule("rule-account-tools", U22 + "UBTU-22-654080", "/usr/bin/passwd", "who runs /usr/bin/passwd",
         also=("rule-privileged-all",)),
    rule("rule-modules", CIS + "6.2.3.19", "finit_module", KERNEL + "init_module"),
    rule("rule-modules", U22 + "UBTU-22-654055", "/usr/bin/kmod", "who runs /usr/bin/kmod"),
    rule("rule-system-tools", U22 + "UBTU-22-654115", "/usr/bin/umount", "who runs /usr/bin/umount",
         also=("rule-privileged-all",)),
    rule("rule-system-tools", RHEL + "RHEL-09-654185", "/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd"),
    rule("rule-cron", U22 + "UBTU-22-654041", "/var/spool/cron", "changes below /var/spool/cron"),
    rule("rule-ssh-tools", U22 + "UBTU-22-654090", "/usr/bin/ssh-agent", "who runs /usr/bin/ssh-agent",
         also=("rule-privileged-all",)),
    rule("rule-ssh-tools", U22 + "UBTU-22-654095", "ssh-keysign", "who runs /usr/lib/openssh/ssh-keysign",
         also=("rule-privileged-all",)),
    rule("rule-su-sudo", U22 + "UBTU-22-654100", "/usr/bin/su ", "who runs /usr/bin/su",
         also=("rule-privileged-all",)),
    rule("rule-journal", U22 + "UBTU-22-654190", "/var/log/journal", "changes below /var/log/journal"),
    rule("rule-privileged-exec", U22 + "UBTU-22-654230", "gid!=egid", KERNEL + "execve"),
    Break("rule-same", CIS + "6.2.3.21", "auditctl -a always,exit -F arch=b64 -S sync -k more",
          "auditctl -l | grep more", "sync",
          "besides -a always,exit -F arch=b64 -S sync", alone=True),
    Break("rule-same", CIS + "6.2.3.21", "auditctl -d always,exit -F arch=b64 -S mount -F auid\\>=1000 -F auid!=-1 "
          "-k mounts", "auditctl -l | grep -c 'b64.*key=mounts'", "0", "without -a always,exit -F arch=b64 -S mount",
          also=("rule-mounts",), alone=True),
    before("rule-deletes", CIS + "6.2.3.13", "-a never,exit -F arch=b64 -S unlink", "is hidden by -a never,exit"),
    before("rule-sudoers", CIS + "6.2.3.1", "-a never,exit -F dir=/etc", "is hidden by -a never,exit"),
    before("rule-mounts", CIS + "6.2.3.10", "-a never,task", "is hidden by -a never,task"),
    before("rule-mounts", CIS + "6.2.3.10", "-a never,exclude -F msgtype=SYSCALL", "is hidden by"),
    # --- the kernel's settings
    Break("audit-backlog", CIS + "6.2.1.4", "auditctl -b 64", "auditctl -s | grep backlog_limit", "backlog_limit 64",
          "the kernel's backlog_limit is 64", alone=True, undo="auditctl -b 8192"),
    Break("audit-backlog", CIS + "6.2.1.4", "echo audit=1 audit_backlog_limit=64 > /run/cmdline", "cat /proc/cmdline",
          "limit=64", "/proc/cmdline has audit_backlog_limit=64", alone=True),
    Break("audit-boot", CIS + "6.2.1.3", "echo root=x audit_backlog_limit=8192 > /run/cmdline",
          "grep -c audit=1 /proc/cmdline", "0", "/proc/cmdline has no audit="),
    Break("audit-boot", CIS + "6.2.1.3", "echo audit=1 audit_backlog_limit=8192 audit=0 > /run/cmdline",
          "cat /proc/cmdline", "audit=0", "/proc/cmdline has audit=0"),
    conf("audit-boot", CIS + "6.2.1.3", "/boot/grub/grub.cfg", "audit=1 ", "", "not in /boot/grub/grub.cfg line 1"),
    conf("audit-boot", CIS + "6.2.1.3", "/boot/grub/grub.cfg", "8192$", "8192 audit=0", "not in /boot/grub/grub.cfg"),
    conf("audit-backlog", CIS + "6.2.1.4", "/boot/grub/grub.cfg", "=8192", "=8191", "not in /boot/grub/grub.cfg"),
    # --- sshd, as it works
    sshd("sshd-loglevel", CIS + "5.1.14", "LogLevel ERROR\n", "| grep loglevel", "ERROR",
          f"LogLevel ERROR ({MAIN} line"),
    sshd("sshd-loglevel", RHEL + "RHEL-09-255030", "Match User bob\nLogLevel INFO\n",
         "| grep loglevel", "INFO", "for Match User bob", first=False),
    sshd("sshd-max-sessions", CIS + "5.1.17", "MaxSessions 11\n", "| grep maxsessions", "11", "MaxSessions 11"),
    sshd("sshd-max-sessions", CIS + "5.1.17", "Match Address 192.0.2.0/24\nMaxSessions 99\n",
         "| grep maxsessions", "99", "for Match Address", first=False),
    sshd("sshd-root-login", CIS + "5.1.20", "PermitRootLogin prohibit-password\n", "| grep permitroot",
          "without-password",
         "PermitRootLogin without-password"),
    sshd("sshd-root-login", CIS + "5.1.20", "Match LocalPort 22\nPermitRootLogin yes\n",
         "| grep permitroot", "yes",
         "for Match LocalPort 22",
         first=False),
    sshd("sshd-user-env", CIS + "5.1.21", "PermitUserEnvironment LANG\n", "| grep permituserenv", "LANG", "LANG"),
    sshd("sshd-pam", CIS + "5.1.22", "UsePAM no\n", "| grep -i usepam", "no", "UsePAM no"),
    sshd("sshd-last-log", RHEL + "RHEL-09-255165", "PrintLastLog no\n", "| grep printlastlog", "no", "PrintLastLog no"),
    Break("sshd-root-login", CIS + "5.1.20",
          f"echo 'PermitRootLogin yes' > {MAIN}.d/00.conf; chmod 600 {MAIN}.d/*; "
          f"sed -i '1i Include {MAIN}.d/*.conf' {MAIN}",
          f"sshd -T {FOR} | grep permitrootlogin", "yes", f"PermitRootLogin yes ({MAIN}.d/00.conf line 1)"),
    Break("sshd-root-login", CIS + "5.1.20", f"sleep 1; echo >> {MAIN}", NEWER.format(MAIN, "/run/sshd.pid"), "newer",
          "the sshd that runs has not read it", ("sshd-",), alone=True),
    Break("sshd-root-login", CIS + "5.1.20",
          "kill $(cat /run/sshd.pid); sleep 0.5; /usr/sbin/sshd -o PermitRootLogin=yes; sleep 0.3",
          "tr '\\0' ' ' < /proc/$(cat /run/sshd.pid)/cmdline", "-o PermitRootLogin=yes",
          "PermitRootLogin yes (the command line", ("sshd-",),
          alone=True, undo="kill $(cat /run/sshd.pid); sleep 0.5; /usr/sbin/sshd; sleep 0.3"),
    Break("sshd-pam", CIS + "5.1.22", "sed -i /pam_loginuid/d /etc/pam.d/sshd",
          "grep -c pam_loginuid /etc/pam.d/sshd", "0",
          "pam_loginuid"),
    # --- auditd, as it works
    auditd("audit-max-log-file", CIS + "6.2.2.1", "max_log_file", "0"),
    auditd("audit-keep-logs", CIS + "6.2.2.2", "max_log_file_action", "ROTATE"),
    auditd("audit-full-disk", CIS + "6.2.2.3", "disk_full_action", "SUSPEND"),
    auditd("audit-full-disk", CIS + "6.2.2.3", "disk_error_action", "IGNORE"),
    auditd("audit-space-warning", CIS + "6.2.2.4", "space_left_action", "SYSLOG"),
    auditd("audit-space-warning", CIS + "6.2.2.4", "admin_space_left_action", "SUSPEND"),
    auditd("audit-space-warning", RHEL + "RHEL-09-653035", "space_left", "24%"),
    auditd("audit-space-warning", RHEL + "RHEL-09-653035", "space_left", "100"),
    auditd("audit-name-format", RHEL + "RHEL-09-653060", "name_format", "NONE"),
    auditd("audit-overflow", RHEL + "RHEL-09-653065", "overflow_action", "IGNORE"),
    auditd("audit-local-events", RHEL + "RHEL-09-653075", "local_events", "no"),
    auditd("audit-flush", RHEL + "RHEL-09-653095", "freq", "1000"),
    auditd("audit-flush", RHEL + "RHEL-09-653095", "flush", "NONE"),
    auditd("audit-format", RHEL + "RHEL-09-653100", "log_format", "RAW"),
    auditd("audit-write", RHEL + "RHEL-09-653105", "write_logs", "no"),
    Break("audit-full-disk", CIS + "6.2.2.3", f"echo 'disk_full_action = IGNORE' >> {CONF}",
          f"grep disk_full_action {CONF} | tail -1", "IGNORE", "disk_full_action = ignore"),
    Break("audit-name-format", RHEL + "RHEL-09-653060", f"sleep 1; echo >> {CONF}",
          NEWER.format(CONF, "/run/auditd.pid"),
          "newer", "has not", ("audit-",), alone=True, undo="true"),
    # --- modes, owners, groups
    file("sshd-config-mode", CIS + "5.1.1", MAIN, "chmod 644", "644 root:root"),
    file("sshd-config-mode", CIS + "5.1.1", MAIN, "chown nobody", "600 nobody:root"),
    file("sshd-config-mode", CIS + "5.1.1", MAIN, "chgrp adm", "600 root:adm"),
    file("sshd-config-mode", "CIS Ubuntu 24.04 5.1.1", f"{MAIN}.d/10-local.conf", "chmod 640", "640 root:root"),
    file("sshd-config-mode", RHEL + "RHEL-09-255115", f"{MAIN}.d", "chmod 755", "755 root:root"),
    Break("sshd-config-mode", CIS + "5.1.1",
          f"echo > /etc/more.conf; chmod 666 /etc/more.conf; sed -i '1i Include /etc/more.conf' {MAIN}",
          f"stat -c %a $(awk '/^Include/ {{print $2}}' {MAIN})", "666", "/etc/more.conf is 0666"),
    file("log-mode", CIS + "6.2.4.1", "/var/log/audit/audit.log", "chmod 644", "644 root:root", ("rsyslog-mode",)),
    file("log-mode", U24 + "UBTU-24-901300", "/var/log/audit/audit.log", "chmod 640", "640 root:root",
         ("rsyslog-mode",)),
    file("log-mode", CIS + "6.2.4.2", "/var/log/audit/audit.log", "chown nobody", "600 nobody:root", ("rsyslog-mode",)),
    file("log-mode", CIS + "6.2.4.3", "/var/log/audit/audit.log", "chgrp users", "600 root:users", ("rsyslog-mode",)),
    file("log-mode", CIS + "6.2.4.4", "/var/log/audit", "chmod 755", "755 root:root"),
    Break("log-mode", CIS + "6.2.4.1", "cp /var/log/audit/audit.log /var/log/audit/old; chmod 644 /var/log/audit/old",
          "stat -c %a /var/log/audit/*", "644", "/var/log/audit/old is 0644", ("rsyslog-mode",), alone=True,
          undo="rm /var/log/audit/old"),
    file("conf-mode", CIS + "6.2.4.5", CONF, "chmod 644", "644 root:root", ("audit-",)),
    file("conf-mode", CIS + "6.2.4.5", "/etc/audit/audit.rules", "chmod 660", "660 root:root"),
    file("conf-mode", CIS + "6.2.4.5", "/etc/audit/rules.d/50-all.rules", "chmod 644", "644 root:root"),
    file("conf-mode", CIS + "6.2.4.6", CONF, "chown nobody", "640 nobody:root", ("audit-",)),
    file("conf-mode", CIS + "6.2.4.7", CONF, "chgrp adm", "640 root:adm", ("audit-",)),
    Break("conf-mode", CIS + "6.2.4.6", "touch /etc/x.rules; chown nobody /etc/x.rules; "
          "ln -s /etc/x.rules /etc/audit/rules.d/60-x.rules", "find -L /etc/audit -user nobody", "60-x.rules",
          "60-x.rules is 0644 nobody:root"),
    *(Break("tools-mode", CIS + control, f"cp /usr/sbin/{name} /run/{name}; {change} /run/{name}; "
            f"mount --bind /run/{name} /usr/sbin/{name}", f"stat -c '%a %U:%G' /usr/sbin/{name}", seen, seen.split()[1],
            mounts=True)
      for name, control, change, seen in (
          ("auditctl", "6.2.4.8", "chmod 775", "775 root:root"),
          ("ausearch", "6.2.4.9", "chown nobody", "755 nobody:root"),
          ("augenrules", "6.2.4.10", "chmod 755 /run/augenrules; chgrp adm", "755 root:adm"),
      )),
    # --- the volume
    Break("audit-partition", CIS + "1.1.2.7.1", "umount -l /var/log/audit", "findmnt -no TARGET -T /var/log/audit",
          "/var/log\n", "is on the file system of /var/log", mounts=True, also=("audit-", "log-mode")),
    *(Break("audit-mount-options", CIS + control, f"mount -o remount,bind,{option} /var/log/audit",
            "findmnt -no OPTIONS /var/log/audit | tr , '\\n' | grep -c '^no[desx]'", "2", "is mounted with",
            mounts=True)
      for option, control in (("dev", "1.1.2.7.2"), ("suid", "1.1.2.7.3"), ("exec", "1.1.2.7.4"))),
    Break("audit-capacity", U22 + "UBTU-22-653035",
          "mount -t tmpfs -o size=1m tmpfs /var/log/audit; "
          "echo \"type=DAEMON_START msg=audit($(($(date +%s) - 7200)).000:1): x\" > /var/log/audit/audit.log; "
          "head -c 500000 /dev/zero >> /var/log/audit/audit.log",
          "df --output=size /var/log/audit | tail -1", "1024", "MiB a day measured", mounts=True,
          also=("audit-", "log-mode", "rsyslog-mode")),
    # --- packages, services
    *(Break(check, control, f"sed -i '/^Package: {name}$/,/^$/d' /var/lib/dpkg/status",
            f"dpkg-query -W -f '${{db:Status-Abbrev}}' {name}", "no packages found", f"{name} is not installed",
            also=also)
      for check, control, name, also in (
          ("audit-package", RHEL + "RHEL-09-653010", "auditd", ()),
          ("audit-plugins-package", RHEL + "RHEL-09-653130", "audispd-plugins", ()),
          ("rsyslog-service", RHEL + "RHEL-09-652010", "rsyslog", ()),
      )),
    Break("audit-package", RHEL + "RHEL-09-653010",
          "sed -i '/^Package: auditd$/,/^$/s/^Status: .*/Status: deinstall ok config-files/' /var/lib/dpkg/status",
          "dpkg-query -W -f '${db:Status-Abbrev}' auditd", "rc", "auditd is not installed"),
    Break("audit-service", U22 + "UBTU-22-653015", "rm /etc/rc?.d/S*auditd", "ls /etc/rc2.d | grep -c auditd", "0",
          "auditd does not start at boot"),
    Break("audit-service", U22 + "UBTU-22-653015", "kill $(cat /run/auditd.pid); sleep 0.5", "auditctl -s | grep ^pid",
          "pid 0", "nobody: its pid is 0", alone=True, undo="auditd; sleep 0.3"),
    Break("journal-service", CIS + "6.1.1.1", "rm /run/runs-systemd-journald.service",
          "/etc/init.d/systemd-journald.service status; echo $?",
          "1", "systemd-journald does not run", alone=True, undo="touch /run/runs-systemd-journald.service",
          also=("journal-syslog",)),
    Break("rsyslog-service", U22 + "UBTU-22-652010", "rm /etc/rc?.d/S*rsyslog", "ls /etc/rc2.d | grep -c rsyslog", "0",
          "rsyslog runs and does not start at boot"),
    # --- the clock
    Break("time-sync", RHEL + "RHEL-09-252015", "rm /run/runs-chrony", "/etc/init.d/chrony status; echo $?", "1",
          "chronyd does not run", alone=True, undo="touch /run/runs-chrony"),
    Break("time-sync", CIS + "2.3.3.3", "echo 'Not synchronised' > /run/leap", "chronyc tracking", "Not syn",
          "Not synchronised", alone=True, undo="echo Normal > /run/leap"),
    conf("time-sync", CIS + "2.3.3.1", "/etc/chrony/chrony.conf", "^server", "# server", "no server or pool"),
    conf("time-sync", RHEL + "RHEL-09-252020", "/etc/chrony/chrony.conf", "maxpoll 10", "maxpoll 17", "maxpoll 17"),
    conf("time-utc", U22 + "UBTU-22-252020", "/etc/adjtime", "^UTC", "LOCAL", "keeps local time"),
    # --- the journal and syslog
    Break("journal-access", CIS + "6.1.1.2", "chmod 644 /var/log/journal/m/x.journal",
          "stat -c %a /var/log/journal/m/*",
          "644", "x.journal is 0644", ("rsyslog-mode",)),
    conf("journal-syslog", CIS + "6.1.1.4", "/etc/systemd/journald.conf", "Syslog=yes", "Syslog=no",
          "ForwardToSyslog=no"),
    conf("journal-storage", CIS + "6.1.2.4", "/etc/systemd/journald.conf", "^Storage=", "#Storage=", "Storage=auto"),
    conf("journal-storage", CIS + "6.1.2.3", "/etc/systemd/journald.conf", "Compress=yes", "Compress=off",
          "Compress=no"),
    Break("journal-storage", CIS + "6.1.2.4",
          "mkdir /etc/systemd/journald.conf.d; "
          "printf '[Journal]\\nStorage=volatile\\n' > /etc/systemd/journald.conf.d/z.conf",
          "systemd-analyze cat-config systemd/journald.conf | grep ^Storage | tail -1", "volatile",
          "Storage=volatile (/etc/systemd/journald.conf.d/z.conf line 2)"),
    Break("journal-upload", CIS + "6.1.2.1.4",
          "printf '#!/bin/sh\\n' > /etc/init.d/systemd-journal-remote.socket; chmod 755 /etc/init.d/*",
          "ls /etc/init.d | grep -c journal-remote", "1", "systemd-journal-remote.socket runs"),
    conf("rsyslog-mode", CIS + "6.1.3.4", "/etc/rsyslog.conf", "Mode 0640", "Mode 0644", "$FileCreateMode 0644"),
    conf("rsyslog-mode", CIS + "6.1.3.4", "/etc/rsyslog.conf", "^.FileCreateMode", "# FileCreateMode",
          "its own is 0644"),
    conf("rsyslog-forward", RHEL + "RHEL-09-652040", "/etc/rsyslog.conf", '"x509/name"', '"anon"', "AuthMode",),
    Break("rsyslog-forward", CIS + "6.1.3.7", "echo 'module(load=\"imtcp\")' >> /etc/rsyslog.conf",
          "grep -c imtcp /etc/rsyslog.conf", "1", "rsyslog listens"),
    conf("rsyslog-forward-m", CIS + "6.1.3.6", "/etc/rsyslog.conf", "^action", "auth.* action", "sends away no kern",
         ("rsyslog-forward",)),
    conf("rsyslog-forward-m", CIS + "6.1.3.6", "/etc/rsyslog.conf", "imuxsock", "imklog", "no messages of this host",
         ("rsyslog-auth", "rsyslog-forward")),
    conf("rsyslog-forward-m", CIS + "6.1.3.6", "/etc/rsyslog.conf", "^action", "#action", "no action of rsyslog sends",
         ("rsyslog-forward", "audit-offload")),
    Break("rsyslog-forward", RHEL + "RHEL-09-652040", "echo '*.* @@(o)plain.example.net' >> /etc/rsyslog.conf",
          "grep -c @@ /etc/rsyslog.conf", "1", "plain.example.net"),
    conf("rsyslog-auth", U22 + "UBTU-22-652015", "/etc/rsyslog.conf", "authpriv.\\*", "authpriv.err",
          "writes no authpriv"),
    conf("rsyslog-auth", RHEL + "RHEL-09-652060", "/etc/rsyslog.conf", "^cron", "#cron", "writes no cron"),
    # --- sudo, accounts, PAM, integrity, mail, records to another host
    conf("sudo-log", CIS + "5.2.3", "/etc/sudoers.d/log", "^Defaults", "# Defaults", "names a logfile"),
    Break("sudo-log", CIS + "5.2.3", "echo 'Defaults !logfile' > /etc/sudoers.d/zz; chmod 440 /etc/sudoers.d/zz",
          "cvtsudoers -f json /etc/sudoers | grep -A1 -B1 logfile | tail -3", "false", "names a logfile"),
    Break("account-identity", CIS + "7.2.5", "echo 'toor:x:0:0::/:/bin/sh' >> /etc/passwd",
          "cut -d: -f3 /etc/passwd | sort | uniq -d", "0", "toor"),
    Break("account-identity", CIS + "7.2.7", "echo 'root:x:4711:0::/:/bin/sh' >> /etc/passwd",
          "cut -d: -f1 /etc/passwd | sort | uniq -d", "root", "the same name twice: root"),
    conf("faillock-audit", U22 + "UBTU-22-411045", "/etc/security/faillock.conf", "^audit", "# audit",
          "does not say audit"),
    Break("faillock-audit", U22 + "UBTU-22-411045", "sed -i /pam_faillock/d /etc/pam.d/common-auth",
          "grep -c pam_faillock /etc/pam.d/common-auth", "0", "pam_faillock"),
    conf("tools-integrity", CIS + "6.3.3", "/etc/aide/aide.conf", "(augenrules.*)\\+sha512", "\\1",
          "/usr/sbin/augenrules"),
    Break("tools-integrity", CIS + "6.3.3", "rm /etc/cron.daily/aide", "ls /etc/cron.daily | grep -c aide", "0",
          "nothing runs a check"),
    conf("audit-offload", U22 + "UBTU-22-651035", "/etc/audit/plugins.d/au-remote.conf", "= yes", "= no",
          "is not active"),
    conf("audit-offload", U22 + "UBTU-22-653020", "/etc/audit/audisp-remote.conf", "^remote_server = log.*",
          "remote_server =",
         "names no remote_server", ("audit-plugins-package",)),
]  # fmt: skip
#: What no program judges: CIS itself leaves it to people.
MANUAL = ("journal-rotation", "rsyslog-rules", "logrotate-rules")
#: What the kernel keeps until the next boot, or dies of: seen in the virtual machine and on prepared facts.
ELSEWHERE = ("rule-immutable", "rule-failure", "rule-loginuid-immutable")
