"""What the findings depend on: where it changes, a host is looked at again."""

import pytest
from sshtrail_lib.coverage import host
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
