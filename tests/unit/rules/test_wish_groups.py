"""What groups come to on a host: what it does not have is left out and told, and nothing else is."""

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.rules import accounts, privileged, wish

HERE, GONE = "-a always,exit -F dir={} -F perm=wa -F key=k", "-a always,exit -F dir=/not/here -F perm=wa -F key=k"


def group(**more):
    return {"name": "a", "rules": [], **more}


@pytest.mark.parametrize(("optional", "left"), [(True, 1), (False, 2)])
def test_a_rule_whose_directory_is_not_there(tmp_path, optional, left):
    found = wish.read_groups([group(rules=[HERE.format(tmp_path), GONE], optional=optional)])[0]
    assert len(found["rules"]) == left
    assert [str(rule) for rule in found["lacking"]] == [GONE] * (2 - left)


FILE = "-a always,exit -F path={} -F perm={} -F key=k"


@pytest.mark.parametrize("optional", [True, False])
def test_what_a_link_points_to_has_a_rule_too(tmp_path, monkeypatch, optional):
    monkeypatch.setattr(wish, "MADE_BY_OTHERS", (f"{tmp_path}/usr/",))
    for name in ("usr", "disk", "etc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    etc, links = tmp_path / "etc", {"log": "disk", "conf": "disk/file", "zone": "usr/file", "run": "usr/file"}
    for link, real in links.items():
        (etc / link).symlink_to(tmp_path / real)
    (etc / "loop").symlink_to("loop")
    about = [FILE.format(etc / name, "wa") for name in ("file", "conf", "zone", "loop")]
    rules = [*about, FILE.format(etc / "run", "x"), HERE.format(etc / "log"), HERE.format(etc / "log" / "gone")]
    found = wish.read_groups([group(rules=rules, optional=optional)])[0]
    more = [str(rule) for rule in found["rules"] if str(rule) not in rules]
    real = [FILE.format(tmp_path / "disk" / "file", "wa"), HERE.format(tmp_path / "disk")]
    assert more == (real if optional else [])


def test_a_group_of_privileged_programs(monkeypatch):
    rest = "-F perm=x -F key=privileged"
    monkeypatch.setattr(privileged, "programs", lambda: ["/usr/bin/su", "/usr/bin/x\ny"])
    tools = group(name="tools", rules=[f"-a always,exit -F path=/usr/bin/su {rest}"])
    found = wish.read_groups([group(privileged=rest)])[0]
    assert [str(rule) for rule in found["rules"]] == tools["rules"] and found["unnamed"] == 1
    assert wish.read_groups([tools, group(privileged=rest)])[1]["rules"] == []


def test_each_account_of_a_group_is_asked_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr(accounts, "_ask", lambda *name: asked.append(name) or 7)
    rules = [f"-a always,exit -F arch=b64 -S {call} -F uid=sshtrail-slow -F key=k" for call in ("open", "unlink")]
    wish.read_groups([group(rules=rules)])
    assert asked == [("user", "sshtrail-slow")]


@pytest.mark.parametrize("more", [{"optional": "yes"}, {"privileged": True}])
def test_bad_arguments_are_named(more):
    with pytest.raises(SaltInvocationError, match=next(iter(more))):
        wish.Managed("/etc/audit/rules.d/x.rules", [group(**more)])
