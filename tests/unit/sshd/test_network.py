"""Where sshd listens, and values that are addresses."""

import pytest
from sshtrail_lib.sshd import network
from sshtrail_lib.sshd.daemon import Arguments, BadValue, Daemon, Names
from sshtrail_lib.sshd.resolver import NAMES


@pytest.mark.parametrize(
    ("addresses", "ports", "family", "printed"),
    [
        ([], [22], "inet", ["0.0.0.0:22"]),
        ([], [22, 23], "inet", ["0.0.0.0:22", "0.0.0.0:23"]),
        (["127.0.0.1"], [22, 23], "any", ["127.0.0.1:22", "127.0.0.1:23"]),
        (["127.0.0.1:99", "[::1]:98"], [22], "any", ["127.0.0.1:99", "[::1]:98"]),
    ],
)
def test_endpoints(addresses, ports, family, printed):
    parsed = [network.listen_address(Arguments((address,)), NAMES) for address in addresses]
    assert network.endpoints(parsed, ports, family, NAMES) == printed


DOMAINS = Names(addresses=lambda host, _family: [host], interface=("vrf1", "lo").__contains__)


def test_what_is_of_one_routing_domain_is_printed_together():
    """Measured on 8.4 to 10.6."""
    lines = ["192.0.2.1 rdomain vrf1", "192.0.2.2", "192.0.2.3:99 rdomain vrf1", "192.0.2.4"]
    parsed = [network.listen_address(Arguments(tuple(line.split())), DOMAINS) for line in lines]
    assert network.endpoints(parsed, [22], "any", DOMAINS) == [
        *("192.0.2.1:22 rdomain vrf1", "192.0.2.3:99 rdomain vrf1"),
        *("192.0.2.2:22", "192.0.2.4:22"),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("192.0.2.1 rdomain", "rdomain with the name"),
        ("192.0.2.1 RDomain lo", "rdomain with the name"),
        ("192.0.2.1 rdomain lo x", "rdomain with the name"),
        ("192.0.2.1 rdomain vrf2", "'vrf2', which this host does not have"),
    ],
)
def test_no_routing_domain(line, words):
    with pytest.raises(BadValue, match=words):
        network.listen_address(Arguments(tuple(line.split())), DOMAINS)


def test_what_a_host_resolves_to_comes_from_who_calls():
    names = Names(addresses=lambda host, family: [f"192.0.2.{len(host)}", f"fe80::1%{family}"])
    parsed = [network.listen_address(Arguments(("host:99",)), names)]
    assert network.endpoints(parsed, [22], "any", names) == ["[fe80::1%any]:99", "192.0.2.4:99"]
    with pytest.raises(BadValue, match="cannot be resolved"):
        network.endpoints(parsed, [22], "any", Names())
    six = Names(addresses=lambda host, family: [] if family == "inet" else [host])
    with pytest.raises(BadValue, match="not of AddressFamily inet: '::1'"):
        network.endpoints([network.listen_address(Arguments(("::1",)), six)], [22], "inet", six)


def test_a_port_may_be_a_services_name():
    assert network.port("ssh", Daemon(names=Names(service={"ssh": 22}.get))) == "22"
    with pytest.raises(BadValue, match="1 to 65535, not 'ssh'"):
        network.port("ssh", Daemon())
