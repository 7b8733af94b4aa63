"""
policy.arguments: what a policy asks goes to every state, and the SLS files hand it on as it is.
"""

import copy

import pytest
import salt.config
import salt.loader
import salt.template
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy import pillar as policy_pillar

GOOD = {
    "environment": "prod",
    "sshd": {
        "config": {"LogLevel": "VERBOSE", "MaxStartups": "10:30:100"},
        "matches": [{"User bob": {"LogLevel": "DEBUG"}}],
        "shadowed": "drop_in",
        "admins": ["alice", "root"],
    },
    "auditd": {"config": {"max_log_file": 50}},
    "rules": {"groups": {"sshd": True}, "unknown": "remove", "status": {"failure": 1}, "immutable": True},
    "drift": {"interval": 7, "splay": 3},
    "proof": {"account": "sshtrail-proof", "interval": 86400},
}
# What every policy asks of auditd.
WRITES = {"write_logs": "yes", "local_events": "yes", "log_format": "enriched"}
# What the text of a pillar must not become: another type, another line, another key, a template.
STRANGE = [
    "no",
    "1",
    "a: b",
    "a #b",
    "- a",
    "{}",
    "'a",
    '"a',
    "*",
    "&a",
    "!!python/name:os.system",
    "{{ 7 * 7 }}",
    "a\nb: c",
]


def built(os_family="Debian", **changes):
    return policy_pillar.build({"sshtrail": {**copy.deepcopy(GOOD), **changes}}, os_family)


def test_every_state_has_its_arguments():
    assert arguments.states(built()) == {
        "sshd package": {"pkg.installed": {"name": "openssh-server"}},
        "sshd config": {
            "sshd_config.managed": {
                "name": "/etc/ssh/sshd_config",
                "config": {"UsePAM": "yes", "LogLevel": "VERBOSE", "MaxStartups": "10:30:100"},
                "matches": [{"User bob": {"LogLevel": "DEBUG"}}],
                "shadowed": "drop_in",
                "admins": ["alice", "root"],
            }
        },
        "sshd service": {"sshtrail_service.running": {"name": "ssh"}},
        "auditd package": {"pkg.installed": {"name": "auditd"}},
        "sshd pam": {"sshtrail_pam.loginuid": {"name": "/etc/pam.d/sshd"}},
        "auditd writing": {"auditd_conf.writing": {"name": "/etc/audit/auditd.conf", "full": "resume"}},
        "auditd config": {
            "auditd_conf.managed": {"name": "/etc/audit/auditd.conf", "config": {**WRITES, "max_log_file": 50}}
        },
        "auditd service": {"sshtrail_service.running": {"name": "auditd"}},
        "rules": {
            "audit_rules.managed": {
                "name": "/etc/audit/rules.d/zz-sshtrail.rules",
                "groups": built()["rules"]["groups"],
                "unknown": "remove",
                "status": {"rate_limit": 0, "failure": 1},
                "immutable": True,
                "allowed": [],
                "loginuid_immutable": False,
                "hiding": "report",
            }
        },
        "drift": {
            "sshtrail_watch.scheduled": {
                "function": "sshtrail_watch.tick",
                "seconds": 7,
                "splay": 3,
                "maxrunning": 1,
                "return_job": False,
                "jid_include": False,
                "run_on_start": True,
            }
        },
        "proof account": {"sshtrail_proof.account": {"account": "sshtrail-proof"}},
        "proof": {"sshtrail.proven": {"age": 172800}},
        "proof schedule": {
            "schedule.present": {
                "function": "sshtrail.prove",
                "seconds": 86400,
                "splay": 3600,
                "maxrunning": 1,
                "return_job": False,
                "jid_include": False,
            }
        },
    }


def test_a_host_without_audit_has_only_sshd():
    sshd = {"sshd package", "sshd config", "sshd service"}
    proof = {"proof account", "proof", "proof schedule"}
    assert set(arguments.states(built(audit=False))) == {*sshd, *proof, "drift"}


def test_a_schedule_that_is_off_is_absent():
    assert arguments.schedule(built(drift={"interval": 0})) == {"sshtrail_watch.unscheduled": {}}
    assert arguments.proof(built(proof={}))["proof schedule"] == {"schedule.absent": {}}
    assert arguments.proof(built(proof={}))["proof"] == {"sshtrail.proven": {"age": 0}}


@pytest.mark.parametrize("action,repaired", [("repair", True), ("report", False)])
def test_the_master_repairs_what_the_policy_says(action, repaired):
    policy = built(drift={"action": action})
    assert arguments.repairs(policy) is repaired
    assert arguments.rules(policy)["hiding"] == ("remove" if repaired else "report")


# --- The SLS files ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sls(root):
    """Render every SLS file for a policy; return what each ID has beside requisites, as the policy's states are."""
    opts = salt.config.minion_config(None)
    opts.update(file_client="remote", file_roots={"base": [str(root / "salt")]})

    def render(policy):
        functions = {"sshtrail.arguments": lambda: arguments.states(policy)}
        renderers = salt.loader.render(opts, functions)
        found = {}
        for path in sorted((root / "salt" / "sshtrail").glob("*.sls")):
            found |= salt.template.compile_template(str(path), renderers, "jinja|yaml", None, None) or {}
        return {name.removeprefix("sshtrail "): asked(state) for name, state in found.items() if name != "include"}

    return render


def asked(state):
    [(function, given)] = state.items()
    pairs = [pair for one in given for pair in one.items()]
    return {function: {name: value for name, value in pairs if name not in ("require", "order")}}


@pytest.mark.parametrize(
    "changes",
    [{}, {"audit": False}, {"drift": {"interval": 0}}, {"proof": {}}, {"sshd": {}, "rules": {"groups": {"cis": True}}}],
)
def test_the_sls_files_have_every_state_with_its_arguments(sls, changes):
    policy = built(**changes)
    rendered = sls(policy)
    assert rendered.pop("policy") == {"sshtrail.verified": {}}
    assert rendered == arguments.states(policy)


@pytest.mark.parametrize("text", STRANGE)
def test_text_of_the_pillar_stays_text(sls, text):
    sshd = {"package": text, "service": text, "path": f"/{text}", "config": {"Banner": f"/{text}".splitlines()[0]}}
    auditd = {"package": text, "service": text, "path": f"/{text}", "config": {}}
    rules = {"file": f"/{text}", "groups": {text: {"title": text, "rules": ["-w /etc/ours -p wa -k ours"]}}}
    policy = built(sshd=sshd, auditd=auditd, rules=rules)
    rendered = sls(policy)
    rendered.pop("policy")
    assert rendered == arguments.states(policy)
