"""
The reading of PAM's files and the way through a stack, against the installed Linux-PAM itself: thousands of files.
"""

import os
import random

import pytest
from pam_oracle import Oracle
from sshtrail_lib.base import files
from sshtrail_lib.pam import dispatch, host, keywords, language

CASES = int(os.environ.get("PAM_CASES", "4000"))
LIBRARY = os.environ.get("PAM_LIBRARY", "libpam.so.0")
DEBUG = "pam_debug.so"
TYPES = ["session"] * 12 + [
    "Session",
    "SESSION",
    "-session",
    "auth",
    "account",
    "sesion",
    "-",
    "[session]",
    "--session",
]
WORDS = [
    "required",
    "optional",
    "optional",
    "optional",
    "sufficient",
    "requisite",
    "REQUIRED",
    "requierd",
    "[required]",
    "[optional]",
]
USUAL = [
    "success",
    "success",
    "success",
    "success",
    "perm_denied",
    "ignore",
    "new_authtok_reqd",
    "session_err",
    "auth_err",
    "user_unknown",
    "abort",
]
ACTIONS = ["ignore", "ok", "done", "bad", "die", "reset", "1", "1", "2", "3", "9"]
ODD = ["0", "bad1", "okdefault=die", "", "4294967297", "4294967296", "2147483648", "01", "x", "-1", " ok", "ok "]
MODULES = [
    "pam_permit.so",
    "pam_deny.so",
    "pam_none.so",
    "/nowhere/pam_x.so",
    "$ISA/pam_permit.so",
    "../security/pam_deny.so",
]
SPACES = [" ", "\t", "   ", " \\\n", "\\\n  ", " \\ \t\n\n", " \\\n# nothing\n", "\r", "\f"]
NOISE = [
    "\n",
    "# session required pam_deny.so\n",
    "   \n",
    "\\\n",
    " # \\\n",
    "\t\\\n\n",
    "x\n",
    "session\n",
    "@include\n",
]
FILES = {"sshd": "abcde", "a": "bcde", "b": "cde", "c": "de", "d": "e", "e": ""}


class Writer:
    """Files of a service as nobody would write them; the same for the same seed."""

    def __init__(self, seed):
        self._chance = random.Random(seed)
        # How many of a hundred words are odd: in most files none, or no line would be reached.
        self._oddness = self._chance.choice([0, 0, 0, 3, 20])

    def odd(self):
        return self._chance.random() * 100 < self._oddness

    def files(self):
        made = {f"/etc/pam.d/{name}": self.file(inside) for name, inside in FILES.items()}
        made["/etc/pam.d/other"] = self.file("e")
        if self.odd():
            made.pop(f"/etc/pam.d/{self._chance.choice([*FILES, 'other'])}")
        if self.odd():
            made["/usr/lib/pam.d/" + self._chance.choice(list(FILES))] = self.file("")
        return made

    def file(self, inside):
        written = "".join(self.line(inside) for _ in range(self._chance.randint(0 if self.odd() else 1, 6)))
        written = written.rstrip("\n") if self.odd() else written
        return written.encode("latin-1")

    def line(self, inside):
        if self.odd():
            return self._chance.choice([*NOISE, "x" * self._chance.choice([1000, 1022, 1023, 1024, 3000]) + "\n"])
        words = self.include(inside) if inside and self._chance.random() < 0.3 else self.module()
        spaces = [self._chance.choice(SPACES) if self.odd() else " " for _ in words]
        if self.odd():
            words.insert(self._chance.randint(0, len(words)), self._chance.choice(["#", "[", "]", "\\]", "\0", "[]"]))
            spaces.append(" ")
        if self.odd():
            del words[self._chance.randrange(len(words)) :]
        return "".join(word + space for word, space in zip(words, spaces, strict=False)) + "\n"

    def include(self, inside):
        name = self._chance.choice(inside)
        name = self._chance.choice(["none", "/etc/pam.d/" + name, "/nowhere", ""]) if self.odd() else name
        how = self._chance.choice(["include", "substack", "substack", "@include", "Include", "[substack]"])
        return [how, name] if how == "@include" else [self.type(), how, name]

    def type(self):
        return self._chance.choice(TYPES) if self.odd() else "session"

    def module(self):
        if self._chance.random() < 0.25:
            last = [self._chance.choice(MODULES if self.odd() else MODULES[:3])]
        else:
            last = [DEBUG, "open_session=" + self._chance.choice([*USUAL, *USUAL, *keywords.RETURNS])]
        return [self.type(), self.control(), *last, *(["[a b\\]", "c]"] if self.odd() else [])]

    def control(self):
        if self._chance.random() < 0.6:
            return self._chance.choice(WORDS if self.odd() else WORDS[:6])
        pairs = [f"{self.value()}={self.action()}" for _ in range(self._chance.randint(1, 4))]
        if self.odd():
            pairs = [pair.replace("=", self._chance.choice([" = ", "", "\t=", "=="])) for pair in pairs]
        return "[" + " ".join(pairs) + ("" if self.odd() and self.odd() else "]")

    def value(self):
        return self._chance.choice([*USUAL, "default", "default", "default", *(["nothing"] if self.odd() else [])])

    def action(self):
        return self._chance.choice(ODD if self.odd() else ACTIONS)


@pytest.fixture(scope="module")
def library():
    path = host._library_path() if LIBRARY == "libpam.so.0" else LIBRARY
    asked = language.Library(**host._asked(files.read(path)))
    return asked._replace(directories=tuple(asked.directories), modules=tuple(asked.modules))


@pytest.fixture
def oracle(tmp_path):
    asked = Oracle(tmp_path, LIBRARY)
    if asked.ask({"/etc/pam.d/other": b"session required pam_permit.so\n"}) is None:
        pytest.skip("needs user namespaces, in which /etc/pam.d can be replaced")
    yield asked
    asked.close()


def ours(written, library):
    """Return what is expected of the oracle: the same dict, None for what ends it."""
    real = host.disk()
    disk = language.Disk(lambda path: b"" if real.directory(path) else written.get(path), real.directory, real.module)
    reading = language.read(disk, library, "sshd")
    if reading.refused:
        return None
    stack = reading.stack("session")
    result, called = dispatch.run(stack, answer)
    said = [f"open_session={keywords.RETURNS[answer(stack[at])]}" for at in called if asks(stack[at])]
    reached = any(one.kind == language.UNCERTAIN for one in stack)
    nameless = any(not one.module for side in (reading.own, reading.other) for chain in side.values() for one in chain)
    return {"started": 0, "opened": result, "said": said, "uncertain": reached, "nameless": nameless}


def asks(handler):
    """Return the argument (list of str) by which a module of this stack says that it was called."""
    mine = [one for one in handler.arguments if one.startswith("open_session=")][:1] if DEBUG in handler.module else []
    return [one for one in mine if one.partition("=")[2] in keywords.RETURNS]


def answer(handler):
    if handler.module.endswith("pam_deny.so"):
        return keywords.SESSION_ERROR
    return next((keywords.RETURNS.index(one.partition("=")[2]) for one in asks(handler)), keywords.SUCCESS)


def same(expected, got):
    if expected is None:
        # It gave the files up, or ended with a fault.
        return got is None or got["started"] != 0
    if expected["uncertain"] or (expected["nameless"] and got is None):
        # Nobody can tell; or it frees something twice when all is over.
        return True
    return got == {key: expected[key] for key in ("started", "opened", "said")}


@pytest.mark.usefixtures("untraced")
def test_what_runs_and_the_result_are_those_of_linux_pam(oracle, library):
    differences, reached, opened = [], 0, 0
    for seed in range(CASES):
        written = Writer(seed).files()
        expected = ours(written, library)
        got = oracle.ask(written)
        reached += bool(got and got["said"])
        opened += bool(got and got["opened"] == 0)
        if not same(expected, got):
            differences.append((seed, written, expected, got))
    assert not differences, f"{len(differences)} of {CASES}, such as {min(differences, key=lambda one: len(str(one)))}"
    # The files were not all refused.
    assert reached > CASES / 3 and opened > CASES / 20


@pytest.mark.parametrize("kind", ["include", "substack"])
def test_a_file_that_includes_itself(oracle, library, kind):
    called = b"session required pam_debug.so open_session=success\n"
    written = {"/etc/pam.d/sshd": called + b"session " + kind.encode() + b" sshd\n"}
    expected, got = ours(written, library), oracle.ask(written)
    assert expected["opened"] == keywords.DENIED
    if library.modern or kind == "substack":
        assert same(expected, got)
    else:
        # It goes on until there are no more file descriptors, or no more stack.
        assert got is None or got["opened"] == keywords.DENIED
