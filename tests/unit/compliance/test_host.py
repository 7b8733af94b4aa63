"""compliance.host: what is asked of a host, where the rooms that judge it cannot see."""

import pytest
from sshtrail_lib.compliance import host

NAMES = [
    (("chrony", "chronyd"), ("chronyd",)),
    (("chronyd",), ("chronyd",)),
    # ntpsec's unit has the names of the others as aliases.
    (("ntp", "ntpd", "ntpsec"), ("ntpd",)),
    (("ntpsec", "chrony"), ("chrony", "ntpsec")),
    (("systemd-timesyncd", "openntpd"), ("systemd-timesyncd", "openntpd")),
    ((), ()),
]
LEAPS = [
    ("Normal", True),
    ("Insert second", True),
    ("Delete second", True),
    ("Not synchronised", False),
]


class Asked:
    """A host whose services run, and whose chronyc says something."""

    def __init__(self, running, said=""):
        self.call = {"sshtrail_service.status": lambda name: name in running}
        self.said = said

    def run(self, *command, **_more):
        return {"retcode": 0, "stdout": self.said, "stderr": ""}


@pytest.mark.parametrize(("running", "told"), NAMES)
def test_a_service_with_several_names_is_one(running, told):
    assert host._clock(Asked(running), {"clock": None}).running == told


@pytest.mark.parametrize(("leap", "holds"), LEAPS)
def test_a_clock_is_synchronized_before_a_leap_second_too(leap, holds):
    found = host._clock(Asked(("chrony",), f"Stratum         : 3\nLeap status     : {leap}\n"), {"clock": None})
    assert found.synchronized is holds and leap in found.said


def test_a_journald_that_is_masked_does_not_run_though_its_socket_waits():
    assert host._service(Asked(("systemd-journald",)), "systemd-journald") is None
    answers = {"sshtrail_service.status": lambda name: name == "systemd-journald", "sshtrail_service.enabled": bool}
    asked = Asked(())
    asked.call = answers
    assert host._service(asked, "systemd-journald") == (False, True)
    asked.call = {**answers, "sshtrail_service.status": lambda name: name == "systemd-journald.service"}
    assert host._service(asked, "systemd-journald") == (True, True)


PASSWD = """\
root:x:0:0:root:/root:/bin/bash
#toor:x:0:0::/root:/bin/sh
  # bin:x:0:0::/:/bin/sh
 alice:x:1001:1001::/home/alice:/bin/sh
root:x:7:7:twice:/:/bin/sh
broken:x
+::::::
"""


def test_accounts_are_those_that_the_c_library_reads(tmp_path, monkeypatch):
    (tmp_path / "passwd").write_text(PASSWD)
    monkeypatch.setattr(host, "_text", lambda path: (tmp_path / "passwd").read_text())
    monkeypatch.setattr(host.pwd, "getpwall", lambda: [])
    assert host._accounts() == (("root", 0), ("alice", 1001), ("root", 7))
