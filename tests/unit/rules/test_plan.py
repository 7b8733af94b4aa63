"""The plan, against a model of the kernel's list: what every event is decided to be, at every step."""

import functools
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sshtrail_lib.rules import compile, language, layout
from sshtrail_lib.rules import plan as rules_plan
from sshtrail_lib.rules.plan import TWINS, is_twin, twin
from support import spent

CALLS = {"execve": 59, "openat": 257, "getppid": 110, "unlink": 87}
PATHS = ("/etc/passwd", "/etc/shadow", "/etc")
# auid, uid, pid: the numbers of the fields in linux/audit.h.
EVENTS = [
    ({9: auid, 1: uid, 0: 7}, call, path)
    for call, auid, uid, path in itertools.product(
        CALLS.values(), (0, 1000, 5000, 4294967295), (0, 1000), (None, *PATHS)
    )
]
OPERATORS = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
}
PATH, PERM, KEY = 105, 106, 210
# Of the calls above, those that a rule with perm=wa sees.
WRITING = (CALLS["openat"], CALLS["unlink"])


def compiled(line):
    return compile.compile(language.parse_rule(line))


def plan(loaded, desired):
    return rules_plan.plan(loaded, desired, compile.exec_calls)


@functools.cache
def matched(rule):
    """For each of the events, what this rule (bytes) alone decides: (action, key), or None."""
    packed, strings = layout.unpack(rule)
    numbers = [number for number, _operator, _value in packed.fields if number in layout.STRINGS]
    texts = {number: strings[at] for at, number in enumerate(numbers)}
    decision = (packed.action, texts.get(KEY) if packed.action else None)
    return [decision if matches(packed, texts.get(PATH), *event) else None for event in EVENTS]


def matches(packed, watched, values, call, path):
    numeric = [(values[number], operator, value) for number, operator, value in packed.fields if number in values]
    names = layout.OPERATOR_NAMES
    return (
        packed.mask >> call & 1
        and watched in (None, path)
        and (call in WRITING or not any(number == PERM for number, _operator, _value in packed.fields))
        and all(OPERATORS[names[operator]](left, right) for left, operator, right in numeric)
    )


def decide(rules):
    """What the kernel decides for each event: the first match, None where nothing matches."""
    columns = [matched(rule) for rule in rules]
    return [next((column[at] for column in columns if column[at]), None) for at in range(len(EVENTS))]


def recorded(decision):
    return bool(decision and decision[0])


def take(kernel, step):
    """Do one step to the model (list) as the kernel would."""
    if step.do == "append":
        assert step.rule not in kernel, "the kernel refuses a second copy"
        kernel.append(step.rule)
    elif step.do == "prepend":
        kernel.insert(0, step.rule)
    else:
        kernel.remove(step.rule)


def a_twin(rule):
    return {twin(rule, number) for number in range(5)}


def check(loaded, desired):
    """Take every step from the lines ``loaded`` to ``desired``, hold what must hold, return what was done."""
    return check_bytes([compiled(line) for line in loaded], [compiled(line) for line in desired])


def check_bytes(loaded, desired):
    kernel, steps, old, new = list(loaded), plan(loaded, desired), decide(loaded), decide(desired)
    for step in steps:
        take(kernel, step)
        now = decide(kernel)
        assert all(recorded(now[at]) for at in range(len(EVENTS)) if recorded(old[at]) and recorded(new[at])), (
            "an event that is recorded before and after went unrecorded"
        )
        assert all(rule in kernel or a_twin(rule) & set(kernel) for rule in loaded if rule in desired)
    assert set(kernel) == set(desired) and len(kernel) == len(desired)
    assert decide(kernel) == new
    assert not plan(kernel, desired)
    return [step.do for step in steps]


LINES = st.builds(
    lambda action, calls, auid, uid, path, key: " ".join(
        filter(None, [f"-a {action},exit -F arch=b64 -S {','.join(calls)}", auid, uid, path, f"-F key={key}"])
    ),
    st.sampled_from(["always", "always", "always", "never"]),
    st.lists(st.sampled_from(sorted(CALLS)), min_size=1, max_size=2, unique=True),
    st.sampled_from(["", "-F auid=0", "-F auid!=unset", "-F auid>=1000", "-F auid<1000", "-F auid=5000"]),
    st.sampled_from(["", "", "-F uid=0", "-F uid!=1000"]),
    st.sampled_from(["", "", *(f"-F path={path}" for path in PATHS)]),
    st.sampled_from(["a", "b", "c"]),
)


@st.composite
def lists(draw):
    """A loaded list, sometimes with repetitions, and a desired one from the same rules."""
    pool = draw(st.lists(LINES, min_size=1, max_size=12, unique_by=compiled))
    loaded = draw(st.lists(st.sampled_from(pool), max_size=12))
    desired = draw(st.permutations(pool))
    return loaded, desired[: draw(st.integers(0, len(desired)))]


@settings(max_examples=300, deadline=None)
@given(lists())
def test_every_step_keeps_what_is_recorded_and_the_end_decides_as_a_clean_load(loaded_and_desired):
    check(*loaded_and_desired)


@settings(max_examples=100, deadline=None)
@given(lists(), st.data())
def test_a_plan_that_ends_at_any_step_is_taken_up_by_the_next(loaded_and_desired, data):
    """Its twins are left in the kernel then, and the next may want twins of the same rules; so may the one after."""
    loaded, desired = ([compiled(line) for line in lines] for lines in loaded_and_desired)
    kernel = list(loaded)
    for wanted in (desired, list(dict.fromkeys(loaded)), desired):
        steps = plan(kernel, wanted)
        for step in steps[: data.draw(st.integers(0, len(steps)))]:
            take(kernel, step)
    check_bytes(kernel, desired)


A = "-a always,exit -F arch=b64 -S execve -F key=a"
B = "-a always,exit -F arch=b64 -S execve -F key=b"
APART = "-a always,exit -F arch=b64 -S unlink -F key=c"
NEVER = "-a never,exit -F arch=b64 -S execve -F auid=0"
WATCHES = [f"-a always,exit -F path={path} -F perm=wa -F key={path[-1]}" for path in PATHS[:2]]


@pytest.mark.parametrize(
    "loaded, desired, expected",
    [
        ([], [], []),
        ([A], [A], []),
        ([A, APART], [APART, A], []),
        (WATCHES, WATCHES[::-1], []),
        ([*WATCHES, A], [A, *WATCHES], []),
        ([], [A, NEVER], ["append", "append"]),
        ([A], [A, NEVER], ["append"]),
        ([A], [NEVER, A], ["prepend"]),
        ([A, B], [B], ["delete"]),
        ([A, APART], [B, APART], ["append", "delete"]),
        ([A, B], [B, A], ["append", "delete", "append", "delete"]),
        ([A, A], [A], ["append", "delete", "delete", "append", "delete"]),
    ],
    ids=[
        "nothing",
        "the same",
        "another order that decides nothing",
        "watches of two files",
        "watches beside a system call that they cannot match",
        "first load",
        "one more",
        "a never in front",
        "one less",
        "one changed",
        "an order that decides the key",
        "a repetition",
    ],
)
def test_the_fewest_steps(loaded, desired, expected):
    assert check(loaded, desired) == expected


def test_one_changed_among_many_costs_two_steps():
    lines = [f"-a always,exit -F arch=b64 -S openat -F auid={number} -F key=k{number}" for number in range(1000)]
    loaded = [compiled(line) for line in lines]
    desired = [*loaded[:500], compiled(lines[500] + "x"), *loaded[501:]]
    assert [step.do for step in plan(loaded, desired)] == ["append", "delete"]


def test_a_twin_is_told_from_its_rule():
    assert is_twin(twin(compiled(A))) and not is_twin(compiled(A))
    never = compiled("-a never,filesystem -F fstype=tracefs")
    for rule in (compiled(A), never):
        assert all(is_twin(twin(rule, number)) for number in range(TWINS))
        assert len({twin(rule, number) for number in range(TWINS)}) == TWINS


def lines(form, count):
    return [compiled(form.format(number)) for number in range(count)]


LARGE = 5000
HALF = LARGE // 2
OPENAT = "-a always,exit -F arch=b64 -S openat"
FAMILIES = {
    "ours": f"{OPENAT} -F auid={{0}} -k o{{0}}",
    "theirs": f"{OPENAT} -F uid={{0}} -k t{{0}}",
    "nevers": "-a never,exit -F arch=b64 -S openat -F uid={0}",
    "watches": "-a always,exit -F path=/etc/x{0} -F perm=wa -k w{0}",
    "trees": "-a always,exit -F dir=/srv/{0} -F perm=wa -k w{0}",
    "at least": f"{OPENAT} -F auid>={{0}} -k l{{0}}",
    "at most": f"{OPENAT} -F auid<={{0}} -k m{{0}}",
    "others": f"{OPENAT} -F auid!={{0}} -k n{{0}}",
    "ranges": f"{OPENAT} -F auid>{{0}} -F auid<1{{0}} -k r{{0}}",
    "calls": "-a always,exit -F arch=b64 -S {1} -F auid!={0} -k s{0}",
}
ALL = "-a always,exit -S all -F auid>=1000 -k all"


@functools.cache
def family(name, count=LARGE):
    return [compiled(FAMILIES[name].format(number, number % 300)) for number in range(count)]


def shuffled(rules, count=None):
    return random.Random(3).sample(rules, count or len(rules))


def alternating(*families):
    return [rule for rules in zip(*families, strict=True) for rule in rules]


def large():
    """What is large and can be planned in proportion to it: loaded, desired, the most steps."""
    ours, theirs, nevers = (family(name, HALF) for name in ("ours", "theirs", "nevers"))
    watches, every, mixed = family("watches"), compiled(ALL), theirs + ours
    yield "another file comes before ours", ours, mixed, HALF
    yield "nevers come before ours", ours, nevers + ours, HALF
    yield "ours comes before another file", theirs, ours + theirs, HALF
    yield "everything is new", [], mixed, LARGE
    yield "everything goes", mixed, [], LARGE
    yield "watches in reversed order", watches[::-1], watches, 0
    yield "two files whose rules all meet, shuffled", shuffled(mixed), mixed, 2 * LARGE
    yield "and wanted in another order", shuffled(mixed), shuffled(mixed[::-1]), 4 * LARGE
    yield "rules of both in turns, from one file after the other", mixed, alternating(ours, theirs), 4 * LARGE
    yield "one file after the other, from turns", alternating(ours, theirs), mixed, 4 * LARGE
    yield "every other one is new", ours, alternating(ours, theirs), 4 * LARGE
    yield "every other one is a new never", ours, alternating(nevers, ours), 4 * LARGE
    yield "nevers in turns, shuffled", shuffled(alternating(nevers, ours)), alternating(nevers, ours), 4 * LARGE
    yield "ten of them are behind the others", [*mixed[10:], *mixed[:10]], mixed, 4 * 10
    yield "one that meets all is in the wrong place", [*watches[::-1], every], [every, *watches], 4
    for name in ("at least", "others", "ranges", "calls"):
        rules = family(name)
        yield f"{name}, reversed", rules[::-1], rules, 4 * LARGE
        yield f"{name}, shuffled", shuffled(rules), rules, 4 * LARGE
        yield f"{name}, every other one is new", rules[::2], rules, 4 * LARGE
        yield f"{name}, half is new, the other half shuffled", shuffled(rules[::2]), rules, 4 * LARGE
    both = family("at least", HALF) + family("at most", HALF)
    yield "two kinds of limits, shuffled", shuffled(both), both, 4 * LARGE
    kinds = [rule for name in FAMILIES for rule in family(name, LARGE // len(FAMILIES))]
    yield "some of each kind, shuffled", shuffled(kinds), kinds, 4 * LARGE
    yield "half of them, shuffled", shuffled(kinds, HALF), shuffled(kinds[::-1]), 4 * LARGE


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("case", [*large()], ids=lambda case: case[0])
def test_a_large_plan_takes_no_longer_than_its_rules(case):
    _name, loaded, desired, most = case
    steps, time = spent(plan, loaded, desired)
    assert len(steps) <= most and time < 60
