"""Edits whose bytes matter; golden defaults instead of an sshd."""

import pytest
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.sshd import edit, include, lines, plan, wish

MAIN = "/t/sshd_config"
DAEMON = golden("9.2")


def edited(text, config, daemon=DAEMON):
    tree = loaded(daemon, {MAIN: text.encode()}, MAIN)
    return plan.plan(tree, wish.wishes(config, None, daemon)).after.data[MAIN].decode()


EMPTY = ""
FULL = "Port 22\n#MaxSessions 10\n\n# about bob\nMatch User bob\n\tPermitTTY no\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EMPTY, "MaxSessions 4\n"),
        (FULL, FULL.replace("10\n", "10\nMaxSessions 4\n")),
        (
            FULL.replace("#MaxSessions 10\n", ""),
            "Port 22\n\nMaxSessions 4\n# about bob\nMatch User bob\n\tPermitTTY no\n",
        ),
        ("MaxSessions\t=\t3   # few\r\n", "MaxSessions\t=\t4   # few\r\n"),
        ("Port 22\r\n", "Port 22\r\nMaxSessions 4\r\n"),
    ],
)
def test_the_place_of_a_line(text, expected):
    assert edited(text, {"MaxSessions": 4}) == expected


def test_a_line_that_cannot_be_rewritten_is_told_of():
    with pytest.raises(wish.BadWish, match="X11Forwarding stands on a line that is written too oddly"):
        edited("=X11Forwarding yes\n", {"X11Forwarding": "no"}, golden("8.4"))


@pytest.mark.parametrize(
    ("shadowed", "words"), [("fail", "decided by /t/a:1, which"), ("drop_in", "includes no directory")]
)
def test_a_line_elsewhere_that_may_not_be_changed(shadowed, words):
    tree = loaded(DAEMON, {MAIN: b"Include /t/a\n", "/t/a": b"MaxSessions 3\n"}, MAIN)
    with pytest.raises(lines.ShadowedError, match=words):
        edit.edited(tree, wish.wish("MaxSessions", 4, DAEMON), shadowed)


@pytest.mark.parametrize(
    ("there", "others", "path"),
    [(True, {}, "/t/d/00-sshtrail.conf"), (False, {}, MAIN), (False, {"/t/d/5.conf": b""}, "/t/d/00-sshtrail.conf")],
)
def test_a_file_of_ours_needs_its_directory(there, others, path):
    disk = include.Disk(has_directory=lambda _path: there)
    tree = include.load(MAIN, DAEMON, disk, {MAIN: b"Include /t/d/*.conf\n", **others})
    done = plan.plan(tree, [wish.wish("MaxSessions", 4, DAEMON)], "own")
    assert list(done.files) == [path]
