"""
Highstates from a real master on three minions with private trees: sshd's and auditd's are real, the kernel too.

The tests build on each other, in the order in which they stand.
"""

import time

import pytest
from _site import AUDITED, HOSTS, PERSON
from _waiting import wait_for
from support import audit_status, auditctl

#: What the hosts were like before anything was done to them, by id.
UNTOUCHED = {}


@pytest.fixture(scope="module")
def audited(audited_site):
    """The site, in which one host has the kernel's audit subsystem."""
    assert audit_status()["pid"] == "0", "another auditd runs on this machine"
    return audited_site


def results(states):
    return {state["result"] for state in states}


def changes(states):
    return {state["__id__"]: state["changes"] for state in states if state["changes"]}


def test_the_first_highstate_of_new_minions_works_in_one_go(audited):
    """No sync before it: a highstate syncs what it needs by itself."""
    before = {name: audited.etc(name) for name in HOSTS}
    UNTOUCHED.update(before)
    foreseen = audited.highstate(*HOSTS, test=True)
    for name, states in foreseen.items():
        assert results(states) <= {True, None}, states
        assert changes(states)["sshtrail sshd config"]
        assert audited.etc(name) == before[name]
    done = audited.highstate(*HOSTS)
    for name, states in done.items():
        assert results(states) == {True}, states
        assert changes(states) == changes(foreseen[name])


def test_the_second_changes_nothing(audited):
    for name, states in audited.highstate(*HOSTS).items():
        assert results(states) == {True}, name
        assert changes(states) == {}, name
    assert audited.answers("sshtrail.drift") == dict.fromkeys(HOSTS, [])


def test_another_environment_leaves_exactly_its_policy(audited):
    """From prod to a dev that asks for more and less, and back: what remains is what was there before."""
    layers = {"common": {"sshd": {"config": {"MaxAuthTries": None}}}}
    dev = {"sshd": {"config": {"MaxAuthTries": 3}}, "rules": {"groups": {"identity": True, "ssh_commands": False}}}
    house = audited.houses[AUDITED]
    with audited.given(AUDITED, layers=layers):
        assert results(audited.highstate(AUDITED)[AUDITED]) == {True}
        before, kernel = audited.etc(AUDITED), auditctl("-l").splitlines()
        with audited.given(AUDITED, environment="dev", layers={**layers, "dev": dev}):
            assert results(audited.highstate(AUDITED)[AUDITED]) == {True}
            # What the package's own line said in another case is given back as it was.
            config = house.read("/etc/audit/auditd.conf").decode().lower()
            for line in ("num_logs = 8", "max_log_file_action = rotate", "space_left = 25%"):
                assert line in config.splitlines()
            assert "identity" in auditctl("-l")
            assert "ssh_commands" not in auditctl("-l")
            assert b"\nMaxAuthTries 3\n" in house.read("/etc/ssh/sshd_config")
        assert results(audited.highstate(AUDITED)[AUDITED]) == {True}
        assert audited.etc(AUDITED) == before
        assert sorted(auditctl("-l").splitlines()) == sorted(kernel)
        assert audited.answers("sshtrail.drift", target=AUDITED) == {AUDITED: []}


def test_who_logged_in_is_told_to_the_master(audited):
    """By the runner, over every host: the one that has the kernel's audit tells of the login and of its command."""
    audited.login(AUDITED, "/bin/echo sshtrail-was-here")

    def told():
        found = audited.run("sshtrail.sessions", "since=10m", "commands=True", f"user={PERSON}")
        assert found["untold"] == {}
        here = [
            one for one in found["sessions"] for command in one["commands"] if "sshtrail-was-here" in command["argv"]
        ]
        return here and here[-1]

    one = wait_for(told, "the session in the audit log")
    assert (one["host"], one["user"]) == (AUDITED, PERSON)
    assert one["from"]["address"] in (*HOSTS.values(), "127.0.0.1") and one["proof"] == {}
    shown = audited.command("salt-run", "sshtrail.session", AUDITED, one["id"])
    assert shown.returncode == 0 and "/bin/echo sshtrail-was-here" in shown.stdout, shown.stdout + shown.stderr
    table = audited.command("salt-run", "sshtrail.sessions", "since=10m")
    assert table.returncode == 0 and table.stdout.splitlines()[0].split()[:2] == ["host", "session"], table.stdout


def test_a_notable_login_is_told_to_the_master_once(audited):
    """By the minion's tick: what is asked for in the pillar, and nothing else."""
    with audited.given(AUDITED, sessions={"tell": {"unknown_key": True, "networks": ["192.0.2.0/24"]}}):
        audited.answers("saltutil.refresh_pillar", target=AUDITED)

        def looked():
            return audited.answers("sshtrail_watch.tick", target=AUDITED)[AUDITED]

        # From here on logins are news.
        assert "failed" not in looked()
        audited.login(AUDITED, "/bin/echo told-once")
        asked = ("sshtrail_trail.sessions", "since=10m", "command=told-once")
        [one] = wait_for(lambda: audited.answers(*asked, target=AUDITED)[AUDITED], "the session in the audit log")
        seen = {"opened": [], "closed": []}

        def both():
            looked()
            audited.keep_next(time.monotonic() + 1)
            # The kernel tells of everybody's logins on this machine.
            for _, kind, data in audited.kept[AUDITED]:
                if kind in seen and data["id"] == one["id"]:
                    seen[kind].append(data)
            audited.kept[AUDITED].clear()
            return all(seen.values())

        wait_for(both, "both events of the login")
        for _ in range(3):
            both()
    [opened], [closed] = seen["opened"], seen["closed"]
    assert opened["user"] == PERSON
    # No syslog takes what sshd says here.
    assert (
        "with which key somebody logged in is not known" in opened["reasons"][0] and "outside" in opened["reasons"][1]
    )
    assert closed["state"] == "closed" and closed["commands"] >= 1 and closed["ended"]


def test_a_broken_pillar_stops_its_own_host_only(audited):
    before, kernel = audited.etc("dev-1"), auditctl("-l")
    with audited.given("dev-1", sshd={"config": {"LogLevell": "INFO"}}):
        ran = audited.highstate(*HOSTS)
    [refused] = ran.pop("dev-1")
    assert refused["result"] is False, refused
    said = refused["comment"]
    assert "sshtrail:sshd:config:LogLevell" in said
    assert "Traceback" not in said
    for name, states in ran.items():
        assert results(states) == {True}, name
    assert audited.etc("dev-1") == before
    assert auditctl("-l") == kernel


def test_a_policy_is_taken_off_by_a_state(audited):
    """After all of the above, every file is what it was before the first highstate; and a policy can come back."""
    for twice in (False, True):
        taken = audited.answers("state.apply", "sshtrail.remove", timeout=120)
        for name in HOSTS:
            states = list(taken[name].values())
            assert results(states) == {True}, (name, states)
            assert not (twice and changes(states)), (name, changes(states))
            assert audited.etc(name) == UNTOUCHED[name], name
    for name, states in audited.highstate(*HOSTS).items():
        assert results(states) == {True}, name
