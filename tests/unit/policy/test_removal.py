"""
policy.removal: the states that take a policy off a host, and the SLS file that has them.
"""

import json

import pytest
import salt.config
import salt.loader
import salt.template
from sshtrail_lib.base.memory import Memory
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.base.transaction import Transaction
from sshtrail_lib.policy import removal

FILES = [("sshd_config", "/etc/ssh/sshd_config"), ("audit_rules", "/etc/audit/rules.d"), ("pam", "/etc/pam.d/sshd")]


def minion(tmp_path, client):
    opts = {"cachedir": str(tmp_path / "cache"), "sshtrail.state_dir": str(tmp_path / "state"), "file_client": client}
    return Minion({}, opts, {}, {})


@pytest.fixture
def changed(tmp_path):
    """A host on which three files were changed."""
    host = minion(tmp_path, "remote")
    for kind, main in FILES:
        path = str(tmp_path / kind)
        Memory(host, Transaction(host, kind, main), main).write({}, {}, {path: b"ours"}, True)
    return host


def test_nothing_is_remembered_of_a_host_that_was_not_changed(tmp_path):
    assert [function for _id, function, _given in removal.states(minion(tmp_path, "local"))] == [
        "sshtrail_proof.account",
        "sshtrail.removed",
    ]


def test_each_file_that_was_changed_has_its_state(changed):
    states = {function: given for _id, function, given in removal.states(changed)}
    assert states["sshd_config.forgotten"] == {"name": "/etc/ssh/sshd_config"}
    assert states["audit_rules.forgotten"] == {"name": "/etc/audit/rules.d"}
    assert states["sshtrail_pam.forgotten"] == {"name": "/etc/pam.d/sshd"}
    assert "auditd_conf.forgotten" not in states
    assert {"sshtrail_watch.unscheduled", "schedule.absent"} <= set(states)


def test_the_sls_file_has_them_in_their_order(changed, root):
    opts = salt.config.minion_config(None)
    opts.update(file_client="remote", file_roots={"base": [str(root / "salt")]})
    wanted = removal.states(changed)
    renderers = salt.loader.render(opts, {"sshtrail.removal": lambda: json.loads(json.dumps(wanted))})
    path = root / "salt" / "sshtrail" / "remove.sls"
    found = salt.template.compile_template(str(path), renderers, "jinja|yaml", None, None)
    assert [(name, *state) for name, state in found.items()] == [(name, function) for name, function, _given in wanted]
    for (_name, function, given), state in zip(wanted, found.values(), strict=True):
        pairs = {key: value for one in state[function] for key, value in one.items() if key != "order"}
        assert pairs == given
