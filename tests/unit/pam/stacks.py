"""
What distributions put into sshd's stack (the session part, as facts), and a disk that holds such files.
"""

from sshtrail_lib.pam import language

DEBIAN_SSHD = """\
@include common-auth
account    required     pam_nologin.so
@include common-account
# SELinux needs to be the first session rule.
session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so close

# Set the loginuid process attribute.
session    required     pam_loginuid.so

session    optional     pam_keyinit.so force revoke
@include common-session
session    optional     pam_motd.so  motd=/run/motd.dynamic
session    optional     pam_motd.so noupdate
session    optional     pam_mail.so standard noenv # [1]
session    required     pam_limits.so
session    required     pam_env.so # [1]
session    required     pam_env.so envfile=/etc/default/locale
session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so open
@include common-password
"""
DEBIAN = {
    "sshd": DEBIAN_SSHD,
    "common-auth": "auth\t[success=1 default=ignore]\tpam_unix.so nullok\nauth requisite pam_deny.so\n",
    "common-account": "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so \n",
    "common-password": "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt\n",
    "common-session": "session\t[default=1]\tpam_permit.so\nsession\trequisite\tpam_deny.so\n"
    "session\trequired\tpam_permit.so\nsession\trequired\tpam_unix.so \nsession\toptional\tpam_systemd.so \n",
    "other": "@include common-auth\n@include common-account\n@include common-password\n@include common-session\n",
}
UBUNTU = {
    **DEBIAN,
    "common-session": "session\t[default=1]\tpam_permit.so\nsession\trequisite\tpam_deny.so\n"
    "session\trequired\tpam_permit.so\nsession optional\tpam_umask.so\nsession\trequired\tpam_unix.so \n"
    "session\toptional\tpam_systemd.so \n",
}
RED_HAT = {
    "sshd": "#%PAM-1.0\nauth       substack     password-auth\nauth       include      postlogin\n"
    "account    required     pam_sepermit.so\naccount    include      password-auth\n"
    "# pam_selinux.so close should be the first session rule\nsession    required     pam_selinux.so close\n"
    "session    required     pam_loginuid.so\nsession    required     pam_selinux.so open env_params\n"
    "session    required     pam_namespace.so\nsession    optional     pam_keyinit.so force revoke\n"
    "session    optional     pam_motd.so\nsession    include      password-auth\nsession    include      postlogin\n",
    "password-auth": "session     optional                                     pam_keyinit.so revoke\n"
    "session     required                                     pam_limits.so\n"
    "-session    optional                                     pam_systemd.so\n"
    "session     [success=1 default=ignore]                   pam_succeed_if.so service in crond quiet use_uid\n"
    "session     required                                     pam_unix.so\n",
    "postlogin": "session     optional                   pam_umask.so silent\n"
    "session     [success=1 default=ignore] pam_succeed_if.so service !~ gdm* service !~ su* quiet\n"
    "session     [default=1]                pam_lastlog.so nowtmp showfailed\n"
    "session     optional                   pam_lastlog.so silent noupdate showfailed\n",
    "other": "auth required pam_deny.so\naccount required pam_deny.so\nsession required pam_deny.so\n",
}
SUSE = {
    "sshd": "#%PAM-1.0\nauth        requisite   pam_nologin.so\nauth        include     common-auth\n"
    "account     include     common-account\npassword    include     common-password\n"
    "session     required    pam_loginuid.so\nsession     include     common-session\n"
    "session     optional    pam_keyinit.so   force revoke\n",
    "common-auth": "auth required pam_unix.so\n",
    "common-account": "account required pam_unix.so\n",
    "common-password": "password required pam_unix.so\n",
    "common-session": "session\toptional\tpam_systemd.so\nsession\trequired\tpam_limits.so\n"
    "session\trequired\tpam_unix.so\ttry_first_pass\nsession\toptional\tpam_umask.so\nsession\toptional\tpam_env.so\n",
    "other": "session required pam_deny.so\n",
}
GENTOO = {
    "sshd": "auth include system-remote-login\nsession include system-remote-login\n",
    "system-remote-login": "auth include system-login\nsession include system-login\n",
    "system-login": "auth required pam_nologin.so\nsession\t\toptional\tpam_loginuid.so\n"
    "session\t\trequired\tpam_env.so envfile=/etc/profile.env\n",
    "other": "session required pam_deny.so\n",
}

DEBIAN_MODULES = ("/lib/x86_64-linux-gnu/security/", "/lib/security/")
DEBIAN_12 = language.Library(modules=DEBIAN_MODULES, isa="/lib/security", debian=True, modern=False)
DEBIAN_13 = DEBIAN_12._replace(modern=True)
UPSTREAM = language.Library()
OLD = UPSTREAM._replace(modern=False)
STOCK = {
    "Debian 12": (DEBIAN, DEBIAN_12),
    "Debian 13": (DEBIAN, DEBIAN_13),
    "Ubuntu 22.04": (UBUNTU, DEBIAN_12),
    "Ubuntu 24.04": (UBUNTU, DEBIAN_12),
    "RHEL 9": (RED_HAT, OLD),
    "RHEL 10": (RED_HAT, UPSTREAM),
    "SUSE": (SUSE, OLD._replace(directories=("/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"))),
}


def disk(files, missing=(), directory="/etc/pam.d", other=None):
    """
    Return a disk (language.Disk) with files.

    files
        ``{name: text}`` of those in ``directory``.
    missing
        Names of modules that are not installed.
    other
        ``{path: text}`` of files elsewhere.
    """
    held = {f"{directory}/{name}": text for name, text in files.items()} | (other or {})
    data = {path: text if isinstance(text, bytes) else text.encode() for path, text in held.items()}
    directories = {path.rpartition("/")[0] for path in held}
    return language.Disk(
        data.get, directories.__contains__, lambda path: "/security/" in path and path.rpartition("/")[2] not in missing
    )


def reading(files, library=UPSTREAM, **options):
    """Return the reading (language.Reading) of the service sshd; arguments as for :func:`disk`."""
    return language.read(disk(files, **options), library, "sshd")


def session(*lines, library=UPSTREAM, **options):
    """Return the reading of a service sshd that has these lines (str)."""
    return reading({"sshd": "".join(line + "\n" for line in lines)}, library, **options)
