"""Whether a shell can come of what stands in its place; as a shell takes it apart."""

import pytest
from sshtrail_lib.sshd.commands import leads_on
from support import spent


def runs(path):
    return path.startswith("/bin/")


@pytest.mark.parametrize(
    "command",
    [
        *("/bin/false", "/usr/sbin/nologin", "internal-sftp -l INFO", "exec /bin/false", "A=1 true", '"/bin/false"'),
        *(
            "/usr/lib/openssh/sftp-server",
            "/none/wrap",
            "echo no logins here",
            "cat /etc/motd",
            "exit 1",
            "/bin/uptime",
        ),
        *('echo "no shell"; exit 1', "/bin/echo 'maintenance; come back later'", "/bin/false || true", "date | cat"),
        *("echo a >&2; exit 1", "echo no; exit 1; /bin/sh", "exec false; bash", "if true; then exit 1; fi"),
        *(
            'bash -c "exit 1"',
            """sh -c 'sh -c "exit 1"'""",
            'eval "exit 1"',
            "/none/sh -c x",
            "sh -ec",
            "echo a\nexit 3\nsh",
        ),
        *('echo Please login as the user "ubuntu" rather;sleep 1;exit 142', 'echo "$(date)"; exit', "exit 1 || bash"),
    ],
)
def test_no_shell(command):
    assert not leads_on(command, runs)


@pytest.mark.parametrize(
    "command",
    [
        *("/bin/wrap", "exec /bin/wrap -x", "wrap", "sh -c x", "bash", "/bin/bash -l", "rrsync -ro /srv", "su -c x"),
        *(
            'echo hi; exec "$SHELL"',
            '${SSH_ORIGINAL_COMMAND:-"$SHELL" -l}',
            "/bin/$USER",
            'sh -c "$SSH_ORIGINAL_COMMAND"',
        ),
        *("[ -t 0 ] || exit 1; exec bash", '[ "$A" ] && exit 1; /bin/sh -c "$A"', 'true; eval "$A"', "echo x | sh"),
        *(
            'case "$A" in a) exit;; esac',
            "(exit 1); bash",
            "{ exit 1; } || bash",
            "exit 1 & bash",
            "exec 2>/bin/x; bash",
        ),
        *("if true; then exit 1; fi; bash", "if [ -t 0 ]; then exit 1; else exec bash; fi", "sh -c 'echo x; bash'"),
        *(
            'logger "$A"; exec $SHELL -c "$A"',
            "env -i bash -l",
            'while read a; do sh -c "$a"; done',
            "f() { exit; }; bash",
        ),
        # What nobody can tell is no reason against it.
        *("echo 'open", "bash <<E\nls\nE", "cat <(bash)", "echo " * 400, "sh -c " * 9 + "x"),
    ],
)
def test_a_shell_may_come_of_it(command):
    assert leads_on(command, runs)


@pytest.mark.parametrize(
    "command", ["sh -c '" * 140, '"' * 999, "(" * 999, ";a" * 499, "eval " * 190, "\\" * 999, "<" * 999]
)
def test_no_command_takes_long(command):
    told, time = spent(lambda: leads_on(command, runs))
    assert told in (True, False) and time < 5
