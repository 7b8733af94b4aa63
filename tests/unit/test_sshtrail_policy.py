"""
sshtrail_policy: what a pillar may hold, what it becomes, and how each mistake is named.
"""

import copy

import pytest
import salt.config
import salt.pillar
import sshtrail_policy

GOOD = {
    "environment": "dev",
    "sshd": {"config": {"LogLevel": "VERBOSE"}},
    "auditd": {"config": {"max_log_file": 50}},
    "rules": {"groups": {"ssh_commands": True}},
}

# The path to change in GOOD, the value to put there, what the error must name.
WRONG = [
    ("confg", 1, "sshtrail:confg is unknown; allowed are audit, auditd, environment, rules, sshd."),
    ("sshd:confg", {}, "sshtrail:sshd:confg is unknown; did you mean config?"),
    ("sshd", [], "sshtrail:sshd must be a mapping, not a list."),
    ("sshd", None, "sshtrail:sshd must be a mapping, not empty."),
    ("sshd:path", "etc/sshd_config", "sshtrail:sshd:path must be an absolute path, not 'etc/sshd_config'."),
    ("sshd:shadowed", "fixx", "sshtrail:sshd:shadowed is 'fixx'; did you mean fix?"),
    ("sshd:matches", {}, "sshtrail:sshd:matches must be a list, not a mapping."),
    ("sshd:matches", ["User bob"], "sshtrail:sshd:matches:0 must be a mapping, not text."),
    ("sshd:matches", [{"User bob": {"LogLevell": "INFO"}}], "sshtrail:sshd:matches:0:User bob:LogLevell: "),
    ("sshd:matches", [{"Usr bob": {"LogLevel": "INFO"}}], "sshtrail:sshd:matches:0:Usr bob:LogLevel: "),
    ("sshd:matches", [{"User bob": {"Port": 22}}], "sshtrail:sshd:matches:0:User bob:Port: "),
    ("sshd:config:LogLevell", "INFO", "sshtrail:sshd:config:LogLevell: "),
    ("sshd:config:LogLevel", "LOUD", "sshtrail:sshd:config:LogLevel: "),
    ("auditd:config:max_log_fil", 1, "sshtrail:auditd:config:max_log_fil: "),
    ("auditd:config:max_log_file", "fifty", "sshtrail:auditd:config:max_log_file: "),
    ("auditd:config:max_log_file_action", "keep", "sshtrail:auditd:config:max_log_file_action: "),
    ("audit", "no", "sshtrail:audit must be true or false, not 'no'."),
    ("environment", 1, "sshtrail:environment must be text, not a number."),
    ("environment", True, "sshtrail:environment must be text, not yes/no."),
    ("rules:unknown", "delete", "sshtrail:rules:unknown is 'delete'; "),
    ("rules:groups:sesion", True, "sshtrail:rules:groups:sesion is no ready group; did you mean session?"),
    ("rules:groups:own", {"rules": "-w /etc"}, "sshtrail:rules:groups:own:rules must be a list, not text."),
    ("rules:groups:own", {"rules": ["-a exit,always -F arch=b64 -S session"]}, "sshtrail:rules:groups:own:rules:0: "),
    ("rules:groups:own", {"rules": [7]}, "sshtrail:rules:groups:own:rules:0 must be text, not a number."),
    ("rules:groups", {"ssh_commands": False}, "sshtrail:rules:groups asks for no rule"),
    ("rules:status:backlog", 1, "sshtrail:rules:status:backlog: "),
    ("rules:status:failure", 7, "sshtrail:rules:status:failure: "),
    ("rules:status:backlog_limit", "many", "sshtrail:rules:status:backlog_limit: "),
]


def changed(path, value):
    """GOOD with ``value`` put at ``path``."""
    pillar = copy.deepcopy(GOOD)
    *parents, last = path.split(":")
    place = pillar
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return {"sshtrail": pillar}


@pytest.mark.parametrize("path,value,named", WRONG)
def test_each_mistake_is_named_with_its_path(path, value, named):
    with pytest.raises(sshtrail_policy.PolicyError) as error:
        sshtrail_policy.build(changed(path, value), "Debian")
    assert named in error.value.message


def test_all_mistakes_are_named_at_once():
    pillar = changed("sshd:confg", {})
    pillar["sshtrail"]["rules"]["unknown"] = "delete"
    with pytest.raises(sshtrail_policy.PolicyError) as error:
        sshtrail_policy.build(pillar, "Debian")
    assert "sshtrail:sshd:confg" in error.value.message
    assert "sshtrail:rules:unknown" in error.value.message


def test_no_policy_is_an_error():
    with pytest.raises(sshtrail_policy.PolicyError, match="no key 'sshtrail'"):
        sshtrail_policy.build({}, "Debian")


def test_no_environment_is_an_error():
    pillar = changed("environment", "dev")
    del pillar["sshtrail"]["environment"]
    with pytest.raises(sshtrail_policy.PolicyError, match="sshtrail:environment is missing"):
        sshtrail_policy.build(pillar, "Debian")


@pytest.mark.parametrize(
    "os_family,packages,service",
    [
        ("Debian", ("openssh-server", "auditd"), "ssh"),
        ("RedHat", ("openssh-server", "audit"), "sshd"),
        ("Suse", ("openssh-server", "audit"), "sshd"),
    ],
)
def test_the_distribution_names_packages_and_services(os_family, packages, service):
    policy = sshtrail_policy.build({"sshtrail": GOOD}, os_family)
    assert (policy["sshd"]["package"], policy["auditd"]["package"]) == packages
    assert policy["sshd"]["service"] == service


def test_an_unknown_distribution_must_be_told():
    with pytest.raises(sshtrail_policy.PolicyError, match="sshtrail:sshd:package is missing"):
        sshtrail_policy.build({"sshtrail": GOOD}, "Gentoo")
    told = {"sshd": {"package": "openssh", "service": "sshd"}, "auditd": {"package": "audit"}}
    assert sshtrail_policy.build({"sshtrail": {**GOOD, **told}}, "Gentoo")["sshd"]["service"] == "sshd"


def test_groups_keep_the_order_of_the_pillar_and_drop_what_is_off():
    own = {"title": "Ours", "rules": ["-w /etc/ours -p wa -k ours"]}
    groups = {"session": True, "own": own, "ssh_commands": False, "sshd": True}
    policy = sshtrail_policy.build(changed("rules:groups", groups), "Debian")
    assert [group["name"] for group in policy["rules"]["groups"]] == ["session", "own", "sshd"]
    assert policy["rules"]["groups"][1] == {"name": "own", "controls": [], **own}


def test_a_host_without_audit_needs_no_rules():
    pillar = changed("audit", False)
    del pillar["sshtrail"]["rules"]
    assert sshtrail_policy.build(pillar, "Debian")["rules"]["groups"] == []


@pytest.mark.parametrize(
    "minion_id,environment",
    [("dev-1", "dev"), ("staging-1", "staging"), ("prod-1", "prod"), ("db1", "prod"), ("mydev-1", "prod")],
)
def test_the_pillar_of_this_tree(root, tmp_path, minion_id, environment):
    """The files in ``pillar/`` give each host, by its id alone, a valid policy of its environment."""
    opts = salt.config.minion_config(None)
    opts.update(id=minion_id, file_client="local", cachedir=str(tmp_path), root_dir=str(tmp_path))
    opts.update(pillar_roots={"base": [str(root / "pillar")]})
    # What a host says of itself must not matter.
    grains = {"id": "dev-1", "environment": "dev", "os_family": "Debian"}
    pillar = salt.pillar.Pillar(opts, grains, minion_id, "base").compile_pillar()
    assert "_errors" not in pillar
    policy = sshtrail_policy.build(pillar, "Debian")
    assert policy["environment"] == environment
    assert policy["sshd"]["config"] == {"LogLevel": "VERBOSE", "SyslogFacility": "AUTHPRIV"}
    assert policy["auditd"]["config"]["max_log_file"] == 50
    assert [group["name"] for group in policy["rules"]["groups"]] == ["sshd", "session", "ssh_commands"]
