"""
salt/reactor/drift.sls on a master: the runner is woken once; whoever comes while somebody works is left to him.
"""

import os
import pathlib

import pytest
import salt.loader
import salt.template
from sshtrail_lib.drift import event
from sshtrail_lib.fleet import repairs

from unit.fleet.masters import Site


@pytest.fixture
def site(tmp_path, minion_opts):
    """A master that has accepted web1 and web2, with the directories of ``opts``."""
    for name in ("web1", "web2"):
        path = tmp_path / "pki" / "minions" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    minion_opts.update(cachedir=str(tmp_path / "cache"), pki_dir=str(tmp_path / "pki"))
    return Site.at(tmp_path / "cache", pki_dir=str(tmp_path / "pki"))


@pytest.fixture
def woken(root, minion_opts, site):
    """Tell whether an event of a minion wakes the runner, as the reactor renders its file."""
    renderers = salt.loader.render(minion_opts, salt.loader.minion_mods(minion_opts))

    def render(name):
        path = str(root / "salt/reactor/drift.sls")
        given = {"data": {"id": name}, "tag": event.FOUND}
        return bool(salt.template.compile_template(path, renderers, "jinja|yaml", None, None, **given))

    return render


def queued(site):
    queue = pathlib.Path(site.opts["cachedir"], "sshtrail", "queue")
    return sorted(os.listdir(queue)) if queue.exists() else []


def working(site):
    return pathlib.Path(site.opts["cachedir"], "sshtrail", "repairs.working")


def test_who_comes_before_the_runner_has_begun_is_left_to_him(site, woken):
    assert woken("web1") and not woken("web2") and not woken("web1") and queued(site) == ["web1", "web2"]
    with repairs.alone(site):
        assert repairs._taken(site) == {"web1", "web2"}
    assert woken("web2")


@pytest.mark.parametrize("seconds", [-60, 60])
def test_one_who_was_woken_and_never_came_is_waited_for_no_longer(site, woken, seconds):
    assert woken("web1")
    then = working(site).stat().st_mtime + seconds
    os.utime(working(site), (then, then))
    assert woken("web2") and not woken("web1") and queued(site) == ["web1", "web2"]


def test_the_first_wakes_and_the_next_are_left_to_him(site, woken):
    with repairs.alone(site) as alone:
        assert alone and repairs._taken(site) == set()
        assert not woken("web1") and not woken("web2") and queued(site) == ["web1", "web2"]
        assert repairs._taken(site) == {"web1", "web2"}
    # He has said that he ends before he looks for the last time.
    assert woken("web2") and queued(site) == ["web2"]


def test_one_who_was_killed_is_waited_for_no_longer(site, woken):
    with repairs.alone(site):
        repairs._taken(site)
        then = working(site).stat().st_mtime - 60
        os.utime(working(site), (then, then))
        assert woken("web1")


@pytest.mark.parametrize("name", ["stranger", "x" * 300])
def test_who_has_no_key_leaves_nothing(site, woken, name):
    with repairs.alone(site):
        repairs._taken(site)
        assert woken(name) and queued(site) == []


def test_what_is_no_id_does_nothing(site, woken):
    with repairs.alone(site):
        repairs._taken(site)
        assert not any(map(woken, ["../web1", "", ".", None, "a b"])) and queued(site) == []


def test_a_mark_that_cannot_be_left_ends_nothing(site, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repairs, "_leave", full)
    with repairs.alone(site) as alone:
        assert alone and repairs._taken(site) == set()


def test_where_no_name_can_be_left_the_runner_is_woken(site, woken):
    with repairs.alone(site):
        repairs._taken(site)
        queue = pathlib.Path(site.opts["cachedir"], "sshtrail", "queue")
        queue.rmdir()
        queue.touch()
        assert woken("web1") and woken("web1")
