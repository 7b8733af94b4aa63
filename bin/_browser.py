"""
Debian's Chromium without a window, by Playwright: for the tests of the page, and for its pictures.
"""

import contextlib
import shutil

#: What a picture is of: the width of the window, and what the reader's system asks for.
VIEWS = {
    "wide": {"width": 1400, "scheme": "light", "media": "screen"},
    "dark": {"width": 1400, "scheme": "dark", "media": "screen"},
    "narrow": {"width": 390, "scheme": "light", "media": "screen"},
    "print": {"width": 800, "scheme": "light", "media": "print"},
}
HEIGHT = 900


def chromium():
    """Return the path of Chromium (str), None where it is not installed."""
    return shutil.which("chromium")


@contextlib.contextmanager
def browser():
    """Give a running Chromium (a Browser of Playwright), that ends with this."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root has no sandbox of Chromium's; what it is to open is a file of ours.
        launched = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        try:
            yield launched
        finally:
            launched.close()


def opened(launched, path, view, scripts=True):
    """
    Return a file in a window (a Page of Playwright), and what it said and asked for meanwhile (two lists of str).

    path
        The file's absolute path (str).
    view
        A key of :data:`VIEWS` (str).
    scripts
        Whether scripts run (bool).
    """
    asked = VIEWS[view]
    window = {"width": asked["width"], "height": HEIGHT}
    context = launched.new_context(viewport=window, color_scheme=asked["scheme"], java_script_enabled=scripts)
    page, said, requests = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.emulate_media(media=asked["media"], color_scheme=asked["scheme"])
    page.goto(f"file://{path}")
    return page, said, requests
