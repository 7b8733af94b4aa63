"""The module and the state on a tree of its own, with a real session of the installed Linux-PAM as the proof."""

import os
import pathlib
import re
import shutil
import time

import pytest
from _waiting import DEADLINE
from conftest import require_root
from sshtrail_lib.pam import host, session

LINE = "session    required     pam_loginuid.so"
PAM_D = pathlib.Path("/etc/pam.d")


@pytest.fixture
def tree(tmp_path):
    """A copy of the host's files, in which sshd's has lost its line (pathlib.Path of that)."""
    require_root()
    if not (PAM_D / "sshd").exists() or not host._library_path():
        pytest.skip("needs sshd's PAM service and libpam")
    shutil.copytree(PAM_D, tmp_path / "pam.d")
    path = tmp_path / "pam.d" / "sshd"
    path.write_text(re.sub(r".*pam_loginuid.*\n", "", path.read_text()))
    return path


def loginuid():
    return pathlib.Path(session.LOGINUID).read_text()


def test_the_line_comes_back_and_is_proven(tree, states, modules):
    before, mine = tree.read_text(), loginuid()
    (problem,) = modules.sshtrail_pam.check(path=str(tree))
    assert problem["kind"] == "missing"
    tested = states.sshtrail_pam.loginuid(str(tree), test=True)
    assert tested.result is None and tree.read_text() == before
    made = states.sshtrail_pam.loginuid(str(tree))
    changes = {str(tree): {"old": None, "new": LINE}}
    assert made.result is True and made.changes == tested.changes == changes, made.comment
    assert "Proven" in made.comment or "cannot be proven here" in made.comment
    assert tree.read_text().replace(LINE + "\n", "") == before
    for test in (True, False):
        again = states.sshtrail_pam.loginuid(str(tree), test=test)
        assert again.result is True and not again.changes
    assert modules.sshtrail_pam.check(path=str(tree)) == [] and loginuid() == mine


def test_what_it_watches_has_it_compare_anew(tree, states):
    done = states.sshtrail_pam.mod_watch(name=str(tree), sfun="loginuid", service="sshd")
    assert done.result is True and done.changes == {str(tree): {"old": None, "new": LINE}}, done.comment
    assert states.sshtrail_pam.mod_watch(name=str(tree), sfun="forgotten").changes


def test_a_line_that_was_commented_out(tree, modules):
    tree.write_text("# " + LINE + "\n" + tree.read_text())
    changes = {str(tree): {"old": "# " + LINE, "new": LINE}}
    assert modules.sshtrail_pam.diff(path=str(tree)) == changes
    assert modules.sshtrail_pam.apply(path=str(tree))["changes"] == changes
    assert tree.read_text().startswith(LINE)


def test_who_has_no_password(tree, modules):
    """What distributions write asks for one; pam_exec may do anything."""
    assert modules.sshtrail_pam.without_password(path=str(tree)) is False
    tree.write_text("auth sufficient pam_exec.so quiet /bin/false\n" + tree.read_text())
    assert modules.sshtrail_pam.without_password(path=str(tree)) is True


def test_a_session_that_pam_refuses_brings_the_old_file_back(tree, states):
    if not os.path.exists(session.LOGINUID):
        pytest.skip("needs a kernel that does auditing")
    tree.write_text(tree.read_text() + "session required pam_exec.so quiet /bin/false\n")
    before = tree.read_bytes()
    made = states.sshtrail_pam.loginuid(str(tree))
    if "cannot be proven here" in made.comment:
        pytest.skip("needs a process whose loginuid can be unset")
    assert made.result is False and not made.changes and tree.read_bytes() == before
    assert "PAM refused a session for root" in made.comment and "is back" in made.comment


def test_no_line_would_do(tree, states):
    tree.unlink()
    for test in (True, False):
        made = states.sshtrail_pam.loginuid(str(tree), test=test)
        assert made.result is False and not made.changes and "There is no" in made.comment


def test_a_session_is_proven_only_by_its_loginuid(tree):
    found = host.proof("sshd", str(tree))
    if found.outcome == host.UNPROVABLE:
        pytest.skip(f"needs a session that can be proven: {found.reason}")
    assert found == host.Proof(host.FAILED, f"PAM opened a session for root, and its loginuid was {session.UNSET}")
    tree.write_text(LINE + "\n" + tree.read_text())
    assert host.proof("sshd", str(tree)).outcome == host.PROVEN


def test_a_proof_ends_in_time(tree):
    tree.write_text("session optional pam_exec.so /bin/sleep 3600\n" + tree.read_text())
    begun = time.monotonic()
    found = host.proof("sshd", str(tree), deadline=1)
    assert time.monotonic() - begun < DEADLINE and found.outcome in (host.FAILED, host.UNPROVABLE)


def test_a_proof_notes_nobody(tree):
    held = {path: pathlib.Path(path).read_bytes() for path in session.NOTED if os.path.exists(path)}
    tree.write_text(LINE + "\nsession optional pam_lastlog.so\n" + tree.read_text())
    host.proof("sshd", str(tree))
    assert {path: pathlib.Path(path).read_bytes() for path in held} == held
    assert not pathlib.Path("/etc/pam.d/sshd").samefile(tree)
