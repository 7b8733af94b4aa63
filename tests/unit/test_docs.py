"""
The documentation: the reference has everything that Salt's loader finds, every link leads somewhere, and every message
that a page explains is in the code. bin/docs builds the site itself.
"""

import ast
import configparser
import re

import _reference
import pytest
import salt.config
import salt.loader.lazy
from sshtrail_lib.policy import platforms, schema

PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
OUTSIDE = ("http:", "https:", "mailto:")
# What separates the words of a message on a page: where the code puts a name or a number.
GAP = "…"
# Where a docstring leaves the arguments to another one, which it names.
ELSEWHERE = re.compile(r"rguments are those of|for the same arguments|what :py:func:`\w+` returns|As for :py:func:")
TERM = re.compile(r"^(\w+(?:, \w+)*)$")


def page(name):
    """Return a page of the reference (str), as Sphinx gets it."""
    return "\n".join(_reference.PAGES[name]())


def functions(kind):
    """Return ``{name: Function}`` of what Salt loads of a kind."""
    return {f"{one.name}.{each.name}": each for one in _reference.modules(kind) for each in one.functions}


FUNCTIONS = [pytest.param(kind, name, id=f"{kind}: {name}") for kind in _reference.LOADED for name in functions(kind)]


# --- The reference ----------------------------------------------------------------------------------------------


@pytest.fixture
def loader(root, tmp_path):
    """What Salt's own loader finds in a directory of the checkout: ``loader(DIRECTORY)`` (set of str)."""

    def names(directory):
        opts = {**salt.config.minion_config(None), "cachedir": str(tmp_path), "grains": {"os_family": "Debian"}}
        pack = {"__salt__": {}, "__context__": {}, "__states__": {}}
        return set(salt.loader.lazy.LazyLoader([str(root / directory)], opts, tag=f"reference{directory}", pack=pack))

    return names


@pytest.mark.parametrize("kind, name", [("execution", "execution-modules"), ("state", "states"), ("runner", "runners")])
def test_the_reference_has_whatever_salt_loads(loader, kind, name):
    described = set(re.findall(r"^\.\. py:function:: ([\w.]+)\(", page(name), re.M))
    assert described and described == loader(_reference.LOADED[kind])


@pytest.mark.parametrize("kind, name", FUNCTIONS)
def test_a_docstring_tells_every_argument(kind, name):
    function = functions(kind)[name]
    terms = {word for line in function.doc.splitlines() if TERM.match(line) for word in line.split(", ")}
    terms |= set(re.findall(r"``(\w+)``", function.doc))
    given = ast.parse(f"def f({function.arguments}): pass").body[0].args
    wanted = {one.arg for one in [*given.posonlyargs, *given.args, *given.kwonlyargs]}
    assert function.doc and (wanted <= terms or ELSEWHERE.search(function.doc))
    if kind != "state":
        assert "CLI Example:" in function.doc


def test_defaults_are_values_and_no_names():
    shown = {name: one.arguments for kind in _reference.LOADED for name, one in functions(kind).items()}
    assert not {name: text for name, text in shown.items() if re.search(r"=[A-Za-z_]+\.|=[A-Z_]{2,}", text)}


def test_the_reference_has_every_key_of_the_pillar():
    described = re.findall(r"^\.\. confval:: (.*)$", page("pillar"), re.M)
    assert described == [path for path, _ in schema.keys(schema.POLICY)]
    assert {"sshtrail:sshd:config", "sshtrail:drift:action", "sshtrail:layers"} <= set(described)
    # What distributions add is shown with the key.
    for rows in platforms.ENTRIES.values():
        assert all(f"{value}``" in page("pillar") for _, value, _ in rows)


def test_every_option_of_salt_is_told():
    found = _reference.options()
    assert found and set(found) == set(_reference.SETTINGS)


def test_every_page_of_the_reference_is_in_the_site(root):
    pages = {path.stem: path.read_text() for path in (root / "docs" / "reference").glob("*.rst")}
    assert set(pages) == set(_reference.PAGES)
    assert all(f".. from-code:: {name}\n" in text for name, text in pages.items())


# --- The pages --------------------------------------------------------------------------------------------------


def written(root):
    """Return the pages that people write (list of pathlib.Path)."""
    return [*(root / name for name in PAGES), *sorted((root / "docs").glob("*.md"))]


def places(path):
    """Return the anchors (set of str) that forges give to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(root):
    for path in written(root):
        text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
        for link in LINK.findall(text):
            if not link.startswith(OUTSIDE):
                name, _, place = link.partition("#")
                target = (path.parent / name).resolve() if name else path
                assert target.exists(), f"{path.name}: {link}"
                assert not place or place in places(target), f"{path.name}: {link}"


def test_the_readme_links_every_page_for_users(root):
    linked = set(LINK.findall((root / "README.md").read_text()))
    assert {f"docs/{path.name}" for path in (root / "docs").glob("*.md")} - linked == {"docs/index.md"}


def test_the_map_shows_what_is_there(root):
    text = (root / "docs" / "architecture.md").read_text()
    library = root / "_utils" / "sshtrail_lib"
    named = set(re.findall(r"`([\w./]+\.(?:py|sls))`", text))
    assert named and [path for path in named if not (library / path).exists() and not (root / path).exists()] == []
    picture = re.search(r"^```\n(.*?)^```$", text, re.M | re.S)[1]
    drawn = set(re.findall(r"\w+", picture))
    assert {path.name for path in library.iterdir() if (path / "__init__.py").exists()} <= drawn
    # The wings have more rooms than those that all of them have.
    assert {room for wing, room, *_ in _reference.rooms() if wing not in ("sshd", "auditd", "rules", "pam")} <= drawn


def said(root):
    """Return everything that the code says (str): its literal texts, those of one sentence joined."""
    programs = [str(path) for path in (root / "bin").iterdir() if path.is_file() and path.suffix != ".sh"]
    paths = [*_reference.sources(), *programs]
    texts = []
    for path in paths:
        for node in ast.walk(_reference.tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(one.value if isinstance(one, ast.Constant) else GAP for one in node.values))
    return "\n".join(texts)


def test_every_message_that_is_explained_is_in_the_code(root):
    text = (root / "docs" / "troubleshooting.md").read_text()
    messages = re.findall(r"^### .*?`(.*)`$", text, re.M)
    code = said(root)
    fragments = {part.strip() for message in messages for part in message.split(GAP) if len(part.strip(" .:;,")) > 3}
    assert len(messages) > 30
    assert sorted(part for part in fragments if part not in code) == []


def test_the_example_for_git_follows_the_tag_of_this_version(root):
    """Whoever can push to the repository must not be root on every host that follows it."""
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    remotes = re.findall(
        r"^  - https://.*?(?=^  - |\Z)", (root / "etc/master.d/sshtrail-gitfs.conf").read_text(), re.M | re.S
    )
    assert len(remotes) == 6
    assert {re.search(r"^    - base: (.*)$", one, re.M)[1] for one in remotes} == {f"v{config['metadata']['version']}"}
