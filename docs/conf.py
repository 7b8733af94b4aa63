"""
How Sphinx makes the site. bin/docs runs it on the whole checkout, so that README.md and docs/ link each other as they
do on a forge.
"""

import os
import shutil
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "bin"), os.path.join(ROOT, "_utils")]

import _reference  # noqa: E402
from pygments.lexers.templates import YamlJinjaLexer  # noqa: E402
from sphinx.util.docutils import SphinxDirective  # noqa: E402

project = "saltext-sshtrail"
author = "the authors of saltext-sshtrail"
copyright = "the authors of saltext-sshtrail, Apache-2.0"  # noqa: A001 - Sphinx's name

extensions = ["myst_parser"]
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**"]
root_doc = "docs/index"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
# What a page does not name a language for is output, or a picture.
highlight_language = "text"
# Headings are link targets, with the names that forges give them.
myst_heading_anchors = 4
nitpicky = True
add_module_names = False
toc_object_entries_show_parents = "all"

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sphinx = False

# With bin/docs --external: these names are nobody's, on purpose.
linkcheck_ignore = [r"https://[^/]*\bexample\.(org|com|net)\b.*"]


class FromCode(SphinxDirective):
    """``.. from-code:: PAGE`` puts a page of the reference there, as it is in the code now."""

    required_arguments = 1

    def run(self):
        text = "\n".join(_reference.PAGES[self.arguments[0]]())
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def resolve(app, env, node, contnode):
    """
    Find what a docstring names by the name that Salt's users know, such as ``sshtrail.drift``.

    What the library has and no page shows stays a plain word; a name that the code does not have is a warning.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    domain = env.domains["py"]
    # A function whose name in Salt is a word of Python's own has an underline at its end in the code.
    names = (f".{target}", f".{target.rstrip('_')}")
    found = sorted(name for name in domain.objects if f".{name}".endswith(names))
    if not found:
        return contnode if any(f".{name}".endswith(names) for name in _reference.library_names()) else None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, contnode)


def first_page(app, exception):
    """Let the README be what a visitor of the site sees first."""
    readme = os.path.join(app.outdir, "README.html")
    if exception is None and os.path.exists(readme):
        shutil.copyfile(readme, os.path.join(app.outdir, "index.html"))


def setup(app):
    app.add_directive("from-code", FromCode)
    # SLS files are YAML with Jinja in it.
    app.add_lexer("yaml", YamlJinjaLexer)
    app.connect("missing-reference", resolve)
    app.connect("build-finished", first_page)
    return {"parallel_read_safe": True}
