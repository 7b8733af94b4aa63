"""
pam.plan: the smallest change after which every session goes by pam_loginuid.so.
"""

import re

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.pam import check, language, plan

from unit.pam import stacks
from unit.pam.stacks import DEBIAN, DEBIAN_12, RED_HAT, STOCK, UPSTREAM

LINE = plan.LINE.decode()
MAIN = "/etc/pam.d/sshd"


def edit(files, library=UPSTREAM, path=MAIN, **options):
    return plan.edit(stacks.disk(files, **options), library, "sshd", path)


def made(text, files=None, library=UPSTREAM, **options):
    """Return the new text of a service file ``text``."""
    given = {**(files or {}), "sshd": text}
    found = edit(given, library, **options)
    assert found.old == (text if isinstance(text, bytes) else text.encode())
    after = stacks.reading({**given, "sshd": found.new}, library, **options)
    assert check.problems(after) == []
    return found.new.decode()


@pytest.mark.parametrize(("files", "library"), STOCK.values(), ids=STOCK)
def test_stock_needs_nothing(files, library):
    assert edit(files, library) is None


@pytest.mark.parametrize(("files", "library"), STOCK.values(), ids=STOCK)
def test_a_line_that_was_taken_away_comes_back_where_it_was(files, library):
    without = re.sub(r".*pam_loginuid.*\n", "", files["sshd"])
    words = [line.split() for line in made(without, files, library).splitlines()]
    assert words == [line.split() for line in files["sshd"].splitlines()]


@pytest.mark.parametrize("mark", ["#", "# ", "## ", "\t#\t"])
def test_a_line_that_was_commented_out_is_restored(mark):
    commented = DEBIAN["sshd"].replace(LINE, mark + LINE)
    assert made(commented, DEBIAN, DEBIAN_12) == DEBIAN["sshd"]
    found = edit({**DEBIAN, "sshd": commented}, DEBIAN_12)
    assert (found.path, found.before.lstrip("#\t "), found.after + "\n") == (MAIN, LINE.strip(), LINE)


def test_with_its_comment_gone_too_it_stands_behind_selinux():
    text = DEBIAN["sshd"].replace("# Set the loginuid process attribute.\n" + LINE, "")
    lines = made(text, DEBIAN, DEBIAN_12).splitlines(True)
    at = lines.index(LINE)
    assert "pam_selinux.so close" in lines[at - 1] and "".join(lines[:at] + lines[at + 1 :]) == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("session required pam_a.so\n", "{}session required pam_a.so\n"),
        ("auth required pam_a.so\nsession required pam_b.so", "auth required pam_a.so\n{}session required pam_b.so"),
        ("session \\\n optional pam_a.so\n", "{}session \\\n optional pam_a.so\n"),
        ("session optional pam_selinux.so close", "session optional pam_selinux.so close\n{}"),
        # A SELinux line around which there is a way is no place to stand behind.
        ("session sufficient pam_selinux.so close\n", "{}session sufficient pam_selinux.so close\n"),
        ("session required pam_selinux.so open\n", "{}session required pam_selinux.so open\n"),
        # Before what jumps over it or ends the stack, which stays as it is.
        (
            "session [success=1 default=ignore] pam_a.so\nsession required pam_loginuid.so\nsession include more\n",
            "{}session [success=1 default=ignore] pam_a.so\nsession required pam_loginuid.so\nsession include more\n",
        ),
        ("# loginuid\nsession sufficient pam_a.so\n", "# loginuid\n{}session sufficient pam_a.so\n"),
        # What was meant to be it.
        ("sesion required pam_loginuid.so\nsession required pam_a.so\n", "{}session required pam_a.so\n"),
        # A comment where it would be jumped over, or where a jump would land elsewhere.
        (
            "session [success=1 default=ignore] pam_a.so\n# session required pam_loginuid.so\n"
            "session required pam_b.so\nsession required pam_c.so\n",
            "{}session [success=1 default=ignore] pam_a.so\n# session required pam_loginuid.so\n"
            "session required pam_b.so\nsession required pam_c.so\n",
        ),
        # An optional line that was commented out would not be needed.
        (
            "# session optional pam_loginuid.so\nsession required pam_a.so\n",
            "# session optional pam_loginuid.so\n{}session required pam_a.so\n",
        ),
        # Prose is no line.
        (
            "session required pam_a.so\n# a session may need pam_loginuid.so in here\n",
            "session required pam_a.so\n# a session may need pam_loginuid.so in here\n{}",
        ),
    ],
)
def test_where_it_goes(old, new):
    assert made(old, {"more": "session required pam_m.so\n"}) == new.format(LINE)


def test_before_an_include_that_has_session_lines():
    text = "@include common-auth\n@include common-session\n"
    assert made(text, DEBIAN, DEBIAN_12) == f"@include common-auth\n{LINE}@include common-session\n"


def test_other_bytes_stay():
    assert (
        edit({"sshd": b"# \xff\xfe\r\nsession required pam_a.so\n"}).new
        == b"# \xff\xfe\r\n" + plan.LINE + b"session required pam_a.so\n"
    )


@pytest.mark.parametrize(
    ("files", "options", "why"),
    [
        ({"other": "session required pam_a.so\n"}, {}, "There is no /etc/pam.d/sshd"),
        (
            {"other": ""},
            {"other": {"/usr/lib/pam.d/sshd": "session required pam_a.so\n"}},
            "copy it to /etc/pam.d/sshd",
        ),
        ({"sshd": "auth required pam_a.so\n", "other": "session required pam_a.so\n"}, {}, "has no session line"),
        ({"sshd": "session required pam_a.so\n"}, {"missing": ["pam_loginuid.so"]}, "is not installed"),
        ({"sshd": "session required pam_a.so \\\n"}, {}, "cannot read the service"),
    ],
)
def test_refused(files, options, why):
    with pytest.raises(CommandExecutionError, match=re.escape(why)):
        edit(files, **options)


def test_every_place_is_tried_on_the_stack_itself():
    """Whatever jumps: what comes of it holds, or is refused, and nothing else changes."""
    for jump in range(1, 5):
        for place in range(4):
            lines = [f"session optional pam_{at}.so\n" for at in range(4)]
            lines.insert(place, f"session [success={jump} default=ignore] pam_x.so\n")
            new = made("".join(lines))
            assert new.replace(LINE, "") == "".join(lines)


def test_the_example_of_red_hat_is_not_touched_beyond_the_line():
    text = RED_HAT["sshd"].replace(LINE, "")
    assert edit({**RED_HAT, "sshd": text}).before is None
    assert isinstance(language.read(stacks.disk(RED_HAT), UPSTREAM, "sshd"), language.Reading)
