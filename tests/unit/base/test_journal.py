"""The journal of an interrupted transaction."""

from sshtrail_lib.base import journal as base_journal


def test_what_was_there_before(tmp_path):
    journal, changed, new, foreign = (str(tmp_path / name) for name in ("j/journal", "changed", "new", "foreign"))
    old = {changed: b"old\xff", new: None, foreign: b"old"}
    base_journal.open_(journal, old, {changed: b"new", new: b"new", foreign: b"new"})
    for path, data in ((changed, b"new"), (new, b"new"), (foreign, b"somebody else's")):
        (tmp_path / path).write_bytes(data)
    assert base_journal.before(journal) == {changed: b"old\xff", new: None}
    base_journal.close(journal)
    base_journal.close(journal)
    assert base_journal.before(journal) == {}


def test_a_file_that_is_no_journal(tmp_path):
    (tmp_path / "journal").write_bytes(b"not json")
    assert base_journal.before(str(tmp_path / "journal")) == {}
