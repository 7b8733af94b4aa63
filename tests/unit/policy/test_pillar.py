"""
policy.pillar: what a pillar may hold, what it becomes, and how each mistake is named.
"""

import copy

import pytest
import salt.config
import salt.pillar
import yaml
from sshtrail_lib.base import kernel
from sshtrail_lib.policy import claims as policy_claims
from sshtrail_lib.policy import pillar as policy_pillar
from sshtrail_lib.rules import accounts as rules_accounts

GOOD = {
    "environment": "dev",
    "sshd": {"config": {"LogLevel": "VERBOSE"}},
    "auditd": {"config": {"max_log_file": 50}},
    "rules": {"groups": {"ssh_commands": True}},
}

# The path to change in GOOD, the value to put there, what the error must name.
WRONG = [
    (
        "confg",
        1,
        "sshtrail:confg is unknown; allowed are audit, auditd, compliance, drift, environment, full, layers, people, ",
    ),
    ("layers", [], "sshtrail:layers must be a mapping, not a list."),
    ("layers:common", {"sshd": {"confg": {}}}, "sshtrail:layers:common:sshd:confg is unknown; did you mean config?"),
    ("layers:common", {"environment": "prod"}, "sshtrail:layers:common:environment is unknown; "),
    ("layers:prod", {"audit": True}, "sshtrail:layers:prod is a layer of another environment than this host's, dev"),
    ("layers:dev", {"rules": {"unknown": "delete"}}, "sshtrail:layers:dev:rules:unknown is 'delete'; "),
    ("environment", "common", "sshtrail:environment is 'common', the name of another layer"),
    ("sshd:confg", {}, "sshtrail:sshd:confg is unknown; did you mean config?"),
    ("sshd", [], "sshtrail:sshd must be true, false or a mapping, not a list."),
    ("sshd", None, "sshtrail:sshd must be true, false or a mapping, not empty."),
    ("sshd:path", "etc/sshd_config", "sshtrail:sshd:path must be an absolute path, not 'etc/sshd_config'."),
    ("sshd:shadowed", "fixx", "sshtrail:sshd:shadowed is 'fixx'; did you mean fix?"),
    ("sshd:admins", "root", "sshtrail:sshd:admins must be a list, not text."),
    (
        "sshd:admins",
        ["root", ""],
        "sshtrail:sshd:admins:1 must be the name of an account, without white space, not ''.",
    ),
    ("sshd:admins", [0], "sshtrail:sshd:admins:0 must be the name of an account, without white space, not 0."),
    (
        "sshd:admins",
        ["root", "bob alice"],
        "sshtrail:sshd:admins:1 must be the name of an account, without white space, not 'bob alice'.",
    ),
    ("sshd:admins", ["bob\n"], "sshtrail:sshd:admins:0 must be the name of an account, "),
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
    # What stands in the pillar is told on one line, however it was written, and a sentence ends before the next.
    ("conf\ng", 1, "sshtrail:conf\\ng is unknown; "),
    ("auditd:config:log\nfile", 1, "sshtrail:auditd:config:log\\nfile: auditd.conf has no keyword"),
    ("full", "x" * 10**6, "sshtrail:full is 'xxx"),
    ("sshd:config", {"LogLevel": "LOUD", "Port": 0}, "not 'LOUD'. sshtrail:sshd:config:Port: "),
    ("environment", "", "sshtrail:environment must be text, not an empty text."),
    ("environment", "de\nv", "sshtrail:environment must be text on one line, not 'de\\nv'."),
    ("sshd", "no", "sshtrail:sshd must be true, false or a mapping, not text."),
    ("sshd:path", "/etc/ssh/", "sshtrail:sshd:path must be the path of a file, on one line, not '/etc/ssh/'."),
    ("sshd:path", "/etc/a\nb", "sshtrail:sshd:path must be the path of a file, on one line, not '/etc/a\\nb'."),
    ("sshd:logs", {"authpriv": "/var/log/a"}, "sshtrail:sshd:logs:authpriv is no facility; "),
    ("sshd:logs", {1: "/var/log/a"}, "sshtrail:sshd:logs:1 is no facility; allowed are AUTH, AUTHPRIV, "),
    ("rules:file", "/etc/audit/rules.d/ours", "sshtrail:rules:file must end in .rules, or augenrules passes over it"),
    ("rules:groups:sesion", False, "sshtrail:rules:groups:sesion is no ready group, and no layer gives it rules; did"),
    ("rules:groups:sesion", None, "sshtrail:rules:groups:sesion is no ready group, and no layer gives it rules; did"),
    ("rules:groups:session", "yes", "sshtrail:rules:groups:session must be true, false or a mapping with its rules, "),
    ("rules:groups:own", {}, "sshtrail:rules:groups:own has no rules: give it a list of them, or say false."),
    ("rules:groups:own", {"rules": []}, "sshtrail:rules:groups:own has no rules: "),
    ("rules:groups:own", {"rules": [""]}, "sshtrail:rules:groups:own:rules:0 must be text, not an empty text."),
    ("rules:groups:own", {"title": "a\n-D", "rules": ["-w /x"]}, "groups:own:title must be text on one line, not"),
    ("rules:groups", {"o\nwn": {"rules": ["-w /x"]}}, "the name sshtrail:rules:groups:o\\nwn must be text on one line"),
    ("rules:groups", {5: {"rules": ["-w /x"]}}, "the name sshtrail:rules:groups:5 must be text, not a number."),
    ("people", {"": {}}, "the name sshtrail:people: must be text, not an empty text."),
    ("audit", "no", "sshtrail:audit must be true or false, not 'no'."),
    ("environment", 1, "sshtrail:environment must be text, not a number."),
    ("environment", True, "sshtrail:environment must be text, not yes/no."),
    ("rules:unknown", "delete", "sshtrail:rules:unknown is 'delete'; "),
    ("drift", {"intervall": 9}, "sshtrail:drift:intervall is unknown; did you mean interval?"),
    ("drift", {"interval": "10 s"}, "sshtrail:drift:interval must be a number of seconds from 0 to 86400, not '10 s'."),
    ("drift", {"interval": -1}, "sshtrail:drift:interval must be a number of seconds from 0 to 86400, not -1."),
    ("drift", {"interval": True}, "sshtrail:drift:interval must be a number of seconds from 0 to 86400, not true."),
    ("proof", {"account": "root"}, "sshtrail:proof:account must be null, or the name of an account"),
    ("proof", {"account": "-x"}, "sshtrail:proof:account must be null, or the name of an account"),
    ("proof", {"account": "a\nb"}, "sshtrail:proof:account must be null, or the name of an account"),
    ("proof", {"account": True}, "sshtrail:proof:account must be null, or the name of an account"),
    ("proof", {"interval": -1}, "sshtrail:proof:interval must be a number of seconds from 0 to 86400, not -1."),
    ("drift", {"interval": 2}, "sshtrail:drift:splay is 2; it must be less than sshtrail:drift:interval, which is 2."),
    ("drift", {"action": "mend"}, "sshtrail:drift:action is 'mend'; "),
    ("rules:groups:sesion", True, "sshtrail:rules:groups:sesion is no ready group; did you mean session?"),
    ("rules:groups:own", {"rules": "-w /etc"}, "sshtrail:rules:groups:own:rules must be a list, not text."),
    ("rules:groups:own", {"rules": ["-a exit,always -F arch=b64 -S session"]}, "sshtrail:rules:groups:own:rules:0: "),
    ("rules:groups:own", {"rules": [7]}, "sshtrail:rules:groups:own:rules:0 must be text, not a number."),
    ("rules:groups", {"ssh_commands": False}, "sshtrail:rules:groups asks for no rule"),
    ("rules:allowed", "-a never,task", "sshtrail:rules:allowed must be a list, not text."),
    ("rules:allowed", ["-a never,tsk"], "sshtrail:rules:allowed:0: "),
    ("rules:allowed", ["-a never,exit -F arch=b64 -S session"], "sshtrail:rules:allowed:0: Unknown system call"),
    ("rules:loginuid_immutable", 1, "sshtrail:rules:loginuid_immutable must be true or false, not 1."),
    ("full", "halt", "sshtrail:full is 'halt'; allowed are leave, resume."),
    ("sshd:config:UsePAM", False, "sshtrail:sshd:config:UsePAM is no, with which no session has a login id"),
    ("sshd:config:usepam", "no", "sshtrail:sshd:config:UsePAM is no, with which no session has a login id"),
    ("sshd:config:UsePAM", None, "sshtrail:sshd:config:UsePAM is null, with which no session has a login id"),
    ("auditd:config:write_logs", False, "sshtrail:auditd:config:write_logs is no, with which auditd writes no log"),
    ("auditd:config:Write_Logs", "NO", "sshtrail:auditd:config:write_logs is NO, with which auditd writes no log"),
    ("auditd:config:log_format", "NOLOG", "sshtrail:auditd:config:log_format is NOLOG, with which auditd writes no"),
    ("auditd:config:local_events", False, "sshtrail:auditd:config:local_events is no, with which auditd takes no"),
    ("rules:status:rate_limit", 100, "sshtrail:rules:status:rate_limit is 100, with which the kernel drops records"),
    ("rules:status:enabled", 0, "sshtrail:rules:status:enabled is 0, with which the kernel records nothing"),
    (
        "layers:common",
        {"auditd": {"config": {"log_format": "nolog"}}},
        "sshtrail:layers:common:auditd:config:log_format is nolog, with which auditd writes no log: only a host "
        "without an audit of its own (sshtrail:audit: false) may ask for that.",
    ),
    ("layers:dev", {"rules": {"status": {"rate_limit": 9}}}, "sshtrail:layers:dev:rules:status:rate_limit is 9, "),
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
    with pytest.raises(policy_pillar.PolicyError) as error:
        policy_pillar.build(changed(path, value), "Debian")
    assert named in error.value.message


def test_an_environment_may_spell_a_keyword_in_another_case():
    layers = {"common": {"sshd": {"config": {"LogLevel": None}}}, "dev": {"sshd": {"config": {"loglevel": "INFO"}}}}
    assert policy_pillar.build(changed("layers", layers), "Debian")["environment"] == "dev"


def test_a_keyword_in_another_case_is_the_same_keyword():
    pillar = changed("sshd:config:usepam", True)
    pillar["sshtrail"]["auditd"]["config"]["WRITE_LOGS"] = True
    asked = policy_pillar.build(pillar, "Debian")
    assert asked["sshd"]["config"] == {"UsePAM": True, "LogLevel": "VERBOSE"}
    assert asked["auditd"]["config"]["write_logs"] is True and "WRITE_LOGS" not in asked["auditd"]["config"]
    said = policy_pillar.provenance(pillar, "Debian")["sshd:config:UsePAM"]
    assert said == {"value": True, "from": "host", "overrides": {"default": "yes"}}


@pytest.mark.parametrize(
    "path,value,named",
    [
        (
            "sshd:config",
            {"LogLevel": "VERBOSE", "loglevel": "INFO"},
            "sshtrail:sshd:config:loglevel: LogLevel stands there already, and means the same keyword; keep one.",
        ),
        (
            "sshd:config",
            {"ChallengeResponseAuthentication": False, "KbdInteractiveAuthentication": True},
            "sshtrail:sshd:config:KbdInteractiveAuthentication: ChallengeResponseAuthentication stands there already",
        ),
        (
            "sshd:matches",
            [{"User bob": {"LogLevel": "INFO"}}, {"user bob": {"loglevel": "DEBUG"}}],
            "sshtrail:sshd:matches: LogLevel (Match User bob) is asked for twice",
        ),
        (
            "auditd:config",
            {"freq": 9, "Freq": 8},
            "sshtrail:auditd:config:Freq: freq stands there already, and means the same keyword; keep one.",
        ),
        (
            "auditd:config",
            {"space_left": 50, "admin_space_left": 75},
            "sshtrail:auditd:config:space_left is 50; space_left must be larger than admin_space_left; "
            "sshtrail:auditd:config:admin_space_left is 75.",
        ),
        ("auditd:config", {"space_left": "10%", "ADMIN_space_left": "10%"}, "space_left is 10%; space_left must be"),
        ("auditd:config", {"flush": "incremental_async", "freq": 0}, "freq is 0; flush = incremental or incremental"),
        (
            "auditd:config",
            {"name_format": "user", "name": None},
            "name_format is user; name_format = user needs a name",
        ),
        ("auditd:config", {"name_format": "user"}, "name_format is user; name_format = user needs a name."),
        ("auditd:config", {"log_file": "/var/log/a.log", "log_group": "adm"}, "log_file may not stand directly in"),
        ("sshd:force", "yes", "sshtrail:sshd:force must be true or false, not 'yes'."),
        ("sshd:lowered", "drop", "sshtrail:sshd:lowered is 'drop'; allowed are keep, remove."),
        ("auditd:managed", 1, "sshtrail:auditd:managed must be true or false, not 1."),
    ],
)
def test_what_does_not_fit_together_is_told_with_the_pillar(path, value, named):
    with pytest.raises(policy_pillar.PolicyError) as error:
        policy_pillar.build(changed(path, value), "Debian")
    assert named in error.value.message


def test_layers_are_judged_by_what_they_come_to():
    layers = {"common": {"auditd": {"config": {"space_left": 75, "admin_space_left": 50}}}}
    pillar = changed("layers", layers)
    assert policy_pillar.build(pillar, "Debian")
    pillar["sshtrail"]["auditd"] = {"config": {"Space_Left": 40}}
    with pytest.raises(policy_pillar.PolicyError) as error:
        policy_pillar.build(pillar, "Debian")
    assert "sshtrail:auditd:config:space_left is 40; space_left must be larger" in error.value.message
    assert "; sshtrail:layers:common:auditd:config:admin_space_left is 50." in error.value.message
    # What only the host's own file can tell is left to the host.
    layers["common"]["auditd"]["config"] = {"log_file": "/var/log/audit.log", "action_mail_acct": "root"}
    pillar["sshtrail"]["auditd"] = {}
    assert policy_pillar.build(pillar, "Debian")


@pytest.mark.parametrize(
    "config, told",
    [
        ({"freq": 0}, "config:freq is 0; flush = incremental or incremental_async needs a freq above 0 "
                      "(packages ship flush = incremental_async)."),
        ({"admin_space_left": 5000}, "config:admin_space_left is 5000; space_left must be larger than admin_space_left "
                                     "(packages ship space_left = 75)."),
        ({"space_left": 20}, "config:space_left is 20; space_left must be larger than admin_space_left "
                             "(packages ship admin_space_left = 50)."),
        ({"max_log_file": 0}, "config:max_log_file is 0; max_log_file must be above 0, for auditd has reached 0 at "
                              "each record (or max_log_file_action = ignore) "
                              "(packages ship max_log_file_action = rotate)."),
        ({"max_log_file": 0, "max_log_file_action": "ignore"}, ""),
        ({"max_log_file_action": "keep_logs"}, ""),
        ({"freq": 0, "flush": "none"}, ""),
        ({"freq": 100}, ""),
        ({"flush": "incremental"}, ""),
        ({"space_left": "1%"}, ""),
        ({"admin_space_left": 60, "space_left": 61}, ""),
        ({"space_left": 51}, ""),
        ({"space_left": None}, ""),
        ({"freq": None}, ""),
    ],
)  # fmt: skip
def test_one_of_two_that_belong_together_is_judged_by_what_packages_ship(config, told):
    pillar = changed("auditd:config", config)
    if not told:
        assert policy_pillar.build(pillar, "Debian")
        return
    with pytest.raises(policy_pillar.PolicyError) as error:
        policy_pillar.build(pillar, "Debian")
    assert error.value.message.endswith(told)


def test_a_part_of_another_tool_may_ask_for_what_hides_records():
    pillar = changed("auditd", {"managed": False, "config": {"write_logs": "no"}})
    assert policy_pillar.build(pillar, "Debian")["auditd"]["managed"] is False


def test_no_release_is_named_that_nobody_has():
    with pytest.raises(policy_pillar.PolicyError) as error:
        policy_pillar.build(changed("sshd:config", {"LogLevell": 1}), "Debian")
    assert "OpenSSH does not have the keyword 'LogLevell'" in error.value.message
    with pytest.raises(policy_pillar.PolicyError) as error:
        policy_pillar.build(changed("sshd:matches", [{"Usr bob": {"LogLevel": "INFO"}}]), "Debian")
    assert "99" not in error.value.message


@pytest.mark.parametrize("path,value", [("auditd:config:write_logs", False), ("rules:status:enabled", 0)])
def test_a_host_without_an_audit_may_ask_for_what_hides_records(path, value):
    pillar = changed(path, value)
    pillar["sshtrail"]["audit"] = False
    assert policy_pillar.build(pillar, "Debian")["audit"] is False


def test_an_environment_may_set_what_the_code_has_a_value_for():
    layers = {"dev": {"auditd": {"config": {"log_format": "raw"}}}}
    policy = policy_pillar.build(changed("layers", layers), "Debian")
    assert policy["auditd"]["config"]["log_format"] == "raw"


def test_a_rule_that_no_host_like_this_could_load_may_be_allowed():
    line = "-a never,exit -F arch=b64 -S adjtimex -F uid=sshtrail-no-such-account"
    assert policy_pillar.build(changed("rules:allowed", [line]), "Debian")["rules"]["allowed"] == [line]


def test_each_account_is_asked_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr(rules_accounts, "_ask", lambda *name: asked.append(name))
    lines = [f"-a never,exit -F arch=b64 -S {call} -F uid=sshtrail-slow" for call in ("open", "openat", "unlink")]
    policy_pillar.build(changed("rules:allowed", lines), "Debian")
    assert asked == [("user", "sshtrail-slow")]


def test_all_mistakes_are_named_at_once():
    pillar = changed("sshd:confg", {})
    pillar["sshtrail"]["rules"]["unknown"] = "delete"
    with pytest.raises(policy_pillar.PolicyError) as error:
        policy_pillar.build(pillar, "Debian")
    assert "sshtrail:sshd:confg" in error.value.message
    assert "sshtrail:rules:unknown" in error.value.message


def test_no_policy_is_an_error():
    with pytest.raises(policy_pillar.PolicyError, match="no key 'sshtrail'"):
        policy_pillar.build({}, "Debian")


NAMED = [
    # Whoever adds an environment forgets one of the two, or writes them otherwise.
    (
        {"layers": {"dmz": {}}},
        "sshtrail:environment is missing: name the environment this host belongs to, such as dmz.",
    ),
    ({"layers": {"common": {}, "dmz": {}}}, "such as dmz."),
    (
        {"environment": "DMZ", "layers": {"dmz": {}}},
        "sshtrail:layers:dmz is a layer of another environment than this host's, DMZ: write both in the same letters.",
    ),
    (
        {"environment": "dmz", "layers": {"dmz": {}, "prod": {}}},
        "than this host's, dmz: assign one environment to a host.",
    ),
    ({"environment": "dmz", "layers": {"dmz": None}}, "sshtrail:layers:dmz must be a mapping, not empty."),
]


@pytest.mark.parametrize(("said", "named"), NAMED)
def test_an_environment_and_its_layer_have_one_name(said, named):
    given = {**{name: value for name, value in GOOD.items() if name != "environment"}, **said}
    with pytest.raises(policy_pillar.PolicyError) as error:
        policy_pillar.build({"sshtrail": given}, "Debian")
    assert named in error.value.message and "None" not in error.value.message


def test_the_policy_that_was_asked_for_is_of_that_environment():
    policy = policy_pillar.build(changed("environment", "dev"), "Debian")
    policy_pillar.demand(policy, None)
    policy_pillar.demand(policy, "dev")
    with pytest.raises(
        policy_pillar.PolicyError, match="The policy of dmz was asked for, and sshtrail:environment is dev:"
    ):
        policy_pillar.demand(policy, "dmz")


def test_no_environment_is_an_error():
    pillar = changed("environment", "dev")
    del pillar["sshtrail"]["environment"]
    with pytest.raises(policy_pillar.PolicyError, match="sshtrail:environment is missing"):
        policy_pillar.build(pillar, "Debian")


@pytest.mark.parametrize(
    "os_family,packages,service",
    [
        ("Debian", ("openssh-server", "auditd"), "ssh"),
        ("RedHat", ("openssh-server", "audit"), "sshd"),
        ("Suse", ("openssh-server", "audit"), "sshd"),
    ],
)
def test_the_distribution_names_packages_and_services(os_family, packages, service):
    policy = policy_pillar.build({"sshtrail": GOOD}, os_family)
    assert (policy["sshd"]["package"], policy["auditd"]["package"]) == packages
    assert policy["sshd"]["service"] == service


def test_an_unknown_distribution_must_be_told():
    with pytest.raises(policy_pillar.PolicyError, match="sshtrail:sshd:package is missing"):
        policy_pillar.build({"sshtrail": GOOD}, "Gentoo")
    told = {"sshd": {"package": "openssh", "service": "sshd"}, "auditd": {"package": "audit"}}
    assert policy_pillar.build({"sshtrail": {**GOOD, **told}}, "Gentoo")["sshd"]["service"] == "sshd"


LAYERED = {
    "environment": "prod",
    "layers": {
        "common": {
            "sshd": {"config": {"LogLevel": "VERBOSE"}},
            "auditd": {"config": {"space_left": "25%"}},
            "rules": {"groups": {"session": True, "own": {"rules": ["-w /etc/ours -p wa -k ours"]}}},
        },
        "prod": {"auditd": {"config": {"space_left": "40%"}}, "rules": {"groups": {"own": False}}},
    },
    "auditd": {"config": {"space_left": "45%"}},
}

# The path of a value, the value, its layer, what it overrides.
ORIGINS = [
    ("environment", "prod", "prod", {}),
    ("audit", True, "default", {}),
    ("sshd:service", "ssh", "distribution", {}),
    ("sshd:logs:AUTHPRIV", "/var/log/auth.log", "distribution", {}),
    ("sshd:config:LogLevel", "VERBOSE", "common", {}),
    ("auditd:config:space_left", "45%", "host", {"common": "25%", "prod": "40%"}),
    ("auditd:service", "auditd", "distribution", {"default": "auditd"}),
    ("rules:groups:session", True, "common", {}),
    ("rules:groups:own", False, "prod", {"common": {"rules": ["-w /etc/ours -p wa -k ours"]}}),
]


@pytest.mark.parametrize("path,value,layer,overrides", ORIGINS)
def test_each_value_tells_where_it_came_from(path, value, layer, overrides):
    origin = policy_pillar.provenance({"sshtrail": LAYERED}, "Debian")[path]
    assert origin == {"value": value, "from": layer, "overrides": overrides}


def test_where_values_came_from_is_told_of_all_of_them():
    """The origins, put together again, are the policy before its groups are looked up."""
    policy = policy_pillar.build({"sshtrail": LAYERED}, "Debian")
    origins = policy_pillar.provenance({"sshtrail": LAYERED}, "Debian")
    assert {path.split(":")[0] for path in origins} == set(policy)
    for path in ("sshd:config:LogLevel", "auditd:config:space_left", "rules:unknown", "auditd:path"):
        value = policy
        for key in path.split(":"):
            value = value[key]
        assert origins[path]["value"] == value


@pytest.mark.parametrize(
    "path,value,same",
    [
        ("sshd:config:LogLevel", "DEBUG", False),
        ("rules:groups:session", True, False),
        ("environment", "prod", False),
        ("sshd:path", "/etc/ssh/other", False),
        ("sshd:config:LogLevel", "VERBOSE", True),
    ],
)
def test_the_digest_changes_with_the_policy(path, value, same):
    good, other = policy_pillar.digest({"sshtrail": GOOD}), policy_pillar.digest(changed(path, value))
    assert (good == other) is same


def test_a_pillar_that_the_master_could_not_compile_is_no_policy():
    pillar = {"sshtrail": GOOD, "_errors": ["Rendering SLS 'sshtrail.prod' failed"]}
    with pytest.raises(policy_pillar.PolicyError, match="could not compile the pillar: Rendering SLS"):
        policy_pillar.build(pillar, "Debian")


def test_groups_keep_the_order_of_the_pillar_and_drop_what_is_off():
    own = {"title": "Ours", "rules": ["-w /etc/ours -p wa -k ours"]}
    groups = {"session": True, "own": own, "ssh_commands": False, "sshd": True}
    policy = policy_pillar.build(changed("rules:groups", groups), "Debian")
    assert [group["name"] for group in policy["rules"]["groups"]] == ["session", "own", "sshd"]
    assert policy["rules"]["groups"][1] == {"name": "own", "controls": [], **own}


def test_a_host_without_audit_needs_no_rules():
    pillar = changed("audit", False)
    del pillar["sshtrail"]["rules"]
    # A master builds those of many hosts in one process: the defaults are as before.
    for _host in range(2):
        assert policy_pillar.build(pillar, "Debian")["rules"]["groups"] == []
        assert policy_pillar.digest(pillar)


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
    policy = policy_pillar.build(pillar, "Debian")
    assert policy["environment"] == environment
    asked = policy["sshd"]["config"]
    assert asked == {"UsePAM": "yes", "LogLevel": "VERBOSE", "SyslogFacility": "AUTHPRIV"}
    assert set(policy["rules"]["status"]) == set(kernel.SETTINGS)
    assert policy["auditd"]["config"]["max_log_file"] == 50
    names = [group["name"] for group in policy["rules"]["groups"]]
    assert names == ["sshd", "session", "ssh_commands", "ssh_config", "audit_config"]


def test_a_set_stands_for_its_groups_and_a_groups_own_line_wins():
    """STIG asks for the group access, which this pillar switches off, and for session, which it defines itself."""
    own = {"title": "Ours", "rules": ["-w /etc/passwd -p wa -k session"]}
    policy = policy_pillar.build(changed("rules:groups", {"stig": True, "access": False, "session": own}), "Debian")
    groups = {group["name"]: group for group in policy["rules"]["groups"]}
    assert set(groups) == set(policy_claims.SETS["stig"]) - {"access"}
    assert groups["session"]["title"] == "Ours"
    off = policy_pillar.build(changed("rules:groups", {"stig": False, "session": True}), "Debian")
    assert [group["name"] for group in off["rules"]["groups"]] == ["session"]


def test_the_groups_name_the_controls_of_the_hosts_own_editions():
    def controls(*distribution):
        policy = policy_pillar.build(changed("rules:groups", {"scope": True}), "Debian", *distribution)
        return policy["rules"]["groups"][0]["controls"]

    assert controls("Debian 12")[0] == "CIS Debian 12 v1.1.0 6.2.3.1"
    assert controls("Ubuntu 22.04")[0] == "CIS Ubuntu 22.04 v2.0.0 6.3.3.1"
    assert controls() == ["PCI DSS v4.0.1 10.2.1.5"]


def test_what_the_host_decides_comes_last():
    policy = policy_pillar.build(changed("rules:groups", {"privileged": True, "scope": True}), "Debian")
    assert [group["name"] for group in policy["rules"]["groups"]] == ["scope", "privileged"]


def test_nobody_is_an_admin_by_default():
    assert policy_pillar.build({"sshtrail": GOOD}, "Debian")["sshd"]["admins"] == []
    asked = policy_pillar.build(changed("sshd:admins", ["root", "alice"]), "Debian")
    assert asked["sshd"]["admins"] == ["root", "alice"]


# What the pillar has, an environment, whether the host has nothing to do with it.
ELSEWHERE = [
    ({"sshtrail": GOOD}, "dev", False),
    ({"sshtrail": GOOD}, "prod", True),
    ({}, "dev", True),
    ({"_errors": ["Rendering failed"]}, "dev", False),
    # Wrong, which its validation says.
    ({"sshtrail": []}, "dev", False),
    ({"sshtrail": {}}, "dev", False),
]


@pytest.mark.parametrize("pillar,environment,elsewhere", ELSEWHERE)
def test_who_has_nothing_to_do_with_an_environment(pillar, environment, elsewhere):
    assert policy_pillar.elsewhere(pillar, environment) is elsewhere


def test_the_code_and_the_pillar_of_this_tree_agree(root):
    shipped = yaml.safe_load((root / "pillar" / "sshtrail" / "common.sls").read_text())["sshtrail"]["layers"]["common"]

    def leaves(tree, above=()):
        for key, value in tree.items():
            yield from leaves(value, (*above, key)) if isinstance(value, dict) else [((*above, key), value)]

    asked, own = dict(leaves(shipped)), dict(leaves(policy_pillar.DEFAULTS))
    same = {path for path in asked if path in own}
    assert {path: asked[path] for path in same} == {path: own[path] for path in same}
    assert ("drift", "action") in same


def test_an_environment_asks_for_what_others_do_not():
    """What a host changed for one environment it gives back in another: none of it needs a value in all."""
    ours = {
        "sshd": {"config": {"MaxAuthTries": 3}, "matches": [{"User bob": {"LogLevel": "DEBUG"}}]},
        "auditd": {"config": {"freq": 9}},
        "rules": {"status": {"failure": 2}},
    }
    given = {"environment": "dmz", "layers": {"common": {"rules": {"groups": {"sshd": True}}}, "dmz": ours}}
    policy = policy_pillar.build({"sshtrail": given}, "Debian")
    assert policy["sshd"]["matches"] == ours["sshd"]["matches"]
    assert (policy["auditd"]["config"]["freq"], policy["rules"]["status"]["failure"]) == (9, 2)


NO_TEXT = ["\x00", "\x1b[2J", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe", "\ud800"]


@pytest.mark.parametrize("sign", NO_TEXT)
@pytest.mark.parametrize(
    "wrong",
    [
        lambda text: {"sshd": {"config": {"Banner": f"/etc/issue{text}"}}},
        lambda text: {"sshd": {"config": {f"Banner{text}": "/etc/issue"}}},
        lambda text: {"sshd": {"admins": ["alice", f"bob{text}"]}},
        lambda text: {"sshd": {"matches": [{f"User bob{text}": {"LogLevel": "DEBUG"}}]}},
        lambda text: {"auditd": {"config": {"name": text}}},
        lambda text: {f"x{text}": 1},
        lambda text: {"layers": {"prod": {"rules": {"groups": {"own": {"title": text}}}}}},
    ],
)
def test_what_no_sls_file_could_hand_on_is_refused(wrong, sign):
    with pytest.raises(policy_pillar.PolicyError, match="has a character that is no text: ") as caught:
        policy_pillar.build({"sshtrail": {"environment": "prod", **wrong(sign)}}, "Debian")
    assert caught.value.message.isprintable() and "sshtrail" in caught.value.message
