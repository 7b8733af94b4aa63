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


#: States of separate runs: what each asks of whom, and the lines that come of it in the end.
SEPARATE = {
    "the same of one and of two": (
        [("PermitTTY", "no", "User alice,bob"), ("PermitTTY", "no", "User bob")],
        ["Match User alice,bob", "\tPermitTTY no", "Match User bob", "\tPermitTTY no"],
    ),
    "something else of one": (
        [("PermitTTY", "no", "User alice,bob"), ("PermitTTY", "yes", "User bob")],
        ["Match User bob", "\tPermitTTY yes", "Match User alice,bob", "\tPermitTTY no"],
    ),
    "the narrow one first": (
        [("PermitTTY", "yes", "User bob"), ("PermitTTY", "no", "User alice,bob")],
        ["Match User bob", "\tPermitTTY yes", "Match User alice,bob", "\tPermitTTY no"],
    ),
    "two that meet": (
        [("MaxSessions", "3", "User bob"), ("MaxSessions", "7", "Address 10.0.0.0/8")],
        ["Match User bob", "\tMaxSessions 3", "Match Address 10.0.0.0/8", "\tMaxSessions 7"],
    ),
    "everybody and one": (
        [("PermitTTY", "no", "User *"), ("PermitTTY", "yes", "User bob")],
        ["Match User bob", "\tPermitTTY yes", "Match User *", "\tPermitTTY no"],
    ),
}


@pytest.mark.parametrize("shadowed", ["fix", "own"])
@pytest.mark.parametrize("name", SEPARATE)
def test_states_of_separate_runs(server, modules, name, shadowed):
    server.write(first=[f"Include {server.drop_ins}/*.conf"] if shadowed == "own" else [])
    asked, lines = SEPARATE[name]
    for _round in range(3):
        done = [run(modules, server, present(*one, shadowed=shadowed)) for one in asked]
    assert [(one["s0"]["result"], one["s0"]["changes"]) for one in done] == [(True, {})] * 2, done
    files = [server.path, *server.drop_ins.iterdir()]
    written = [line for path in files for line in path.read_text().splitlines() if line in lines]
    assert written == lines
    assert all(run(modules, server, present(*one), test=True)["s0"]["result"] is True for one in asked)


def test_a_state_that_is_taken_back_counts_no_more(server, modules):
    wide, narrow = ("PermitTTY", "no", "User alice,bob"), ("PermitTTY", "yes", "User bob")
    for one in (wide, narrow, wide):
        run(modules, server, present(*one))
    assert "Match User bob" in server.path.read_text().splitlines()
    run(modules, server, ("absent", {"name": narrow[0], "match": narrow[2]}))
    server.path.write_text(
        server.path.read_text().replace("Match User alice", "Match User bob\nPermitTTY yes\nMatch User alice")
    )
    assert run(modules, server, present(*wide))["s0"]["changes"] != {}


def test_by_hand_all_are_meant(server, modules):
    """Who calls a function means all whom he names, whatever states asked before."""
    run(modules, server, present("PermitTTY", "yes", "User bob"))
    changes = modules.sshd_config.set("PermitTTY", "no", match="User alice,bob", path=str(server.path), force=True)
    assert changes
    assert modules.sshd_config.effective(user="bob", path=str(server.path))["PermitTTY"]["value"] == "no"


def test_a_policys_level_is_nothing_that_another_run_lowers(server, modules):
    server.write()
    run(modules, server, present("LogLevel", "ERROR", "User backup"))
    done = run(modules, server, ("managed", {"config": {"LogLevel": "VERBOSE"}}))
    assert "LogLevel (Match User backup)" in done["s0"]["changes"]


def test_what_a_policy_asks_no_more_is_nobody_elses(server, modules):
    """A line of before that says the same comes back, and then counts as any other."""
    server.write("Match User bob", "PermitTTY yes")
    for matches in (
        {"User bob": {"PermitTTY": False}},
        {"User bob": {"PermitTTY": True}},
        {"User alice,bob": {"PermitTTY": False}},
    ):
        done = run(modules, server, ("managed", {"matches": [matches], "remember": True}))["s0"]
        assert done["result"] is True, done
    for name in ("alice", "bob"):
        assert modules.sshd_config.effective(user=name, path=str(server.path))["PermitTTY"]["value"] == "no"
