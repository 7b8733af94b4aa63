"""
From what the page shows to the file: Jinja2 with autoescape, and nothing that a reader's browser would have to fetch.
"""

from __future__ import annotations

import base64
import hashlib

import jinja2
from markupsafe import Markup

from sshtrail_lib.page import view
from sshtrail_lib.page.script import SCRIPT
from sshtrail_lib.page.style import STYLE
from sshtrail_lib.page.template import SECTIONS, TEMPLATE
from sshtrail_lib.page.view import Fleet, Limits

#: Bytes of a page.
LARGEST = 4_800_000


def page(fleet: Fleet) -> str:
    """Return the page (str, HTML) of a :class:`Fleet`."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # The policy of the page lets no other script run.
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    own = {"style": Markup(STYLE), "script": Markup(SCRIPT), "digest": digest, "sections": SECTIONS}
    template, limits = environment.from_string(TEMPLATE), Limits()
    while True:
        made = template.render(**own, **view.view(fleet, limits))
        # What hosts told can be as long as they like: the page is not.
        size = len(made.encode())
        if size <= LARGEST or limits.least:
            return made
        limits = limits.shorter(min(0.5, LARGEST / size))
