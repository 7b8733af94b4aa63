"""
fleet.sessions: each host's answer is its own, and nonsense is named.
"""

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.fleet import sessions
from sshtrail_lib.trail.session import Became, Certificate, Command, Key, Session, told

COMMAND = Command(1700000000.0, ("ls", "-l"), "/", "/bin/ls", 0, 0, None, True, 7, 1, 1)
WHOLE = told(
    Session(
        **{"id": "7@x", "host": "other", "user": "ana", "auid": 1000, "started": 1700000000.0, "ended": 1700000001.0},
        **{"key": Key("ED25519", "SHA256:x"), "certificate": Certificate("i", "1", "c"), "commands": [COMMAND]},
        became=[Became(1700000000.0, "su", "ana", "root", None, "success", 8)],
    )
)


def test_a_host_speaks_of_itself_alone():
    [one] = sessions.read("web1", [{**WHOLE, "user": "a\x1b[2Jb"}])
    assert one["host"] == "web1" and one["user"] == "a\\x1b[2Jb"


@pytest.mark.parametrize(
    "said",
    [
        {},
        5,
        [5],
        [[]],
        [{}],
        [{**WHOLE, "from": None}],
        [{**WHOLE, "from": {}}],
        [{**WHOLE, "key": "x"}],
        [{**WHOLE, "commands": [5]}],
        [{**WHOLE, "commands": [{}]}],
        [{**WHOLE, "commands": [{**WHOLE["commands"][0], "argv": [5]}]}],
        [{**WHOLE, "became": [{}]}],
        [{**WHOLE, "files": [{"time": "x", "what": 1, "path": [], "keys": None}]}],
        [{**WHOLE, "started": 5}],
    ],
)
def test_nonsense_is_named(said):
    assert sessions.read("web1", said) == sessions.NONSENSE


def test_silence_and_a_sentence():
    assert sessions.read("web1", None) == sessions.SILENT
    assert sessions.read("web1", "its answer is too large\x07") == "its answer is too large\\x07"


def test_every_form(tmp_path):
    found = sessions.Found(sessions.read("web1", [WHOLE]), {"web2": "no answer"})
    assert sessions.written(found, "data", None) == {"sessions": found.sessions, "untold": {"web2": "no answer"}}
    assert sessions.written(found, "table", None).splitlines()[-1] == "web2: no answer"
    path = tmp_path / "logins"
    for form in ("data", "table", "csv", "jsonl", "ecs", "ocsf"):
        assert sessions.written(found, form, str(path)) == str(path)
        assert path.stat().st_mode & 0o777 == 0o600 and "web1" in path.read_text()


@pytest.mark.parametrize(
    ("form", "file", "named"), [("xml", None, "format is"), ("csv", "x", "absolute"), ("csv", "/no/x", "no directory")]
)
def test_what_cannot_be_written_is_named(form, file, named):
    with pytest.raises(SaltInvocationError, match=named):
        sessions.check(form, file)
