"""What counts as an address, and what a host resolves to; nothing is asked beyond this machine."""

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st
from sshtrail_lib.sshd import match, resolver

CHARACTERS = st.text(st.sampled_from("0123456789abcdefx.:%/ \u0663"), max_size=20)


@given(st.one_of(CHARACTERS, st.ip_addresses().map(str), st.ip_addresses().map(lambda one: one.exploded)))
@example("::ffff:192.0.2.1")
@example("1::2:3:4:5:6:7:8")
@example("010.1.1.1")
@example("10.1")
@example("::1%1")
def test_an_address_is_what_the_resolver_takes_for_one(word):
    """Usual forms are read without asking; the answer must be the same."""
    assert match._ip(word, resolver.NAMES) == resolver.number(word)


def test_other_forms_of_an_address():
    assert resolver.number("10.1") == ipaddress.ip_address("10.0.0.1")
    assert resolver.number("localhost") is None


def test_addresses():
    assert resolver.addresses("127.0.0.1", "any") == resolver.addresses("127.0.0.1", "inet") == ["127.0.0.1"]
    assert resolver.addresses("127.0.0.1", "inet6") == []
    assert resolver.addresses("", "inet") == ["0.0.0.0"]


def test_an_address_on_an_interface():
    assert resolver.addresses("fe80::1%lo", "any") == ["fe80::1%lo"]
    assert [resolver.interface(name) for name in ("lo", "no such", "", ".", "../net/lo")] == [True, *[False] * 4]


def test_service():
    assert resolver.service("no such service") is None
