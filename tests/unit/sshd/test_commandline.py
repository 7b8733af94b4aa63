"""What a command line of sshd means, and what a title that was written over it still tells."""

import pytest
from sshtrail_lib.sshd import commandline
from sshtrail_lib.sshd.commandline import CommandLine

CONFIG = "/etc/ssh/sshd_config"
EIC = "AuthorizedKeysCommand /opt/aws/bin/eic_run_authorized_keys %u %f"


def titled(*words, room=1000):
    """What /proc/PID/cmdline holds when sshd has ``room`` bytes behind its arguments, and how long these were."""
    length = sum(len(word.encode()) + 1 for word in words)
    title = f"sshd: {' '.join(words)} [listener] 0 of 10-100 startups".encode()
    return (title + b"\0" * 50)[: length + room - 1] + b"\0", length


@pytest.mark.parametrize(
    ("words", "config", "options"),
    [
        ([], CONFIG, []),
        (["-D"], CONFIG, []),
        (["-D", "-f", "/a"], "/a", []),
        (["-f/a"], "/a", []),
        (["-Df/a", "-e4"], "/a", ["-4"]),
        (["-f", "/a", "-f/b"], "/b", []),
        (["-f"], CONFIG, []),
        (["-p", "22", "-oLogLevel=INFO", "-4p23"], CONFIG, ["-p", "22", "-o", "LogLevel=INFO", "-4", "-p", "23"]),
        (["-E", "/etc/shadow", "-E/x", "-o", EIC, "-D"], CONFIG, ["-o", EIC]),
        (
            ["-o", "Banner -f /x", "-h", "/k", "-c/c", "-u0", "-q"],
            CONFIG,
            ["-o", "Banner -f /x"] + ["-h", "/k", "-c", "/c", "-q"],
        ),
        (["-o", "-D"], CONFIG, ["-o", "-D"]),
        (["stray"], CONFIG, []),
        (["-Z"], CONFIG, []),
    ],
)
def test_options(words, config, options):
    found = CommandLine(("/usr/sbin/sshd", *words))
    assert (found.config(CONFIG), found.options) == (config, options)


def test_a_command_line_that_the_kernel_still_has():
    raw = b"/usr/sbin/sshd\0-D\0-o\0X /x %u\0"
    assert commandline.known(raw, len(raw), [], CONFIG) == CommandLine(("/usr/sbin/sshd", "-D", "-o", "X /x %u"))
    assert commandline.known(b"", 0, [], CONFIG) is None


@pytest.mark.parametrize("room", [1000, 1, 30, 0])
@pytest.mark.parametrize(
    "words",
    [
        ["-D"],
        ["-D", "-o", EIC, "-o", "AuthorizedKeysCommandUser ec2-instance-connect"],
        ["-D", "-o", "Banner /x -p 99"],
    ],
)
def test_the_settings_of_a_service_are_believed_when_they_fit(words, room):
    words = ["/usr/sbin/sshd", *words]
    others = [["/usr/sbin/sshd"], [*words, "-4"], [word.replace("ec2", "ec3") + "x" for word in words]]
    assert commandline.known(*titled(*words, room=room), [*others, words], CONFIG) == CommandLine(tuple(words))


@pytest.mark.parametrize(
    ("words", "sure"),
    [
        (["/usr/sbin/sshd"], True),
        (["/usr/sbin/sshd", "-D", "-e"], True),
        (["/usr/sbin/sshd", "-f", "/a b/c"], False),
        (["/usr/sbin/sshd", "-f/a", "-o", EIC, "-o", "AuthorizedKeysCommandUser x", "-D"], False),
        (["/usr/sbin/sshd", "-oLogLevel=QUIET", "-E", "/x"], False),
    ],
)
def test_a_title_is_read_option_by_option(words, sure):
    assert commandline.known(*titled(*words), [], CONFIG) == CommandLine(tuple(words), sure)


@pytest.mark.parametrize(
    "option",
    ["-f /etc/ssh/sshd_config", "-f/etc/ssh/sshd_config", "-Df /etc/ssh/sshd_config", "-46f/etc/ssh/sshd_config"],
)
@pytest.mark.parametrize("room", range(0, 30))
def test_a_path_at_the_end_of_a_title_that_is_cut(option, room):
    words = ["/usr/sbin/sshd", "-D", *option.split()]
    found = commandline.known(*titled(*words, room=room), [], CONFIG)
    assert found.words == tuple(words)


@pytest.mark.parametrize("port", ["22", "222", "2222", "22222"])
def test_a_path_before_the_end_of_a_title_that_is_cut(port):
    found = commandline.known(*titled("/usr/sbin/sshd", "-f", CONFIG, "-p", port, room=0), [], "/elsewhere")
    assert (found.config(""), found.sure, found.whole) == (CONFIG, False, False)


def test_a_sshd_by_another_name():
    words = ("/run/webd", "-f", "/run/conf")
    raw, length = titled(*words)
    found = commandline.known(raw.replace(b"sshd: ", b"webd: "), length, (), CONFIG)
    assert (found.words, found.config(CONFIG)) == (words, "/run/conf")
    assert commandline.known(b"nginx: /usr/sbin/nginx -g x\0", 9, (), CONFIG).words == ("nginx: /usr/sbin/nginx -g x",)
    # OpenSSH 9.2 without a variable: the last byte of the words is still there.
    found = commandline.known(b"webd: /tmp/x/webd -D -f /t\0f\0", 28, (), "/tmp/conf")
    assert (found.words, found.sure) == (("/tmp/x/webd", "-D", "-f", "/tmp/conf"), False)


def test_what_is_cut_is_not_made_up():
    found = commandline.known(*titled("/usr/sbin/sshd", "-f", CONFIG, "-o", "LogLevel=ERROR", room=0), [], CONFIG)
    assert (found.sure, found.whole, found.cut, found.config("")) == (False, False, "LogLevel", CONFIG)


@pytest.mark.parametrize("title", ["sshd: root@pts/0", "sshd: bob [priv]", "sshd: /../x", "sshd: "])
def test_a_session_is_no_listener(title):
    found = commandline.known(title.encode() + b"\0", 20, [], CONFIG)
    assert found is None or found.options == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SSHD_OPTS=\n", ""),
        ("# x\nSSHD_OPTS=-4\n", "-4"),
        ('SSHD_OPTS="-o LogLevel=ERROR -4"\n', "-o LogLevel=ERROR -4"),
        ("export SSHD_OPTS='-4'\n", "-4"),
        ("SSHD_OPTS=-o LogLevel=ERROR\n", "-o LogLevel=ERROR"),
        ("SSHD_OPTS=-4 \\\n-D\n", "-4  -D"),
        ("SSHD_OPTS='\n", None),
        ("; SSHD_OPTS=x\n", None),
    ],
)
def test_settings(text, value):
    assert commandline.environment(text).get("SSHD_OPTS") == value


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/s", "-D", "$O"], ["/s", "-D", "-o", "X y", "-4"]),
        (["/s", "${O}x"], ["/s", "-o 'X y' -4x"]),
        (["/s", "$NO", "${NO}", "$$O"], ["/s", "", "$O"]),
    ],
)
def test_the_words_of_a_unit(words, expected):
    assert commandline.expanded(words, {"O": "-o 'X y' -4"}) == expected


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["-f", "/x"], ""),
        (["-o", "PidFile=/a"], "/a"),
        (["-oPidFile /a"], "/a"),
        (["-o", "pidfile = /a b"], "/a b"),
        (["-o", "PidFile none", "-oPidFile=/b"], "none"),
        (["-4o", "PidFile=/a"], "/a"),
        (["-o", "PidFiles=/a", "-o", "Port", "-o", "Port=1"], ""),
    ],
)
def test_a_keyword_that_it_sets(words, value):
    assert CommandLine(("sshd", *words)).keyword("PidFile") == value


def test_a_keyword_whose_value_may_be_cut_is_not_known():
    assert CommandLine(("sshd", "-oPidFile=/va"), sure=False, whole=False).keyword("PidFile") == ""
