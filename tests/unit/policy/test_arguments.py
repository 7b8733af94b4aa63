"""
policy.arguments: what a policy asks goes to every state, and the SLS files hand it on as it is.
"""

import copy

import pytest
import salt.config
import salt.loader
import salt.template
from salt.exceptions import SaltInvocationError
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
        "sshd package": {"sshtrail_package.installed": {"name": "openssh-server"}},
        "sshd config": {
            "sshd_config.managed": {
                "name": "/etc/ssh/sshd_config",
                "config": {"UsePAM": "yes", "LogLevel": "VERBOSE", "MaxStartups": "10:30:100"},
                "matches": [{"User bob": {"LogLevel": "DEBUG"}}],
                "shadowed": "drop_in",
                "exact": True,
                "admins": ["alice", "root"],
                "force": False,
                "lowered": "remove",
                "remember": True,
            }
        },
        "sshd service": {"sshtrail_service.running": {"name": "ssh"}},
        "auditd package": {"sshtrail_package.installed": {"name": "auditd"}},
        "sshd pam": {"sshtrail_pam.loginuid": {"name": "/etc/pam.d/sshd"}},
        "auditd writing": {"auditd_conf.writing": {"name": "/etc/audit/auditd.conf", "full": "resume"}},
        "auditd config": {
            "auditd_conf.managed": {
                "name": "/etc/audit/auditd.conf",
                "config": {**WRITES, "max_log_file": 50},
                "remember": True,
            }
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
                "hiding": "remove",
                "remember": True,
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


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ("sshd", {"sshd package", "sshd config", "sshd pam", "sshd service"}),
        ("auditd", {"auditd package", "auditd writing", "auditd config", "auditd service"}),
        ("rules", {"rules"}),
    ],
)
def test_a_part_that_is_left_to_another_tool_has_no_state(part, gone):
    policy = built(**{part: False})
    assert set(arguments.states(built())) - set(arguments.states(policy)) == gone
    assert arguments.left(policy) == [part]


def test_a_later_layer_takes_a_part_back():
    layers = {"common": {"auditd": False}, "prod": {"auditd": {"config": {"write_logs": True}}}}
    auditd = {"config": {"max_log_file": 50}}
    assert arguments.left(built(layers=layers, auditd=auditd)) == ["auditd"]
    assert arguments.left(built(layers=layers, auditd=True)) == []
    assert arguments.left(built(layers=layers, auditd={"managed": True, **auditd})) == []


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
        return rendered({"sshtrail.wanted": lambda: arguments.states(policy), "sshtrail.removal": list})

    def rendered(functions, test=False):
        opts["test"] = test
        renderers = salt.loader.render(opts, functions)
        found = {}
        for path in sorted(
            set((root / "salt" / "sshtrail").glob("*.sls")) - {root / "salt" / "sshtrail" / "remove.sls"}
        ):
            found |= salt.template.compile_template(str(path), renderers, "jinja|yaml", None, None) or {}
        return {name.removeprefix("sshtrail "): asked(state) for name, state in found.items() if name != "include"}

    def alone(name, functions):
        """Render one SLS file with those that it includes, as state.apply does that is given its name."""
        path = str(root / "salt" / "sshtrail" / f"{name}.sls")
        found = (
            salt.template.compile_template(path, salt.loader.render(opts, functions), "jinja|yaml", None, None) or {}
        )
        for included in found.pop("include", []):
            found |= alone(included.removeprefix("sshtrail."), functions)
        return found

    render.by, render.alone = rendered, alone
    return render


def asked(state):
    [(function, given)] = state.items()
    pairs = [pair for one in given for pair in one.items()]
    return {function: {name: value for name, value in pairs if name not in ("require", "order")}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"audit": False},
        {"sshd": False},
        {"auditd": False},
        {"rules": False},
        {"drift": {"interval": 0}},
        {"proof": {}},
        {"sshd": {}, "rules": {"groups": {"cis": True}}},
    ],
)
def test_the_sls_files_have_every_state_with_its_arguments(sls, changes):
    policy = built(**changes)
    rendered = sls(policy)
    assert rendered.pop("policy") == {"sshtrail.verified": {}}
    assert rendered == arguments.states(policy)


@pytest.mark.parametrize("text", [*(text for text in STRANGE if not text.isalnum()), "../x", "-o", ""])
@pytest.mark.parametrize("key", ["package", "service"])
def test_a_name_of_the_pillar_is_a_name(key, text):
    with pytest.raises(SaltInvocationError, match=f"sshtrail:sshd:{key} must be a name of letters"):
        built(sshd={key: text})


@pytest.mark.parametrize("text", STRANGE)
def test_text_of_the_pillar_stays_text(sls, text):
    # A line feed is refused in a path and a title.
    line = text.replace("\n", " ")
    sshd = {"path": f"/{line}", "config": {"Banner": f"/{line}"}}
    auditd = {"path": f"/{line}", "config": {}}
    rules = {"file": f"/{line}.rules", "groups": {line: {"title": line, "rules": ["-w /etc/ours -p wa -k ours"]}}}
    policy = built(sshd=sshd, auditd=auditd, rules=rules)
    rendered = sls(policy)
    rendered.pop("policy")
    assert rendered == arguments.states(policy)


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize(
    ("functions", "said"),
    [
        ({}, "run saltutil.sync_all"),
        # What a minion has after saltutil.sync_modules alone, or had before an update.
        ({"sshtrail.arguments": lambda: {}}, "run saltutil.sync_all"),
        ({"sshtrail.wanted": dict}, "run saltutil.sync_all"),
        (
            {"sshtrail.wanted": lambda: {"problem": "It is 'wrong': {{ 1 }}"}, "sshtrail.removal": list},
            "It is 'wrong': {{ 1 }}",
        ),
    ],
)
def test_a_host_without_a_policy_is_told_in_one_sentence(sls, functions, said, test):
    [(name, state)] = sls.by(functions, test).items()
    assert name == "policy" and said in state["test.fail_without_changes"]["name" if test else "comment"]


EACH = ("auditd", "drift", "init", "packages", "proof", "rules", "sshd", "remove")


@pytest.mark.parametrize("name", EACH)
def test_each_sls_file_alone_tells_a_minion_that_was_never_synced(sls, root, name):
    """An SLS file of which nothing is left succeeds, and says nothing."""
    assert {path.stem for path in (root / "salt" / "sshtrail").glob("*.sls")} == {*EACH, "problem"}
    for functions in ({}, {"sshtrail.wanted": dict}):
        [state] = sls.alone(name, functions).values()
        assert "run saltutil.sync_all" in str(state["test.fail_without_changes"])


@pytest.mark.parametrize("name", [one for one in EACH if one != "remove"])
def test_each_sls_file_alone_tells_what_is_wrong_in_the_pillar(sls, name):
    functions = {"sshtrail.wanted": lambda: {"problem": "It is wrong."}, "sshtrail.removal": list}
    [state] = sls.alone(name, functions).values()
    assert "It is wrong." in str(state["test.fail_without_changes"])


def test_a_policy_is_taken_away_whatever_the_pillar_says(sls):
    removal = [("sshtrail removed", "sshtrail.removed", {"left": "x"})]
    functions = {"sshtrail.wanted": lambda: {"problem": "It is wrong."}, "sshtrail.removal": lambda: removal}
    assert list(sls.alone("remove", functions)) == ["sshtrail removed"]
