"""The ready groups: well formed, without a warning, and each compiled by this host's libaudit."""

import re

import pytest
from sshtrail_lib.policy import claims
from sshtrail_lib.policy import groups as policy_groups
from sshtrail_lib.rules import check as rules_check
from sshtrail_lib.rules import language
from sshtrail_lib.rules import wish as rules_wish

# What a rule may be told: that a file or a directory of it is not on this host, or is a link to one that counts too.
HOST = re.compile(r"does not exist|^(/etc/localtime|/usr/bin/sudoedit|/usr/sbin/\w+) is a symbolic link")
# Directories below /run are not there when rules are loaded at boot, where a dir= would stop the load.
AT_BOOT = re.compile("/run/")


def paths(field):
    lines = [line for group in policy_groups.GROUPS.values() for line in group["rules"]]
    return sorted({part.value for line in lines if (part := language.parse_rule(line).field(field))})


@pytest.mark.parametrize("name", policy_groups.GROUPS)
def test_a_group_is_well_formed_and_says_what_it_means(name):
    group = policy_groups.GROUPS[name]
    assert set(group) - {"privileged"} == {"title", "rules", "optional"} and group["title"]
    assert bool(group["rules"]) != bool(group.get("privileged"))
    problems = [problem.reason for problem in rules_check.problems(group["rules"])]
    assert [reason for reason in problems if not HOST.search(reason)] == []


def test_all_groups_together_compile_and_keep_each_rule_once():
    groups = [{"name": name, **group} for name, group in policy_groups.GROUPS.items()]
    rules = [str(rule) for group in rules_wish.read_groups(groups) for rule in group["rules"]]
    assert len(rules) == len(set(rules))


# Calls that do what others do which benchmarks name, each with the group that must record it; the last ones have 32-bit
# programs alone.
NEWER = {
    "mounts": ("fsmount", "move_mount", "open_tree", "fspick", "442", "467"),
    "access": ("openat2",),
    "perm_mod": ("452", "463", "466"),
    "user_emulation": ("execveat",),
    "root_commands": ("execveat",),
}
OF_32_BIT = {
    "mounts": ("umount",),
    "access": ("truncate64", "ftruncate64"),
    "perm_mod": ("chown32", "fchown32", "lchown32"),
    "time_change": ("stime", "clock_settime64", "clock_adjtime64"),
}
CALLED = [(name, arch, call) for name, calls in NEWER.items() for arch in ("b64", "b32") for call in calls]
CALLED += [(name, "b32", call) for name, calls in OF_32_BIT.items() for call in calls]


@pytest.mark.parametrize(("name", "arch", "call"), CALLED)
def test_a_group_knows_the_newer_calls_and_those_of_32_bit_programs(name, arch, call):
    rules = [language.parse_rule(line) for line in policy_groups.GROUPS[name]["rules"]]
    assert any(call in rule.syscalls and rule.field("arch").value == arch for rule in rules)


@pytest.mark.parametrize("name", policy_groups.GROUPS)
def test_a_newer_call_stands_with_each_that_it_could_replace(name):
    """A rule without it could be got around by it, as each of the four of ``access`` by openat2."""
    replaces = {"chmod": "452", "setxattr": "463", "removexattr": "466", "open": "openat2", "execve": "execveat"}
    for line in policy_groups.GROUPS[name]["rules"]:
        calls = language.parse_rule(line).syscalls
        assert [new for old, new in replaces.items() if old in calls and new not in calls] == []


def test_the_recipes_keys_are_there():
    for key in ("sshd", "session", "ssh_commands"):
        assert all(line.endswith(f"-F key={key}") for line in policy_groups.GROUPS[key]["rules"])


@pytest.mark.parametrize("place", paths("path"))
def test_a_path_is_a_file(place, root):
    """A directory's rule that is a path sees nothing of what happens to files in it."""
    assert AT_BOOT.match(place) or not (place.endswith(".d") or root.joinpath(place).is_dir())


@pytest.mark.parametrize("place", paths("dir"))
def test_a_dir_is_a_directory_that_is_there_at_boot(place, root):
    assert not AT_BOOT.match(place) and not root.joinpath(place).is_file()


@pytest.mark.parametrize("name", policy_groups.GROUPS)
def test_the_documentation_knows_the_group(root, name):
    lines = (root / "docs" / "audit-rules.md").read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| `{name}` |"))
    sets = [f"`{one}`" for one, members in claims.SETS.items() if name in members]
    assert row == f"| `{name}` | {policy_groups.GROUPS[name]['title']} | {', '.join(sets)} |"
