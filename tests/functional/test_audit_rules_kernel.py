"""Compiled rules and plans on the real kernel, with the installed auditctl as the judge of the language."""

import itertools
import pathlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrix import audit_rules as matrix
from sshtrail_lib.base import kernel as base_kernel
from sshtrail_lib.rules import compile as rules_compile
from sshtrail_lib.rules import language as rules_language
from sshtrail_lib.rules import plan as rules_plan
from sshtrail_lib.rules import target as rules_target
from support import auditctl

DATA = pathlib.Path(__file__).parents[1] / "data" / "rules"


def compiled(line):
    return rules_compile.compile(rules_language.parse_rule(line))


@pytest.fixture
def kernel(audit):
    """The kernel, with no rules now and when the test ends; returns a function that makes it hold some (lines)."""

    def hold(lines):
        for rule in base_kernel.rules():
            base_kernel.delete(rule)
        for line in lines:
            base_kernel.add(compiled(line))

    yield hold
    hold([])


@pytest.mark.parametrize(
    "name, outcomes", [("forms", {"same", "both refuse"}), ("stricter", {"only we refuse"})], ids=["forms", "stricter"]
)
def test_what_auditctl_loads_we_load_byte_for_byte_and_what_it_refuses_we_refuse(kernel, name, outcomes):
    found = matrix.judge([DATA / f"{name}.rules"], quiet=True)
    assert {outcome: found[outcome] for outcome in found if outcome not in outcomes} == {}
    assert set(found) == outcomes


RULES = [
    f"-a {action},exit -F arch=b64 -S {calls} -F key=sshtrail-test-{key}"
    for action, calls, key in itertools.product(("always", "never"), ("execve", "execve,unlink", "getppid"), "ab")
] + ["-w /etc/passwd -p wa -k sshtrail-test-a", "-a never,exit -F arch=b64 -S openat -F path=/etc/passwd"]
OTHERS = ["-a never,exclude -F msgtype=CWD", "-a never,task -F auid=unset", "-a never,filesystem -F fstype=tracefs"]
LISTS = st.lists(st.sampled_from(RULES + OTHERS), max_size=4, unique=True)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=LISTS, after=LISTS)
def test_a_plan_works_on_the_kernel_and_leaves_nothing_to_do(kernel, before, after):
    kernel(before)
    desired = [compiled(line) for line in after]
    for step in rules_target.way(base_kernel.rules(), desired):
        if step.do == "delete":
            base_kernel.delete(step.rule)
        else:
            base_kernel.add(step.rule, prepend=step.do == "prepend")
    held = base_kernel.rules()
    assert set(held) == set(desired) and len(held) == len(desired)
    assert rules_target.way(held, desired) == []


@pytest.mark.parametrize("line", RULES + OTHERS)
def test_every_rule_can_have_a_twin(kernel, line):
    twins = [rules_plan.twin(compiled(line), number) for number in (0, 1, rules_plan.TWINS - 1)]
    for twin in twins:
        assert base_kernel.accepts(twin)
        base_kernel.add(twin)
    assert base_kernel.rules() == twins


def test_the_kernels_order_is_that_of_the_model(kernel):
    first, second, third = (compiled(line) for line in RULES[:3])
    base_kernel.add(first)
    base_kernel.add(second)
    base_kernel.add(third, prepend=True)
    assert base_kernel.rules() == [third, first, second]
    base_kernel.add(second, prepend=True)
    base_kernel.delete(second)
    assert base_kernel.rules() == [third, first, second], "a deletion takes the first of two copies"


def test_refusals_of_the_kernel_have_their_reason(kernel):
    rule = compiled(RULES[0])
    base_kernel.add(rule)
    for act, data, reason in (
        (base_kernel.add, rule, "File exists"),
        (base_kernel.delete, compiled(RULES[1]), "No such file"),
        (base_kernel.add, compiled("-w /no/such/file"), "No such file"),
        (base_kernel.add, rule + b"x", "no audit rule"),
        (base_kernel.add, b"", "no audit rule"),
    ):
        with pytest.raises(base_kernel.KernelError, match=reason):
            act(data)


def test_loaded_reads_what_auditctl_loaded(kernel, modules):
    for line in RULES:
        auditctl(*line.split())
    assert modules.audit_rules.loaded() == [str(rules_compile.decompile(compiled(line))) for line in RULES]
    assert modules.audit_rules.diff(RULES) == {"add": [], "remove": [], "move": [], "operations": 0}
