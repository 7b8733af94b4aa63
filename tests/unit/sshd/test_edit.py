"""Edits whose bytes matter; golden defaults instead of an sshd."""

import pytest
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.sshd import blocks, edit, include, lines, plan, wish

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


SUSE = b"Include /etc/ssh/sshd_config.d/*.conf\nInclude /usr/etc/ssh/sshd_config.d/*.conf\nX11Forwarding yes\n"


@pytest.mark.parametrize("shadowed", plan.SHADOWED)
@pytest.mark.parametrize("keyword", ["X11Forwarding", "PrintMotd"])
def test_a_main_file_that_a_package_brings(shadowed, keyword):
    main = "/usr/etc/ssh/sshd_config"
    tree = loaded(DAEMON, {main: SUSE}, main)
    done = plan.plan(tree, [wish.wish(keyword, False, DAEMON)], shadowed)
    assert done.files == {f"/etc/ssh/sshd_config.d/{blocks.DROP_IN}": f"{blocks.HEADER}\n{keyword} no\n".encode()}


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        (SUSE, None, "is decided by /usr/etc/ssh/sshd_config:3, which a package owns: "),
        (b"Include /usr/etc/ssh/sshd_config.d/*.conf\n", "yes", "needs a line in /usr/etc/ssh/sshd_config, .* no dir"),
        (b"X11Forwarding yes\n", "no", "is decided by /usr/etc/ssh/sshd_config:1, .* no directory before all else"),
    ],
)
def test_and_no_place_for_a_drop_in(text, value, words):
    main = "/usr/etc/ssh/sshd_config"
    with pytest.raises(lines.TheirsError, match=f"X11Forwarding {words}"):
        edit.edited(loaded(DAEMON, {main: text}, main), wish.wish("X11Forwarding", value, DAEMON), "fix")


def test_what_the_administrator_has_below_usr():
    main = "/usr/local/etc/sshd_config"
    done = plan.plan(loaded(DAEMON, {main: SUSE}, main), [wish.wish("X11Forwarding", False, DAEMON)])
    assert list(done.files) == [main]
