"""Which files a tree holds, in which order; on a disk that is handed in."""

import pytest
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.sshd import effective, include, match

DAEMON = golden("9.2")


def read(files, daemon=DAEMON, main="/t/main"):
    return loaded(daemon, {path: text.encode("latin-1") for path, text in files.items()}, main)


def test_include_in_the_order_of_bytes_and_without_leaking_match():
    files = {
        "/t/main": "Include /t/d/*.conf\nX11Forwarding yes\nMatch User bob\nInclude /t/bob\n",
        "/t/d/9.conf": "LogLevel ERROR\n",
        "/t/d/50.conf": "LogLevel DEBUG\n",
        "/t/d/10.conf": "Match User eve\nLogLevel QUIET\n",
        "/t/d/.hidden.conf": "LogLevel FATAL\n",
        "/t/bob": "PermitTTY no\n",
    }
    tree = read(files)
    assert list(tree.files) == ["/t/main", "/t/d/10.conf", "/t/d/50.conf", "/t/d/9.conf", "/t/bob"]
    found = effective.effective(tree)
    assert (found["LogLevel"].value, found["LogLevel"].deciding[0].where) == ("DEBUG", ("/t/d/50.conf", 1))
    assert (found["X11Forwarding"].value, found["PermitTTY"].value) == ("yes", "yes")
    assert effective.effective(tree, match.Connection(user="bob"))["PermitTTY"].value == "no"


def test_include_deeper_than_sshd_goes():
    files = {f"/t/{depth}": f"Include /t/{depth + 1}\n" for depth in range(18)}
    assert "deeper than 16" in str(effective.problems(read({**files, "/t/18": ""}, main="/t/0"))[0])
    assert effective.problems(read({**files, "/t/17": ""}, main="/t/1")) == []


DISK = include.Disk(
    {"/t/main": b"Include /t/d/*\n", "/t/d/1": b"", "/t/d/2": b""}.get, lambda _pattern: ["/t/d/2", "/t/d/1"]
)


def test_what_is_on_the_disk_comes_from_who_calls():
    tree = include.load("/t/main", DAEMON, DISK)
    assert list(tree.files) == ["/t/main", "/t/d/1", "/t/d/2"]
    assert include.directories(tree) == {"/t/d"}


def test_an_overlay_adds_and_takes_away():
    tree = include.load("/t/main", DAEMON, DISK, {"/t/d/1": None, "/t/d/0": b"Port 1\n"})
    assert list(tree.files) == ["/t/main", "/t/d/0", "/t/d/2"]
    # What was taken away is away in an edited tree too.
    assert list(tree.edited({"/t/d/3": b""}).files) == ["/t/main", "/t/d/0", "/t/d/2", "/t/d/3"]


def test_no_main_file():
    with pytest.raises(effective.ConfigError, match="There is no /t/other"):
        include.load("/t/other", DAEMON, include.Disk())


@pytest.mark.parametrize(
    ("word", "pattern"), [("a*", "/etc/ssh/a*"), ("/a", "/a"), ("~/a", "~/a"), (r"/a\*b", "/a[*]b")]
)
def test_what_a_word_means(word, pattern):
    assert include.pattern_of(word) == pattern
