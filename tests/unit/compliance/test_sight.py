"""compliance.sight: what cannot be read is not there for nobody: whoever is refused says so."""

import json
import os
import shutil
import tempfile

import pytest
from sshtrail_lib.compliance import checks, configs, places, sight
from support import require_root

from unit.compliance.known import audit, facts, lines

HELD = audit(())
NOBODY = 65534


@pytest.fixture
def base():
    """A directory (str) that anybody can enter."""
    path = tempfile.mkdtemp(dir="/tmp")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def as_nobody(ask):
    """Return what ``ask()`` returns (what JSON can hold) in a process of an account that owns nothing."""
    require_root()
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writes, json.dumps(ask()).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as handle:
        said = handle.read()
    os.waitpid(child, 0)
    return json.loads(said)


def made(base, **modes):
    for name, mode in modes.items():
        path = os.path.join(base, name.replace("__", "/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if mode is not None:
            with open(path, "w", encoding="utf-8") as handle:
                handle.write("Defaults logfile=/x\n")
            os.chmod(path, mode)


def refused(ask):
    with sight.watched() as found:
        ask()
    return found


#: The mode of a file, that of its directory, and whether somebody else is refused something.
FILES = [(0o644, 0o755, False), (0o600, 0o755, True), (0o644, 0o700, True), (None, 0o755, False), (None, 0o700, True)]


@pytest.mark.parametrize(("mode", "directory", "told"), FILES)
def test_a_file_that_cannot_be_read_is_told(base, mode, directory, told):
    made(base, d__x=mode)
    os.chmod(f"{base}/d", directory)
    for ask in (lambda: configs._lines(f"{base}/d/x"), lambda: configs._all(f"{base}/d/x")):
        assert bool(as_nobody(lambda ask=ask: refused(ask))) is told
        assert refused(ask) == []


DIRECTORIES = [
    ("d/*", 0o755, False),
    ("d/*", 0o711, True),
    ("d/*", 0o700, True),
    ("*/x", 0o755, False),
    ("*/x", 0o700, True),
]


@pytest.mark.parametrize(("pattern", "mode", "told"), DIRECTORIES)
def test_a_directory_that_cannot_be_listed_is_told(base, pattern, mode, told):
    made(base, d__x=0o644)
    os.chmod(f"{base}/d", mode)
    assert bool(as_nobody(lambda: refused(lambda: sight.matching(f"{base}/{pattern}")))) is told
    assert refused(lambda: sight.matching(f"{base}/{pattern}")) == []


def test_files_of_a_kind_that_are_not_all_seen_are_told(base):
    made(base, audit__auditd=0o644, audit__rulesd__a=0o644, log__auditlog=0o600)
    os.chmod(f"{base}/audit/rulesd", 0o700)
    paths = ("/x", [], f"{base}/audit/auditd", f"{base}/audit/rulesd/zz", f"{base}/log/auditlog")

    def ask():
        unread = {}
        found = places.files(*paths, unread)
        return {"unread": sorted(unread), "found": {kind: sorted(found[kind]) for kind in ("auditd.conf", "rules.d")}}

    told = as_nobody(ask)
    assert {"audit config", "rules.d"} <= set(told["unread"]) and "auditd.conf" not in told["unread"]
    assert told["found"] == {"auditd.conf": [f"{base}/audit/auditd"], "rules.d": []}
    assert not {"audit config", "rules.d", "auditd.conf"} & set(ask()["unread"])


def test_what_is_too_much_to_read_is_told(base, monkeypatch):
    made(base, **{f"d__{name}": 0o644 for name in "abc"})
    assert refused(lambda: configs._all(f"{base}/d/*")) == []
    monkeypatch.setattr(configs, "MOST", 2)
    assert "more than 2 files" in refused(lambda: configs._all(f"{base}/d/*"))[0]
    monkeypatch.setattr(configs, "LARGEST", 4)
    assert "larger than" in refused(lambda: configs._lines(f"{base}/d/a"))[0]
    monkeypatch.setattr(places, "MOST", 2)
    assert "more than 2 files" in refused(lambda: places._below(f"{base}/d"))[0]


#: What cannot be read, a look, and what it would say otherwise.
LOOKS = [
    ("sudo", "sudo_custom_logfile", {"sudo": lines("Defaults logfile=/x")}),
    ("sudo", "sudo_custom_logfile", {"sudo": None}),
    ("sudo", "sudo_custom_logfile", {"sudo": ()}),
    ("rsyslog", "rsyslog_nolisten", {"rsyslog": None}),
    ("rsyslog", "rsyslog_nolisten", {"rsyslog": lines('module(load="imuxsock")')}),
    ("rsyslog", "rsyslog_cron_logging", {"rsyslog": lines('module(load="imuxsock")', "*.* /x")}),
    ("aide", "aide_check_audit_tools", {"aide": lines("/usr/sbin sha512")}),
    ("aliases", "postfix_client_configure_mail_alias", {"aliases": lines("root: alice")}),
    ("journald", "journald_compress", {"journald": None}),
    ("plugins", "auditd_offload_logs", {"offload": lines("x")}),
    ("faillock", "accounts_passwords_pam_faillock_audit", {"faillock": lines("audit")}),
    ("clock", "chronyd_client_only", {}),
    ("clock", "chronyd_configure_pool_and_server", {}),
    ("rules.d", "file_permissions_etc_audit_rulesd", {}),
    ("audit config", "file_permissions_audit_configuration", {}),
    ("var log", "permissions_local_var_log", {}),
    ("sshd drop-ins", "file_permissions_sshd_drop_in_config", {}),
    ("boot entries", "grub2_audit_argument", {}),
]


@pytest.mark.parametrize(("unread", "name", "known"), LOOKS)
def test_a_look_at_what_cannot_be_read_is_unknown(unread, name, known):
    seen = facts(audit=HELD, configs=known)
    found = checks.look(seen._replace(unread={unread: "/x cannot be entered"}), name, "STIG")
    assert found.status == "unknown" and "/x cannot be entered" in found.evidence
    # What it does not look at is nothing to it.
    assert checks.look(seen._replace(unread={"logrotate": "/y"}), name, "STIG") == checks.look(seen, name, "STIG")


def test_a_file_that_is_seen_to_be_wrong_fails_also_where_others_are_not_seen():
    one = facts().files["audit config"]["/x/audit config"]._replace(mode=0o666)
    known = facts(audit=HELD, files={"audit config": {"/etc/audit/x": one}}, unread={"audit config": "/y"})
    assert checks.look(known, "file_permissions_audit_configuration", "CIS").status == "fail"


def test_a_clock_of_which_nothing_is_known_is_unknown():
    known = facts(audit=HELD)
    found = checks.look(known._replace(clock=known.clock._replace(local=None)), "ensure_rtc_utc_configuration", "CIS")
    assert found.status == "unknown"


#: A configuration that a daemon has not read, a look, and what is found.
NOT_READ = [
    ("rsyslog", "rsyslog_cron_logging", "fail"),
    ("rsyslog", "rsyslog_nolisten", "fail"),
    ("journald", "journald_compress", "fail"),
    ("clock", "chronyd_configure_pool_and_server", "fail"),
    ("clock", "chronyd_client_only", "fail"),
    ("journald", "rsyslog_cron_logging", "pass"),
    ("rsyslog", "service_rsyslog_enabled", "pass"),
]


@pytest.mark.parametrize(("stale", "name", "status"), NOT_READ)
def test_what_a_daemon_has_not_read_it_does_not_do(stale, name, status):
    known = facts(audit=HELD, configs={"rsyslog": lines('module(load="imuxsock")', "*.* /x"), "journald": None})
    found = checks.look(known._replace(stale={stale: "/x was changed after it began"}), name, "STIG")
    assert found.status == status
    assert (
        status == "pass"
        or "chronyd_client_only" in name
        or (found.layer == "daemon" and found.evidence.endswith("but /x was changed after it began"))
    )
