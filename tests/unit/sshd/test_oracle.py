"""How sshd is asked; a stand-in answers, the functional tests ask the real one."""

import json
import pathlib

import pytest
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.sshd import match, oracle
from sshtrail_lib.sshd.daemon import Arguments, BadValue

DAEMON = golden("9.2")


class Sshd:
    """What is run, and what is answered to it: one that refuses the word ``bad`` in its file."""

    def __init__(self, base):
        self.asked = []
        self.minion = Minion({}, {"sshtrail.run_dir": str(base)}, {}, {}, self.run)

    def run(self, argv, *_how):
        self.asked.append(argv)
        if argv[1] == "-V":
            return {"retcode": 0, "stdout": "", "stderr": "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0\n"}
        text = pathlib.Path(argv[3]).read_text()
        if "bad" in text:
            return {"retcode": 255, "stdout": "", "stderr": f"{argv[3]} line 1: bad\n\n"}
        return {
            "retcode": 0,
            "stdout": "hostkey /k\nciphers a,b\nacceptenv A\nacceptenv B\nnew x\n" + text,
            "stderr": "",
        }


@pytest.fixture
def sshd(tmp_path, monkeypatch):
    (tmp_path / "sshd").touch()
    monkeypatch.setattr(oracle, "binary", lambda: str(tmp_path / "sshd"))
    return Sshd(tmp_path)


def test_what_it_prints(sshd):
    with oracle.candidate(sshd.minion, loaded(DAEMON, {"/t/main": b""}, "/t/main")) as one:
        printed = one.dump(match.Connection(user="bob", addr="192.0.2.1"), ["-o", "Port=1"])
    assert printed == {"HostKey": ["/k"], "Ciphers": ["a,b"], "AcceptEnv": ["A", "B"], "new": ["x"]}
    assert sshd.asked[0][4:] == ["-C", "user=bob,addr=192.0.2.1,lport=65535", "-o", "Port=1"]


def test_a_refusal_names_the_real_file(sshd):
    with oracle.candidate(sshd.minion, loaded(DAEMON, {"/t/main": b"bad\n"}, "/t/main")) as one:
        with pytest.raises(oracle.RefusedError, match="^/t/main line 1: bad$"):
            one.test()
        copy = one.main
    assert not pathlib.Path(copy).exists()


def test_every_include_of_a_candidate_points_into_it(sshd):
    tree = loaded(DAEMON, {"/t/main": b"Include /t/d/* /t/no\nInclude /t/no\n# x\n", "/t/d/1": b"Port 1\n"}, "/t/main")
    with oracle.candidate(sshd.minion, tree) as one:
        lines = pathlib.Path(one.main).read_text().splitlines()
        (copy,) = [path for path, name in one.names.items() if name == "/t/d/1"]
        assert lines == [f"Include {copy}", "Include /nonexistent/*", "# x"]
        assert pathlib.Path(copy).read_bytes() == b"Port 1\n"


def test_it_is_asked_of_itself_once_in_its_life(sshd, tmp_path):
    daemon = oracle.daemon(sshd.minion)
    assert (daemon.release, daemon.banner, daemon.defaults["Ciphers"]) == ((9, 2), "OpenSSH_9.2p1", ["a,b"])
    assert json.loads((tmp_path / "sshd.json").read_bytes())["answer"]["banner"] == "OpenSSH_9.2p1"
    asked = len(sshd.asked)
    again = oracle.daemon(sshd.minion._replace(context={}))
    assert (again.release, again.defaults) == (daemon.release, daemon.defaults) and len(sshd.asked) == asked


def test_a_value_is_asked_for_once(sshd):
    ask = oracle.daemon(sshd.minion).ask
    asked = len(sshd.asked)
    assert ask("New", [Arguments(("y z",))]) == ask("New", [Arguments(("y z",))]) == ['"y z"']
    for _time in range(2):
        with pytest.raises(BadValue, match="is refused by sshd: sshd_config line 1: bad"):
            ask("New", [Arguments(("bad",))])
    assert len(sshd.asked) == asked + 2


def test_a_host_without_sshd(monkeypatch):
    monkeypatch.setattr(oracle, "binary", lambda: None)
    assert oracle.daemon(Minion({}, {}, {}, {})).defaults == {}
