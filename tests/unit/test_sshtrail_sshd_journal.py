"""The journal of an interrupted transaction."""

import sshtrail_sshd_journal


def test_what_was_there_before(tmp_path):
    journal, changed, new, foreign = (str(tmp_path / name) for name in ("j/journal", "changed", "new", "foreign"))
    old = {changed: b"old\xff", new: None, foreign: b"old"}
    sshtrail_sshd_journal.open_(journal, old, {changed: b"new", new: b"new", foreign: b"new"})
    for path, data in ((changed, b"new"), (new, b"new"), (foreign, b"somebody else's")):
        (tmp_path / path).write_bytes(data)
    assert sshtrail_sshd_journal.before(journal) == {changed: b"old\xff", new: None}
    sshtrail_sshd_journal.close(journal)
    sshtrail_sshd_journal.close(journal)
    assert sshtrail_sshd_journal.before(journal) == {}


def test_a_file_that_is_no_journal(tmp_path):
    (tmp_path / "journal").write_bytes(b"not json")
    assert sshtrail_sshd_journal.before(str(tmp_path / "journal")) == {}
