"""
What changes in auditd.conf and what auditd would refuse, with the installed auditd's own parser (in ausearch) as the
judge.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from salt.exceptions import SaltInvocationError
from sshtrail_lib.auditd import keywords, language, plan


def test_editing_nothing_gives_the_same_bytes(sample):
    data = sample.read_bytes()
    assert b"".join(line.raw for line in language.parse(data)) == data
    ends = b"\n" if sample.name == "broken-no-final-newline.conf" else b""
    assert plan.edit(data, {}) == data + ends


@given(st.binary(max_size=400))
def test_any_bytes_survive_and_never_raise(data):
    assert b"".join(line.raw for line in language.parse(data)) == data
    plan.problems(data)
    language.settings(plan.edit(data, {"freq": "5"}))


@given(
    st.lists(
        st.sampled_from(["freq = 9", "FREQ  =  7", "# freq = 1", "", "##name = x", "num_logs = 3", " name = y"]),
        max_size=8,
    )
)
def test_an_edit_sets_what_was_asked_and_nothing_else(lines):
    data = "".join(line + "\n" for line in lines).encode()
    edited = plan.edit(data, {"freq": "8", "name": "z"})
    assert language.settings(edited) == {**language.settings(data), "freq": "8", "name": "z"}
    assert plan.edit(edited, {"freq": "8", "name": "z"}) == edited
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
    assert plan.edit(before.encode(), config).decode() == after


def test_a_last_line_without_a_line_feed_does_not_count_until_it_is_ended():
    data = b"space_left = 2\nfreq = 5"
    assert language.settings(data) == {"space_left": "2"}
    assert plan.differences(data, plan.edit(data, {})) == {"freq": {"old": None, "new": "5"}}


def test_one_keyword_twice_is_refused():
    with pytest.raises(SaltInvocationError, match="stands twice"):
        plan.wanted({"freq": 1, "FREQ": 2})


@pytest.mark.parametrize("keyword", [None, *(entry.name for entry in keywords.KEYWORDS)])
def test_each_keyword_alone_is_judged_with_the_daemons_defaults(keyword):
    """No relation needs the other keyword to be there."""
    for value in ("10%", "10", "yes", "incremental", "tls", "user", "/var/log/a.log", "x@y"):
        data = f"{keyword} = {value}\n".encode() if keyword else b"log_file = /var/log/audit/audit.log\n"
        assert all(problem.reason for problem in (*plan.problems(data), *plan._relations(data)))


@pytest.mark.parametrize("left", [b"space_left = 0\n", b""])
def test_no_space_left_is_less_than_any_share_of_a_volume(left):
    [problem] = plan.problems(left + b"admin_space_left = 1%\n")
    assert problem.keyword == "space_left"


@pytest.mark.parametrize("data", [b"log_file = /var/log/audit/audit.log\n", b"admin_space_left = 10\n", b"freq = 1\n"])
def test_without_space_left_there_is_none(data):
    assert "space_left must be larger than admin_space_left." in [problem.reason for problem in plan.problems(data)]


BASE = b"space_left = 2\n"


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"freq = 5\n", "space_left must be larger"),
        (b"space_left = 10%\nadmin_space_left = 10%\n", "space_left must be larger"),
        (BASE + b"flush = incremental\n", "needs a freq above 0"),
        (BASE + b"max_log_file_action = rotate\n", "has reached 0 at each record"),
        (BASE + b"max_log_file = 00\nmax_log_file_action = KEEP_LOGS\n", "has reached 0 at each record"),
        (BASE + b"max_log_file = 8\nMax_Log_File = 0\nmax_log_file_action = suspend\n", "has reached 0 at each record"),
        (BASE + b"log_file = /var/log/a.log\nlog_group = adm\n", "directly in /var/log"),
        (BASE + b"name_format = user\n", "needs a name"),
        (BASE + b"action_mail_acct = x@y\nverify_email = no\n", "needs a dot after its @"),
        (BASE + b"transport = tls\n", "transport = tls needs"),
        (BASE + b"tls_require_pqc = yes\ntls_crypto_profile = system\n", "needs tls_crypto_profile = pqc"),
    ],
)
def test_what_does_not_fit_together(data, reason):
    assert [problem.reason for problem in plan.problems(data) if reason in problem.reason]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BASE + b"space_left = 10%\nadmin_space_left = 50\n",
        BASE + b"verify_email = no\naction_mail_acct = x@y\n",
        BASE + b"max_log_file = 0\n",
        BASE + b"max_log_file = 0\nmax_log_file_action = ignore\n",
        BASE + b"max_log_file = 1\nmax_log_file_action = rotate\n",
        BASE + b"transport = tls\ntls_allowed_clients = /etc/clients\n",
        BASE + b"tls_crypto_profile = pqc\ntls_require_pqc = yes\n",
    ],
)
def test_what_fits_together(data):
    assert plan.problems(data) == []


def test_fixtures_have_the_problems_that_their_names_say(sample):
    found = plan.problems(sample.read_bytes())
    assert bool(found) == sample.name.startswith("broken"), found


VALUES = [
    *("5", "0", "007", "1000", "65536", "2147483648", "50%", "%5", "-1", "1h", "10%%", "0%", "5%100", "100%", "5%a"),
    *("1-2", "1-2-3", "1--2", "1-", "1-2-", "2-1", "1-2-0", "3-2-9", "1-70000", "--"),
    *("yes", "no", "NONE", "sync", "syslog", "halt", "email", "rotate", "keep_logs", "tcp", "x@y.z", "a/b"),
]
# The group and the program are looked up on the host, not in the text.
NAMES = sorted({entry.name for entry in keywords.KEYWORDS} - {"log_group", "log_file", "plugin_dir"}) + ["foo", "#freq"]


def _we_ask_for_more(text):
    """Whether we refuse what the parser takes: a carriage return as part of a text."""
    return text.endswith("\r")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(NAMES),
    st.sampled_from(VALUES),
    st.sampled_from(
        ["{} = {}", " {}  =  {} ", "{}={}", "{} ={}", "{} = {} # why", "\t{} = {}", "{}", "{} =", "{} = {}\r"]
    ),
    st.booleans(),
)
def test_the_installed_parser_agrees_line_by_line(parser, installed, name, value, form, upper):
    text = form.format(name.upper() if upper else name, value)
    line = language.parse(text.encode() + b"\n")[0]
    ours = plan.blocking(plan._line_problems(line, installed))
    assert bool(ours) == bool(parser(line.raw)) or _we_ask_for_more(text.strip(" ")), ours


AS_READ = [
    ("space_left = 10%%", "10%"),
    ("space_left = 5%5", "5%"),
    ("space_left = 5%100", "5%"),
    ("admin_space_left = 0%", "0%"),
    ("admin_space_left = %", "0%"),
    ("tcp_client_ports = 1-2-3", "1-3"),
    ("tcp_client_ports = 1--2", "1-2"),
    ("tcp_client_ports = 3-2-9", "3-9"),
    ("plugin_dir = plugins.d", "plugins.d"),
    ("plugin_dir = /", "/"),
]


@pytest.mark.parametrize("text, value", AS_READ)
def test_what_auditd_takes_is_told_and_keeps_nothing_out(parser, installed, text, value):
    line = f"{text}\n".encode()
    assert parser(line) is None
    [problem] = plan.problems(b"space_left = 20%\nadmin_space_left = 1%\n" + line, installed)
    assert problem.passes and problem.reason.endswith(f"auditd takes it for {value}.") and problem.line == 3
    assert plan.blocking([problem]) == []
    keyword = text.split(" ")[0]
    assert language.effective(line, keyword) == value
    # A policy cannot have it.
    with pytest.raises(SaltInvocationError, match="is not possible"):
        plan.wanted({keyword: text.split(" = ")[1]})


REFUSED = ["space_left = 100%", "space_left = 5%a", "tcp_client_ports = 1-2-0", "tcp_client_ports = 1-2-", "freq = 5%"]


@pytest.mark.parametrize("text", REFUSED)
def test_what_auditd_refuses_keeps_every_change_out(parser, installed, text):
    line = f"{text}\n".encode()
    assert parser(line)
    assert len(plan.blocking(plan.problems(line, installed))) == 1


@pytest.mark.parametrize("admin, fits", [("9%", True), ("10%", False), ("5%5", True), ("10%%", False)])
def test_what_fits_together_is_judged_by_what_auditd_takes(admin, fits):
    data = f"space_left = 10%%\nadmin_space_left = {admin}\n".encode()
    assert (plan.blocking(plan.problems(data)) == []) is fits


@pytest.mark.parametrize("length", [159, 160, 511, 512])
def test_a_line_that_is_too_long_is_passed_over(parser, installed, length):
    line = b"foo = ".ljust(length - 1, b"x") + b"\n"
    passed_over = parser(BASE + line) is None
    [problem] = plan.problems(line, installed)
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
def test_which_change_needs_a_restart(debian, change, restarts):
    assert plan.needs_restart(debian, plan.edit(debian, change), (3, 0, 9)) is restarts


@pytest.mark.parametrize("before, restarts", [(b"", False), (b"tcp_listen_port = 61\n", True), (None, True)])
def test_auditd_4_1_opens_a_new_listener_on_reload(before, restarts):
    assert plan.needs_restart(before, b"tcp_listen_port = 60\n", (4, 1, 2)) is restarts


def test_what_is_unknown_counts_only_away_from_its_default(debian):
    assert not plan.needs_restart(None, debian, (3, 0, 9))
    assert plan.needs_restart(None, debian + b"priority_boost = 9\n", (3, 0, 9))
