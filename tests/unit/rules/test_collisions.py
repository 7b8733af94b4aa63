"""Which of many rules collide: the same as is told of each pair, and as soon for thousands."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sshtrail_lib.rules import collisions, compile, language, overlap
from sshtrail_lib.rules.collisions import Collisions, Meetings, bits
from support import spent


def compiled(line):
    return compile.compile(language.parse_rule(line))


NUMBERS = st.builds(
    lambda field, operator, value: f"-F {field}{operator}{value}",
    st.sampled_from(["auid", "uid", "pid"]),
    st.sampled_from(["=", "!=", ">=", "<=", "<", ">"]),
    st.sampled_from([0, 1, 2, 3, 1000]),
)
PATHS = ("/etc", "/etc/ssh", "/srv", "//etc/x")
PLACES = ["", "-F dir=/", *(f"-F {kind}={path}" for kind in ("path", "dir") for path in PATHS)]
EXITS = st.builds(
    lambda action, calls, numbers, place, perm, key: " ".join(
        filter(None, [f"-a {action},exit", calls, *numbers, place, perm if place else "", f"-k {key}"])
    ),
    st.sampled_from(["always", "always", "never"]),
    st.sampled_from(
        ["-S openat", "-F arch=b64 -S execve", "-F arch=b64 -S openat,execve", "-F arch=b32 -S open", "-S all"]
    ),
    st.lists(NUMBERS, max_size=4),
    st.sampled_from(PLACES),
    st.sampled_from(["", "-F perm=wa", "-F perm=x", "-F perm=rwxa"]),
    st.sampled_from(["a", "b", "c"]),
)
OTHERS = st.sampled_from(
    [
        "-a never,exit -S all -F success=1 -F auid=unset",
        "-a never,exit -S all -F success>=1",
        "-a always,exit -S openat -F success>0 -k a",
        "-a always,exit -S openat -F success=0 -F gid=5 -k b",
        "-a never,task -F uid=1",
        "-a always,user -F uid>=1",
        "-a never,user -F auid!=2",
        "-a always,exclude -F msgtype=CWD",
        "-a never,exclude -F msgtype=CWD -F uid=0",
    ]
)
RULES = st.one_of(EXITS, EXITS, OTHERS).map(compiled)


@settings(max_examples=300, deadline=None)
@given(st.lists(RULES, max_size=15), RULES, st.integers(0, 2**15 - 1))
def test_many_are_told_what_each_pair_is(rules, rule, among):
    found = Collisions(rules, compile.exec_calls)
    for one in (rule, *rules):
        alone = [at for at, other in enumerate(rules) if overlap.collide(one, other, compile.exec_calls)]
        assert [*bits(found.of(one))] == alone
        covering = (at for at, other in enumerate(rules) if among >> at & 1 and overlap.covers(other, one))
        assert found.covering(one, among & found.all) == next(covering, None)


@settings(max_examples=200, deadline=None)
@given(st.lists(RULES, max_size=12, unique=True))
def test_what_must_come_with_a_rule_is_found_step_by_step_too(rules):
    met = Meetings(rules, compile.exec_calls)

    def led(at, way):
        found = [at]
        for one in range(at, len(rules) if way > 0 else -1, way):
            found += (
                [one] if any(overlap.collide(rules[one], rules[other], compile.exec_calls) for other in found) else []
            )
        return sum(1 << one for one in {*found})

    assert met.after == [led(at, 1) for at in range(len(rules))]
    assert met.before == [led(at, -1) for at in range(len(rules))]


@pytest.mark.parametrize("seed", range(5))
def test_bits_are_taken_apart(seed):
    mask = random.Random(seed).getrandbits(700) | 1 << 701
    numbers = [at for at in range(mask.bit_length()) if mask >> at & 1]
    assert [*bits(mask)] == numbers and collisions.mask(numbers) == mask and collisions.count(mask) == len(numbers)
    assert (collisions.lowest(mask), collisions.highest(mask)) == (numbers[0], numbers[-1])
    assert [*bits(0)] == [] and collisions.mask([]) == 0 == collisions.count(0)


@pytest.mark.usefixtures("untraced")
def test_thousands_that_all_meet_are_told_soon():
    rules = [compiled(f"-a always,exit -F arch=b64 -S openat -F auid!={at} -k n{at}") for at in range(5000)]

    def looked():
        met = Meetings(rules, compile.exec_calls)
        assert all(met.of(at) == met.all & ~(1 << at) for at in range(len(rules)))
        assert met.before[-1] == met.after[0] == met.all

    assert spent(looked)[1] < 50
