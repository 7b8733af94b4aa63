"""
pam.host: what the library says of itself, a change that is proven or taken back, and a proof that ends.
"""

import os
import time

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.base import minion
from sshtrail_lib.pam import host, language, plan, session

from unit.pam import stacks

OLD = b"session required pam_a.so\n"
NEW = plan.LINE + OLD
GOOD = host.Proof(host.PROVEN, "tried")


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """A minion, and the path of a service file in a tree of its own; every module is installed."""
    monkeypatch.setattr(host, "library", lambda ours: stacks.UPSTREAM)
    real = host.disk
    monkeypatch.setattr(host, "disk", lambda instead=None: real(instead)._replace(module=bool, sets_loginuid=bool))
    opts = {"cachedir": str(tmp_path / "cache"), "sshtrail.run_dir": str(tmp_path / "run")}
    path = tmp_path / "pam.d" / "sshd"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return minion.Minion({}, opts, {}, {}), path


def elf(*words):
    return b"\x7fELF\0" + b"".join(word.encode() + b"\0" for word in words)


def test_debian_12_says_what_it_is():
    words = ["/etc/pam.d/%s", "/usr/lib/pam.d/%s", "/lib/security", "@include", "/etc/pam.d", "/lib/x/security/"]
    asked = host._asked(elf(*words, "maximum level of substacks reached"))
    assert asked == {
        "directories": ["/etc/pam.d", "/usr/lib/pam.d"],
        "modules": ["/lib/x/security/", "/lib/security/"],
        "isa": "/lib/security",
        "debian": True,
        "modern": False,
    }


def test_suse_says_what_it_is():
    words = ["/usr/etc/pam.d/%s", "/usr/lib/pam.d/%s", "/etc/pam.d/%s", "../../lib64/security", "/lib64/security/"]
    asked = host._asked(elf(*words, "maximum level of inclusions reached"))
    assert asked["directories"] == ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"]
    assert (asked["modules"], asked["isa"]) == (["/lib64/security/"], "../../lib64/security")
    assert asked["modern"] and not asked["debian"]


def test_a_file_as_linux_pam_opens_it(tmp_path):
    (tmp_path / "file").write_bytes(b"a")
    read = host.disk({"/there": b"b", "/gone": None}).read
    assert [read(str(tmp_path / name)) for name in ("file", "", "none", "file/none")] == [b"a", b"", None, None]
    assert (read("/there"), read("/gone")) == (b"b", None)


def test_what_is_a_module(tmp_path):
    (tmp_path / "text.so").write_bytes(b"\x7fELF but not one of this machine")
    disk = host.disk()
    assert disk.module("/proc/self/exe") and not disk.module(str(tmp_path / "text.so"))
    assert not disk.module(str(tmp_path)) and not disk.module("/none")
    (tmp_path / "text.so").write_bytes(b"...\0/proc/self/loginuid\0")
    assert disk.sets_loginuid(str(tmp_path / "text.so")) and not disk.sets_loginuid("/none")


def test_problems(ours):
    (found,) = host.problems(ours[0], path=str(ours[1]))
    assert (found["file"], found["line"], found["kind"]) == (str(ours[1]), 0, "missing")
    ours[1].write_bytes(b"session sufficient pam_a.so\n" + plan.LINE)
    (found,) = host.problems(ours[0], path=str(ours[1]))
    assert (found["file"], found["line"]) == (str(ours[1]), 1)


def test_who_has_no_password(ours):
    """Of a service that is not there nothing can be told."""
    minion, path = ours
    path.write_bytes(b"auth required pam_unix.so\n")
    assert not host.without_password(minion, path=str(path))
    path.write_bytes(b"auth sufficient pam_duo.so\nauth required pam_unix.so\n")
    assert host.without_password(minion, path=str(path))
    assert host.without_password(minion, "none", str(path.parent / "none"))


def test_a_change_that_is_proven(ours):
    seen = []

    def prove(service, path):
        seen.append((service, path, ours[1].read_bytes()))
        return GOOD

    changes = {str(ours[1]): {"old": None, "new": "session    required     pam_loginuid.so"}}
    assert host.preview(ours[0], path=str(ours[1])) == changes
    made = host.apply(ours[0], path=str(ours[1]), prove=prove)
    assert made == {"changes": changes, "outcome": "proven", "reason": "tried"}
    assert seen == [("sshd", str(ours[1]), NEW)] and ours[1].read_bytes() == NEW
    assert host.preview(ours[0], path=str(ours[1])) == {} and host.problems(ours[0], path=str(ours[1])) == []
    assert host.apply(ours[0], path=str(ours[1]), prove=prove)["outcome"] == "" and len(seen) == 1


def test_a_proof_that_fails_brings_the_old_file_back(ours):
    with pytest.raises(host.ProofFailed, match="PAM said no; the old .* is back"):
        host.apply(ours[0], path=str(ours[1]), prove=lambda service, path: host.Proof(host.FAILED, "PAM said no"))
    assert ours[1].read_bytes() == OLD and not host._transaction(ours[0], str(ours[1])).interrupted()


def test_whatever_ends_the_proof_brings_the_old_file_back(ours):
    def prove(service, path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.apply(ours[0], path=str(ours[1]), prove=prove)
    assert ours[1].read_bytes() == OLD


def test_what_cannot_be_proven_here_stays(ours):
    unprovable = host.Proof(host.UNPROVABLE, "no audit")
    made = host.apply(ours[0], path=str(ours[1]), prove=lambda service, path: unprovable)
    assert (made["outcome"], made["reason"], ours[1].read_bytes()) == (host.UNPROVABLE, "no audit", NEW)


def test_a_change_that_was_interrupted_is_put_back(ours):
    change = host._transaction(ours[0], str(ours[1]))
    change.write({str(ours[1]): OLD}, {str(ours[1]): NEW})
    # Whoever looks meanwhile sees what will be there again.
    assert host.preview(ours[0], path=str(ours[1]))
    with pytest.raises(host.ProofFailed):
        host.apply(ours[0], path=str(ours[1]), prove=lambda service, path: host.Proof(host.FAILED, "no"))
    assert ours[1].read_bytes() == OLD


def test_a_file_that_is_not_the_services(ours):
    with pytest.raises(SaltInvocationError):
        host.preview(ours[0], service="login", path=str(ours[1]))
    ours[1].unlink()
    with pytest.raises(CommandExecutionError):
        host.preview(ours[0], path=str(ours[1]))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"unprovable": "it has one"}, host.UNPROVABLE),
        ({"failed": "late"}, host.FAILED),
        ({"opened": 14, "error": "Cannot", "looked": "0"}, host.FAILED),
        ({"opened": 0, "error": "", "looked": session.UNSET}, host.FAILED),
        ({"opened": 0, "error": "", "looked": "0"}, host.PROVEN),
    ],
)
def test_what_a_session_proves(answer, outcome):
    assert host._judged(answer).outcome == outcome


def program(tmp_path, monkeypatch, text):
    (tmp_path / "session.py").write_text(text)
    monkeypatch.setattr(session, "__file__", str(tmp_path / "session.py"))


def test_a_session_that_does_not_end_is_killed_with_what_it_started(tmp_path, monkeypatch):
    mark = tmp_path / "child"
    program(
        tmp_path,
        monkeypatch,
        f"import subprocess, time\nchild = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(mark)!r}, 'w').write(str(child.pid))\ntime.sleep(60)\n",
    )
    begun = time.monotonic()
    assert "1 seconds" in host._tried({}, 1)["failed"] and time.monotonic() - begun < 10
    child = int(mark.read_text())
    # Whoever inherits it has to take notice first.
    while os.path.exists(f"/proc/{child}") and time.monotonic() - begun < 20:
        with open(f"/proc/{child}/stat", encoding="ascii") as handle:
            if handle.read().rpartition(")")[2].split()[0] == "Z":
                break
        time.sleep(0.05)
    else:
        assert not os.path.exists(f"/proc/{child}")


def test_a_session_whose_process_dies(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    assert host._tried({}, 20) == {"failed": "the process that opened the session ended with -11"}


def test_the_installed_one_if_there_is_any():
    path = host._library_path()
    if path is None:
        pytest.skip("needs libpam.so.0: what is installed is asked what it does")
    asked = language.Library(**host._asked(host.files.read(path)))
    assert asked.directories[0] == "/etc/pam.d" and asked.modules[0].endswith("/security/")


def test_a_line_that_came_goes_again(ours):
    minion, path = ours
    host.apply(minion, "sshd", str(path), lambda service, path: GOOD)
    assert path.read_bytes() != OLD
    assert host.remembered(minion) == [str(path)]
    predicted = host.forget(minion, str(path), test=True)
    assert path.read_bytes() != OLD
    assert host.forget(minion, str(path)) == predicted == {str(path): {"old": "changed", "new": "as before"}}
    assert path.read_bytes() == OLD
    assert host.forget(minion, str(path)) == {}
