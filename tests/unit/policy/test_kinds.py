"""
policy.kinds: what a key of the pillar takes, and what is said of anything else.
"""

import re

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.policy import kinds


def refuse(value):
    raise SaltInvocationError(f"{value} is refused.")


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (kinds.TEXT.check, ["x", "two words"]),
        (kinds.NAME.check, ["sshd", "ssh@2.service", "lib64:i386"]),
        (kinds.TEXTS.check, [[], ["a", "b"]]),
        (kinds.ACCOUNTS.check, [[], ["root", "CORP\\admin"]]),
        (kinds.PATH.check, ["/etc/ssh/sshd_config"]),
        (kinds.FLAG.check, [True, False]),
        (kinds.SECONDS.check, [0, kinds.A_DAY]),
        (kinds.one_of("a", "b").check, ["a", "b"]),
    ],
)
def test_what_is_taken_comes_back(check, good):
    problems = []
    assert [check(value, "p", problems) for value in good] == good and problems == []


@pytest.mark.parametrize(
    ("check", "bad", "said"),
    [
        (kinds.TEXT.check, "", "p must be text"),
        (kinds.TEXT.check, 7, "p must be text, not a number."),
        (kinds.NAME.check, "a\nb", r"not 'a\\nb'"),
        (kinds.NAME.check, "../x", "must be a name"),
        (kinds.TEXTS.check, "a", "p must be a list, not text."),
        (kinds.TEXTS.check, ["a", None], "p:1 must be text, not empty."),
        (kinds.ACCOUNTS.check, ["two words"], "p:0 must be the name of an account"),
        (kinds.PATH.check, "etc", "must be an absolute path"),
        (kinds.FLAG.check, "yes", "must be true or false"),
        (kinds.FLAG.check, 1, "must be true or false"),
        (kinds.SECONDS.check, True, "must be a number of seconds"),
        (kinds.SECONDS.check, kinds.A_DAY + 1, "must be a number of seconds"),
        (kinds.one_of("keep", "remove").check, "kep", "did you mean keep\\? allowed are keep, remove"),
        (kinds.list_of(kinds.judged(refuse)), ["x"], "p:0: x is refused."),
        (kinds.list_of(kinds.judged(refuse)), [3], "p:0 must be text, not a number."),
    ],
)
def test_what_is_refused_is_named(check, bad, said):
    problems = []
    check(bad, "p", problems)
    assert len(problems) == 1 and re.search(said, problems[0]), problems
