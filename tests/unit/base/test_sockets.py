"""
base.sockets: what listens, as the kernel tells it, and as its table has it.
"""

import os
import socket
import struct

import pytest
from sshtrail_lib.base import sockets
from sshtrail_lib.sshd import endpoints

WAYS = [sockets._asked, sockets._read]
PLACES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family,address", PLACES)
def test_the_kernel_tells_who_listens(way, family, address):
    with socket.create_server((address, 0), family=family) as server, socket.socket(family) as idle:
        idle.bind((address, 0))
        found = list(way(family))
        inode = os.stat(f"/proc/self/fd/{server.fileno()}").st_ino
        assert (address, server.getsockname()[1], os.geteuid(), inode) in found
        assert (address, idle.getsockname()[1]) not in {one[:2] for one in found}


def test_without_the_kernels_answer_its_table_is_read(monkeypatch):
    def refused(family):
        raise OSError
        yield

    monkeypatch.setattr(sockets, "_asked", refused)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        heard, silent = (f"127.0.0.1:{one.getsockname()[1]}" for one in (server, idle))
        assert endpoints.unheard([heard, silent]) == [silent]


@pytest.mark.parametrize(
    "address,here", [*((address, True) for _, address in PLACES), ("203.0.113.7", False), ("2001:db8::7", False)]
)
def test_whether_an_address_is_this_hosts(address, here):
    assert sockets.is_here(address) is here


def test_what_the_kernel_tells_of_a_vsock():
    # linux/vm_sockets_diag.h: family, type, state, shutdown; CIDs and ports of both ends; inode, cookie.
    told = [(sockets.ANY_CID, 22, 77), (3, 1024, 78)]
    dumped = [struct.pack("=16xBBBBIIIIIII", 40, 1, 10, 0, cid, port, 0, 0, inode, 0, 0) for cid, port, inode in told]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sockets, "_dump", lambda request: dumped)
        assert sockets._of_vsock() == [("vsock::22", 77), ("vsock:3:1024", 78)]


def test_a_kernel_that_knows_no_vsock():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sockets, "_messages", lambda received: [(2, 0, b"")])
        assert sockets._of_vsock() == []
