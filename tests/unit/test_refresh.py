"""
A library that a sync has changed is read anew: in a package of two rooms; and whatever Salt loads asks for it first.
"""

import ast
import importlib
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INIT = (ROOT / "_utils" / "sshtrail_lib" / "__init__.py").read_text(encoding="utf-8")
KINDS = ("_modules", "_states", "_runners", "_returners")
LOADED = [path for kind in KINDS for path in sorted((ROOT / kind).glob("*.py"))]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Its directory (pathlib.Path), and that nothing of it stays imported."""
    top = tmp_path / "house_lib"
    (top / "wing").mkdir(parents=True)
    (top / "__init__.py").write_text(INIT, encoding="utf-8")
    (top / "wing" / "__init__.py").touch()
    (top / "wing" / "room.py").write_text("VALUE = 1\n")
    (top / "wing" / "other.py").write_text("from house_lib.wing import room\nDOUBLE = 2 * room.VALUE\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield top
    for name in [name for name in sys.modules if name.split(".")[0] == "house_lib"]:
        del sys.modules[name]


def loaded():
    """What a file that Salt loads does first; returns the two rooms."""
    importlib.import_module("house_lib").refresh()
    return importlib.import_module("house_lib.wing.room"), importlib.import_module("house_lib.wing.other")


def test_what_has_not_changed_stays(library):
    before = loaded()
    assert all(new is old for new, old in zip(loaded(), before, strict=True))


def test_what_has_changed_is_read_anew_with_all_that_knows_it(library):
    before = loaded()
    (library / "wing" / "room.py").write_text("VALUE = 21\n")
    room, other = loaded()
    assert (room.VALUE, other.DOUBLE) == (21, 42)
    # Whoever holds the old ones keeps a whole that fits together.
    assert (before[0].VALUE, before[1].DOUBLE) == (1, 2)


def test_a_process_knows_that_an_update_came(library):
    loaded()
    house = importlib.import_module("house_lib")
    assert house.stale() is False
    before = house.RELEASE
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", before)
    (library / "wing" / "room.py").write_text("VALUE = 21\n")
    # What it works with is still the old one.
    assert house.stale() is True and before == house.RELEASE
    loaded()
    assert before != importlib.import_module("house_lib").RELEASE


def test_a_room_that_changed_before_it_was_imported_is_right_too(library):
    importlib.import_module("house_lib").refresh()
    (library / "wing" / "room.py").write_text("VALUE = 50\n")
    assert loaded()[1].DOUBLE == 100
    assert loaded()[1].DOUBLE == 100


def test_a_room_that_is_gone_takes_nothing_along(library):
    loaded()
    (library / "wing" / "other.py").unlink()
    # Of two that are as long, and of the same second, Python takes what it has compiled.
    (library / "wing" / "room.py").write_text("VALUE = 77\n")
    importlib.import_module("house_lib").refresh()
    assert importlib.import_module("house_lib.wing.room").VALUE == 77
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("house_lib.wing.other")


def test_a_room_that_is_new_is_found(library):
    loaded()
    (library / "wing" / "room.py").write_text("VALUE = 300\n")
    (library / "annex").mkdir()
    (library / "annex" / "__init__.py").touch()
    (library / "annex" / "room.py").write_text("from house_lib.wing.room import VALUE\n")
    loaded()
    assert importlib.import_module("house_lib.annex.room").VALUE == 300


@pytest.mark.parametrize("path", LOADED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_salt_loads_asks_before_it_imports(path):
    """A file that imports first gets the library of the last sync."""
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    lines = [ast.unparse(one) for one in statements]
    asked = lines.index("sshtrail_lib.refresh()")
    assert "import sshtrail_lib" in lines[:asked]
    assert not [line for line in lines[:asked] if line.startswith(("from sshtrail_lib", "import sshtrail_lib."))]
