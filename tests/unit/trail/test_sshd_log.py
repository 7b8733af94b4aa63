"""
sshd's log: golden logs of the real daemons, and text made to mislead.
"""

import datetime
import gzip
import io
import pathlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sshtrail_lib.trail import sshd_log

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "log"
NOW = datetime.datetime(2026, 11, 23, 8, tzinfo=datetime.timezone.utc)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_without_an_error(bodies):
    head = b"Nov 23 06:45:43 h sshd[1]: Accepted publickey for "
    list(sshd_log.lines([head + body for body in bodies]))


HOSTILE = [
    "Accepted publickey for x" + " from a port 1 ssh2: ED25519 SHA256:" + "a" * 43 + " ID",
    "Starting session: command on x for y from a port 1 id 0",
    "Close session: user x from a port 1 id 0 ",
    "Failed publickey for invalid user x from a port 1 ssh2: RSA SHA256:" + "a" * 43 + " ID y (serial 1)",
]


def _seconds(line):
    def once():
        started = time.process_time()
        list(sshd_log.lines([line] * 20, NOW))
        return time.process_time() - started

    return min(once() for _ in range(5))


@pytest.mark.parametrize("text", HOSTILE)
def test_the_worst_line_for_sshd_costs_as_much_as_a_few_good_ones(text):
    head = "Nov 23 06:45:43 host sshd[7]: "
    line = (head + text + text.partition(" for")[2] * 100)[: sshd_log.LONGEST].encode()
    good = (head + f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: {KEY}").encode()
    assert _seconds(line) < 100 * _seconds(good)


# As OpenSSH 8.4 to 10.2 write them (packet.c, serverloop.c, sshd.c).
ENDS = {
    "Connection closed by 10.0.0.1 port 5": ("gone", {"address": "10.0.0.1", "port": "5"}),
    "Connection reset by user ana 10.0.0.1 port 5": ("gone", {"user": "ana", "address": "10.0.0.1", "port": "5"}),
    "Timeout, client not responding from user a b fe80::1%eth0 port 5": (
        "gone",
        {"user": "a b", "address": "fe80::1%eth0", "port": "5"},
    ),
    "Read error from remote host 10.0.0.1 port 5: Connection timed out": ("gone", {"address": "10.0.0.1", "port": "5"}),
    "Connection closed by invalid user x 10.0.0.1 port 5 [preauth]": (
        "left",
        {"how": "invalid", "user": "x", "address": "10.0.0.1", "port": "5"},
    ),
    "Timeout before authentication for 10.0.0.1 port 5": ("late", {"address": "10.0.0.1", "port": "5"}),
    "fatal: Timeout before authentication for 10.0.0.1 port 5": ("late", {"address": "10.0.0.1", "port": "5"}),
    "Timeout before authentication for connection from 10.0.0.1 to 10.0.0.2, pid = 77": (
        "late",
        {"address": "10.0.0.1", "child": "77"},
    ),
    "drop connection #0 from [10.0.0.1]:5 on [10.0.0.2]:22 penalty: failed authentication": (
        "dropped",
        {"address": "10.0.0.1", "port": "5", "why": "penalty: failed authentication"},
    ),
    "drop connection #3 from [fe80::1%eth0]:5 on [fe80::2%eth0]:22 past MaxStartups": (
        "dropped",
        {"address": "fe80::1%eth0", "port": "5", "why": "past MaxStartups"},
    ),
}


@pytest.mark.parametrize("text", ENDS)
def test_what_is_said_when_it_is_over(text):
    [line] = sshd_log.lines([f"Nov 23 06:45:43 host sshd[7]: {text}".encode()], NOW)
    assert (line.event, line.fields) == ENDS[text]


SSHD = sorted(DATA.glob("sshd-*.log"))


def _sshd(path):
    return list(sshd_log.lines(path.read_bytes().splitlines(True), NOW))


@pytest.mark.parametrize("path", SSHD, ids=lambda path: path.name)
def test_the_golden_logs_of_sshd(path):
    lines = _sshd(path)
    accepted = [line for line in lines if line.event == "accepted"]
    raw = path.read_text()
    assert len(accepted) == raw.count("Accepted publickey for") >= 3
    assert len([line for line in lines if line.event == "connection"]) == raw.count("Connection from")
    assert len([line for line in lines if line.event == "session"]) == raw.count("Starting session")
    assert all(line.fields["fingerprint"].startswith("SHA256:") for line in accepted)
    [certificate] = [line.fields for line in accepted if "ca" in line.fields]
    assert (certificate["key_type"], certificate["id"], certificate["serial"]) == (
        "ED25519-CERT",
        "ana of the (team) from here",
        "7",
    )
    [invalid] = [line.fields for line in lines if line.event == "invalid_user"]
    assert (invalid["user"], invalid["address"]) == ("x from 6.6.6.6 port 1 ssh2", "127.0.0.1")
    tag = "sshd" if path.stem in ("sshd-8.4", "sshd-9.2") else "sshd-session"
    assert {line.tag for line in lines} == {tag}
    assert {line.when.astimezone(datetime.timezone.utc).date() for line in lines} == {NOW.date()}


def _line(text, stamp="Nov 23 06:45:43", tag="sshd[7]"):
    return list(sshd_log.lines([f"{stamp} host {tag}: {text}\n".encode()], NOW))


KEY = "ED25519 SHA256:" + "a" * 43
TRUE = "ECDSA SHA256:" + "b" * 43
MD5 = "MD5:" + ":".join(["0f"] * 16)


@pytest.mark.parametrize(
    "text, event, fields",
    [
        (
            "Failed password for invalid user x from 6.6.6.6 port 1 ssh2 from 10.0.0.1 port 5 ssh2",
            "failed",
            {
                "method": "password",
                "user": "x from 6.6.6.6 port 1 ssh2",
                "address": "10.0.0.1",
                "port": "5",
                "invalid": "yes",
            },
        ),
        (
            f"Failed publickey for ana from ::1 port 5 ssh2: {TRUE} ID y from 6.6.6.6 port 1 ssh2: {KEY} ID z"
            f" (serial 0) CA RSA SHA256:{'c' * 43}",
            "failed",
            {
                "address": "::1",
                "fingerprint": TRUE.split()[1],
                "id": f"y from 6.6.6.6 port 1 ssh2: {KEY} ID z",
                "serial": "0",
            },
        ),
        (
            f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: {KEY}",
            "accepted",
            {"user": "ana", "key_type": "ED25519"},
        ),
        ("Accepted password for ana from 10.0.0.1 port 5 ssh2", "accepted", {"method": "password"}),
        (
            "Accepted keyboard-interactive/pam for ana from 10.0.0.1 port 5 ssh2",
            "accepted",
            {"method": "keyboard-interactive/pam"},
        ),
        ("Failed none for invalid user  from 10.0.0.1 port 5 ssh2", "failed", {"user": "", "address": "10.0.0.1"}),
        (
            "Accepted gssapi-with-mic for ana from 10.0.0.1 port 5 ssh2: ana@EXAMPLE.ORG",
            "accepted",
            {"method": "gssapi-with-mic", "user": "ana", "principal": "ana@EXAMPLE.ORG"},
        ),
        (
            f'Accepted hostbased for ana from 10.0.0.1 port 5 ssh2: {KEY}, client user "bob", client host "pc.example"',
            "accepted",
            {"method": "hostbased", "fingerprint": KEY.split()[1], "client_user": "bob", "client_host": "pc.example"},
        ),
        (
            f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: RSA-CERT {MD5} ID a (serial 7) CA ED25519 {MD5}",
            "accepted",
            {"fingerprint": MD5, "id": "a", "ca": MD5},
        ),
        (
            f'Accepted certificate ID "a" (serial 7) signed by ED25519 CA {MD5} via /etc/ssh/ca.pub',
            "certificate",
            {"ca": MD5, "found": "/etc/ssh/ca.pub"},
        ),
        (
            f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: ED25519-CERT {KEY.split()[1]} ID {'x' * 900}",
            "accepted",
            {"key_type": "ED25519-CERT", "fingerprint": KEY.split()[1], "cut": "x" * 900},
        ),
        (
            "Starting session: subsystem 'a for b' for DOM\\\\ana may from 10.0.0.1 port 5 id 2",
            "session",
            {"user": "DOM\\ana may", "what": "subsystem 'a for b'"},
        ),
        (
            "Connection closed by invalid user x 6.6.6.6 port 1 10.0.0.1 port 5",
            "left",
            {"user": "x 6.6.6.6 port 1", "address": "10.0.0.1", "how": "invalid"},
        ),
        (
            "Starting session: forced-command (key-option) 'a' for b from 6.6.6.6 port 1 id 0' on pts/1"
            " for ana from 10.0.0.1 port 5 id 2",
            "session",
            {"user": "ana", "address": "10.0.0.1", "terminal": "pts/1", "channel": "2"},
        ),
    ],
)
def test_who_it_was_cannot_be_forged(text, event, fields):
    [line] = _line(text)
    assert line.event == event
    assert {key: line.fields[key] for key in fields} == fields


def test_what_syslog_writes_once_for_several():
    [line] = _line("message repeated 4 times: [ Failed password for ana from 10.0.0.1 port 5 ssh2]")
    assert (line.event, line.fields["user"], line.fields["times"]) == ("failed", "ana", "4")
    assert _line("message repeated 4 times: [ Accepted password for ana from 10.0.0.1 port 5 ssh2]") == []


@pytest.mark.parametrize(
    "text, tag",
    [
        (f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: {KEY} more", "sshd[7]"),
        (f"Accepted publickey for ana from 10.0.0.1 port 5 ssh2: {KEY} ID not so long", "sshd[7]"),
        ("Accepted publickey for ana", "sshd[7]"),
        ("Accepted password for ana from 10.0.0.1 port 5 ssh2", "su[7]"),
        ("Accepted password for ana from 10.0.0.1 port 5 ssh2", "notsshd[7]"),
        ("Accepted password for ana from 10.0.0.1 port 5 ssh2" + "x" * 9000, "sshd[7]"),
        ("pam_unix(sshd:auth): check pass; user unknown", "sshd[7]"),
    ],
)
def test_what_is_not_sshds_is_passed_over(text, tag):
    assert _line(text, tag=tag) == []


@pytest.mark.parametrize(
    "stamp, when",
    [
        ("2026-11-23T06:45:43+01:00", "2026-11-23T05:45:43+00:00"),
        ("2026-11-23T06:45:43.250000Z", "2026-11-23T06:45:43.250000+00:00"),
        ("2026-11-23T06:45:43+0000", "2026-11-23T06:45:43+00:00"),
    ],
)
def test_times_of_rfc_3339(stamp, when):
    [line] = _line("User child is on pid 5", stamp)
    assert line.when == datetime.datetime.fromisoformat(when)


@pytest.mark.parametrize(
    "stamp, now, year",
    [
        ("Dec 31 23:59:59", datetime.datetime(2026, 1, 1, 0, 5), 2025),
        ("Jan  1 00:00:01", datetime.datetime(2026, 1, 1, 0, 5), 2026),
        ("Feb 29 12:00:00", datetime.datetime(2026, 3, 1), 2024),
        ("Nov  3 12:00:00", datetime.datetime(2026, 11, 3, 11, 59), 2026),
    ],
)
def test_times_of_rfc_3164_get_the_last_possible_year(stamp, now, year):
    [line] = sshd_log.lines([f"{stamp} host sshd[1]: User child is on pid 5".encode()], now.astimezone())
    assert line.when.year == year
    assert line.when.strftime("%d %H:%M:%S") == stamp[4:].replace("  ", " 0").replace(" ", "0", stamp[4] == " ")


@pytest.mark.parametrize(
    "stamp", ["Foo 23 06:45:43", "Nov 33 06:45:43", "2026-99-23T06:45:43+00:00", "2026-11-23 06:45:43"]
)
def test_a_time_that_is_none_is_passed_over(stamp):
    assert _line("User child is on pid 5", stamp) == []


@pytest.mark.parametrize("data", ["-", '[a@1 b="c"]', '[a@1 b="\\]" c="]"][d@2]'])
@pytest.mark.parametrize("mark", ["", "\ufeff", " "])
def test_lines_of_rfc_5424(data, mark):
    said = f"<86>1 2026-11-23T06:45:43.5Z host sshd-session 7 - {data} {mark}User child is on pid 5"
    [line] = sshd_log.lines([said.encode()], NOW)
    assert (line.host, line.tag, line.pid, line.fields) == ("host", "sshd-session", 7, {"child": "5"})
    assert list(sshd_log.lines([said.replace("sshd-session 7", "su 7").encode()], NOW)) == []


# --- The journal as journalctl exports it -----------------------------------------------------------------------

EXPORTED, AS_JSON = (gzip.decompress((DATA / f"journal-252.{kind}.gz").read_bytes()) for kind in ("export", "json"))


def _journal(data):
    return list(sshd_log.journal(sshd_log.entries(io.BytesIO(data))))


def test_an_exported_journal_tells_what_it_does_as_json():
    found = _journal(EXPORTED)
    assert found == _journal(AS_JSON) == list(sshd_log.journal(io.BytesIO(AS_JSON)))
    assert [line.fields.get("user") for line in found] == [None, "ana", "j\\xff\\x01x", "jörg"]


@pytest.mark.usefixtures("untraced")
def test_a_message_is_no_entry_wherever_an_exported_journal_was_cut():
    assert b"_UID=0\nSYSLOG_IDENTIFIER=sshd\nMESSAGE=Accepted publickey for bob from 6.6.6.6" in EXPORTED
    where = range(EXPORTED.find(b"6.6.6.6") + 400)
    cut = [EXPORTED[at:] for at in where] + [EXPORTED[:at] + EXPORTED[at + 1 :] for at in where]
    cut += [EXPORTED[:at] + EXPORTED for at in where[::9]]
    assert not [line for data in cut for line in _journal(data) if line.uid == 0 and "6.6.6.6" in line.message]


@pytest.mark.parametrize("size", [b"\xff" * 8, b"\0" * 8, b"\1"], ids=["too long", "nothing", "no length"])
def test_an_exported_field_of_another_length_ends_it(size):
    entry = b"__CURSOR=s\nSYSLOG_IDENTIFIER=sshd\nMESSAGE\n" + size + b"Accepted\n\n"
    assert _journal(entry + EXPORTED) == []


def test_a_field_that_stands_a_thousand_times_is_nothing():
    entry = b"__CURSOR=s\nSYSLOG_IDENTIFIER=sshd\n" + b"MESSAGE=x\n" * 3000
    assert len(_journal(entry + b"\n" + EXPORTED)) == 4
