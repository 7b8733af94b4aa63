"""
sshd.endpoints: the places at which a sshd is to answer, and at which of them something listens.
"""

import socket

import pytest
from sshtrail_lib.sshd import endpoints


def test_unheard_names_where_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        heard, silent = (f"127.0.0.1:{one.getsockname()[1]}" for one in (server, idle))
        assert endpoints.unheard([heard, silent]) == [silent]
        assert endpoints.unheard([heard.replace("127.0.0.1", "0.0.0.0")]) != []


def test_a_socket_for_every_address_answers_for_each():
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        assert endpoints.unheard([f"0.0.0.0:{port}", f"[::]:{port}", f"[::1]:{port}"]) == []


@pytest.mark.parametrize(
    ("endpoint", "place", "target"),
    [
        ("127.0.0.1:22", ("127.0.0.1", 22), ("127.0.0.1", 22)),
        ("0.0.0.0:22", ("0.0.0.0", 22), ("127.0.0.1", 22)),
        ("[::]:2222", ("::", 2222), ("::1", 2222)),
        ("[fe80::1%eth0]:22", ("fe80::1", 22), ("fe80::1%eth0", 22)),
        ("192.0.2.1:22 rdomain red", ("192.0.2.1", 22), ("192.0.2.1", 22)),
    ],
)
def test_its_parts(endpoint, place, target):
    assert (endpoints.place(endpoint), endpoints.target(endpoint)) == (place, target)


def test_an_address_of_another_host_is_elsewhere():
    assert endpoints.elsewhere(["127.0.0.1:22", "203.0.113.7:22"]) == ["203.0.113.7"]
    assert not endpoints.impossible("203.0.113.7:22") and not endpoints.impossible("0.0.0.0:22")


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        (["0.0.0.0:22", "[::]:22"], []),
        (["[::]:22"], ["::"]),
        (["0.0.0.0:22", "[2001:db8::1]:22"], ["2001:db8::1"]),
        (["0.0.0.0:22", "[::]:22", "[2001:db8::1]:22"], ["2001:db8::1"]),
    ],
)
def test_a_host_without_ipv6(monkeypatch, asked, missing):
    """sshd passes over the wildcard of a family that the kernel does not have, and has to have one place at least."""
    monkeypatch.setattr(endpoints.sockets, "is_here", lambda address: ":" not in address)
    assert endpoints.elsewhere(asked) == missing
