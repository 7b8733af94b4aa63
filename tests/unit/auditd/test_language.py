"""
The language of auditd.conf, with the installed auditd's own parser (in ausearch) as the judge.
"""

import os
import pathlib
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from salt.exceptions import SaltInvocationError
from sshtrail_lib.auditd import keywords, language
from support import require_root

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "auditd"
FILES = sorted(DATA.glob("*.conf"))
RECORD = "type=DAEMON_START msg=audit(1.000:1): op=start\n"


def _installed():
    printed = subprocess.run(["auditctl", "-v"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, printed.split()[-1].split(".")))


@pytest.fixture(scope="module")
def parser(tmp_path_factory):
    """Ask the installed parser about bytes: None when it takes every line, else what it says (str)."""
    require_root()
    directory = tmp_path_factory.mktemp("parser")
    log, candidate = directory / "probe.log", directory / "auditd.conf"
    log.write_text(RECORD)
    log.chmod(0o600)
    overlay = 'mount --bind "$1" /etc/audit/auditd.conf && exec ausearch --input-logs -m DAEMON_START --just-one --raw'

    def ask(data):
        candidate.write_bytes(data + f"log_file = {log}\n".encode())
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", overlay, "sh", candidate], capture_output=True, text=True, check=False
        )
        # After a line that it refuses ausearch reads the host's own log instead, which holds such records too.
        return None if RECORD.strip() in done.stdout else done.stderr

    return ask


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_reading_and_editing_nothing_gives_the_same_bytes(path):
    data = path.read_bytes()
    assert b"".join(line.raw for line in language.parse(data)) == data
    ends = b"\n" if path.name == "broken-no-final-newline.conf" else b""
    assert language.edit(data, {}) == data + ends


@given(st.binary(max_size=400))
def test_any_bytes_survive_and_never_raise(data):
    assert b"".join(line.raw for line in language.parse(data)) == data
    language.problems(data)
    language.settings(language.edit(data, {"freq": "5"}))


@given(
    st.lists(
        st.sampled_from(["freq = 9", "FREQ  =  7", "# freq = 1", "", "##name = x", "num_logs = 3", " name = y"]),
        max_size=8,
    )
)
def test_an_edit_sets_what_was_asked_and_nothing_else(lines):
    data = "".join(line + "\n" for line in lines).encode()
    edited = language.edit(data, {"freq": "8", "name": "z"})
    assert language.settings(edited) == {**language.settings(data), "freq": "8", "name": "z"}
    assert language.edit(edited, {"freq": "8", "name": "z"}) == edited
    comments = [line for line in lines if line.startswith("#")]
    assert [line for line in edited.decode().splitlines() if line.startswith("#")] == comments


@pytest.mark.parametrize(
    "before, config, after",
    [
        ("", {"freq": "5"}, "freq = 5\n"),
        ("freq = 4", {"freq": "5"}, "freq = 5\n"),
        ("freq = 4", {"num_logs": "5"}, "freq = 4\nnum_logs = 5\n"),
        ("# end", {"freq": "5"}, "# end\nfreq = 5\n"),
        ("# end", {}, "# end"),
        ("freq = 4", {}, "freq = 4\n"),
        ("freq = 005\n", {"freq": "5"}, "freq = 005\n"),
        ("flush = NONE\n", {"flush": "none"}, "flush = NONE\n"),
        ("freq = 3\nfreq = 4\n", {"freq": "5"}, "freq = 3\nfreq = 5\n"),
        ("freq=4\n", {"freq": "5"}, "freq = 5\n"),
        ("\tfreq = 4\n", {"freq": "5"}, "freq = 5\n"),
        ("## name = a\nfreq = 4\n", {"name": "b"}, "## name = a\nname = b\nfreq = 4\n"),
        ("name = a\nfreq = 4\nname = b\n", {"name": None}, "freq = 4\n"),
        ("action_mail_acct = x@y\n", {"verify_email": "no"}, "verify_email = no\naction_mail_acct = x@y\n"),
        (
            "space_left_action = exec  /bin/x\n",
            {"space_left_action": "EXEC /bin/x"},
            "space_left_action = exec  /bin/x\n",
        ),
    ],
)
def test_edit(before, config, after):
    assert language.edit(before.encode(), config).decode() == after


def test_a_last_line_without_a_line_feed_does_not_count_until_it_is_ended():
    data = b"space_left = 2\nfreq = 5"
    assert language.settings(data) == {"space_left": "2"}
    assert language.differences(data, language.edit(data, {})) == {"freq": {"old": None, "new": "5"}}


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("verify_email", True, "yes"),
        ("verify_email", False, "no"),
        ("freq", 50, "50"),
        ("FREQ", " 50 ", "50"),
        ("space_left", "25%", "25%"),
        ("flush", "INCREMENTAL", "INCREMENTAL"),
        ("disk_full_action", "exec /bin/true", "exec /bin/true"),
        ("tcp_client_ports", "1024-65535", "1024-65535"),
        ("report_interval", "40d", "40d"),
        ("name", None, None),
    ],
)
def test_what_a_pillar_holds_becomes_text(name, value, text):
    assert keywords.written(name, value) == text


@pytest.mark.parametrize(
    "name, value",
    [
        ("freq", True),
        ("freq", -1),
        ("freq", 2**31),
        ("freq", "5\nname = x"),
        ("freq", ""),
        ("freq", "٥"),
        ("num_logs", 1000),
        ("space_left", "0%"),
        ("space_left", "100%"),
        ("space_left", "5%5"),
        ("verify_email", "true"),
        ("flush", ["sync"]),
        ("tcp_listen_port", 0),
        ("tcp_client_ports", "9-8"),
        ("log_file", "audit.log"),
        ("log_file", "/a/b.log"),
        ("disk_error_action", "rotate"),
        ("disk_full_action", "email"),
        ("disk_full_action", "exec"),
        ("disk_full_action", "exec bin/true"),
        ("space_left_action", "halt"),
        ("max_log_file_action", "exec /bin/true"),
        ("report_interval", "41d"),
        ("name", "a b"),
        ("action_mail_acct", "a&b"),
    ],
)
def test_an_impossible_value_names_the_keyword(name, value):
    with pytest.raises(keywords.BadValue, match=name):
        keywords.written(name, value)


@pytest.mark.parametrize(
    "name, version, answer",
    [
        ("max_log_fil", None, "did you mean 'max_log_file'"),
        ("zzz", None, "auditd.conf has no keyword 'zzz'."),
        ("tls_auth", (4, 1, 2), "auditd 4.1.2 does not know the keyword 'tls_auth': it came with 4.2."),
        ("end_of_event_timeout", (3, 0), "it came with 3.0.1"),
    ],
)
def test_an_unknown_keyword_is_named(name, version, answer):
    with pytest.raises(keywords.UnknownKeyword) as raised:
        keywords.lookup(name, version)
    assert answer in raised.value.message


def test_one_keyword_twice_is_refused():
    with pytest.raises(SaltInvocationError, match="stands twice"):
        language.wanted({"freq": 1, "FREQ": 2})


BASE = b"space_left = 2\n"


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"freq = 5\n", "space_left must be larger"),
        (b"space_left = 10%\nadmin_space_left = 10%\n", "space_left must be larger"),
        (BASE + b"flush = incremental\n", "needs a freq above 0"),
        (BASE + b"log_file = /var/log/a.log\nlog_group = adm\n", "directly in /var/log"),
        (BASE + b"name_format = user\n", "needs a name"),
        (BASE + b"action_mail_acct = x@y\nverify_email = no\n", "needs a dot after its @"),
        (BASE + b"transport = tls\n", "transport = tls needs"),
        (BASE + b"tls_require_pqc = yes\ntls_crypto_profile = system\n", "needs tls_crypto_profile = pqc"),
    ],
)
def test_what_does_not_fit_together(data, reason):
    assert [problem.reason for problem in language.problems(data) if reason in problem.reason]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BASE + b"space_left = 10%\nadmin_space_left = 50\n",
        BASE + b"verify_email = no\naction_mail_acct = x@y\n",
        BASE + b"transport = tls\ntls_allowed_clients = /etc/clients\n",
        BASE + b"tls_crypto_profile = pqc\ntls_require_pqc = yes\n",
    ],
)
def test_what_fits_together(data):
    assert language.problems(data) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_fixtures_have_the_problems_that_their_names_say(path):
    found = language.problems(path.read_bytes())
    assert bool(found) == path.name.startswith("broken"), found


def test_the_installed_parser_knows_the_same_keywords(parser):
    version = _installed()
    for entry in keywords.KEYWORDS:
        # A value that every parser refuses, so that only the keyword tells.
        refused = parser(f"{entry.name} = a b c\n".encode())
        known = "nknown keyword" not in (refused or "")
        assert known == (entry.name in keywords.known(version)), entry.name


VALUES = [
    *("5", "0", "007", "1000", "65536", "2147483648", "50%", "%5", "-1", "1h"),
    *("yes", "no", "NONE", "sync", "syslog", "halt", "email", "rotate", "keep_logs", "tcp", "x@y.z", "a/b"),
]
# The group and the program are looked up on the host, not in the text.
NAMES = sorted({entry.name for entry in keywords.KEYWORDS} - {"log_group", "log_file", "plugin_dir"}) + ["foo", "#freq"]


def _we_ask_for_more(text):
    """Whether we refuse what the parser takes: a carriage return as part of a text, a percent sign in front."""
    return text.endswith("\r") or text.endswith("%5")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(NAMES),
    st.sampled_from(VALUES),
    st.sampled_from(
        ["{} = {}", " {}  =  {} ", "{}={}", "{} ={}", "{} = {} # why", "\t{} = {}", "{}", "{} =", "{} = {}\r"]
    ),
    st.booleans(),
)
def test_the_installed_parser_agrees_line_by_line(parser, name, value, form, upper):
    text = form.format(name.upper() if upper else name, value)
    line = language.parse(text.encode() + b"\n")[0]
    ours = list(language._line_problems(line, _installed()))
    assert bool(ours) == bool(parser(line.raw)) or _we_ask_for_more(text.strip(" ")), ours


@pytest.mark.parametrize("length", [159, 160, 511, 512])
def test_a_line_that_is_too_long_is_passed_over(parser, length):
    line = b"foo = ".ljust(length - 1, b"x") + b"\n"
    passed_over = parser(BASE + line) is None
    [problem] = language.problems(line, _installed())
    assert passed_over == ("passes over" in problem.reason)


@pytest.mark.parametrize(
    "change, restarts",
    [
        ({"freq": "9"}, False),
        ({"priority_boost": "9"}, True),
        ({"priority_boost": "4"}, False),
        ({"tcp_listen_port": "60"}, True),
        ({"transport": "krb5"}, True),
        ({"use_libwrap": "no"}, False),
        ({"name_format": "hostname"}, True),
        ({"name_format": "user", "name": "x"}, False),
        ({"krb5_key_file": "/etc/k"}, True),
        ({"local_events": "no"}, True),
    ],
)
def test_which_change_needs_a_restart(change, restarts):
    data = (DATA / "debian-12.conf").read_bytes()
    assert language.needs_restart(data, language.edit(data, change), (3, 0, 9)) is restarts


@pytest.mark.parametrize("before, restarts", [(b"", False), (b"tcp_listen_port = 61\n", True), (None, True)])
def test_auditd_4_1_opens_a_new_listener_on_reload(before, restarts):
    assert language.needs_restart(before, b"tcp_listen_port = 60\n", (4, 1, 2)) is restarts


def test_what_is_unknown_counts_only_away_from_its_default():
    data = (DATA / "debian-12.conf").read_bytes()
    assert not language.needs_restart(None, data, (3, 0, 9))
    assert language.needs_restart(None, data + b"priority_boost = 9\n", (3, 0, 9))


def test_what_the_host_does_not_have(tmp_path):
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o777)
    data = f"log_file = {tmp_path}/none/a.log\nlog_group = no-such-group\nspace_left_action = exec {program}\n".encode()
    data += b"admin_space_left_action = exec /no/such\n"
    found = {problem.keyword: problem.line for problem in language.host_problems(data)}
    assert found == {"log_file": 1, "log_group": 2, "space_left_action": 3, "admin_space_left_action": 4}


def test_free_space_in_two_units_is_compared_on_the_disk(tmp_path):
    def found(left, admin):
        text = f"log_file = {tmp_path}/a.log\nspace_left = {left}\nadmin_space_left = {admin}\n"
        return [problem.keyword for problem in language.host_problems(text.encode())]

    assert found("1%", 10**9) == ["space_left"]
    assert found("99%", 0) == []


def test_a_file_that_auditd_would_not_open(tmp_path):
    require_root()
    path, link = tmp_path / "auditd.conf", tmp_path / "link"
    path.write_bytes(BASE)
    path.chmod(0o640)
    link.symlink_to(path)
    assert language.file_problems(path) == []
    assert len(language.file_problems(link)) == 1
    assert language.file_problems(link, links=True) == []
    path.chmod(0o666)
    os.chown(path, 1, 1)
    assert len(language.file_problems(path)) == 2
