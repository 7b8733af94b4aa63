"""
Audit rule groups that are ready to use, by the key under which their records are found.

Each has a title, the identifiers of the controls that ask for it, and rules that load on any Linux host.
"""

EXEC = "-S execve,execveat -F auid!=unset -F key=ssh_commands"

GROUPS = {
    "sshd": {
        "title": "sshd's runtime directory",
        "controls": [],
        # Written as a path and not as -w, which compiles to another rule once the directory exists; and under
        # its real name, because /var/run is a link and a watch on a link sees nothing.
        "rules": ["-a always,exit -F path=/run/sshd -F perm=wa -F key=sshd"],
    },
    "session": {
        "title": "Session starts and ends",
        "controls": ["CIS 6.2.3.11", "PCI DSS 10.2.1.2"],
        "rules": [
            "-a always,exit -F path=/run/utmp -F perm=wa -F key=session",
            "-a always,exit -F path=/var/log/wtmp -F perm=wa -F key=session",
            "-a always,exit -F path=/var/log/btmp -F perm=wa -F key=session",
        ],
    },
    "ssh_commands": {
        "title": "The commands of login sessions",
        "controls": ["PCI DSS 10.2.1.1"],
        "rules": [f"-a always,exit -F arch=b64 {EXEC}", f"-a always,exit -F arch=b32 {EXEC}"],
    },
}
