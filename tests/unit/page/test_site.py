"""page.site: who is asked for a page, where it goes, and which copies are kept."""

import datetime
import os
import stat

import pytest
import yaml
from salt.exceptions import SaltInvocationError
from sshtrail_lib.fleet import heartbeats
from sshtrail_lib.page import site

from unit.fleet.masters import Site
from unit.page import fleets


@pytest.fixture
def master(tmp_path, monkeypatch):
    names = {"web1": {}, "web2": {}, "web3": {}}
    standings = {name: fleets.standing("in policy") for name in names}
    monkeypatch.setattr(heartbeats, "fleet", lambda _master, wanted, *_more: {name: standings[name] for name in wanted})
    answers = {"web1": fleets.BUSY, "web3": "'sshtrail.overview' is not available."}
    return Site.at(tmp_path, pillars=names, answers={"sshtrail.overview": answers}, id="master1_master")


def made(master, path, **options):
    options = {"days": 7, "keep": 0, "batch": None, "timeout": 5, **options}
    return site.of_a_fleet(master, sorted(master.opts["pillars"]), str(path), **options)


def test_a_fleet_is_asked_once_and_who_is_silent_is_named(master, tmp_path):
    found = made(master, tmp_path / "trail.html")
    text = (tmp_path / "trail.html").read_text(encoding="utf-8")
    assert found == {
        "file": str(tmp_path / "trail.html"),
        "bytes": len(text.encode()),
        "hosts": 3,
        "silent": ["web2", "web3"],
    }
    assert [function for function, _names in master.opts["published"]].count("sshtrail.overview") == 1
    assert "SSH trail: the fleet of master1" in text
    assert "no modules: &#39;sshtrail.overview&#39; is not available." in text
    assert stat.S_IMODE(os.stat(tmp_path / "trail.html").st_mode) == 0o600


def test_a_copy_of_each_day_is_kept_for_so_long(master, tmp_path):
    today = datetime.datetime.now(datetime.timezone.utc).date()
    days = {age: today - datetime.timedelta(days=age) for age in (0, 30, 31, 32)}
    theirs = ["trail-old.html", "trail-2020-01-01.txt", "other-2020-01-01.html", "trail-x-2020-01-01.html"]
    for name in (*(f"trail-{day}.html" for day in days.values()), *theirs):
        (tmp_path / name).write_text("x")
    made(master, tmp_path / "trail.html", keep=31)
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {"trail.html", *theirs, *(f"trail-{days[age]}.html" for age in (0, 30, 31))}
    assert (tmp_path / f"trail-{today}.html").read_text() == (tmp_path / "trail.html").read_text()


WRONG = [
    ({"file": "trail.html"}, "file must be the absolute path of a file, not 'trail.html'."),
    ({"file": "/nonexistent/trail.html"}, "There is no directory /nonexistent for the page."),
    ({"file": "/tmp"}, "file must be the absolute path of a file, not '/tmp'."),
    ({"file": "/dev/null"}, "file must be the absolute path of a file, not '/dev/null'."),
    ({"file": None}, "file must be the absolute path of a file, not None."),
    ({"days": 0}, "days must be a whole number from 1 to 92, not 0."),
    ({"days": "7"}, "days must be a whole number from 1 to 92, not '7'."),
    ({"days": True}, "days must be a whole number"),
    ({"keep": -1}, "keep must be a whole number from 0 to 3660, not -1."),
]


@pytest.mark.parametrize(("given", "said"), WRONG)
def test_what_cannot_be_is_refused_before_anybody_is_asked(given, said):
    with pytest.raises(SaltInvocationError) as error:
        site.check(**{"file": "/tmp/trail.html", "days": 7, "keep": 0, **given})
    assert said in error.value.message


def test_the_example_of_a_schedule_is_one_that_runs(root, tmp_path):
    config = yaml.safe_load((root / "etc/master.d/sshtrail-page.conf").read_text())
    [job] = config["schedule"].values()
    assert job["function"] == "sshtrail.page"
    site.check(**{**job["kwargs"], "file": str(tmp_path / "trail.html")})
