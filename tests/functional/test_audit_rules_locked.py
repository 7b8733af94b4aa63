"""
What happens when the kernel's audit configuration is locked (``-e 2``).

The lock lasts until the next reboot, so here it is played: the status says so, and nothing may be written. In a
virtual machine the same is done for real. Should a lock come to the real kernel all the same, as where a file of the
library changes meanwhile and is read anew without what is played here, no test lets it by (:class:`support.Library`).
"""

import pytest
from sshtrail_lib.base import kernel

GROUPS = [{"name": "sshtrail-test", "rules": ["-w /etc/passwd -p wa -k sshtrail-test"]}]


class Lock:
    """Stands for the kernel's lock: once ``on``, the status says so and every write is refused."""

    def __init__(self, monkeypatch):
        self.on, self.asked = False, []
        self.status, self.set_status, self.add = kernel.status, kernel.set_status, kernel.add
        monkeypatch.setattr(kernel, "status", self.played_status)
        monkeypatch.setattr(kernel, "set_status", self.played_set_status)
        for name in ("add", "delete", "accepts"):
            monkeypatch.setattr(kernel, name, self.refusing(getattr(kernel, name)))

    def played_status(self):
        return {**self.status(), **({"enabled": 2, "immutable": True} if self.on else {})}

    def played_set_status(self, settings):
        assert not self.on, "the kernel is locked"
        self.asked.append(settings)
        self.on = settings.get("enabled") == 2
        self.set_status({name: value for name, value in settings.items() if (name, value) != ("enabled", 2)})

    def refusing(self, function):
        def played(*args, **kwargs):
            assert not self.on, "the kernel is locked"
            return function(*args, **kwargs)

        return played


@pytest.fixture
def lock(audit, monkeypatch):
    with monkeypatch.context() as patched:
        yield Lock(patched)
    for rule in kernel.rules():
        kernel.delete(rule)


@pytest.fixture
def managed(states, tmp_path):
    """The state on a temporary tree."""
    (tmp_path / "rules.d").mkdir()
    name = str(tmp_path / "rules.d" / "zz-test.rules")
    return lambda test=False, **arguments: states.audit_rules.managed(
        name, test=test, **{"groups": GROUPS, **arguments}
    )


def test_a_locked_kernel_is_no_failure_and_the_files_are_brought_up_to_date(managed, lock, tmp_path):
    lock.on = True
    preview, made, again = managed(test=True), managed(), managed()
    assert preview.result is None and made.result is True and made.changes == preview.changes
    assert sorted(made.changes) == sorted(str(tmp_path / name) for name in ("audit.rules", "rules.d/zz-test.rules"))
    assert "takes effect at the next reboot: with -a always,exit -F path=/etc/passwd -F perm=wa -F key=" in made.comment
    assert (again.result, again.changes) == (True, {}) and "next reboot" in again.comment


@pytest.mark.parametrize("unknown", ["keep", "report", "remove"])
def test_what_a_locked_kernel_holds_too_much_goes_at_the_next_reboot(managed, lock, unknown):
    managed()
    lock.on = True
    for _ in range(2):
        made = managed(groups=[{"name": "sshtrail-test", "rules": []}], unknown=unknown)
        assert made.result is True
        assert "takes effect at the next reboot: without -a always,exit -F path=/etc/passwd" in made.comment
        assert "in no file" not in made.comment
    assert made.changes == {}


def test_immutable_loads_the_rules_and_locks_last(managed, lock, tmp_path):
    preview, made, again = managed(test=True, immutable=True), managed(immutable=True), managed(immutable=True)
    assert preview.result is None and made.result is True, made.comment
    assert made.changes == preview.changes and made.changes["status"]["new"] == {"enabled": 2}
    assert lock.asked[-1] == {"enabled": 2} and len(kernel.rules()) == 1
    assert (tmp_path / "audit.rules").read_text().endswith("-e 2\n")
    assert (again.result, again.changes) == (True, {})


def test_the_kernel_is_not_locked_on_rules_that_are_not_the_policys(managed, lock, monkeypatch):
    monkeypatch.setattr(kernel, "add", lambda *args, **kwargs: None)
    made = managed(immutable=True)
    assert made.result is False and not lock.on


@pytest.mark.parametrize("immutable", [False, True])
def test_load_never_locks(modules, managed, lock, tmp_path, immutable):
    (tmp_path / "rules.d" / "50-a.rules").write_text("-e 2\n" if immutable else "-e 1\n")
    modules.audit_rules.load(str(tmp_path / "rules.d"))
    assert not lock.on
    assert modules.audit_rules.load(str(tmp_path / "rules.d")) == {} or not immutable


def test_a_file_that_is_read_later_may_not_undo_ours(managed, lock, tmp_path):
    (tmp_path / "rules.d" / "zz-u.rules").write_text("-b 100\n")
    refused = managed(status={"backlog_limit": 8192})
    assert refused.result is False
    assert "zz-u.rules, line 1: -b 100 overrides backlog_limit" in refused.comment
