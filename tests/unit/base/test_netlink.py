"""Answers of the kernel that are odd: a length of 0, one that is too long, a list that changed while it was told."""

import itertools
import struct

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import kernel, sockets

DONE, RULE, INTERRUPTED = 3, kernel.AUDIT_LIST_RULES, 0x10


def message(kind, data=b"", flags=0, number=1, size=None):
    size = 16 + len(data) if size is None else size
    return struct.pack("=IHHII", size, kind, flags, number, 0) + data + bytes(-len(data) % 4)


class Channel:
    """A socket on which the kernel answers with what is given, one list for each request."""

    def __init__(self, *answers, sender=0):
        self.answers, self.sender, self.number, self.left = iter(answers), sender, 0, iter(())

    def sendto(self, data, _address):
        self.number += 1
        self.left = iter(next(self.answers))

    def recvfrom(self, _size):
        return next(self.left)(self.number), (self.sender, 0)


def rule(data, flags=0):
    return lambda number: message(RULE, data, flags, number)


def done(number):
    return message(DONE, number=number)


def test_a_list_that_changed_meanwhile_is_asked_for_again():
    talk = kernel.Conversation(Channel([rule(b"old1", INTERRUPTED), done], [rule(b"new1"), rule(b"new2"), done]))
    assert talk.listed(RULE) == [b"new1", b"new2"]


def test_a_list_that_never_holds_still_is_an_error():
    talk = kernel.Conversation(Channel(*itertools.repeat([rule(b"old1", INTERRUPTED), done], 9)))
    with pytest.raises(kernel.KernelError, match="changes all the time"):
        talk.listed(RULE)


def test_an_answer_to_another_question_is_passed_over():
    late = lambda number: message(RULE, b"late", number=number - 1)  # noqa: E731
    assert kernel.Conversation(Channel([late, rule(b"mine"), done])).listed(RULE) == [b"mine"]


@pytest.mark.parametrize("size", [0, 1, 15, 21, 1 << 31])
@pytest.mark.parametrize("before", [b"", message(RULE, b"rule")])
def test_an_impossible_length_ends_it(size, before):
    data = before + message(RULE, b"rule", size=size)
    with pytest.raises(CommandExecutionError, match="impossible length"):
        list(kernel.messages(data))
    with pytest.raises(OSError, match="impossible length"):
        list(sockets._messages(data))


@pytest.mark.parametrize("size", [1, 8, 15])
def test_a_piece_of_a_header_ends_it(size):
    with pytest.raises(CommandExecutionError, match="no whole header"):
        list(kernel.messages(bytes(size)))
    with pytest.raises(OSError, match="no whole header"):
        list(sockets._messages(bytes(size)))


def test_messages_are_told_apart():
    data = message(RULE, b"a") + message(RULE, b"bcdef") + message(DONE)
    assert [(kind, found) for kind, _flags, found, _number in kernel.messages(data)] == [
        (RULE, b"a"),
        (RULE, b"bcdef"),
        (DONE, b""),
    ]
