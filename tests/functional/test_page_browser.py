"""
The page in Debian's Chromium without a window: no error, no request, and what a reader does with it works.
"""

import pathlib
import subprocess
import sys

import _browser
import pytest
from sshtrail_lib.page import render
from unit.page import fleets

pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
if not _browser.chromium():
    pytest.skip("Chromium is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def chromium():
    with _browser.browser() as launched:
        yield launched


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The path (str) of each page that is looked at."""
    base = tmp_path_factory.mktemp("pages")
    made = {"fleet": fleets.fleet(), "hostile": fleets.hostile(), "many": fleets.many(1000)}
    for name, fleet in made.items():
        (base / f"{name}.html").write_text(render.page(fleet), encoding="utf-8")
    return {name: str(base / f"{name}.html") for name in made}


@pytest.fixture
def look(chromium, files):
    """Open one of the pages: ``look(name, view="wide", scripts=True)`` gives it, once it is seen to be quiet."""
    pages = []

    def opened(name, view="wide", scripts=True):
        page, said, requests = _browser.opened(chromium, files[name], view, scripts)
        pages.append(page)
        assert said == [] and requests == [f"file://{files[name]}"]
        return page

    yield opened
    for page in pages:
        page.context.close()


def shown(page, table):
    return page.locator(f"#{table} tbody tr:visible").count()


@pytest.mark.parametrize("view", _browser.VIEWS)
def test_nobody_is_shut_out(look, view):
    found = axe.Axe().run(look("fleet", view)).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_rows_are_filtered_by_words_and_by_choices(look):
    page = look("fleet")
    assert shown(page, "hosts") == 5
    page.locator("#glance input").fill("BLIND in policy")
    assert shown(page, "hosts") == 1 and "1 of 5 shown" in page.inner_text("#glance")
    page.locator("#glance input").fill("")
    page.locator("#glance select[name=standing]").select_option("no answer")
    assert page.inner_text("#hosts tbody tr:visible th").startswith("silent1")


def test_rows_are_sorted_both_ways(look):
    page = look("fleet")
    head = page.locator("#hosts thead th").nth(7)
    first = page.locator("#hosts tbody tr").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert first.locator("td").last.inner_text()[0] == "1"
    page.locator("#hosts thead th").first.get_by_role("button").click()
    assert first.locator("th").inner_text().startswith("blind1")


def test_commands_are_behind_a_fold(look):
    page = look("fleet")
    commands = page.get_by_text("cat /etc/shadow").first
    assert not commands.is_visible()
    page.locator("#logins summary").first.click()
    assert commands.is_visible()


def test_one_person_s_sessions_are_found(look):
    page = look("fleet")
    page.locator("#sessions select[name=person]").select_option("alice")
    assert page.locator("#logins > details:visible").count() == 1
    page.locator("#sessions select[name=person]").select_option("")
    page.locator("form[data-filters=logins] input").fill("deploy ca-bob")
    assert page.locator("#logins > details:visible").count() == 1


def test_who_used_an_account_and_what_fails_is_seen_without_a_fold(look):
    page = look("fleet")
    page.locator("form[data-filters=accounts] input").fill("deploy 2026-11-21")
    assert page.locator("#accounts tbody tr:visible").count() == 1
    assert page.locator("#accounts tbody tr:visible").get_by_text("alice").is_visible()
    page.locator("form[data-filters=failing] input").fill("sudo's log")
    found = page.locator("#failing tbody tr:visible")
    assert found.count() == 1 and found.get_by_text("the kernel holds no rule").is_visible()


def test_failing_controls_are_found_with_their_reason(look):
    page = look("fleet")
    page.locator("#compliance select[name=status]").first.select_option("fail")
    rows = page.locator("#controls-1 > details:visible")
    assert 0 < rows.count() < page.locator("#controls-1 > details").count()
    rows.first.locator("summary").click()
    assert rows.first.locator("li").first.is_visible()


def test_it_is_readable_without_scripts(look):
    page = look("fleet", scripts=False)
    assert shown(page, "hosts") == 5 and not page.locator(".tools").first.is_visible()
    page.locator("#logins summary").first.click()
    assert page.get_by_text("cat /etc/shadow").first.is_visible()


def test_paper_has_what_is_behind_a_fold(look):
    page = look("fleet", "print")
    assert page.get_by_text("cat /etc/shadow").first.is_visible()
    assert not page.locator("nav").is_visible() and not page.locator(".tools").first.is_visible()
    assert page.pdf()[:5] == b"%PDF-"


def test_a_narrow_window_scrolls_tables_and_not_the_page(look):
    page = look("fleet", "narrow")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_dark_is_dark(look):
    grounds = [
        look("fleet", view).evaluate("getComputedStyle(document.body).backgroundColor") for view in ("wide", "dark")
    ]
    assert [sum(map(int, ground[4:-1].split(","))) > 380 for ground in grounds] == [True, False]


@pytest.mark.parametrize("view", ["wide", "print"])
def test_hostile_texts_do_nothing(look, view):
    page = look("hostile", view)
    assert page.title().startswith("SSH trail: <script>") and page.locator("img").count() == 0
    assert page.locator("script").count() == 1 and page.locator("h2").first.is_visible()


def test_a_thousand_hosts_are_filtered_within_a_second(look):
    page = look("many")
    assert shown(page, "hosts") == 1000
    took = page.evaluate(
        """() => { const begun = performance.now(), box = document.querySelector("#glance input");
        box.value = "web0042"; box.dispatchEvent(new Event("input", {bubbles: true}));
        return performance.now() - begun; }"""
    )
    assert shown(page, "hosts") == 1 and took < 1000


@pytest.mark.parametrize("of", ["a fleet that is made up", "a page"])
def test_pictures_are_taken(files, root, tmp_path, of):
    """As ``bin/page --pictures`` has it, which sets up the environment that this one is."""
    command = [sys.executable, str(root / "bin" / "_pictures.py"), str(tmp_path)]
    command += [files["fleet"]] if of == "a page" else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    made = {path.name: path.read_bytes()[:4] for path in tmp_path.iterdir()}
    assert made == {**{f"{view}.png": b"\x89PNG" for view in _browser.VIEWS}, "print.pdf": b"%PDF"}
    assert {pathlib.Path(line) for line in done.stdout.splitlines()} == set(tmp_path.iterdir())
