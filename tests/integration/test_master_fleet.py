"""
``salt-run sshtrail.fleet`` on a real master: every minion in one table, those that do not answer included.
"""

import pytest
from _site import HOSTS


@pytest.fixture
def ghost(quiet_site):
    """A minion that the master knows and that does not answer."""
    with quiet_site.known("ghost-1") as name:
        yield name


def rows(site, *args):
    return site.run("sshtrail.fleet", "timeout=10", *args)


def publishes(site, ghost):
    """How often all were asked, a host that is not there among them: a repair asks whom it has repaired."""
    jobs = site.run("jobs.list_jobs", "search_function=sshtrail.condition")
    return sum(ghost in job["Target"] for job in jobs.values())


def test_every_minion_has_its_row(quiet_site, ghost):
    quiet_site.houses["staging-1"].run("sed", "-i", "s/^LogLevel.*/LogLevel INFO/", "/etc/ssh/sshd_config")
    before = publishes(quiet_site, ghost)
    with quiet_site.given("dev-1", sshd={"config": {"LogLevell": "INFO"}}):
        found = rows(quiet_site)
    assert publishes(quiet_site, ghost) == before + 1
    assert {name: row["standing"] for name, row in found.items()} == {
        "prod-1": "in policy",
        "staging-1": "differs",
        "dev-1": "no policy",
        ghost: "no answer",
    }
    assert found["prod-1"]["environment"] == "prod"
    assert found["staging-1"]["differences"][0].startswith("effective: LogLevel is 'INFO'")
    assert "sshtrail:sshd:config:LogLevell" in found["dev-1"]["differences"][0]


def test_the_table_is_for_people(quiet_site):
    quiet_site.highstate("staging-1")
    done = quiet_site.command("salt-run", "sshtrail.fleet")
    header, *lines, _, counts = done.stdout.strip().splitlines()
    assert header.split() == ["minion", "environment", "policy", "standing", "looked", "proven", "differences"]
    assert [line.split()[:2] for line in lines] == [["dev-1", "dev"], ["prod-1", "prod"], ["staging-1", "staging"]]
    assert counts == "3 minions: 3 in policy"
    assert done.returncode == 0


def test_who_is_silent_is_waited_for_aloud_and_ends_with_1(quiet_site, ghost):
    done = quiet_site.command("salt-run", "--out=highstate", "sshtrail.fleet", ghost, "timeout=6")
    assert done.returncode == 1
    assert f"waiting for the answers of 1 minions, 6 s each at most; still silent: {ghost}\n" in done.stderr
    assert "no answer" in done.stdout and "Failed:    1" in done.stdout


def test_it_can_ask_in_batches(quiet_site, ghost):
    found = rows(quiet_site, "batch=1")
    assert {name: row["standing"] for name, row in found.items()} == {
        **dict.fromkeys(HOSTS, "in policy"),
        ghost: "no answer",
    }


def test_how_the_fleet_stands_to_the_controls(quiet_site, ghost, tmp_path):
    found = quiet_site.run("sshtrail.compliance", "framework=pci_dss", "timeout=120")
    assert found[ghost] == "no answer"
    ids = {name: [row["id"] for row in found[name]] for name in HOSTS}
    assert len({tuple(one) for one in ids.values()}) == 1 and len(set(ids["prod-1"])) == len(ids["prod-1"])
    done = quiet_site.command("salt-run", "sshtrail.compliance", "dev-1", "framework=pci_dss", "timeout=120")
    assert done.returncode == 1 and done.stdout.split()[:3] == ["minion", "framework", "version"]
    path = tmp_path / "pci.csv"
    asked = ("sshtrail.compliance", ghost, "framework=soc_2", "format=csv", f"file={path}", "timeout=6")
    done = quiet_site.command("salt-run", *asked)
    assert str(path) in done.stdout and path.read_text().count("no answer") == 1


def test_the_page_of_the_fleet(quiet_site, ghost, tmp_path):
    path = tmp_path / "trail.html"
    made = quiet_site.run("sshtrail.page", f"file={path}", "timeout=120")
    assert made["hosts"] == len(HOSTS) + 1 and made["silent"] == [ghost]
    text = path.read_text(encoding="utf-8")
    assert made["bytes"] == len(text.encode()) and all(f"<bdi>{name}</bdi>" in text for name in (*HOSTS, ghost))
