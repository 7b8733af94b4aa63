"""
What stands in the place of the shell of whom sshd has let in.
"""

from __future__ import annotations

import re

from sshtrail_lib.sshd.known import Accounts, Obstacle, Values

#: Programs that end at once, or do nothing that an administrator could use.
_NO_SHELL = frozenset(["false", "true", "nologin", "exit", "logout", "echo", "printf", "sleep", "cat", ":"])
_SFTP = re.compile(r"internal-sftp\b|sftp-server$")


def session(values: Values, account: str, accounts: Accounts) -> Obstacle | None:
    """Return what keeps ``account`` from a shell once it is in."""
    command, directory = (values.get(name) or "none" for name in ("ForceCommand", "ChrootDirectory"))
    if command.lower() != "none" and not _leads_on(command, directory, accounts):
        return Obstacle("ForceCommand", f"with ForceCommand {command!r} {account} gets no shell")
    told = accounts.cage(account, directory) if directory.lower() != "none" else None
    return Obstacle("ChrootDirectory", f"ChrootDirectory {directory} keeps {account} out: {told}") if told else None


def _leads_on(command: str, directory: str, accounts: Accounts) -> bool:
    """Whether a ForceCommand can lead to a shell: most of them are there to note what was asked for, and to do it."""
    words = [word for word in command.split() if word != "exec" and not re.match(r"[A-Za-z_]\w*=", word)]
    program = words[0].strip("\"';") if words else ""
    name = program.rpartition("/")[2]
    if name in _NO_SHELL or _SFTP.match(name):
        # What follows may do more: echo welcome; exec "$SHELL".
        return bool(re.search(r"[;&|\n]", command))
    plain = re.fullmatch(r"/[\w./+@-]+", program)
    return not plain or directory.lower() != "none" or accounts.is_file(program)
