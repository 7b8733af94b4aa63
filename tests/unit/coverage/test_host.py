"""What the findings depend on: where it changes, a host is looked at again; and what is missing since the last look."""

import pytest
from sshtrail_lib.coverage import host
from sshtrail_lib.coverage.memory import Memory
from sshtrail_lib.policy import pillar as policy_pillar


def sources(**groups):
    own = {"environment": "x", "rules": {"groups": groups}}
    return host.sources(policy_pillar.build({"sshtrail": own}, "Debian"))


@pytest.mark.parametrize("directory", ["/etc/netplan", "/etc"])
def test_a_directory_that_may_come_and_the_one_that_it_comes_into(directory):
    assert directory in sources(system_locale=True)


@pytest.mark.parametrize("directory", ["/usr/bin", "/sbin", "/usr/local/bin"])
def test_where_privileged_programs_come_and_go(directory):
    assert directory in sources(privileged=True) and directory not in sources(session=True)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "audit.log"
    went = "type=CONFIG_CHANGE msg=audit(20.000:8): op=remove_rule key=x list=5 res=1"
    path.write_text(f"type=SYSCALL msg=audit(9.000:7): auid=1001\n{went}\n")
    return str(path)


def test_what_the_kernel_printed_and_nobody_took(log, monkeypatch):
    printed = [b"audit(9.000:7)", b"audit(9.000:9)", b"audit(9.000:9)"]
    monkeypatch.setattr(host.facts, "printed", lambda since: printed)
    seen, end = host._Seen(log, (), {}, 0, 50.0, 60.0), host.logs.End(log, 5.0)
    [gap] = host._printed(seen, Memory(looked=40.0), end)
    assert gap.told.startswith("at least 1 events of sessions") and gap.when == 50.0
    # This auditd was there before.
    assert host._printed(seen, Memory(looked=50.0), end) == []
    monkeypatch.setattr(host.facts, "printed", lambda since: printed[:1])
    assert host._printed(seen, Memory(looked=40.0), end) == []


def test_what_went_from_a_list_and_never_came(log, monkeypatch):
    end = host.logs.End(log, 5.0)
    records = end.records(("CONFIG_CHANGE",))
    seen, before = host._Seen(log, (), {"4": 3}, 0, 0.0, 60.0), Memory(looked=10.0, counted=10.0, held={"4": 3})
    monkeypatch.setattr(host, "_held", lambda rules: {"4": 3})
    monkeypatch.setattr(host.kernel, "rules", list)
    assert [gap.when for gap in host._unseen(seen, before, end, records)] == [20.0]
    # Nobody has counted, the log does not reach back so far, it was there, somebody changes them at this moment.
    for other in (before._replace(counted=0.0), before._replace(counted=8.0), before._replace(held={"5": 1})):
        assert host._unseen(seen, other, end, records) == []
    monkeypatch.setattr(host, "_held", lambda rules: {"4": 2})
    assert host._unseen(seen, before, end, records) == []


def test_what_was_open_before_a_burst_of_records(tmp_path):
    """Who does a thousand things after it pushes it far away from the log's end."""
    log = tmp_path / "audit.log"
    off = "type=CONFIG_CHANGE msg=audit(120.000:8): op=set audit_enabled=0 old=1 auid=1001 ses=3 res=1\n"
    call = "type=SYSCALL msg=audit(130.000:{}): arch=c000003e syscall=59 success=yes exit=0 auid=1001\n"
    burst = "".join(map(call.format, range(9, 90_000)))
    policy = policy_pillar.build({"sshtrail": {"environment": "x", "rules": {"groups": {"session": True}}}}, "Debian")
    seen, before = host._Seen(str(log), (), {}, 0, 0.0, 160.0), Memory(looked=110.0)
    log.write_text("type=SYSCALL msg=audit(90.000:7): auid=1001\n" + off + burst)
    assert len(burst) > 6 * 2**20 and ["switched off" in one.told for one in host._gaps(policy, seen, before)] == [True]
    # The log was rotated meanwhile.
    log.rename(f"{log}.2")
    (tmp_path / "audit.log.1").write_text(burst)
    log.write_text(burst)
    assert ["switched off" in one.told for one in host._gaps(policy, seen, before)] == [True]
    assert host._gaps(policy, seen, Memory(looked=125.0)) == []
