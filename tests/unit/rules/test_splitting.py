"""Names of rules files that a shell takes for others: with the shell itself as the judge."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules import splitting

NAMES = st.lists(
    st.text("ab1 \t\n*?[]-.", min_size=1, max_size=6).map(lambda stem: stem + ".rules"), max_size=6, unique=True
).map(lambda names: [*names, "a", "ab", "10-app.rules"])
#: As augenrules 3.0.9 has it; its cat names the files that are not there.
SCRIPT = r"""
cd "$2" && for rules in $(/bin/ls -1v "$1" | grep "\.rules$") ; do
    cat "$1"/${rules} 2>/dev/null
done
"""


def shell(folder, nowhere):
    command = ["sh", "-c", SCRIPT, "sh", str(folder), str(nowhere)]
    done = subprocess.run(command, capture_output=True, check=False, env={"LC_ALL": "C"})
    return done.stdout.decode().splitlines()


@settings(max_examples=150, deadline=None)
@given(names=NAMES)
def test_what_is_read_is_what_a_shell_reads(names, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    for name in names:
        (folder / name).write_text(f"{name!r}\n")
    # At boot it stands in /, where nothing has such a name.
    nowhere = tmp_path_factory.mktemp("nowhere")
    listed = rules_files.order([*{*names}])
    assert [repr(one) for name in listed for one in splitting.read_for(name, names)] == shell(folder, nowhere)


@pytest.mark.parametrize(
    "name, read",
    [
        ("10-app.rules", ["10-app.rules"]),
        ("Copy of 10-app.rules", ["10-app.rules"]),
        ("a 10-app.rules", ["a", "10-app.rules"]),
        ("30 spaced.rules", []),
        ("*.rules", ["*.rules", "10-app.rules", "30 spaced.rules"]),
        ("[1]0-app.rules", ["10-app.rules"]),
    ],
)
def test_which_files_stand_for_a_name(name, read):
    assert splitting.read_for(name, ["10-app.rules", "a", "30 spaced.rules", ".hidden.rules", name]) == read
    assert all(one in splitting.sentence(read) for one in read) and "white space" in splitting.sentence([])
