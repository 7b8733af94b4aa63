"""
bin/test-salts: which series of Salt a command line asks for.
"""

import importlib.machinery
import importlib.util
import pathlib

import pytest

BIN = pathlib.Path(__file__).parents[2] / "bin"


@pytest.fixture(scope="module")
def salts():
    loader = importlib.machinery.SourceFileLoader("test_salts", str(BIN / "test-salts"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("test_salts", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("line", "series", "rest"),
    [
        ([], [3006, 3007, "newest"], []),
        (["-k", "policy"], [3006, 3007, "newest"], ["-k", "policy"]),
        (["--oldest", "tests/unit"], [3006], ["tests/unit"]),
        (["--salt", "3007", "-x"], [3007], ["-x"]),
        (["--salt", "newest"], ["newest"], []),
    ],
)
def test_a_command_line_says_which(salts, line, series, rest):
    assert salts.chosen(line) == (series, rest)


@pytest.mark.parametrize("line", [["--salt"], ["--salt", "3005"], ["--salt", "-x"]])
def test_one_that_is_not_there_is_an_error_that_names_all(salts, line):
    with pytest.raises(salts._prepare.Failed, match="3006, 3007, newest"):
        salts.chosen(line)


def test_each_has_its_requirements(salts):
    for series in salts._prepare.OLDER_SALTS:
        for layer in (f"salt-{series}", f"tests-{series}"):
            assert f"salt=={series}." in salts._prepare.content(salts._prepare.requirements_file(f"salt-{series}")), (
                layer
            )
            assert "--hash=" in salts._prepare.content(salts._prepare.requirements_file(layer)), layer
