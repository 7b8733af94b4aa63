"""What lines watch, and under which keys: by the grammar of rules, and not by what looks like it."""

import pytest
from sshtrail_lib.rules import watches

COMMANDS = "-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands"
WATCHED = {
    "-a always,exit -F dir=/etc/ssh -F perm=wa -F key=ssh_config": [("/etc/ssh", "ssh_config")],
    "-w /etc/ssh -p wa -k ssh_config": [("/etc/ssh", "ssh_config")],
    "-w /etc/ssh -p rwa -k ssh_config": [],
    "-w /etc/ssh -p x -k ssh_config": [],
    "-w /etc/ssh -k ssh_config": [],
    "-w /etc/ssh -p wa": [],
    COMMANDS: [],
    # What regular expressions did not see.
    "-w /etc/ssh -p wa -k ssh_config -k link": [("/etc/ssh", "ssh_config"), ("/etc/ssh", "link")],
    "-w /etc/ssh/my\\ keys -p wa -k ssh_config": [("/etc/ssh/my keys", "ssh_config")],
    "-a always,exit -F path=/etc/a\\\\b -F perm=a -k b\\ c": [("/etc/a\\b", "b c")],
    "-w/etc/ssh -pwa -kssh_config": [("/etc/ssh", "ssh_config")],
    "-a always,exit -F exe=/bin/sh -F perm=wa -k sh": [],
    "-a never,exit -F path=/etc/hosts -F perm=wa -k never": [],
    "-W /etc/ssh -p wa -k ssh_config": [],
    "-w /etc/ssh -p wa -k 'ssh config'": [],
    "-D": [],
    "# -w /etc/ssh -p wa -k ssh_config": [],
}


@pytest.mark.parametrize("rule,expected", WATCHED.items(), ids=WATCHED)
def test_a_watch_for_changes_tells_who_changed(rule, expected):
    assert watches.watches([rule]) == expected


def test_a_key_that_other_rules_share_tells_nothing():
    """Who executes /etc/ssh/script under the key ``all`` did not change it."""
    shared = COMMANDS.replace("ssh_commands", "all")
    assert watches.watches(["-w /etc/ssh -p wa -k all -k ssh_config", shared]) == [("/etc/ssh", "ssh_config")]
    assert watches.watches(["-w /etc/ssh -p wa -k all", shared]) == [("/etc/ssh", "all")]


@pytest.mark.parametrize(
    "line,expected",
    [
        (COMMANDS, ("ssh_commands",)),
        ("-w /etc/ssh -p wa -k a -k b", ("a", "b")),
        ("-a always,exit -S open -F key=b -F auid=0 -F key=a\\ c", ("b", "a c")),
        ("-a always,exit -S open -F auid=no-such-user -k a", ("a",)),
        ("-a always,exit -S open", ()),
        ("-a always,exit -S open -F field[300]=1 -F key=a", None),
        ("backlog_limit", None),
        ("-b 1", None),
        ("", None),
    ],
)
def test_the_keys_of_a_line(line, expected):
    assert watches.keys(line) == expected
