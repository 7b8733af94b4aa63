"""
pam.language: the files of a service, as handlers.
"""

import pytest
from sshtrail_lib.pam import language
from sshtrail_lib.pam.keywords import BAD, DIE, DONE, IGNORE, OK, RESET, RETURNS, SUCCESS

from unit.pam import stacks
from unit.pam.stacks import DEBIAN_12, DEBIAN_13, OLD, STOCK, UPSTREAM

HUGE = str(2**32 + 2)


def control(text, library=UPSTREAM):
    """Return what an own control does, without what it does not name: ``{name: action}``."""
    made = language.actions(text.encode(), library)
    rest = max(set(made), key=made.count)
    return {name: action for name, action in zip(RETURNS, made, strict=True) if action != rest} | {"default": rest}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("required", {"success": OK, "new_authtok_reqd": OK, "ignore": IGNORE, "default": BAD}),
        ("Requisite", {"success": OK, "new_authtok_reqd": OK, "ignore": IGNORE, "default": DIE}),
        ("OPTIONAL", {"success": OK, "new_authtok_reqd": OK, "default": IGNORE}),
        ("sufficient", {"success": DONE, "new_authtok_reqd": DONE, "default": IGNORE}),
        (
            "success=ok ignore=ignore module_unknown=ignore default=bad",
            {"success": OK, "ignore": IGNORE, "module_unknown": IGNORE, "default": BAD},
        ),
        ("success=1 default=ignore", {"success": 1, "default": IGNORE}),
        # No word needs a blank behind it, nor the equals sign around it.
        ("success = okdefault\t=die", {"success": OK, "default": DIE}),
        ("success=reset12x", {"default": BAD}),
        # What was said before keeps what the default did not find open.
        ("success=ok default=2 success=3 default=die", {"success": 3, "default": 2}),
        # An error anywhere spoils all of it.
        ("success=ok default=ignore x", {"default": BAD}),
        ("success=0 default=ignore", {"default": BAD}),
        ("success=", {"default": BAD}),
        ("success", {"default": BAD}),
        ("Success=ok default=ignore", {"default": BAD}),
        ("", {"default": BAD}),
        ("success=-1", {"default": BAD}),
        (f"success={HUGE} default=ok", {"default": BAD}),
    ],
)
def test_controls(text, found):
    assert control(text) == found


def test_a_huge_jump_wrapped():
    assert control(f"success={HUGE} default=ok", OLD) == {"success": 2, "default": OK}
    assert RESET < IGNORE == 0 == SUCCESS


def modules(reading, kind="session"):
    return [(one.kind, one.level, one.module) for one in reading.stack(kind)]


@pytest.mark.parametrize(("files", "library"), STOCK.values(), ids=STOCK)
def test_stock(files, library):
    stack = stacks.reading(files, library).stack("session")
    assert [handler.module for handler in stack if handler.sets] == ["pam_loginuid.so"]
    assert all(handler.kind == language.MODULE and handler.found for handler in stack)


def test_a_handler_knows_where_it_is_from():
    found = stacks.reading(stacks.DEBIAN, DEBIAN_12).stack("session")[3]
    assert (found.file, found.line, found.root) == ("/etc/pam.d/common-session", 1, 11)
    assert found.found == "/lib/x86_64-linux-gnu/security/pam_permit.so"


def test_words_of_a_line():
    reading = stacks.session(
        "-SESSION Required pam_a.so [x y] z#",
        "[session] [default=ok] /opt/security/pam_b.so",
        "account required pam_c.so",
        "session substack more",
    )
    first, second, third = reading.stack("session")[:3]
    assert (first.kind, first.arguments) == ("module", ("x y", "z"))
    assert (second.found, third.kind) == ("/opt/security/pam_b.so", "substack")
    assert modules(reading, "account") == [("module", 0, "pam_c.so")]


def test_lines_that_must_fail():
    reading = stacks.session("session", "session required", "sesion required pam_a.so", "session include none")
    unknown = "<*unknown module*>"
    assert modules(reading) == [("must fail", 0, unknown)] * 3
    assert modules(reading, "auth") == [("must fail", 0, "pam_a.so")]


def test_a_bad_type_in_an_included_file_is_of_the_type_that_includes():
    reading = stacks.reading(
        {
            "sshd": "session include a\n",
            "a": "sesion required pam_b.so\nfoo include c\n",
            "c": "session required pam_d.so\n",
        }
    )
    assert modules(reading) == [("must fail", 0, "pam_b.so"), ("module", 0, "pam_d.so")]


def test_includes_and_substacks():
    files = {
        "sshd": "session include a\nsession substack b\nsession required pam_1.so\n",
        "a": "auth required pam_2.so\nsession required pam_3.so\nsession substack b\n",
        "b": "session required pam_4.so\naccount required pam_5.so\n",
    }
    assert modules(stacks.reading(files)) == [
        ("module", 0, "pam_3.so"),
        ("substack", 0, "b"),
        ("module", 1, "pam_4.so"),
        ("substack", 0, "b"),
        ("module", 1, "pam_4.so"),
        ("module", 0, "pam_1.so"),
    ]


def test_an_absolute_include():
    reading = stacks.session("session include /opt/x", other={"/opt/x": "session required pam_1.so\n"})
    assert modules(reading) == [("module", 0, "pam_1.so")]


def test_an_include_that_breaks_off_leaves_what_was_read():
    reading = stacks.reading({"sshd": "session include a\n", "a": "session required pam_1.so\nsession \\\n"})
    assert modules(reading) == [("module", 0, "pam_1.so"), ("must fail", 0, "<*unknown module*>")]


@pytest.mark.parametrize("library", [DEBIAN_12, DEBIAN_13])
def test_debian_includes(library):
    files = {"sshd": "@include a\n-@Include a\n", "a": "session required pam_1.so\nauth required pam_2.so\n"}
    assert modules(stacks.reading(files, library)) == [("module", 0, "pam_1.so")] * 2
    # Elsewhere it is a type that nobody knows.
    assert modules(stacks.reading(files)) == [] and len(modules(stacks.reading(files), "auth")) == 2


@pytest.mark.parametrize(
    "line", ["@include none", "@include", "session include", "session substack", "session required ?"]
)
def test_debian_ends_there(line):
    assert stacks.session(line, "session required pam_1.so", library=DEBIAN_12).refused


def test_debian_includes_from_the_first_directory_alone():
    vendor = {"/usr/lib/pam.d/a": "session required pam_1.so\n"}
    assert modules(stacks.session("session include a", other=vendor)) == [("module", 0, "pam_1.so")]
    assert modules(stacks.session("session include a", other=vendor, library=DEBIAN_12))[0][0] == "must fail"


def test_debian_takes_what_is_left_over_where_a_nested_include_fails():
    files = {"sshd": "session include a\n", "a": "session required pam_1.so\n@include none\n"}
    assert modules(stacks.reading(files, DEBIAN_12))[1][0] == "uncertain"


@pytest.mark.parametrize(("library", "kind"), [(UPSTREAM, "include"), (UPSTREAM, "substack"), (OLD, "substack")])
def test_levels_are_counted(library, kind):
    stack = stacks.session(f"session {kind} sshd", library=library).stack("session")
    assert stack[-1].kind == "must fail" and len(stack) == (17 if kind == "substack" else 1)


def test_an_endless_include_of_the_old_version_ends_somewhere():
    (last,) = stacks.session("session include sshd", library=OLD).stack("session")
    assert last.kind == "must fail"


@pytest.mark.parametrize("library", [UPSTREAM, OLD])
def test_files_that_nobody_can_read_to_the_end(library):
    line = "session include sshd"
    assert stacks.session(line, line, line, line, library=library).refused


def test_modules_that_are_not_there():
    reading = stacks.session("-session optional pam_a.so", "session required pam_b.so", missing=["pam_a.so"])
    assert [handler.found for handler in reading.stack("session")] == ["", "/usr/lib64/security/pam_b.so"]


@pytest.mark.parametrize(
    ("library", "module", "there", "found"),
    [
        (UPSTREAM, "pam_a.so", "/usr/lib64/security/pam_a.so", True),
        (UPSTREAM, "pam_a.so", "/lib/security/pam_a.so", False),
        (UPSTREAM, "/lib/security/$ISA/pam_a.so", "/lib/security/../../lib64/security/pam_a.so", True),
        (DEBIAN_12, "pam_a.so", "/lib/security/pam_a.so", True),
        (DEBIAN_12, "$ISA/pam_a.so", "/lib/security/pam_a.so", True),
    ],
)
def test_where_modules_are(library, module, there, found):
    disk = stacks.disk({})._replace(module=lambda path: path == there)
    assert language.find_module(disk, library, module) == (there if found else "")


def test_other_serves_the_types_that_have_no_line():
    reading = stacks.reading(
        {"sshd": "auth required pam_1.so\n", "other": "auth required pam_2.so\nsession required pam_3.so\n"}
    )
    assert modules(reading, "auth") == [("module", 0, "pam_1.so")]
    assert modules(reading) == [("module", 0, "pam_3.so")]


def test_the_vendors_file_counts_where_there_is_no_other():
    vendor = {"/usr/lib/pam.d/sshd": "session required pam_1.so\n"}
    assert stacks.reading({"other": ""}, other=vendor).path == "/usr/lib/pam.d/sshd"
    assert modules(stacks.reading({"sshd": "session required pam_2.so\n"}, other=vendor)) == [("module", 0, "pam_2.so")]


def test_pam_conf_counts_where_there_is_no_directory():
    conf = {
        "/etc/pam.conf": "sshd session required pam_1.so\nSSHD auth required pam_2.so\n"
        "login session required pam_3.so\nother account required pam_4.so\n"
    }
    reading = stacks.reading({}, directory="/nowhere", other=conf)
    assert (modules(reading), modules(reading, "account")) == ([("module", 0, "pam_1.so")], [("module", 0, "pam_4.so")])
    assert not reading.path and stacks.reading({"other": ""}, other=conf).stack("session") == ()


def test_nothing_at_all():
    assert stacks.reading({}, directory="/nowhere").refused and stacks.reading({"login": ""}).refused


def test_names_are_of_any_case():
    assert modules(language.read(stacks.disk({"sshd": "session required pam_1.so\n"}), UPSTREAM, "/x/SSHD"))
