"""compliance.frameworks: which edition is meant for a host."""

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.compliance import frameworks

WORDS = ["PCI DSS", "NIST 800-53", "ISO 27001", "SOC 2"]
HOSTS = [
    ({"os": "Debian", "osrelease": "12.5"}, ["CIS Debian 12", *WORDS]),
    ({"os": "Debian", "osrelease": "13"}, WORDS),
    ({"os": "Ubuntu", "osrelease": "22.04"}, ["CIS Ubuntu 22.04", "STIG Ubuntu 22.04", *WORDS]),
    ({"os": "RedHat", "osrelease": "9.4"}, ["CIS RHEL 9", "STIG RHEL 9", *WORDS]),
    ({"os": "Rocky", "osrelease": "9.4"}, ["CIS RHEL 9", "STIG RHEL 9", *WORDS]),
    ({"os": "CloudLinux", "os_family": "RedHat", "osrelease": "9.4"}, ["CIS RHEL 9", "STIG RHEL 9", *WORDS]),
    ({"os": "OEL", "os_family": "RedHat", "osrelease": "9"}, ["CIS RHEL 9", "STIG RHEL 9", *WORDS]),
    ({"os": "Rocky", "os_family": "RedHat", "osrelease": "8.10"}, WORDS),
    ({"os": "Fedora", "os_family": "RedHat", "osrelease": "41"}, WORDS),
    ({"os": "Amazon", "os_family": "RedHat", "osrelease": "2023"}, WORDS),
    ({"os": "Ubuntu", "os_family": "Debian", "osrelease": "24.04"}, ["CIS Ubuntu 24.04", "STIG Ubuntu 24.04", *WORDS]),
    ({"os": "Ubuntu", "os_family": "Debian", "osrelease": "25.10"}, WORDS),
    ({"os": "Linuxmint", "os_family": "Debian", "osrelease": "21.3"}, WORDS),
    ({}, WORDS),
]


@pytest.mark.parametrize(("grains", "expected"), HOSTS)
def test_all_that_fit_a_host(grains, expected):
    assert frameworks.chosen(None, None, grains) == expected


ASKED = [
    ("cis", None, ["CIS Debian 12"]),
    ("CIS", "Ubuntu 24.04", ["CIS Ubuntu 24.04"]),
    ("cis", "ubuntu 22.04", ["CIS Ubuntu 22.04"]),
    ("stig", "V2R9", ["STIG RHEL 9"]),
    ("cis", "1.1.0", ["CIS Debian 12"]),
    ("pci_dss", None, ["PCI DSS"]),
    ("PCI DSS", "4.0.1", ["PCI DSS"]),
    ("pci-dss", "4.0.1", ["PCI DSS"]),
    ("CIS RHEL 9", None, ["CIS RHEL 9"]),
]


@pytest.mark.parametrize(("framework", "edition", "expected"), ASKED)
def test_one_that_is_named(framework, edition, expected):
    assert frameworks.chosen(framework, edition, {"os": "Debian", "osrelease": "12.5"}) == expected


WRONG = [
    ("ciss", None, "There is no framework 'ciss'; did you mean cis?"),
    ("cis", "Debian 11", "CIS has no one edition 'Debian 11' here: known are Debian 12 (1.1.0)"),
    ("cis", "2.0.0", "CIS has no one edition '2.0.0' here"),
    ("stig", None, "STIG has no one edition 'Debian 12' here"),
    ("pci_dss", "3.2.1", "PCI DSS has no edition '3.2.1' here, but 4.0.1."),
    (None, "Debian 12", "edition needs a framework"),
    (5, None, "There is no framework '5'"),
]


@pytest.mark.parametrize(("framework", "edition", "said"), WRONG)
def test_one_that_there_is_not_is_refused(framework, edition, said):
    with pytest.raises(SaltInvocationError) as error:
        frameworks.chosen(framework, edition, {"os": "Debian", "osrelease": "12.5"})
    assert said in error.value.message
