"""
``watch`` of the three files' states, by Salt's own requisite: what runs does again what the state is for.
"""

import json
import os

import pytest
from sshtrail_lib.auditd import daemon
from sshtrail_lib.base import kernel

RULE = "-w /etc/passwd -p wa -k sshtrail-test-watched"
OTHER = "-w /etc/group -p wa -k sshtrail-test-another"


@pytest.fixture
def applied(modules, tmp_path):
    """Apply a state that watches a file whose text is given: ``applied(ID, STATE, arguments, text)``; return it."""
    watched = tmp_path / "watched"

    def apply(name, function, arguments, text, path=watched):
        states = {
            str(path): {"file.managed": [{"contents": text}]},
            name: {function: [*({key: value} for key, value in arguments.items()), {"watch": [{"file": str(path)}]}]},
        }
        done = modules.state.template_str("#!json\n" + json.dumps(states))
        return next(one for tag, one in done.raw.items() if f"_|-{name}_|-{name}_|-" in tag)

    return apply


def test_sshd_is_reloaded_when_a_file_that_it_watches_changes(server, applied):
    server.start()
    wish = {"config": {"LogLevel": "VERBOSE"}}
    first = applied(str(server.path), "sshd_config.managed", wish, "one")
    assert first["result"] is True and first["changes"], first
    again = applied(str(server.path), "sshd_config.managed", wish, "one")
    assert (again["result"], again["changes"]) == (True, {}), again
    done = applied(str(server.path), "sshd_config.managed", wish, "two")
    assert (done["result"], done["changes"]) == (True, {"sshd": "reloaded"}), done


def test_auditd_reads_again_when_a_file_that_it_watches_changes(auditd, applied):
    wish = {"config": {"max_log_file": 9}}
    assert applied(auditd, "auditd_conf.managed", wish, "one")["result"] is True
    again = applied(auditd, "auditd_conf.managed", wish, "one")
    assert (again["result"], again["changes"]) == (True, {}), again
    before = daemon.find(auditd).pid
    done = applied(auditd, "auditd_conf.managed", wish, "two")
    assert (done["result"], done["changes"]) == (True, {"auditd": "reloaded"}), done
    assert daemon.find(auditd).pid == before
    os.kill(before, 0)


def test_rules_are_loaded_when_a_file_that_they_watch_changes(tree, applied):
    """A package's file of rules: what it says is in the kernel once the state has run."""
    ours, theirs = str(tree / "zz-test.rules"), tree / "50-package.rules"
    wish = {"groups": [{"name": "sshtrail-test-watched", "rules": [RULE]}]}
    one, two = (f"{OTHER}-{name}\n" for name in ("one", "two"))
    first = applied(ours, "audit_rules.managed", wish, one, theirs)
    assert first["result"] is True, first
    again = applied(ours, "audit_rules.managed", wish, one, theirs)
    assert (again["result"], again["changes"]) == (True, {}), again
    done = applied(ours, "audit_rules.managed", wish, two, theirs)
    assert done["result"] is True and done["changes"], done
    keys = {
        key for rule in kernel.rules() for key in (b"-one", b"-two") if b"sshtrail-test-another" + key in bytes(rule)
    }
    assert b"-two" in keys, keys
    assert "another-two" in (tree.parent / "audit.rules").read_text()
