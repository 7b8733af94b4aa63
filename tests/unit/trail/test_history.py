"""
The sessions, from logs of real logins with the truth from the client's side: and the same logs as others write them.
"""

import bz2
import datetime
import gzip
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zoneinfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from salt.exceptions import CommandExecutionError
from sshtrail_lib.trail import blocks, history, questions
from sshtrail_lib.trail.history import Sources, Wanted
from sshtrail_lib.trail.session import told

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "sessions"
TRUTH = {one["address"]: one for one in json.loads((DATA / "truth.json").read_text())}
AUDIT = gzip.decompress((DATA / "audit.log.1.gz").read_bytes()) + lzma.decompress((DATA / "audit.log.xz").read_bytes())
AUTH = gzip.decompress((DATA / "auth.log.gz").read_bytes())
JOURNAL = lzma.decompress((DATA / "journal.json.xz").read_bytes())
FULL = Wanted(commands=True)
# Its audit record is made by the kernel, and it is in no log that only sshd knows of it.
NOT_IN_FILES = {"without PAM"}
RECORDED = Sources([str(DATA / "audit.log.1.gz"), str(DATA / "audit.log.xz")], [str(DATA / "auth.log.gz")])
UTC = datetime.timezone.utc


def read(sources, wanted=FULL):
    """Return the sessions as plain data (list of dict), and their commands with them."""
    return [told(one) for one in history.sessions(sources._replace(zone=UTC), wanted)]


def written(tmp_path, audit=AUDIT, auth=AUTH, journal=None):
    """Write logs to files; return the :class:`Sources`."""
    (tmp_path / "audit.log").write_bytes(audit)
    (tmp_path / "auth.log").write_bytes(auth)
    (tmp_path / "journal.json").write_bytes(journal or b"")
    sshd = [] if journal else [str(tmp_path / "auth.log")]
    return Sources([str(tmp_path / "audit.log")], sshd, [str(tmp_path / "journal.json")] if journal else ())


def agrees(found, left_out=(), lines=True):
    """Check sessions against what the clients know: all of them, none besides, and every statement."""
    by_address = {one["from"]["address"]: one for one in found}
    assert len(by_address) == len(found)
    expected = {address for address, one in TRUTH.items() if not one.get("refused") and one["name"] not in left_out}
    assert set(by_address) == expected
    for address in expected:
        agree(TRUTH[address], by_address[address], lines)


def agree(true, one, lines):
    assert one["user"] == true["user"], true["name"]
    if lines:
        assert (one["key"] or {}).get("fingerprint") == true["key"]
        assert one["method"] == true.get("method", "publickey")
        assert isinstance(one["from"]["port"], int)
        assert one["certificate"] == true.get("certificate")
        assert (
            [channel["kind"] for channel in one["channels"]] == true.get("kinds", [])
            or "kinds" not in true
            or (true["kinds"] == ["forwarding"] and "channels" in one["unknown"])
        )
    if "line" in true and lines:
        assert one["key"]["line"] == true["line"]
    assert one["state"] == true.get("state", "closed"), true["name"]
    if true.get("pam") is not False:
        agree_on_deeds(true, one)


def agree_on_deeds(true, one):
    ran = [command["argv"] for command in one["commands"]]
    assert [wanted for wanted in true.get("commands", []) if wanted not in ran] == [], true["name"]
    # Who runs login has started what that one's PAM runs.
    assert true.get("motd") or not [argv for argv in ran if argv[-1:] == ["/etc/update-motd.d"]], "PAM's own programs"
    assert [[b["via"], b["from"], b["to"], b["result"]] for b in one["became"]] == true.get("became", [])
    changed = [[file["what"], file["path"]] for file in one["files"]]
    assert [wanted for wanted in true.get("files", []) if wanted not in changed] == []
    survived = [command["argv"] for command in one["survived"]]
    assert [wanted for wanted in true.get("survived", []) if wanted not in survived] == []
    if "arguments" in true:
        assert true["arguments"] in map(len, ran)
    if "lengths" in true:
        assert [len(argv[1]) for argv in ran if argv[0] == "/bin/true"] == true["lengths"]
    assert (one["tty"] is not None) == true.get("terminal", False), true["name"]


# --- The logs as they were written ------------------------------------------------------------------------------


def test_every_login_and_nothing_else():
    agrees(read(RECORDED), NOT_IN_FILES)


def test_the_journal_tells_what_it_vouches_for(tmp_path):
    found = read(written(tmp_path, journal=JOURNAL))
    agrees(found)
    [alone] = [one for one in found if one["from"]["address"] == address_of("without PAM")]
    assert alone["auid"] is None and "UsePAM" in alone["unknown"]["commands"]


def test_the_numbers_are_those_of_the_commands(tmp_path):
    # An attempt that failed is none that was started.
    every = {one["id"]: sum(c["success"] for c in one["commands"]) for one in read(RECORDED)}
    assert {one["id"]: one["commands"] for one in read(RECORDED, Wanted())} == every


def address_of(name):
    return next(address for address, one in TRUTH.items() if one["name"] == name)


def named(found, name):
    [one] = [one for one in found if one["from"]["address"] == address_of(name)]
    return one


def test_what_is_forged_is_not_believed():
    found = read(RECORDED)
    everything = json.dumps([{**one, "commands": []} for one in found])
    assert "10.9.9.9" not in everything and "AAAAAAAA" not in everything
    assert named(found, "forged lines")["key"]["fingerprint"] == TRUTH[address_of("forged lines")]["key"]
    assert len({one["id"] for one in found}) == len(found)


def test_each_statement_has_its_proof():
    for one in read(RECORDED):
        assert one["proof"]["session"][0].startswith("audit(1")
        assert ("ended" in one["proof"]) == (one["state"] == "closed")
        assert one["proof"]["method"][0].endswith(one["proof"]["from"][0].rpartition("]: ")[2])
        if one["key"]:
            assert all(one["key"]["fingerprint"] in line or "certificate" in line for line in one["proof"]["key"])


def test_without_lines_of_sshd_it_says_what_it_does_not_know(tmp_path):
    found = read(RECORDED._replace(sshd=()))
    assert len(found) > 30
    for one in found:
        assert one["key"] is None and one["method"] is None and one["from"]["port"] is None
        assert {"key", "method", "port", "channels"} <= set(one["unknown"])
        assert one["from"]["address"] in TRUTH


# --- The same logs, as others write them ------------------------------------------------------------------------


def raw(log):
    return re.sub(rb"\x1d[^\n]*", b"", log)


def node(log, name=b"web1"):
    return b"".join(b"node=%s %s" % (name, line) for line in log.splitlines(True))


def interleaved(log):
    """Return the records out of order, as the kernel's many processors have them written."""
    lines = log.splitlines(True)
    later = range(0, len(lines) - 30, 17)
    keys = {number: number + (24 if number in later else 0) for number in range(len(lines))}
    order = sorted(range(len(lines)), key=lambda number: (keys[number], number))
    events: dict[bytes, list[bytes]] = {}
    for line in lines:
        events.setdefault(line.partition(b"audit(")[2].partition(b")")[0], []).append(line)
    # The records of one event stay in their order.
    out = []
    for number in order:
        out.append(events[lines[number].partition(b"audit(")[2].partition(b")")[0]].pop(0))
    return b"".join(out)


def rfc3339(log):
    months = {b"Nov": b"11"}
    return re.sub(
        rb"(?m)^(Nov) (..) (\S+) ",
        lambda m: b"2026-%s-%sT%s.250000+00:00 " % (months[m[1]], m[2].replace(b" ", b"0"), m[3]),
        log,
    )


def rfc5424(log):
    return re.sub(rb"(?m)^(\S+ \S+) ([^ \[]+)\[(\d+)\]: ", rb'<86>1 \1 \2 \3 - [x@1 y="]\\" [z"] ', log)


def newer(log):
    """Return sshd's lines as OpenSSH 9.8 names itself."""
    return log.replace(b" sshd[", b" sshd-session[")


def newer_audit(log):
    return log.replace(b"/usr/sbin/sshd", b"/usr/lib/openssh/sshd-session")


WRITTEN = {
    "raw": (raw, None),
    "of a node": (node, None),
    "out of order": (interleaved, None),
    "RFC 3339": (None, rfc3339),
    "OpenSSH 9.8": (newer_audit, newer),
    "with subj=": (lambda log: log.replace(b" old-auid=", b" subj=unconfined old-auid="), None),
    "with per=": (lambda log: re.sub(rb"(syscall=\d+)", rb"\1 per=400000", log), None),
    "without PROCTITLE": (lambda log: re.sub(rb"type=PROCTITLE[^\n]*\n", b"", log), None),
    "RFC 5424": (None, lambda log: rfc5424(rfc3339(log))),
    "with parts of seconds": (None, lambda log: re.sub(rb"(?m)^(Nov .. ..:..:..)", rb"\1.250000", log)),
    "with garbage": (lambda log: log.replace(b"type=CWD", b"\xff\x00garbage\ntype=CWD"), lambda log: b"\xff\n\n" + log),
}


@pytest.mark.parametrize("audit,auth", WRITTEN.values(), ids=WRITTEN)
def test_the_same_in_other_words(tmp_path, audit, auth):
    same = lambda log: log  # noqa: E731
    agrees(read(written(tmp_path, (audit or same)(AUDIT), (auth or same)(AUTH))), NOT_IN_FILES)


def test_two_hosts_in_one_log(tmp_path):
    lines = zip(node(AUDIT, b"web1").splitlines(True), node(AUDIT, b"web2").splitlines(True), strict=True)
    auth = AUTH + AUTH.replace(b" host ", b" web2 ")
    both = b"".join(part for pair in lines for part in pair)
    found = read(written(tmp_path, both, auth.replace(b" host ", b" web1.example.org ")))
    for host in ("web1", "web2"):
        agrees([one for one in found if one["host"] == host], NOT_IN_FILES)


NAMES = {
    "of one domain": ("web1.example.org", "web2.example.org", "web1", "web2"),
    "short names alike": ("web1.example.org", "web1.example.net", "web1.example.org", "web1.example.net"),
    "addresses": ("192.0.2.5", "192.0.2.6", "192.0.2.5", "192.0.2.6"),
    "only one has a log of sshd's": ("web1", "web2", "web1", None),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_two_hosts_of_which_all_numbers_are_alike(tmp_path, names):
    nodes, said = names[:2], names[2:]
    logs = zip(*(node(AUDIT, name.encode()).splitlines(True) for name in nodes), strict=True)
    auth = b"".join(AUTH.replace(b" host ", b" %s " % name.encode()) for name in said if name)
    found = read(written(tmp_path, b"".join(part for pair in logs for part in pair), auth))
    for host, name in zip(nodes, said, strict=True):
        own = [one for one in found if one["host"] == host]
        if name:
            agrees(own, NOT_IN_FILES)
        assert name or not [one for one in own if one["key"] or "key" not in one["unknown"]]


COMPRESSED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": None}


@pytest.mark.parametrize("kind", COMPRESSED)
def test_rotated_and_compressed_in_the_middle_of_an_event(tmp_path, kind):
    if kind == "zst" and not shutil.which("zstd"):
        pytest.skip("needs zstd")
    third = AUDIT.find(b"\n", AUDIT.find(b"a1[1]=")) + 1
    last = AUDIT.find(b"\n", len(AUDIT) - 90000) + 1
    parts = {"audit.log.10": AUDIT[:third], "audit.log.2": AUDIT[third:last], "audit.log": AUDIT[last:]}
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
    oldest = tmp_path / "audit.log.10"
    if kind == "zst":
        subprocess.run(["zstd", "-q", "--rm", oldest], check=True)
    else:
        (tmp_path / f"audit.log.10.{kind}").write_bytes(COMPRESSED[kind](oldest.read_bytes()))
        oldest.unlink()
    agrees(read(Sources([str(tmp_path)], RECORDED.sshd)), NOT_IN_FILES)


def line_at(share):
    """Return where a line of the audit log begins (int), after a share of it (float)."""
    return AUDIT.find(b"\n", int(len(AUDIT) * share)) + 1


EARLY, MIDDLE, LATE = map(line_at, (0.3, 0.6, 0.8))
TWICE = {
    "copied and truncated": {"audit.log.1": AUDIT[:MIDDLE], "audit.log": AUDIT[EARLY:]},
    "compressed and not removed yet": {
        **{"audit.log.2": AUDIT[:EARLY], "audit.log.1": AUDIT[EARLY:MIDDLE], "audit.log": AUDIT[MIDDLE:]},
        "audit.log.1.gz": gzip.compress(AUDIT[EARLY:MIDDLE]),
    },
    "a backup": {"audit.log": AUDIT, "audit.log.bak": AUDIT[:MIDDLE]},
    "an overlap of compressed ones": {
        "audit.log.2.xz": lzma.compress(AUDIT[:LATE]),
        "audit.log.1.gz": gzip.compress(AUDIT[MIDDLE:]),
    },
}


@pytest.mark.parametrize("files", TWICE.values(), ids=TWICE)
def test_what_is_there_twice_counts_once(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    sources = Sources([str(tmp_path)], RECORDED.sshd)
    assert read(sources) == read(RECORDED) and read(sources, Wanted()) == read(RECORDED, Wanted())


def doubled(log):
    return b"".join(2 * line for line in log.splitlines(True))


AGAIN = {
    "the audit log joined with itself": (AUDIT + AUDIT, AUTH),
    "a part of it": (AUDIT[:LATE] + AUDIT[EARLY:], AUTH),
    "each record": (doubled(AUDIT), AUTH),
    "sshd's log joined with itself": (AUDIT, AUTH + AUTH),
    "each of its lines": (AUDIT, re.sub(rb"(?m)^[^\n]*127\.0\.1\.15 (?!.* id 0)[^\n]*\n", rb"\g<0>\g<0>", AUTH)),
}


@pytest.mark.parametrize("size", [2**16, 2**20])
@pytest.mark.parametrize("audit,auth", AGAIN.values(), ids=AGAIN)
def test_what_is_there_twice_in_one_file_counts_once(tmp_path, monkeypatch, audit, auth, size):
    monkeypatch.setattr(blocks, "BLOCK", size)
    sources = written(tmp_path, audit, auth)
    assert read(sources) == read(RECORDED) and read(sources, Wanted()) == read(RECORDED, Wanted())


def test_a_log_of_two_boots_that_is_there_twice(tmp_path):
    again = moved(AUDIT, 86400)
    auth = AUTH + AUTH.replace(b"Nov 25", b"Nov 26")
    once = read(written(tmp_path, AUDIT + again, auth))
    assert read(written(tmp_path, 2 * (AUDIT + again), auth)) == once
    # And goes on where it had come to.
    assert read(written(tmp_path, AUDIT[:LATE] + AUDIT + again, auth)) == once


HOLES = {"near the beginning": 300, "in the middle": 1500, "near the end": 2200}


@pytest.mark.parametrize("name", [b"", b"web1"])
@pytest.mark.parametrize("at", HOLES.values(), ids=HOLES)
def test_events_that_are_missing_in_the_middle_of_a_file(tmp_path, at, name):
    lines = (node(AUDIT, name) if name else AUDIT).splitlines(True)
    audit = b"".join(lines[:at] + lines[at + 800 :])
    every = {one["id"]: one for one in read(RECORDED)}
    known = sorted(int(number) for number in re.findall(rb"audit\([0-9.]+:([0-9]+)", lines[at - 1] + lines[at + 800]))
    touched = []
    for one in read(written(tmp_path, audit)):
        whole = every.get(one["id"], one)
        same = one["commands"] == whole["commands"] and one["became"] == whole["became"]
        late = [command for command in whole["commands"] if command in whole["survived"]]
        assert same or "commands" in one["unknown"] or late, one["id"]
        touched += [one["unknown"]["commands"]] if "commands" in one["unknown"] else []
    assert any(f"the events {known[0] + 1} to {known[1] - 1} are missing" in why for why in touched)


@pytest.mark.parametrize("wanted", [FULL, Wanted()], ids=["commands", "their number"])
@pytest.mark.parametrize("size", [2**14, 2**20])
def test_one_event_that_is_missing_is_told_of_the_sessions_that_it_may_be_of(tmp_path, monkeypatch, size, wanted):
    monkeypatch.setattr(blocks, "BLOCK", size)
    lines = AUDIT.splitlines(True)
    of = [int(re.search(rb":([0-9]+)\)", line)[1]) for line in lines]
    every = {one["id"]: one for one in read(RECORDED)}
    for number in sorted(set(of))[40:700:60]:
        found = read(
            written(tmp_path, b"".join(line for line, at in zip(lines, of, strict=True) if at != number)), wanted
        )
        for one in found:
            proof = every[one["id"]]["proof"]
            begin, end = (
                int(re.search(r":([0-9]+)\)", words[0])[1])
                for words in (proof["session"], proof.get("ended", ["(:9999999999)"]))
            )
            said = f"the event {number} is missing" in one["unknown"].get("commands", "")
            assert said == (begin < number < end or number == end), (number, one["id"])


@pytest.mark.parametrize("share", [0.1, 0.35, 0.5, 0.62, 0.9])
def test_of_what_began_before_the_log_it_says_that_it_is_not_all(tmp_path, share):
    every = {one["id"]: one for one in read(RECORDED)}
    for one in read(written(tmp_path, AUDIT[line_at(share) :])):
        whole = every.get(one["id"])
        assert whole or one["started"] is None
        assert (whole and one["commands"] == whole["commands"]) or "commands" in one["unknown"]
        assert whole is None or one["key"] == whole["key"]


def test_without_pams_record_of_the_beginning_nobody_became_root(tmp_path):
    for name in ("key two", "terminal", "sftp"):
        one = named(read(written(tmp_path, without(AUDIT, b"USER_START", address_of(name)))), name)
        assert one["became"] == [] and "PAM itself" in one["unknown"]["commands"]


def test_the_files_of_the_journal_are_read_by_its_program(tmp_path, monkeypatch):
    sources = written(tmp_path, journal=JOURNAL)
    own = tmp_path / "system@0005.journal~"
    (tmp_path / "journal.json").rename(own)
    found = sources._replace(journal=[str(own)])
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(CommandExecutionError, match="nothing here can read it .the program journalctl"):
        read(found)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    program.write_text('#!/bin/sh\n[ "$*" = "--no-pager -q -o json --file $5" ] || exec echo "$@"\nexec cat "$6"\n')
    program.chmod(0o755)
    program.write_text(program.read_text().replace("$5", str(own)))
    agrees(read(found))


@pytest.mark.parametrize("since", [None, 1795648818.0, 5.0, 1795700000.0])
def test_the_journal_of_this_host_is_asked_for_what_is_needed(tmp_path, monkeypatch, since):
    (tmp_path / "journal.json").write_bytes(JOURNAL)
    program = tmp_path / "journalctl"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexec cat {tmp_path}/journal.json\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    isdir = history.os.path.isdir
    monkeypatch.setattr(history.os.path, "isdir", lambda path: path == "/run/systemd/system" or isdir(path))
    found = read(RECORDED._replace(sshd=(), journal=None), Wanted(since=since))
    every = {
        one["id"]: one["key"] for one in read(RECORDED._replace(sshd=(), journal=[str(tmp_path / "journal.json")]))
    }
    assert {one["id"]: one["key"] for one in found} == {one["id"]: every[one["id"]] for one in found}
    said = re.findall(r"--since=@(\S+)", (tmp_path / "asked").read_text())
    if since is None:
        assert said == [] and len(found) == len(every)
    else:
        # As journalctl(1) takes it, and no later than what was asked for or is still open then.
        started = [datetime.datetime.fromisoformat(one["started"].replace("Z", "+00:00")).timestamp() for one in found]
        assert (
            0 <= int(said[0]) <= min([since, *started]) and int(said[0]) >= min([since, *started]) - 2 * history.MARGIN
        )


def exported(journal):
    """Return a journal as ``journalctl -o export`` writes it."""
    out = b""
    for fields in map(json.loads, journal.splitlines()):
        out += b"__CURSOR=s\n"
        for name, value in fields.items():
            data = bytes(value) if isinstance(value, list) else value.encode()
            long = not data.decode(errors="replace").isprintable()
            out += name.encode() + (b"\n" + len(data).to_bytes(8, "little") if long else b"=") + data + b"\n"
        out += b"\n"
    return out


def test_an_exported_journal(tmp_path):
    as_json = read(written(tmp_path, journal=JOURNAL))
    assert read(written(tmp_path, journal=exported(JOURNAL))) == as_json
    agrees(as_json)


def test_what_the_journal_and_syslog_both_have_counts_once(tmp_path):
    journal = written(tmp_path, journal=JOURNAL)
    both = journal._replace(sshd=RECORDED.sshd)
    assert read(both) == read(journal)
    failures = [questions.failures(history.lines(one._replace(zone=UTC))) for one in (journal, both)]
    told_ = [[(one["address"], one["user"], one["count"]) for one in found] for found in failures]
    assert told_[0] == told_[1] and told_[0]


def test_a_name_that_the_journal_writes_as_numbers(tmp_path):
    odd = "max\x1b[2J"
    entries = [json.loads(line) for line in JOURNAL.splitlines()]
    for one in entries:
        one["MESSAGE"] = list(one["MESSAGE"].replace("max@ops (team) from x port 1", odd).encode())
    journal = b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in entries)
    one = named(read(written(tmp_path, journal=journal)), "certificate")
    assert one["certificate"]["id"] == "max\\x1b[2J" and one["key"]["fingerprint"]


def test_by_several_processes_in_small_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 2**16)
    monkeypatch.setattr(blocks, "LARGE", 0)
    sources = written(tmp_path)
    agrees(read(sources), NOT_IN_FILES)
    assert read(sources, Wanted()) == read(RECORDED, Wanted())


def half(data):
    return data[: len(data) * 2 // 3]


def flipped(data):
    at = len(data) // 2
    return data[:at] + bytes(255 - byte for byte in data[at : at + 200]) + data[at + 200 :]


def zst(data):
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


ASKED = {
    "audit": lambda path: read(Sources([path])),
    "sshd": lambda path: read(RECORDED._replace(sshd=[path])),
    "journal": lambda path: read(RECORDED._replace(sshd=(), journal=[path])),
    "failures": lambda path: list(history.lines(Sources((), [path]))),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("spoil", [half, flipped, lambda _: b"is none"], ids=["cut", "flipped", "none"])
@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_file_that_cannot_be_read_is_named(tmp_path, kind, spoil, asked):
    if kind == "zst" and not shutil.which("zstd"):
        pytest.skip("needs zstd")
    # The journal as it is compressed takes less than a block of some.
    data = (COMPRESSED[kind] or zst)(AUDIT[:300000] + JOURNAL + AUTH)
    (tmp_path / f"some.log.1.{kind}").write_bytes(spoil(data))
    with pytest.raises(CommandExecutionError, match=f"some.log.1.{kind} cannot be read: "):
        asked(str(tmp_path / f"some.log.1.{kind}"))


# --- What happens to logs ---------------------------------------------------------------------------------------


def moved(log, seconds=0, serials=0, sessions=0):
    """Return a log with other times, and other numbers of events and sessions."""
    log = re.sub(
        rb"audit\((\d+)(\.\d+:)(\d+)\)",
        lambda m: b"audit(%d%s%d)" % (int(m[1]) + seconds, m[2], int(m[3]) + serials),
        log,
    )
    return re.sub(rb" ses=(\d{1,9}) ", lambda m: b" ses=%d " % (int(m[1]) + sessions), log)


def first_number(log):
    return int(re.search(rb"audit\(\d+\.\d+:(\d+)\)", log)[1])


def test_a_reboot_gives_the_same_numbers_again(tmp_path):
    again = moved(AUDIT, 86400)
    later = AUTH.replace(b"Nov 25", b"Nov 26")
    found = read(written(tmp_path, AUDIT + again, AUTH + later))
    half = len(found) // 2
    for boot in (found[:half], found[half:]):
        # Of what was open the reboot tells the end, but not when.
        lost = [one for one in boot if one["state"] == "lost"]
        assert [one["unknown"]["ended"][:17] for one in lost] == ["the host stopped "] * len(lost)
        agrees([{**one, "state": "open"} if one in lost else one for one in boot], NOT_IN_FILES)
    assert len({one["id"] for one in found}) == len(found)
    assert not [one for one in found if len(one["proof"].get("method", [""])) != 1]


def test_a_clock_that_was_set_back_tells_no_length(tmp_path):
    # In the middle of a session, an hour back.
    at = AUDIT.find(b"type=USER_END", AUDIT.find(address_of("files").encode()))
    at = AUDIT.rfind(b"\n", 0, AUDIT.find(address_of("files").encode(), at)) + 1
    found = read(written(tmp_path, AUDIT[:at] + moved(AUDIT[at:], -3600)))
    one = named(found, "files")
    assert one["seconds"] is None and one["state"] == "closed" and "clock was set" in one["unknown"]["seconds"]
    assert [other["unknown"].get("seconds") for other in found].count(None) >= len(found) - 2


def without(log, kind, address):
    """Return a log without the records of one kind about an address."""
    session = re.search(rb"type=USER_START [^\n]* ses=(\d+) [^\n]*addr=%s " % address.encode(), log)[1]
    pattern = rb"type=%s msg=[^\n]* ses=%s [^\n]*\n" % (kind, session)
    assert re.search(pattern, log)
    return re.sub(pattern, b"", log)


MISSING = {
    "LOGIN": (b"LOGIN", "login", "closed"),
    "USER_START": (b"USER_START", "state", "closed"),
    "USER_END": (b"(?:USER_END|CRED_DISP)", "ended", "closed"),
}


@pytest.mark.parametrize("kind,field,state", MISSING.values(), ids=MISSING)
def test_a_record_that_is_missing_is_told(tmp_path, kind, field, state):
    found = read(written(tmp_path, without(AUDIT, kind, address_of("key two"))))
    if field == "state":
        # Its end is PAM's too.
        field = None
    one = named(found, "key two")
    assert one["state"] == state and (field is None or field in one["unknown"])
    assert one["key"]["fingerprint"] == TRUTH[address_of("key two")]["key"]
    assert ["/bin/echo", "by-two"] in [command["argv"] for command in one["commands"]]


def accepted(log, name):
    address = address_of(name).encode()
    return re.search(rb"[^\n]*: Accepted publickey for [^\n]* from %s port [^\n]*\n" % address, log)[0]


def test_two_lines_that_claim_one_process_are_both_not_believed(tmp_path):
    line = accepted(AUTH, "key one")
    other = re.sub(rb"SHA256:\S+", b"SHA256:" + b"B" * 43, line)
    one = named(read(written(tmp_path, AUDIT, AUTH.replace(line, line + other))), "key one")
    assert one["key"] is None and one["method"] is None and "more than one line" in one["unknown"]["key"]
    # Said twice it is the same.
    one = named(read(written(tmp_path, AUDIT, AUTH.replace(line, line + line))), "key one")
    assert one["key"]["fingerprint"] == TRUTH[address_of("key one")]["key"]


def test_a_process_number_that_comes_again_within_seconds(tmp_path):
    def renumbered(log, old, new):
        return re.sub(rb"(?<=[\[= ])%s(?=[\] \n])" % old, new, log)

    pids = [re.search(rb"\[(\d+)\]: Accepted", accepted(AUTH, name))[1] for name in ("key one", "key two", "key three")]
    audit, auth = AUDIT, AUTH
    for pid in pids[1:]:
        audit, auth = renumbered(audit, pid, pids[0]), renumbered(auth, pid, pids[0])
    found = read(written(tmp_path, audit, auth))
    agrees(found, NOT_IN_FILES)
    # A line is missing: who knows which login it was about?
    gone = auth.replace(accepted(auth, "key two"), b"")
    same = re.sub(rb"127\.0\.1\.[234](?= )", address_of("key one").encode(), gone)
    audit = re.sub(rb"127\.0\.1\.[234](?= )", address_of("key one").encode(), audit)
    doubtful = [one for one in read(written(tmp_path, audit, same)) if one["user"] == "deploy" and not one["key"]]
    assert len(doubtful) == 3 and {one["unknown"]["key"] for one in doubtful} == {
        "more than one line of sshd's could be about it"
    }


def test_lines_that_come_late(tmp_path):
    late = re.sub(rb"(?m)^Nov 25 23:20:(\d\d)", lambda m: b"Nov 25 23:20:%02d" % min(59, int(m[1]) + 20), AUTH)
    agrees(read(written(tmp_path, AUDIT, late)), NOT_IN_FILES)


def test_a_year_that_begins_in_the_middle(tmp_path):
    """RFC 3164 has no year, and the log goes on from December to January."""
    middle = int(re.findall(rb"audit\((\d+)\.", AUDIT)[len(AUDIT) // 1000])
    new_year = int(datetime.datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    audit = moved(AUDIT, new_year - middle)

    def stamp(found):
        when = datetime.datetime.strptime(f"2026 {found[0].decode()}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
        when += datetime.timedelta(seconds=new_year - middle)
        return when.strftime("%b %e %H:%M:%S").encode()

    agrees(read(written(tmp_path, audit, re.sub(rb"(?m)^Nov .. ..:..:..", stamp, AUTH))), NOT_IN_FILES)


TWICE_SHOWN = {
    "before, in and after": (20, 50, 80),
    "in, in again and after": (40, 70, 100),
    "a minute on by the clock": (10, 72),
    "back by the clock, but little": (14, 72),
    "only the first time": (10,),
    "only the second time": (72,),
}


@pytest.mark.parametrize("minutes", TWICE_SHOWN.values(), ids=TWICE_SHOWN)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
def test_an_hour_that_comes_twice(tmp_path, zone, minutes):
    """RFC 3164 has local time, and a log goes on while a clock is set back from summer time."""
    place = zoneinfo.ZoneInfo(zone)
    first = int(re.search(rb"audit\((\d+)\.", AUDIT)[1])
    hours = (datetime.datetime(2025, 1, 1, tzinfo=UTC) + datetime.timedelta(hours=number) for number in range(8760))
    back = next(when for when in hours if offset(place, when, hours=1) < offset(place, when))
    moves = [int((back + datetime.timedelta(minutes=one)).timestamp()) - first for one in minutes]

    def stamp(found, move):
        when = datetime.datetime.strptime(f"2026 {found[0].decode()}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
        return datetime.datetime.fromtimestamp(when.timestamp() + move, place).strftime("%b %e %H:%M:%S").encode()

    audit = b"".join(moved(AUDIT, move, 2000 * at, 100 * at) for at, move in enumerate(moves))
    auth = [re.sub(rb"(?m)^Nov .. ..:..:..", lambda found, move=move: stamp(found, move), AUTH) for move in moves]
    sources = written(tmp_path, audit, b"".join(auth))._replace(zone=place)
    found = [told(one) for one in history.sessions(sources, FULL)]
    every = read(RECORDED)
    assert len(found) == len(minutes) * len(every)
    assert len([one for one in found if one["key"]]) == len(minutes) * len([one for one in every if one["key"]])
    # What sshd said is told with the time at which it did.
    said = [one["proof"]["from"][0][:19] for one in found if "from" in one["proof"]]
    assert max(abs(seconds(one["started"]) - seconds(when + "Z")) for one, when in zip(found, said, strict=True)) < 3
    # Of what was open, the process has gone when its number comes again.
    states = [one["state"] for one in every]
    assert [one["state"] for one in found][-len(every) :] == states
    assert [one["state"] for one in found].count("closed") == len(minutes) * states.count("closed")


def seconds(written):
    return datetime.datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp()


def offset(zone, when, hours=0):
    return (when + datetime.timedelta(hours=hours)).astimezone(zone).utcoffset()


# --- What is asked ----------------------------------------------------------------------------------------------


def test_since_finds_what_was_still_open(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MARGIN", 0.0)
    every = read(RECORDED, Wanted())
    times = sorted(one["ended"] for one in every if one["ended"])
    since = datetime.datetime.fromisoformat(times[len(times) // 2].replace("Z", "+00:00")).timestamp()
    sources = written(tmp_path)
    monkeypatch.setattr(blocks, "NEAR", 2**10)
    found = read(sources, Wanted(since=since))
    wanted = [one["id"] for one in every if not one["ended"] or one["ended"] >= times[len(times) // 2]]
    assert [one["id"] for one in found] == wanted
    # What was not read is not told as if there were nothing.
    older = [one["started"] < times[len(times) // 2] for one in found]
    assert True in older and False in older
    assert ["it began before" in one["unknown"].get("commands", "") for one in found] == older
    one = every[3]
    assert [found["id"] for found in read(sources, Wanted(id=one["id"]))] == [one["id"]]


def test_since_finds_the_sessions_of_each_host_in_files_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MARGIN", 0.0)
    paths = []
    for host in ("web1", "web2", "db"):
        (tmp_path / host).mkdir()
        lines = node(AUDIT, host.encode()).splitlines(True)
        for name, part in (("audit.log.1", lines[:1800]), ("audit.log", lines[1800:])):
            paths.append(str(tmp_path / host / name))
            pathlib.Path(paths[-1]).write_bytes(b"".join(part))
    every = read(Sources(paths), Wanted())
    since = datetime.datetime.fromisoformat(every[60]["started"].replace("Z", "+00:00")).timestamp()
    wanted = {(one["host"], one["id"]) for one in every if not one["ended"] or one["ended"] >= every[60]["started"]}
    assert {(one["host"], one["id"]) for one in read(Sources(paths), Wanted(since=since))} == wanted
    assert len({host for host, _ in wanted}) == 3 and len(wanted) < len(every)


def test_a_directory_of_directories(tmp_path):
    for host in ("web1", "web2"):
        (tmp_path / "copies" / host).mkdir(parents=True)
        (tmp_path / "copies" / host / "audit.log").write_bytes(node(AUDIT, host.encode()))
    machine = tmp_path / "journal" / "0123456789abcdef"
    machine.mkdir(parents=True)
    (machine / "journal.json").write_bytes(JOURNAL.replace(b'"host"', b'"web1"'))
    # Who made a link made no copy, and perhaps no end.
    (tmp_path / "copies" / "again").symlink_to(tmp_path / "copies")
    found = read(Sources([str(tmp_path / "copies")], (), [str(tmp_path / "journal")]))
    agrees([one for one in found if one["host"] == "web1"])
    assert len([one for one in found if one["host"] == "web2"]) == len(found) // 2


def test_files_with_any_names_are_in_the_order_of_their_records(tmp_path):
    parts = {"b.log": AUDIT[:EARLY], "c": AUDIT[EARLY:MIDDLE], "a.gz": gzip.compress(AUDIT[MIDDLE:])}
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
    assert read(Sources([str(tmp_path / name) for name in sorted(parts)], RECORDED.sshd)) == read(RECORDED)


def test_the_processes_of_this_host_tell_who_was_killed(tmp_path):
    live = frozenset([int(re.search(rb"\[(\d+)\]: Accepted", accepted(AUTH, "open"))[1])])
    found = read(RECORDED._replace(alive=live), Wanted())
    assert named(found, "open")["state"] == "open"
    assert named(read(RECORDED._replace(alive=frozenset()), Wanted()), "open")["state"] == "killed"


def test_the_lines_are_told_one_by_one():
    events = [line.event for line in history.lines(RECORDED._replace(zone=UTC))]
    assert events.count("accepted") == AUTH.count(b": Accepted p") and "failed" in events


# --- Nothing breaks it ------------------------------------------------------------------------------------------

SMALL = AUDIT[: AUDIT.find(b"\n", 60000) + 1]
SMALL_AUTH = AUTH[: AUTH.find(b"\n", 9000) + 1]


def spoiled(draw, log):
    """Cut, double and swap bytes of a log."""
    data = bytearray(log)
    for kind, at, size in draw:
        at, size = at % len(data), min(size, len(data) // 2)
        piece = data[at : at + size]
        if kind == "cut":
            del data[at : at + size]
        elif kind == "double":
            data[at:at] = piece
        elif kind == "swap":
            data[at : at + size] = piece[::-1]
        else:
            data[at : at + 1] = bytes([size % 256])
        if len(data) < 100:
            break
    return bytes(data)


SPOILS = st.lists(
    st.tuples(st.sampled_from(["cut", "double", "swap", "byte"]), st.integers(0, 10**6), st.integers(1, 4000)),
    max_size=6,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("spoiled")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(SPOILS, SPOILS)
def test_spoiled_logs_give_no_error_and_no_wrong_key(place, audit, auth):
    for one in read(written(place, spoiled(audit, SMALL), spoiled(auth, SMALL_AUTH))):
        true = TRUTH.get(one["from"]["address"])
        if one["key"] and true and one["method"] == "publickey" and not auth:
            assert one["key"]["fingerprint"] == true["key"]
        json.dumps(one)


def moved_about(draw, log):
    """Drop, double, swap and move lines of a log, cut one, and join one with the next."""
    lines = log.splitlines(True)
    for kind, at, size in draw:
        at %= len(lines)
        piece, other = lines[at : at + size], min(at + size, len(lines) - 1)
        if kind == "drop":
            del lines[at : at + min(size, len(lines) - 50)]
        elif kind == "double":
            lines[other:other] = piece
        elif kind == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "late":
            lines[at : at + size] = []
            lines[other:other] = piece
        else:
            lines[at] = lines[at][: size % max(1, len(lines[at]))] + (b"\n" if kind == "cut" else b"")
    return b"".join(lines)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "swap", "late", "cut", "join"]), st.integers(0, 10**6), st.integers(1, 120)
    ),
    max_size=8,
)
# What a session has from its login and sshd's line together: right, or not known.
JOINED = ("user", "auid", "method", "certificate", "person", "tty", "host")


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(MOVES, MOVES, st.booleans())
def test_lines_that_were_moved_about_give_no_wrong_join(place, audit, said, by_journal):
    sources = written(place, SMALL, SMALL_AUTH, JOURNAL if by_journal else None)
    clean = {one["from"]["address"]: one for one in read(sources)}
    log = moved_about(said, JOURNAL if by_journal else SMALL_AUTH)
    found = read(written(place, moved_about(audit, SMALL), log, log if by_journal else None))
    known = [one for one in found if one["from"]["address"]]
    assert len({one["from"]["address"] for one in known}) == len(known)
    for one in known:
        assert one["from"]["address"] in TRUTH
        true = clean.get(one["from"]["address"], one)
        assert one["key"] in (None, true["key"]) or one["key"]["file"] is None
        # Where only the journal knows of it, the journal's host is named, of which the audit log says nothing.
        told = [name for name in JOINED if true[name] not in (None, "")]
        assert [name for name in told if one[name] not in (None, true[name])] == []
        assert one["from"]["port"] in (None, true["from"]["port"]) or true["from"]["port"] is None
        assert not one["key"] or one["key"]["fingerprint"] == TRUTH[one["from"]["address"]]["key"]


def test_logs_are_read_without_salt():
    """To load it takes as long as to read a large log."""
    code = (
        "import sys\nfrom sshtrail_lib.trail import history\nfound = history.sessions(history.Sources(sys.argv[1:]))\n"
    )
    code += "print(len([*found]), [name for name in sys.modules if name.partition('.')[0] == 'salt'])"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *RECORDED.audit], env=environ, capture_output=True, text=True, check=True
    )
    number, loaded = done.stdout.split(" ", 1)
    assert int(number) > 20 and loaded == "[]\n"
