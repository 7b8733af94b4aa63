"""
base.minion: what only a program can tell is asked once in the program's life, and kept by nobody else.
"""

import os

import pytest
from sshtrail_lib.base import minion


class Program:
    """A file that stands for a program (``path``), and how often it was asked."""

    def __init__(self, path):
        self.path, self.asked = str(path), 0
        path.write_text("one")

    def ask(self):
        self.asked += 1
        return ["answer", self.asked]


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path / "program")


@pytest.fixture
def opts(tmp_path):
    return {"sshtrail.run_dir": str(tmp_path / "run"), "cachedir": str(tmp_path / "cache")}


def _run(opts, **more):
    """Another run of Salt on the same host: nothing is left but what files hold."""
    return minion.Minion({}, {**opts, **more}, {}, {})


def _store(opts):
    return os.path.join(opts["sshtrail.run_dir"], "name.json")


def test_asked_once_and_remembered_by_the_next_run(program, opts):
    run = _run(opts)
    assert [run.remembered("name", program.path, program.ask) for _ in range(2)] == [["answer", 1]] * 2
    assert _run(opts).remembered("name", program.path, program.ask) == ["answer", 1]
    assert program.asked == 1
    assert os.stat(_store(opts)).st_mode & 0o777 == 0o600


def test_another_program_is_asked_anew(program, opts, tmp_path):
    run = _run(opts)
    run.remembered("name", program.path, program.ask)
    (tmp_path / "program").write_text("two, which is longer")
    assert run.remembered("name", program.path, program.ask) == ["answer", 2]
    assert _run(opts).remembered("name", program.path, program.ask) == ["answer", 2]


@pytest.mark.parametrize(("more", "keep"), [({"test": True}, bool), ({}, lambda answer: False)])
def test_what_is_not_to_be_kept_is_asked_by_each_run(program, opts, more, keep):
    run = _run(opts, **more)
    assert [run.remembered("name", program.path, program.ask, keep) for _ in range(2)] == [["answer", 1]] * 2
    assert not os.path.exists(_store(opts))
    assert _run(opts, **more).remembered("name", program.path, program.ask, keep) == ["answer", 2]


@pytest.mark.parametrize("content", ["", "not json", "[]", "null", "{}", '{"identity": 1}', '{"answer": []}'])
def test_a_broken_store_is_asked_anew_and_mended(program, opts, content):
    os.makedirs(opts["sshtrail.run_dir"])
    with open(_store(opts), "w", encoding="utf-8") as handle:
        handle.write(content)
    assert _run(opts).remembered("name", program.path, program.ask) == ["answer", 1]
    assert _run(opts).remembered("name", program.path, program.ask) == ["answer", 1]


def test_a_store_that_others_may_have_written_is_not_believed(program, opts):
    _run(opts).remembered("name", program.path, program.ask)
    os.chmod(_store(opts), 0o666)
    assert _run(opts).remembered("name", program.path, program.ask) == ["answer", 2]


def test_a_kept_answer_that_would_not_be_kept_now_is_not_believed(program, opts):
    _run(opts).remembered("name", program.path, program.ask)
    assert _run(opts).remembered("name", program.path, program.ask, lambda answer: answer[1] > 1) == ["answer", 2]


def test_a_host_that_cannot_keep_it_gets_its_answer(program, opts, tmp_path):
    (tmp_path / "run").write_text("a file where the directory should be")
    assert _run(opts).remembered("name", program.path, program.ask) == ["answer", 1]


def test_a_program_gets_plain_english_and_one_that_lives_on_nothing_else(opts):
    seen = []
    host = minion.Minion({}, opts, {}, {}, lambda *how: seen.append(how))
    host.run("program", "a; b")
    host.run("program", seconds=5, plain=True)
    assert seen == [(["program", "a; b"], None, {"LC_ALL": "C"}, False), (["program"], 5, minion.PLAIN, True)]


def test_where_things_lie(opts):
    assert minion.Minion({}, {}, {}, {}).run_dir == "/run/sshtrail"
    host = _run(opts)
    assert (host.run_dir, host.cachedir) == (opts["sshtrail.run_dir"], opts["cachedir"])
