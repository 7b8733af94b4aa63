"""Where sections of other tools begin and end, as these tools write them."""

import pytest
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import language, sections

DAEMON = golden("9.2")
PAIRS = [
    ("# BEGIN ANSIBLE MANAGED BLOCK", "# END ANSIBLE MANAGED BLOCK"),
    ("# BEGIN ANSIBLE MANAGED BLOCK 2FA", "# END ANSIBLE MANAGED BLOCK 2FA"),
    ("# BEGIN", "# END"),
    ("#-- start managed zone --", "#-- end managed zone --"),
    ("# START managed zone 42 -DO-NOT-EDIT-", "# END managed zone 42 --"),
    ("#VAGRANT-BEGIN", "#VAGRANT-END"),
    ("#### Google OS Login control. Do not edit this section. ####", "#### End Google OS Login control section. ####"),
    ("# >>> site login >>>", "# <<< site login <<<"),
    ("# {{{ site", "# site }}}"),
    ("# <site>", "# </site>"),
    ("## Start of the hosting panel's settings", "## End of the hosting panel's settings"),
    ("# site-sshd begin (do not edit)", "# site-sshd end"),
]


def found(*lines):
    return sections.sections(language.parse("".join(f"{line}\n" for line in lines).encode(), DAEMON))


@pytest.mark.parametrize(("begin", "end"), PAIRS)
def test_a_pair_of_comments(begin, end):
    assert found("Port 22", begin, "X11Forwarding no", end, "UsePAM yes") == [(2, 4)]


@pytest.mark.parametrize(
    "lines",
    [
        ("# BEGIN site", "Port 22"),
        ("# BEGIN site", "Port 22", "# END panel"),
        ("# END", "Port 22", "# BEGIN"),
        ("# The server", "Port 22", "# end of file"),
        ("Match all # BEGIN x", "Port 22", "Match all # END x"),
        ("#", "Port 22", "#", "# end"),
    ],
)
def test_what_is_none(lines):
    assert found(*lines) == []


def test_several_and_one_in_another():
    lines = ["# BEGIN a", "# BEGIN b", "# END b", "# END a", "", "# BEGIN a", "# END a"]
    assert found(*lines) == [(1, 4), (6, 7)]
    parsed = language.parse("".join(f"{line}\n" for line in lines).encode(), DAEMON)
    assert [sections.around(parsed, number) for number in (3, 5, 7)] == [(1, 4), None, (6, 7)]
