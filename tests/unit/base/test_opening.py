"""
Files that somebody else has made something else of.
"""

import os

import pytest
from sshtrail_lib.base import opening


def test_a_pipe_keeps_nobody_waiting(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileNotFoundError, match="no regular file"):
        opening.regular(str(pipe), os.O_RDONLY)
    with open(pipe, "rb", opener=opening.at_once) as handle:
        assert handle.read() == b""


def test_a_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with open(tmp_path / "file", "rb", opener=opening.regular) as handle:
        assert handle.read() == b"x"
