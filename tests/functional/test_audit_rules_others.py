"""Beside other people's files: what is broken, odd or gone in them takes none of our rules away, on the real kernel."""

import contextlib
import os
import shutil
import subprocess

import pytest
from _waiting import wait_for
from sshtrail_lib.base import kernel, transaction
from support import auditctl

OURS = "-a always,exit -F arch=b64 -S getppid -F key=sshtrail-test-ours"
GROUPS = [{"name": "sshtrail-test", "rules": [OURS]}]
BROKEN = {
    "gone": b"-a always,exit -F dir=/no/such -F perm=wa -F key=app\n",
    "unknown": b"-a always,exit -F arch=b64 -S open -F uid=no-such-user -k x\n",
    "crlf": b"-D\r\n-w /etc/hosts -p wa\r\n",
    "quotes": b'-w "/etc/hosts" -p wa\n',
}


def managed(states, tree, test=False, **given):
    given = {"groups": GROUPS, "status": {"backlog_limit": 8192, "failure": 1}, **given}
    return states.audit_rules.managed(str(tree / "zz-test.rules"), test=test, **given)


def held():
    return [line for line in auditctl("-l").splitlines() if "sshtrail-test-ours" in line]


def at_boot(tree):
    """Have the real augenrules merge and load, as a service does at boot."""
    script = 'mount --bind "$1" /etc/audit && augenrules --load'
    auditctl("-D")
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(tree.parent)], capture_output=True, check=False
    )


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_our_rules_are_loaded_and_brought_back_whatever_others_say(states, tree, content):
    (tree / "50-app.rules").write_bytes(content)
    made = managed(states, tree)
    assert made.result is True, made.comment
    line = len(content.split(b"\n")) - 1
    assert f"50-app.rules line {line}" in made.comment and held()
    assert managed(states, tree).changes == {}
    auditctl("-D")
    assert managed(states, tree, test=True).changes.keys() == {"kernel"}
    assert managed(states, tree).result is True and held()
    assert at_boot(tree).returncode == 0 and held()
    # augenrules names another directory in the first line of the compiled file.
    assert managed(states, tree).changes.keys() == {str(tree.parent / "audit.rules")}
    (tree / "50-app.rules").unlink()
    assert managed(states, tree).result is True
    assert sorted(os.listdir(tree)) == ["audit.rules", "zz-test.rules"]


WATCH = b"-w /etc/issue -p wa -k app\n"
#: What a boot does not get past by itself, or sets behind ours, though no line of it would be there in the end.
AT_BOOT = {
    "deleted again by its key": {"10-app.rules": b"-w /no/such/x -p wa -k gone\n-D -k gone\n"},
    "deleted again with all": {"10-app.rules": b"-a always,exit -F dir=/no/such -F perm=wa -k gone\n -D\n"},
    "deleted again by itself": {"10-app.rules": b"-w /no/such/x -p wa -k gone\n-W /no/such/x -p wa -k gone\n"},
    "read once more": {"10-app.rules": WATCH, "Copy of 10-app.rules": WATCH},
    "a limit behind nonsense": {"10-app.rules": b"foo -b 70\n"},
    "a rate behind nonsense": {"10-app.rules": WATCH + b"-w /etc/issue -p wa -k i foo -r 50\n"},
    "a limit that stays where it is": {"10-app.rules": b"-w /etc/issue -p wa -k i -b 70 -f 0\n"},
}


@pytest.mark.parametrize("files", AT_BOOT.values(), ids=AT_BOOT)
def test_a_boot_leaves_what_a_run_does(states, tree, files):
    for name, content in files.items():
        (tree / name).write_bytes(content)
    made = managed(states, tree)
    assert made.result is True, made.comment
    assert held() and managed(states, tree).changes == {}
    before, settings = kernel.rules(), kernel.status()
    for _ in range(2):
        done = at_boot(tree)
        assert done.returncode == 0 and held(), done.stderr
        assert sorted(kernel.rules()) == sorted(before)
        assert {name: kernel.status()[name] for name in kernel.SETTINGS} == {
            name: settings[name] for name in kernel.SETTINGS
        }
        # augenrules names another directory in the first line of the compiled file.
        assert managed(states, tree).changes.keys() == {str(tree.parent / "audit.rules")}


def test_what_is_no_file_is_passed_over_and_told(states, modules, tree):
    (tree / "10-dangling.rules").symlink_to(tree / "nowhere")
    (tree / "20-directory.rules").mkdir()
    os.mkfifo(tree / "30-fifo.rules")
    (tree / "40-loop.rules").symlink_to(tree / "40-loop.rules")
    made = managed(states, tree)
    assert made.result is True, made.comment
    for name in ("10-dangling", "20-directory", "30-fifo", "40-loop"):
        assert f"{name}.rules" in made.comment
    assert managed(states, tree).changes == {}
    assert modules.audit_rules.load(str(tree)) == {}


def test_an_edited_compiled_file_is_kept_and_told_where_nobody_made_it(states, tree):
    (tree / "audit.rules").unlink()
    compiled = tree.parent / "audit.rules"
    compiled.write_text("-D\n-w /etc/hosts -p wa -k sshtrail-test-hand\n")
    preview = managed(states, tree, test=True)
    assert "was written by hand: 1 lines" in preview.comment
    assert managed(states, tree).result is True
    assert (tree.parent / "audit.rules.prev").read_text() == "-D\n-w /etc/hosts -p wa -k sshtrail-test-hand\n"


def test_what_locks_at_the_next_boot_goes_on_locking(states, tree):
    (tree / "99-finalize.rules").write_text("-e 2\n-b 65536\n")
    made = managed(states, tree, status={"enabled": 1, "backlog_limit": 8192})
    assert made.result is True and "99-finalize.rules line 1 (-e 2) is stricter" in made.comment
    assert (tree.parent / "audit.rules").read_text().endswith("\n-e 2\n")
    assert kernel.status()["backlog_limit"] == 65536 and kernel.status()["enabled"] == 1
    assert managed(states, tree, status={"enabled": 1, "backlog_limit": 8192}).changes == {}


WATCHES = (
    "-a always,exit -F dir={} -F perm=wa -F key=sshtrail-test-dir",
    "-a always,exit -F path={}/sub/f -F perm=wa -F key=sshtrail-test-f",
)


@pytest.mark.parametrize("how", ["renamed", "mounted"])
def test_a_directory_that_took_the_place_of_a_watched_one_is_watched(states, tree, tmp_path, how):
    watched = tmp_path / "w"
    (watched / "sub").mkdir(parents=True)
    groups = [{"name": "sshtrail-test", "rules": [line.format(watched) for line in WATCHES]}]
    assert managed(states, tree, groups=groups).result is True
    before = kernel.rules()
    if how == "renamed":
        watched.rename(tmp_path / "old")
        (watched / "sub").mkdir(parents=True)
    else:
        subprocess.run(["mount", "-t", "tmpfs", "none", str(watched)], check=True)
        (watched / "sub").mkdir()
    try:
        assert kernel.rules() == before, "the kernel keeps its rules, and does not tell"
        preview = managed(states, tree, groups=groups, test=True)
        assert preview.result is None and len(preview.changes["kernel"]["new"]) == 2
        assert "Another directory stands where these watch" in preview.comment
        assert managed(states, tree, groups=groups).result is True
        assert managed(states, tree, groups=groups).changes == {}
        assert sorted(kernel.rules()) == sorted(before)
    finally:
        if how == "mounted":
            subprocess.run(["umount", str(watched)], check=True)
        else:
            shutil.rmtree(watched)
    if how == "mounted":
        # A sandbox that began meanwhile has the mount for as long as it lives, and the rules stay with it.
        for rule in kernel.rules():
            # Unless it has gone by itself.
            with contextlib.suppress(kernel.KernelError):
                kernel.delete(rule)
    # A rule goes with the directory that it is bound to; the old one is still there.
    wait_for(lambda: not kernel.rules(), "the rules that watched the new directory to go with it")


def test_what_is_mounted_below_a_watched_directory_is_watched(states, tree, tmp_path):
    watched = tmp_path / "w"
    (watched / "sub").mkdir(parents=True)
    groups = [{"name": "sshtrail-test", "rules": [WATCHES[0].format(watched)]}]
    assert managed(states, tree, groups=groups).result is True
    subprocess.run(["mount", "-t", "tmpfs", "none", str(watched / "sub")], check=True)
    try:
        preview = managed(states, tree, groups=groups, test=True)
        assert preview.result is None and len(preview.changes["kernel"]["new"]) == 1
        assert "or is mounted below" in preview.comment
        assert managed(states, tree, groups=groups).result is True
        assert managed(states, tree, groups=groups).changes == {}
    finally:
        subprocess.run(["umount", str(watched / "sub")], check=True)
    assert managed(states, tree, groups=groups).changes == {}


def test_two_runs_do_not_meet(states, tree, minion_opts, monkeypatch):
    monkeypatch.setattr(transaction.Transaction.locked.__wrapped__, "__defaults__", (0.1,))
    with transaction.lock(os.path.join(minion_opts["sshtrail.run_dir"], "audit_rules.lock")):
        refused = managed(states, tree)
    assert refused.result is False and "Another run holds" in refused.comment
    assert kernel.rules() == [] and not (tree / "zz-test.rules").exists()
