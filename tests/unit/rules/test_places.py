"""Which directory a rule is bound to, and how the plan binds it anew."""

import pytest
from sshtrail_lib.base import text
from sshtrail_lib.rules import compile, language, layout, overlap, places
from sshtrail_lib.rules import plan as rules_plan


def compiled(line):
    return compile.compile(language.parse_rule(line))


@pytest.fixture
def watched(tmp_path):
    (tmp_path / "a").mkdir()
    return tmp_path / "a"


FORMS = ("-F dir={} -F perm=wa", "-F path={}/file -F perm=wa", "-F arch=b64 -S execve -F exe={}/prog")


@pytest.mark.parametrize("form", FORMS)
def test_another_directory_in_the_place_is_seen(watched, form):
    rule = compiled(f"-a always,exit {form.format(watched)} -F key=k")
    known = places.remembered({}, places.standing([rule]))
    assert not places.stale(known, places.standing([rule]))
    watched.rename(watched.parent / "old")
    assert places.standing([rule]) == {}
    watched.mkdir()
    now = places.standing([rule])
    assert places.stale(known, now) == {rule}
    assert places.stale(places.remembered(known, now), now) == {rule}
    assert not places.stale(places.remembered(known, now, [rule]), now)


MOUNTED = """\
22 1 0:21 / /proc rw - proc proc rw
30 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 30 0:50 / {top}/sub rw,relatime - tmpfs none rw
41 30 0:51 / {top}/of\\040two rw,relatime - ext4 /dev/vdb1 rw
42 30 0:52 / {top}x/sub rw,relatime - tmpfs none rw
43 30 0:53 / {top}/merged rw,relatime - overlay overlay rw
"""


@pytest.fixture
def mounted(watched, tmp_path, monkeypatch):
    """A function: which lines of MOUNTED (numbers) the kernel's list of mounts has."""
    told = tmp_path / "mountinfo"
    monkeypatch.setattr(places, "MOUNTS", str(told))

    def mount(*numbers):
        lines = MOUNTED.format(top=watched).splitlines(keepends=True)
        told.write_text("".join(line for line in lines if int(line[:2]) in (22, 30, *numbers)))

    mount()
    return mount


ON_A_FILE = """\
30 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 30 254:2 /@home {top} rw,relatime - btrfs /dev/vdb rw
40 31 {device} {root} {top}/{name} rw,relatime - ext4 /dev/vda1 rw
"""


@pytest.mark.parametrize(
    "device, root, name, is_covered",
    [
        ("254:1", "/containers/1/hosts", "hosts", True),
        ("0:50", "/hosts", "hosts", True),
        ("254:2", "/@home/other", "hosts", True),
        # The file itself, as for another way to mount it.
        ("254:2", "/@home/hosts", "hosts", False),
        # With a directory the kernel takes what is mounted on it.
        ("254:1", "/containers/1/sub", "sub", False),
        ("254:1", "/containers/1/a\\040b", "a\\040b", True),
    ],
)
def test_a_file_that_another_one_is_mounted_on_is_not_watched(watched, monkeypatch, device, root, name, is_covered):
    told = watched.parent / "mountinfo"
    told.write_text(ON_A_FILE.format(top=watched, device=device, root=root, name=name))
    monkeypatch.setattr(places, "MOUNTS", str(told))
    (watched / "sub").mkdir()
    paths = [str(watched / one) for one in ("hosts", "sub", "a b")]
    for path in (paths[0], paths[2]):
        watched.joinpath(path).write_text("")
    through = watched.parent / "link"
    through.symlink_to(watched)
    asked = str(through / text.of_proc(name))
    found = places.covered([*paths, asked])
    assert found == ({asked, *({str(watched / text.of_proc(name))} & {*paths})} if is_covered else set())


@pytest.mark.parametrize("number, seen", [(40, True), (41, True), (42, False), (43, False)])
def test_what_is_mounted_below_a_watched_directory_is_not_watched_yet(watched, mounted, number, seen):
    rules = [compiled(f"-a always,exit {form.format(watched)} -F key=k") for form in FORMS]
    known = places.remembered({}, places.standing(rules))
    mounted(number)
    now = places.standing(rules)
    assert places.stale(known, now) == ({rules[0]} if seen else set())
    loaded = places.remembered(known, now, rules)
    assert not places.stale(loaded, now)
    # What goes takes nothing away, and what comes then is another one, whatever its number.
    mounted()
    gone = places.remembered(loaded, places.standing(rules))
    assert not places.stale(loaded, places.standing(rules))
    mounted(number)
    assert places.stale(gone, places.standing(rules)) == ({rules[0]} if seen else set())


def test_a_list_of_mounts_that_cannot_be_read_is_none(watched, monkeypatch, tmp_path):
    monkeypatch.setattr(places, "MOUNTS", str(tmp_path / "gone"))
    assert len(places.standing([compiled(f"-a always,exit -F dir={watched} -F perm=wa -F key=k")]).popitem()[1]) == 2


def test_what_watches_no_place_is_bound_to_none():
    assert places.standing([compiled("-a always,exit -F arch=b64 -S execve -F key=k")]) == {}


def steps(loaded, desired, stale):
    return [
        (step.do, step.rule, step.stands_in) for step in rules_plan.plan(loaded, desired, compile.exec_calls, stale)
    ]


def test_a_file_watch_has_a_twin_while_it_is_loaded_anew():
    rule, other = compiled("-a always,exit -F path=/etc/a -F perm=wa -F key=k"), compiled("-w /etc/b -p wa -k k")
    assert steps([rule, other], [rule, other], {rule}) == [
        ("append", rules_plan.twin(rule), True),
        ("delete", rule, False),
        ("append", rule, False),
        ("delete", rules_plan.twin(rule), True),
    ]


def test_all_rules_of_a_directory_go_before_one_comes():
    """The kernel would bind whatever comes earlier to the tree that it has: that of the old directory."""
    lines = ["-a always,exit -F dir=/etc/a -F perm=wa -F key=k", "-a always,exit -F dir=/etc/a -F perm=r -F key=j"]
    first, second, third = (compiled(line) for line in (*lines, "-a always,exit -F dir=/etc/a -F perm=x -F key=i"))
    found = steps([first, second], [first, second, third], {first, second})
    assert [(do, stands_in) for do, _rule, stands_in in found] == [("delete", False)] * 2 + [("append", False)] * 3
    assert [rule for _do, rule, _ in found[2:]] == [first, second, third]
    assert all(overlap.texts_of(rule)[layout.DIR] == "/etc/a" for _do, rule, _ in found)
