"""What a host's rules were before a policy comes back; a kernel that is not there keeps a list."""

import contextlib
import errno
import os

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import kernel
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.rules import accounts, compile, host, language, wish

THEIRS = b"## theirs\n-w /etc/crontab -p wa -k cron\n-b 8192\n"
COMPILED = b"# written by hand\n-w /etc/crontab -p wa -k cron\n"
CRON, STRANGER = "-w /etc/crontab -p wa -k cron", "-w /etc/hosts -p wa -k hosts"
GROUP = {"name": "ours", "rules": ["-w /etc/passwd -p wa -k ours"]}
OTHER = {"name": "other", "rules": ["-w /etc/group -p wa -k other"]}
SETTINGS = {"enabled": 1, "failure": 1, "backlog_limit": 64, "backlog_wait_time": 15000, "rate_limit": 0}


def data(line):
    return compile.compile(accounts.parse_rule(line))


class Kernel:
    """A kernel's list of rules and its settings."""

    def __init__(self, monkeypatch):
        self.held, self.settings = [data(CRON), data(STRANGER)], dict(SETTINGS)
        monkeypatch.setattr(kernel, "rules", lambda: list(self.held))
        monkeypatch.setattr(kernel, "status", lambda: {**self.settings, "immutable": False, "pid": 0})
        monkeypatch.setattr(kernel, "features", lambda: {"loginuid_immutable": {"enabled": 0, "locked": 0}})
        monkeypatch.setattr(kernel, "accepts", lambda rule: True)
        monkeypatch.setattr(kernel, "delete", lambda rule, over=None: self.held.remove(rule))
        monkeypatch.setattr(kernel, "conversation", contextlib.nullcontext)
        monkeypatch.setattr(kernel, "set_status", self.settings.update)
        monkeypatch.setattr(kernel, "add", self.add)

    def add(self, rule, prepend=False, over=None):
        self.held.insert(0 if prepend else len(self.held), rule)


@pytest.fixture
def there(monkeypatch):
    return Kernel(monkeypatch)


@pytest.fixture
def minion(tmp_path):
    opts = {"cachedir": str(tmp_path / "cache"), "sshtrail.run_dir": str(tmp_path / "run")}
    return Minion({}, opts, {}, {}, lambda *_how: {"retcode": 1})


@pytest.fixture
def rules_dir(tmp_path):
    path = tmp_path / "audit" / "rules.d"
    path.mkdir(parents=True)
    (path / "10-theirs.rules").write_bytes(THEIRS)
    (tmp_path / "audit" / "audit.rules").write_bytes(COMPILED)
    return path


def content(rules_dir):
    return {path.name: path.read_bytes() for path in rules_dir.parent.rglob("*.rules")}


def policy(rules_dir, *groups, **options):
    return wish.Managed(str(rules_dir / "zz-sshtrail.rules"), groups, **options)


def apply(minion, asked):
    changes = host.bring(minion, asked, remember=True)
    assert host.preview(minion, asked, remember=True)["changes"] == {}
    return changes


POLICIES = [
    ((GROUP,), {"status": {"backlog_limit": 1000, "failure": 2}}),
    ((GROUP, OTHER), {"unknown": "remove"}),
    ((OTHER,), {"status": {"rate_limit": 7}, "unknown": "keep"}),
    ((OTHER, {"name": "cron", "rules": [CRON]}), {"unknown": "remove", "status": {"failure": 0}}),
]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2, 1), (2, 0, 3)])
def test_policies_in_a_row_leave_nothing(minion, rules_dir, there, order):
    before, held = content(rules_dir), set(there.held)
    for number in order:
        groups, options = POLICIES[number]
        apply(minion, policy(rules_dir, *groups, **options))
        assert data(groups[0]["rules"][0]) in there.held
    assert host.remembered(minion) == [str(rules_dir)]
    predicted = host.forget(minion, str(rules_dir), test=True)
    assert content(rules_dir) != before
    assert host.forget(minion, str(rules_dir)) == predicted != {}
    assert content(rules_dir) == before
    assert (set(there.held), there.settings) == (held, SETTINGS)
    assert host.forget(minion, str(rules_dir)) == {}
    assert not os.listdir(minion.state_dir)


UNDOES = [
    b"-D -k ours\n",
    b"-b x\n-D\r\n",
    b"-W /etc/passwd -p wa -k ours\n",
    b" -D",
    b"-f 2 # ours\n",
]


@pytest.mark.parametrize("later", UNDOES)
def test_policies_in_a_row_beside_a_file_that_undoes_them_leave_nothing(minion, rules_dir, there, later):
    (rules_dir / "zz-t.rules").write_bytes(later)
    before, held = content(rules_dir), set(there.held)
    for groups, options in POLICIES:
        apply(minion, policy(rules_dir, *groups, **{"status": {"backlog_limit": 1000}, **options}))
        assert {data(line) for group in groups for line in group["rules"]} <= set(there.held)
    host.forget(minion, str(rules_dir))
    assert (content(rules_dir), set(there.held), there.settings) == (before, held, SETTINGS)


def test_a_compiled_file_that_was_not_there_goes_again(minion, rules_dir, there):
    (rules_dir / "10-theirs.rules").unlink()
    (rules_dir.parent / "audit.rules").unlink()
    there.held.clear()
    apply(minion, policy(rules_dir, status={"failure": 2}))
    assert host.forget(minion, str(rules_dir), test=True) == host.forget(minion, str(rules_dir)) != {}
    assert (content(rules_dir), there.held) == ({}, [])


def test_a_policy_that_asks_for_less(minion, rules_dir, there):
    apply(minion, policy(rules_dir, GROUP, OTHER, unknown="remove", status={"failure": 2}))
    assert data(CRON) not in there.held
    apply(minion, policy(rules_dir, GROUP))
    assert (rules_dir / "10-theirs.rules").read_bytes() == THEIRS
    assert {data(CRON), data(GROUP["rules"][0])} <= set(there.held)
    assert data(OTHER["rules"][0]) not in there.held
    assert there.settings["failure"] == 1


def test_what_others_load_and_write_meanwhile_stays(minion, rules_dir, there):
    before = content(rules_dir)
    apply(minion, policy(rules_dir, GROUP))
    late = data("-w /etc/fstab -p wa -k late")
    there.held.append(late)
    (rules_dir / "20-late.rules").write_bytes(b"-w /etc/fstab -p wa -k late\n")
    host.forget(minion, str(rules_dir))
    assert late in there.held
    assert content(rules_dir) == {**before, "20-late.rules": b"-w /etc/fstab -p wa -k late\n"}


SCRIPTS = {
    "3.0.9": "for rules in `/bin/ls -1v ${SourceRulesDir}` ; do cat; done | awk '{ print }'\n",
    "4.0.2": "for rules in $(/bin/ls -1v ${SourceRulesDir}) ; do cat; done | awk '{ sub(/\\r$/, \"\"); print }'\n",
    "4.2.1": "printf '%s\\0' *.rules | sort -zV | xargs -0r cat -- | awk '{ sub(/\\r$/, \"\"); print }'\n",
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the augenrules of one of the SCRIPTS: ``installed(VERSION)``."""

    def install(version):
        script = tmp_path / "augenrules"
        script.write_text(SCRIPTS[version])
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return install


@pytest.mark.parametrize("version, told", [("3.0.9", 3), ("4.0.2", 1), ("4.2.1", 0)])
def test_files_are_read_as_the_hosts_own_augenrules_reads_them(minion, there, rules_dir, installed, version, told):
    installed(version)
    (rules_dir / "20-crlf.rules").write_bytes(b"-w /etc/hosts -p wa\r\n-w /etc/group -p wa\r\n")
    (rules_dir / "30 spaced.rules").write_bytes(b"-w /etc/issue -p wa -k issue\n")
    planned = host.preview(minion, wish.Whole(), str(rules_dir))
    assert len(planned["broken"]) == told
    lines = planned["changes"].get("kernel", {"new": []})["new"]
    assert any("path=/etc/issue " in line for line in lines) is (version == "4.2.1")
    assert any("path=/etc/group " in line for line in lines) is (version != "3.0.9")


def test_what_is_read_once_more_for_the_name_of_another_file_is_told(minion, there, rules_dir, installed):
    installed("3.0.9")
    (rules_dir / "10-app.rules").write_bytes(b"-w /etc/issue -p wa -k issue\n")
    copy = rules_dir / "Copy of 10-app.rules"
    copy.write_bytes(b"-w /etc/fstab -p wa -k never-read\n")
    (rules_dir / "Copy").write_bytes(b"-w /etc/group -p wa -k beside\n")
    planned = host.preview(minion, policy(rules_dir, GROUP), str(rules_dir))
    told = {(one["file"], one["line"]): one["reason"] for one in planned["broken"]}
    assert "reads in its place, maybe once more: Copy, 10-app.rules." in told[str(copy), 0]
    assert told[str(copy), 2].startswith(f"The same rule as {rules_dir}/10-app.rules, line 1")
    assert any(path.endswith("0-0-sshtrail.rules") for path in planned["changes"])
    apply(minion, policy(rules_dir, GROUP))
    again = host.preview(minion, policy(rules_dir, GROUP), str(rules_dir))
    assert again["changes"] == {} and data("-w /etc/group -p wa -k beside") in there.held
    assert (rules_dir.parent / "audit.rules").read_bytes().count(b"/etc/issue") == 2
    # What goes out of the file is not read once more either; what a copy says itself is nothing.
    apply(minion, policy(rules_dir, GROUP, unknown="remove"))
    assert b"/etc/issue" not in (rules_dir.parent / "audit.rules").read_bytes()
    assert copy.read_bytes() == b"-w /etc/fstab -p wa -k never-read\n"


def test_a_copy_of_the_managed_file_has_it_read_twice_and_is_no_reason_to_refuse(minion, there, rules_dir, installed):
    installed("3.0.9")
    apply(minion, policy(rules_dir, GROUP))
    for name in ("Copy of zz-sshtrail.rules", "zz-z zz-sshtrail.rules", "zz*.rules"):
        (rules_dir / name).write_bytes(b"")
    apply(minion, policy(rules_dir, GROUP))
    planned = host.preview(minion, policy(rules_dir, GROUP), str(rules_dir))
    assert planned["changes"] == {} and data(GROUP["rules"][0]) in there.held
    assert b"\n-i\n" in (rules_dir.parent / "audit.rules").read_bytes()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "directory"])
def test_a_compiled_file_that_is_none_is_an_error_and_no_waiting(minion, there, rules_dir, make):
    compiled = rules_dir.parent / "audit.rules"
    compiled.unlink()
    make(compiled)
    with pytest.raises(CommandExecutionError, match="audit.rules.* (no regular file|Is a directory)"):
        host.preview(minion, wish.Whole(), str(rules_dir))


@pytest.mark.parametrize("release, said", [(b"Error - %s is world writable", True), (b"of 4.0", False)])
@pytest.mark.parametrize("mode, owner", [(0o646, 0), (0o640, 1)])
def test_a_compiled_file_that_auditctl_refuses_is_told(
    minion, there, rules_dir, tmp_path, monkeypatch, release, said, mode, owner
):
    program = tmp_path / "auditctl"
    program.write_bytes(b"#!" + release)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    compiled = rules_dir.parent / "audit.rules"
    assert not host.preview(minion, policy(rules_dir, GROUP), str(rules_dir))["broken"]
    compiled.chmod(mode)
    os.chown(compiled, owner, 0)
    planned = host.preview(minion, policy(rules_dir, GROUP), str(rules_dir))
    assert [(one["file"], one["line"]) for one in planned["broken"]] == [(str(compiled), 0)] * said
    assert ("auditctl loads nothing of it at boot" in planned["comment"]) is said


@pytest.mark.parametrize("unknown", ["report", "remove"])
def test_what_a_policy_had_goes_though_a_file_of_others_deletes_it(minion, rules_dir, there, unknown):
    later = rules_dir / "zz-t.rules"
    later.write_bytes(b"-W /etc/passwd -p wa -k ours\n-w /etc/fstab -p wa -k fstab\n")
    there.held.append(data("-w /etc/fstab -p wa -k fstab"))
    before, held = content(rules_dir), set(there.held)
    apply(minion, policy(rules_dir, GROUP, unknown=unknown))
    apply(minion, policy(rules_dir, OTHER, unknown=unknown))
    assert data(GROUP["rules"][0]) not in there.held
    host.forget(minion, str(rules_dir))
    assert (content(rules_dir), set(there.held)) == (before, held)


@pytest.mark.parametrize("key", ["k\r", '"k"', "k\tl", "k\\l m"])
def test_what_no_policy_could_ask_for_comes_back_too(minion, rules_dir, there, key):
    odd = compile.compile(language.Rule("always", "exit", (language.Part("-S", "open"),), (key,)))
    there.held.append(odd)
    held = set(there.held)
    apply(minion, policy(rules_dir, GROUP, unknown="remove"))
    assert odd not in there.held
    host.forget(minion, str(rules_dir))
    assert set(there.held) == held


def test_a_policy_leaves_the_kernel_too_though_somebody_removed_its_file(minion, rules_dir, there):
    before, held = content(rules_dir), set(there.held)
    apply(minion, policy(rules_dir, GROUP, {"name": "cron", "rules": [CRON]}, unknown="remove"))
    (rules_dir / "zz-sshtrail.rules").unlink()
    host.forget(minion, str(rules_dir))
    assert (content(rules_dir), set(there.held)) == (before, held)


def test_what_watched_a_directory_that_is_gone_does_not_keep_a_policy_from_going(
    minion, rules_dir, there, tmp_path, monkeypatch
):
    def refuse(rule, prepend=False, over=None):
        if b"/gone" in rule:
            raise kernel.KernelError("No such file or directory.", errno.ENOENT)
        there.add(rule, prepend)

    (tmp_path / "gone").mkdir()
    there.held.append(data(f"-a always,exit -F dir={tmp_path}/gone -F perm=wa -F key=gone"))
    before, held = content(rules_dir), set(there.held)
    apply(minion, policy(rules_dir, GROUP, unknown="remove"))
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(kernel, "add", refuse)
    host.forget(minion, str(rules_dir))
    assert content(rules_dir) == before and set(there.held) == {rule for rule in held if b"/gone" not in rule}


def test_carriage_returns_are_read_as_before_where_a_policy_took_their_lines_out(minion, rules_dir, there, installed):
    installed("4.0.2")
    (rules_dir / "20-crlf.rules").write_bytes(b"# theirs\r\n-w /etc/hosts -p wa -k hosts\r\n")
    before, held = content(rules_dir), set(there.held)
    apply(minion, policy(rules_dir, GROUP, unknown="remove"))
    (rules_dir / "20-crlf.rules").write_bytes(b"# theirs\n")
    apply(minion, policy(rules_dir, {"name": "hosts", "rules": [STRANGER]}))
    apply(minion, policy(rules_dir, OTHER))
    assert not any("\r" in line for line in host.loaded())
    (rules_dir / "20-crlf.rules").write_bytes(before["20-crlf.rules"])
    host.forget(minion, str(rules_dir))
    assert (content(rules_dir), set(there.held)) == (before, held)
