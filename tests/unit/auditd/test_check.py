"""
What only this host can tell against an auditd.conf.
"""

import os

import pytest
from sshtrail_lib.auditd import check
from support import require_root


def test_what_the_host_does_not_have(tmp_path):
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o777)
    data = f"log_file = {tmp_path}/none/a.log\nlog_group = no-such-group\nspace_left_action = exec {program}\n".encode()
    data += b"admin_space_left_action = exec /no/such\n"
    found = {problem.keyword: problem.line for problem in check.host_problems(data)}
    assert found == {"log_file": 1, "log_group": 2, "space_left_action": 3, "admin_space_left_action": 4}


@pytest.mark.parametrize(
    "bad", ["log_file = /no/such/a.log", "log_group = no-such-group", "disk_full_action = exec /no/such"]
)
def test_auditd_looks_at_each_line_of_a_keyword_also_where_a_later_one_counts(bad, tmp_path):
    """Measured with auditd 3.0, 3.0.9, 4.0.2 and 4.1.2: it does not start."""
    good = f"log_file = {tmp_path}/a.log\nlog_group = root\ndisk_full_action = suspend\n"
    assert [problem.line for problem in check.host_problems(f"# first\n{bad}\n{good}".encode())] == [2]


def test_free_space_in_two_units_is_compared_on_the_disk(tmp_path):
    def found(left, admin):
        text = f"log_file = {tmp_path}/a.log\nspace_left = {left}\nadmin_space_left = {admin}\n"
        return [problem.keyword for problem in check.host_problems(text.encode())]

    assert found("1%", 10**9) == ["space_left"]
    assert found("99%", 0) == []


def test_the_daemons_default_is_compared_where_a_keyword_is_missing(tmp_path):
    data = f"log_file = {tmp_path}/a.log\nadmin_space_left = 10%\n".encode()
    [problem] = check.host_problems(data)
    assert problem.keyword == "space_left" and "here they are 0 and " in problem.reason


def test_a_group_is_asked_for_by_its_name(monkeypatch):
    """All groups of a directory service are not: that takes it minutes."""
    monkeypatch.setattr(check.directory.grp, "getgrall", None)
    assert check.host_problems(b"log_group = root\n") == []
    assert [problem.keyword for problem in check.host_problems(b"log_group = no-such-group\n")] == ["log_group"]


def test_a_file_that_auditd_would_not_open(tmp_path):
    require_root()
    path, link = tmp_path / "auditd.conf", tmp_path / "link"
    path.write_bytes(b"space_left = 2\n")
    path.chmod(0o640)
    link.symlink_to(str(path))
    assert check.file_problems(str(path)) == []
    assert len(check.file_problems(str(link))) == 1
    assert check.file_problems(str(link), links=True) == []
    path.chmod(0o666)
    os.chown(path, 1, 1)
    assert len(check.file_problems(str(path))) == 2


def test_free_space_that_no_line_sets_has_no_line(tmp_path):
    text = f"log_file = {tmp_path}/a.log\nadmin_space_left = 10%\n"
    [found] = check.host_problems(text.encode())
    assert (found.line, found.keyword) == (0, "space_left")


def test_free_space_in_a_directory_that_is_not_there_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(check.os.path, "isdir", lambda _path: False)
    assert check.host_problems(b"space_left = 1%\nadmin_space_left = 100000000\n") == []
