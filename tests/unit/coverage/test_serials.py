"""
coverage.serials: which numbers of events are missing.
"""

import pytest
from sshtrail_lib.coverage import serials

LOG = b"""type=SYSCALL msg=audit(20.005:7): arch=c000003e syscall=44
type=PROCTITLE msg=audit(20.005:7): proctitle="x msg=audit(1.0:99): "
node=web1 type=USER_LOGIN msg=audit(20.006:8): pid=1 msg='op=login acct=" msg=audit(1.0:98): "'
type=DAEMON_END msg=audit(20.007:8803): op=terminate
node=web1 type=DAEMON_START msg=audit(20.008:5478): op=start
garbage
type=USER msg=audit(x:y): z
"""


def test_the_numbers_of_a_log():
    assert serials.numbers(LOG) == {7, 8}
    assert serials.numbers(b"x" * 1000 + b" msg=audit(1.0:7): ") == serials.numbers(b"") == set()


@pytest.mark.parametrize(
    "known,after,missing",
    [
        ([8, 9, 10], 7, []),
        ([10, 8, 9, 3], 7, []),
        ([9], 7, [(8, 8)]),
        ([12, 9, 13, 20], 7, [(8, 8), (10, 11), (14, 19)]),
        ([], 7, []),
        ([3], 7, []),
    ],
)
def test_what_is_missing(known, after, missing):
    assert serials.spans(known, after) == missing
    assert serials.count(missing) == sum(last - first + 1 for first, last in missing)


@pytest.mark.parametrize(
    "known,beyond",
    [([8, 9, 20], []), ([8, 2**31, 9], [2**31]), ([2**31, 2**31 + 1], [2**31, 2**31 + 1]), ([3], []), ([], [])],
)
def test_what_no_kernel_has_come_to(known, beyond):
    assert serials.beyond(known, 7) == beyond


@pytest.mark.parametrize(
    "told,left",
    [
        (set(), [(8, 8), (10, 15)]),
        ({8}, [(10, 15)]),
        ({10, 15, 99}, [(8, 8), (11, 14)]),
        ({12}, [(8, 8), (10, 11), (13, 15)]),
        ({8, 10, 11, 12, 13, 14, 15}, []),
    ],
)
def test_what_is_told_elsewhere(told, left):
    assert serials.left([(8, 8), (10, 15)], told) == left


def test_the_number_of_an_event():
    assert serials.number(b"audit(1795725547.835:1993)") == 1993
