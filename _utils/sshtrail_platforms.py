"""
What differs from distribution to distribution: packages, units, paths and the files that syslog writes.

One map, by Salt's grain ``os_family``; each entry stands with the source it was taken from. Ubuntu is of the family
Debian, and RHEL, CentOS Stream, Rocky, AlmaLinux, Oracle and Fedora are of the family RedHat.
"""

# The place in the policy, the value, the source.
ENTRIES = {
    "Debian": [
        ("sshd:package", "openssh-server", "Debian and Ubuntu package openssh-server"),
        ("sshd:service", "ssh", "ssh.service in Debian's package openssh-server; sshd.service is its alias"),
        ("sshd:path", "/etc/ssh/sshd_config", "sshd_config(5) in Debian's package openssh-server"),
        (
            "sshd:logs:AUTH",
            "/var/log/auth.log",
            "rsyslog.conf in Debian's package rsyslog, 50-default.conf in Ubuntu's",
        ),
        ("sshd:logs:AUTHPRIV", "/var/log/auth.log", "the same line there: auth,authpriv.*"),
        ("auditd:package", "auditd", "Debian and Ubuntu package auditd"),
        ("auditd:service", "auditd", "auditd.service in Debian's package auditd"),
        ("auditd:path", "/etc/audit/auditd.conf", "auditd(8), FILES, in Debian's package auditd"),
    ],
    "RedHat": [
        ("sshd:package", "openssh-server", "RHEL package openssh-server (openssh.spec)"),
        ("sshd:service", "sshd", "sshd.service in RHEL's package openssh-server"),
        ("sshd:path", "/etc/ssh/sshd_config", "sshd_config(5) in RHEL's package openssh-server"),
        ("sshd:logs:AUTH", "/var/log/messages", "rsyslog.conf in RHEL's package rsyslog: *.info;authpriv.none"),
        ("sshd:logs:AUTHPRIV", "/var/log/secure", "rsyslog.conf in RHEL's package rsyslog: authpriv.*"),
        ("auditd:package", "audit", "RHEL package audit (audit.spec)"),
        ("auditd:service", "auditd", "auditd.service in RHEL's package audit"),
        ("auditd:path", "/etc/audit/auditd.conf", "auditd(8), FILES, in RHEL's package audit"),
    ],
    "Suse": [
        ("sshd:package", "openssh-server", "SUSE package openssh-server, split from openssh in 15.3 (openssh.spec)"),
        ("sshd:service", "sshd", "sshd.service in SUSE's package openssh-server"),
        ("sshd:path", "/etc/ssh/sshd_config", "sshd_config(5) in SLE 15's package openssh-server"),
        ("sshd:logs:AUTH", "/var/log/messages", "rsyslog.conf in SUSE's package rsyslog: *.*;mail.none;news.none"),
        ("sshd:logs:AUTHPRIV", "/var/log/messages", "the same line there"),
        ("auditd:package", "audit", "SUSE package audit (audit-secondary.spec)"),
        ("auditd:service", "auditd", "auditd.service in SUSE's package audit"),
        ("auditd:path", "/etc/audit/auditd.conf", "auditd(8), FILES, in SUSE's package audit"),
    ],
}


def policy(os_family):
    """
    Return what a distribution's family adds to a policy (dict), empty when nothing is known of it.

    os_family
        Salt's grain of that name (str).
    """
    known = {}
    for place, value, _ in ENTRIES.get(os_family, ()):
        *parents, last = place.split(":")
        inner = known
        for key in parents:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return known
