"""
bin/docs: which links of a site lead nowhere.
"""

import importlib.machinery
import importlib.util

import pytest

PAGE = '<h1 id="top">A</h1><a name="old"></a><a href="{}">x</a>'


@pytest.fixture(scope="module")
def docs(root):
    loader = importlib.machinery.SourceFileLoader("docs", str(root / "bin" / "docs"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("docs", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "link",
    ["#top", "#old", "", "below/b.html", "below/b.html#top", "./below/b.html?x=1#top", "style.css", "a%20b.html",
     "https://example.org/nowhere", "mailto:a@example.org"],
)  # fmt: skip
def test_a_link_that_leads_somewhere(docs, tmp_path, link):
    assert docs.broken(site(tmp_path, link)) == []


@pytest.mark.parametrize("link", ["#nowhere", "c.html", "below/b.html#nowhere", "below", "style.css.map"])
def test_a_link_that_leads_nowhere(docs, tmp_path, link):
    assert docs.broken(site(tmp_path, link)) == [f"a.html: the link {link} leads nowhere"]


def test_a_link_out_of_a_directory(docs, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.html").write_text(PAGE.format(""))
    (tmp_path / "below" / "b.html").write_text(PAGE.format("../a.html#top") + PAGE.format("a.html"))
    assert docs.broken(str(tmp_path)) == ["below/b.html: the link a.html leads nowhere"]


def site(base, link):
    """Make a site of two pages, of which the first has the link; return its directory (str)."""
    (base / "below").mkdir()
    (base / "a.html").write_text(PAGE.format(link))
    (base / "a b.html").write_text(PAGE.format(""))
    (base / "below" / "b.html").write_text(PAGE.format(""))
    (base / "style.css").write_text("")
    return str(base)
