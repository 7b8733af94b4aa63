"""
pam.check: whether every session goes by pam_loginuid.so, and what is in the way.
"""

import pytest
from sshtrail_lib.pam import check

from unit.pam import stacks
from unit.pam.stacks import DEBIAN, DEBIAN_12, STOCK

LOGINUID = "session required pam_loginuid.so"
PERMIT = "session required pam_permit.so"
MAIN = "/etc/pam.d/sshd"


@pytest.mark.parametrize(("files", "library"), STOCK.values(), ids=STOCK)
def test_stock_has_no_problem(files, library):
    reading = stacks.reading(files, library)
    assert check.problems(reading) == []
    assert check.require_auditd(reading).startswith("require_auditd would refuse every login")


@pytest.mark.parametrize(("files", "library"), STOCK.values(), ids=STOCK)
def test_stock_without_the_line(files, library):
    kept = "".join(line for line in files["sshd"].splitlines(True) if "pam_loginuid" not in line)
    assert check.loginuid(stacks.reading({**files, "sshd": kept}, library)).kind == check.MISSING


@pytest.mark.parametrize(
    ("lines", "kind", "numbers"),
    [
        ([PERMIT], check.MISSING, [0]),
        (["account required pam_loginuid.so", PERMIT], check.MISSING, [0]),
        (["# " + LOGINUID, PERMIT], check.MISSING, [0]),
        (["session [success=1 default=ignore] pam_succeed_if.so user = bob", LOGINUID, PERMIT], check.JUMPED, [1, 2]),
        (["session [default=2] pam_permit.so", PERMIT, LOGINUID, PERMIT], check.JUMPED, [1, 3]),
        (["session sufficient pam_x.so", LOGINUID], check.ENDED, [1, 2]),
        ([PERMIT, "session [success=done default=ignore] pam_x.so", LOGINUID], check.ENDED, [2, 3]),
        (["sesion required pam_loginuid.so", PERMIT], check.MUST_FAIL, [1]),
        # Twice, and none of them always.
        (
            [
                "session [success=1 default=ignore] pam_x.so",
                LOGINUID,
                "session [success=1 default=ignore] pam_y.so",
                LOGINUID,
                PERMIT,
            ],
            check.JUMPED,
            [3, 4],
        ),
    ],
)
def test_ways_around_it(lines, kind, numbers):
    found = check.loginuid(stacks.session(*lines))
    assert found.kind == kind and found.lines == tuple((MAIN, number) for number in numbers)
    assert found.reason


@pytest.mark.parametrize(
    "lines",
    [
        [LOGINUID],
        # A session that is refused runs nothing: it needs no loginuid.
        ["session requisite pam_x.so", LOGINUID],
        ["session [success=ok default=die] pam_x.so", LOGINUID],
        # These cannot return what would lead around it.
        ["session [success=ignore default=1] pam_permit.so", LOGINUID, PERMIT],
        ["session sufficient pam_deny.so", LOGINUID],
        # A jump beyond the end is a failure.
        ["session [success=5 default=ignore] pam_x.so", LOGINUID],
        # Before or behind what jumps.
        [LOGINUID, "session [success=1 default=ignore] pam_x.so", LOGINUID, PERMIT],
        ["session [success=1 default=ignore] pam_x.so", LOGINUID, "session optional pam_loginuid.so", PERMIT],
        # What failed before stays a failure.
        ["session required pam_deny.so", "session sufficient pam_x.so", LOGINUID],
    ],
)
def test_no_way_around_it(lines):
    assert check.loginuid(stacks.session(*lines)) is None


def test_what_a_substack_decides_ends_the_substack():
    inside = {"more": "session sufficient pam_x.so\n" + LOGINUID + "\n"}
    before = {"sshd": "session substack more\n" + LOGINUID + "\n", "more": "session sufficient pam_x.so\n"}
    assert check.loginuid(stacks.reading(before)) is None
    assert (
        check.loginuid(stacks.reading({**before, "sshd": before["sshd"].replace("substack", "include")})).kind
        == check.ENDED
    )
    found = check.loginuid(stacks.reading({"sshd": "session substack more\n" + PERMIT + "\n", **inside}))
    assert (found.kind, found.lines) == (check.ENDED, (("/etc/pam.d/more", 1), ("/etc/pam.d/more", 2)))


def test_a_module_that_is_not_installed():
    lines = ["-session optional pam_loginuid.so", PERMIT]
    found = check.loginuid(stacks.session(*lines, missing=["pam_loginuid.so"]))
    assert (found.kind, found.lines) == (check.NO_MODULE, ((MAIN, 1),))
    required = check.problems(stacks.session(LOGINUID, PERMIT, missing=["pam_loginuid.so"]))
    assert [one.kind for one in required] == [check.REFUSED] and "cannot be loaded" in required[0].reason


def test_a_file_of_that_name_that_is_something_else():
    disk = stacks.disk({"sshd": LOGINUID + "\n"})._replace(sets_loginuid=lambda path: False)
    reading = stacks.language.read(disk, stacks.UPSTREAM, "sshd")
    assert check.loginuid(reading).kind == check.NO_MODULE


@pytest.mark.parametrize(
    "line",
    [
        "session optional pam_loginuid.so",
        "session [success=ok default=ignore] pam_loginuid.so",
        "session [success=ok session_err=ignore default=bad] pam_loginuid.so require_auditd",
    ],
)
def test_its_failure_is_not_asked_for(line):
    reading = stacks.session(line, PERMIT)
    (found,) = check.problems(reading)
    assert found.kind == check.NOT_REQUIRED and found.lines == ((MAIN, 1),)
    changes = "changes" if "require_auditd" in line else "would change"
    assert check.require_auditd(reading) == f"require_auditd {changes} nothing: its failure is not asked for"


def test_gentoo_does_not_require_it():
    (found,) = check.problems(stacks.reading(stacks.GENTOO))
    assert (found.kind, found.lines) == (check.NOT_REQUIRED, (("/etc/pam.d/system-login", 2),))


def test_require_auditd():
    asked = stacks.session(LOGINUID + " require_auditd")
    assert check.require_auditd(asked) == "require_auditd refuses every login while the kernel has no audit daemon"


def test_nobody_is_let_in():
    found = check.problems(stacks.session("session pam_loginuid.so"))
    assert [one.kind for one in found] == [check.REFUSED] and found[0].lines == ((MAIN, 1),)
    found = check.problems(stacks.reading({**DEBIAN, "sshd": DEBIAN["sshd"] + "session \\\n"}, DEBIAN_12))
    assert [one.kind for one in found] == [check.REFUSED]


def test_what_debian_leaves_undefined_may_jump():
    files = {"sshd": "session include a\n" + LOGINUID + "\n" + PERMIT + "\n", "a": "@include none\n"}
    found = check.loginuid(stacks.reading(files, DEBIAN_12))
    assert (found.kind, found.lines[0]) == (check.JUMPED, ("/etc/pam.d/a", 1))


def test_a_large_stack_is_searched_at_once():
    lines = [f"session [success={1 + at % 3} default=ignore] pam_{at}.so" for at in range(200)]
    assert check.loginuid(stacks.session(*lines, LOGINUID, PERMIT)).kind == check.JUMPED
