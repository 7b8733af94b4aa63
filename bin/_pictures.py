"""
Take pictures of a page: wide, dark, narrow and as it is printed. Started by ``bin/page --pictures``.
"""

import os
import sys
import tempfile

import _browser

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def main(directory, path=None):
    """Write the pictures of the file at ``path`` (str), or of a fleet that is made up, to a ``directory`` (str)."""
    if not _browser.chromium():
        sys.exit("page: Chromium is not installed")
    os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory() as base, _browser.browser() as launched:
        path = path or example(base)
        for view in _browser.VIEWS:
            page, _said, _requests = _browser.opened(launched, path, view)
            target = os.path.join(directory, f"{view}.png")
            page.screenshot(path=target, full_page=True)
            print(target)
        page.pdf(path=os.path.join(directory, "print.pdf"))
        print(os.path.join(directory, "print.pdf"))


def example(base):
    """Write the page of the tests' own fleet to the directory ``base`` (str); return its path (str)."""
    sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "_utils")]
    from sshtrail_lib.page import render
    from unit.page import fleets

    path = os.path.join(base, "page.html")
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(render.page(fleets.fleet()))
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
