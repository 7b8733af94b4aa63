"""States of one run that are about the same people: each time the same comes of them, and the second time nothing."""

import json

import pytest


def run(modules, server, *asked, **options):
    """Run states of sshd_config as Salt does; return what each says, by its ID."""
    sls = {}
    for number, (fun, arguments) in enumerate(asked):
        where = {"name": str(server.path)} if fun == "managed" else {"path": str(server.path)}
        # What they may lock out is no matter here.
        given = {**where, "force": True, "order": number + 1, **arguments}
        sls[f"s{number}"] = {f"sshd_config.{fun}": [{key: value} for key, value in given.items()]}
    done = modules.state.template_str("#!json\n" + json.dumps(sls), **options)
    return {one["__id__"]: one for one in done.raw.values()}


def present(name, value, match=None, **options):
    return "present", {"name": name, "value": value, "match": match, **options}


#: What is asked, and the lines of the file that come of it.
STABLE = {
    "less people come first": (
        [present("PermitTTY", "no", "User alice,bob"), present("PermitTTY", "yes", "User bob")],
        ["Match User bob", "\tPermitTTY yes", "Match User alice,bob", "\tPermitTTY no"],
    ),
    "a LogLevel of its own is not lowered by somebody else": (
        [("managed", {"config": {"LogLevel": "VERBOSE"}}), present("LogLevel", "ERROR", "User backup")],
        ["LogLevel VERBOSE", "Match User backup", "\tLogLevel ERROR"],
    ),
}


@pytest.mark.parametrize("name", STABLE)
def test_states_that_meet(server, modules, name):
    server.write()
    asked, lines = STABLE[name]
    first = run(modules, server, *asked)
    assert [one["result"] for one in first.values()] == [True, True], first
    assert [line for line in lines if line not in server.path.read_text().splitlines()] == []
    content = server.path.read_text().splitlines()
    assert [line for line in content if line in lines] == lines
    again = run(modules, server, *asked)
    assert [(one["result"], one["changes"]) for one in again.values()] == [(True, {})] * 2, again
    assert server.path.read_text().splitlines() == content


def test_states_that_contradict_each_other(server, modules):
    server.write("MaxSessions 7")
    before = server.path.read_bytes()
    asked = [present("MaxSessions", 5), present("MaxSessions", 3)]
    for options in ({"test": True}, {}):
        done = run(modules, server, *asked, **options)
        assert [one["result"] for one in done.values()] == [False, False]
        assert "asked for twice: the state 's1' of the same run asks for '3'" in done["s0"]["comment"]
        assert "the state 's0' of the same run asks for '5'" in done["s1"]["comment"]
    assert server.path.read_bytes() == before


def test_a_state_on_a_condition_contradicts_nobody(server, modules):
    server.write()
    asked = [present("MaxSessions", 5, onlyif="true"), present("MaxSessions", 3, unless="true")]
    assert all(one["result"] for one in run(modules, server, *asked).values())
    assert "MaxSessions 5" in server.path.read_text().splitlines()
