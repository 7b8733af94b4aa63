"""
What differs from distribution to distribution: packages, units, paths and the files that syslog writes.

One map, by Salt's grain ``os_family``; each entry stands with the source it was taken from. Ubuntu is of the family
Debian, and RHEL, CentOS Stream, Rocky, AlmaLinux, Oracle and Fedora are of the family RedHat.

What the sources are: for Debian, the packages of Debian 12; for RedHat, the sources of RHEL 8 and 9 as OpenELA has
them (github.com/openela-main, a repository for each package); for SUSE, those of openSUSE Factory
(github.com/bmwiedemann/openSUSE, ``packages/``, which mirrors build.opensuse.org).
"""

from __future__ import annotations

import typing

# The place in the policy, the value, the source.
ENTRIES: dict[str, list[tuple[str, str, str]]] = {
    "Debian": [
        ("sshd:package", "openssh-server", "Debian and Ubuntu package openssh-server"),
        ("sshd:service", "ssh", "ssh.service in Debian's package openssh-server; sshd.service is its alias"),
        ("sshd:path", "/etc/ssh/sshd_config", "sshd_config(5) in Debian's package openssh-server"),
        (
            "sshd:logs:AUTH",
            "/var/log/auth.log",
            "rsyslog.conf in Debian's package rsyslog, 50-default.conf in Ubuntu's: auth,authpriv.*",
        ),
        ("sshd:logs:AUTHPRIV", "/var/log/auth.log", "the same line there"),
        ("auditd:package", "auditd", "Debian and Ubuntu package auditd"),
        ("auditd:service", "auditd", "auditd.service in Debian's package auditd"),
        ("auditd:path", "/etc/audit/auditd.conf", "a conffile of Debian's package auditd"),
    ],
    "RedHat": [
        ("sshd:package", "openssh-server", "RHEL openssh, SPECS/openssh.spec: %package server"),
        ("sshd:service", "sshd", "RHEL openssh, SOURCES/sshd.service, installed by %files server"),
        ("sshd:path", "/etc/ssh/sshd_config", "RHEL openssh, SPECS/openssh.spec: %files server"),
        ("sshd:logs:AUTH", "/var/log/messages", "RHEL rsyslog, SOURCES/rsyslog.conf: *.info;…;authpriv.none"),
        ("sshd:logs:AUTHPRIV", "/var/log/secure", "RHEL rsyslog, SOURCES/rsyslog.conf: authpriv.*"),
        ("auditd:package", "audit", "RHEL audit, SPECS/audit.spec: Name"),
        ("auditd:service", "auditd", "RHEL audit, SPECS/audit.spec: %{_unitdir}/auditd.service in %files"),
        ("auditd:path", "/etc/audit/auditd.conf", "RHEL audit, SPECS/audit.spec: %config(noreplace) in %files"),
    ],
    "Suse": [
        ("sshd:package", "openssh-server", "openSUSE openssh, openssh.spec: %package server"),
        ("sshd:service", "sshd", "openSUSE openssh, sshd.service, installed by %files server"),
        # The package's own file is in /usr/etc/ssh, and sshd reads it as long as this one is missing. Then the state
        # says that this one is not on the host yet: copy the package's file there first.
        ("sshd:path", "/etc/ssh/sshd_config", "sshd_config(5) as in openSUSE openssh, openssh-8.4p1-vendordir.patch"),
        ("sshd:logs:AUTH", "/var/log/messages", "openSUSE rsyslog, rsyslog.conf.in: *.*;mail.none;news.none"),
        ("sshd:logs:AUTHPRIV", "/var/log/messages", "the same line there"),
        ("auditd:package", "audit", "openSUSE audit, audit-secondary.spec: %package -n audit; requires audit-rules"),
        ("auditd:service", "auditd", "openSUSE audit, audit-secondary.spec: %{_unitdir}/auditd.service"),
        ("auditd:path", "/etc/audit/auditd.conf", "openSUSE audit, audit-secondary.spec: %files -n audit"),
    ],
}


def policy(os_family: str | None) -> dict[str, typing.Any]:
    """
    Return what a distribution's family adds to a policy (dict), empty when nothing is known of it.

    os_family
        Salt's grain of that name (str), None for no distribution at all.
    """
    known: dict[str, typing.Any] = {}
    for place, value, _ in ENTRIES.get(os_family or "", ()):
        *parents, last = place.split(":")
        inner = known
        for key in parents:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return known
