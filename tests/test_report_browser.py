"""The page of all results in a real Chromium without a network: keyboard, sliders, contrast, phones."""

import shutil
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_report import Folder

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
)
NARROW, WIDE = 360, 1280

CONTRAST = """
const lightness = (colour) => {
  const [r, g, b] = colour.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = numbers(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour.slice(0, 3);
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !element.checkVisibility() || element.closest("script, style, noscript")) continue;
  const [one, other] = [numbers(getComputedStyle(element).color).slice(0, 3), ground(element)].map(lightness);
  found.push([(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), element.tagName, walker.currentNode.textContent.trim().slice(0, 40)]);
}
return found;
"""

OVERFLOW = """
const wide = [...document.querySelectorAll("body *")].filter((element) =>
  element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1
  && !element.parentElement.closest(".scroll, dialog pre") && !element.classList.contains("skip"));
return [document.documentElement.scrollWidth, wide.map((element) => element.tagName + "." + element.className + "#" + element.id)];
"""

CONTROLS = """
return [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter((element) =>
  element.checkVisibility() && element.tabIndex >= 0 && !element.closest("dialog")).length;
"""

STEP = """
const element = document.activeElement;
if (!element || element === document.body) return null;
const style = getComputedStyle(element);
const index = [...document.querySelectorAll("*")].indexOf(element);
return [index, element.tagName, element.id || element.className, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
"""

NAMES = """
const named = (element) => (element.labels && element.labels.length) || element.getAttribute("aria-label") || element.getAttribute("aria-labelledby")
  || element.textContent.trim() || element.getAttribute("alt");
return [...document.querySelectorAll("button, input, select, summary, canvas, img, [role=region], a[href]")].filter((element) => !named(element)).map((element) => element.outerHTML.slice(0, 80));
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = Folder(tmp_path_factory.mktemp("browser"))
    folder.page()
    return folder.results / "report.html"


@pytest.fixture(scope="module")
def browser(page):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(300)
    driver.set_script_timeout(300)
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, page):
    """The page, anew, at the width of a desk."""
    size(browser, WIDE)
    scheme(browser, "light")
    browser.get(page.as_uri())
    wait_for(
        browser,
        "return typeof source !== 'undefined' && Boolean(sprite) && sprite.complete && "
        "document.querySelector('#x-canvas').width === 8",
    )
    return browser


def size(browser, width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )


def scheme(browser, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def wait_for(browser, script: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not browser.execute_script(script):
        assert time.monotonic() < until, script
        time.sleep(0.1)


def press(browser, key: str, times: int = 1) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    chain = ActionChains(browser)
    for _ in range(times):
        chain = chain.send_keys(getattr(Keys, key))
    chain.perform()


def canvas(browser) -> str:
    return browser.execute_script("return document.querySelector('#x-canvas').toDataURL()")


def open_details(browser) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach((details) => { details.open = true; })")


def test_no_error_no_request_no_missing_image(browser, page):
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())
    wait_for(browser, "return [...document.images].every((image) => image.complete)")
    assert browser.get_log("browser") == []
    sizes = browser.execute_script("return [...document.images].map((image) => [image.naturalWidth, image.width])")
    assert sizes and all(natural > 0 and shown > 0 for natural, shown in sizes)
    requests = [
        entry["message"] for entry in browser.get_log("performance") if 'Network.requestWillBeSent"' in entry["message"]
    ]
    assert requests and not [message for message in requests if '"url":"http' in message]
    tried = browser.execute_async_script(
        "const done = arguments[0]; fetch('https://example.org').then(() => done('reached'), () => done('refused'));"
    )
    assert tried == "refused", "the page's own policy forbids every request"


def test_a_number_shows_where_it_comes_from_by_mouse_and_by_keyboard(opened):
    opened.execute_script("document.querySelector('table.numbers .number').click()")
    text = opened.execute_script("return document.querySelector('#origin-of').innerText")
    for fact in (
        "PCA",
        "rows.csv",
        "29b0041ce614",
        "050cdae364fd",
        "c0ffeec0ffee",
        "commit decadedecade",
        "commit facadefacade with uncommitted changes",
        "a processor",
        "Haswell",
        "5.6",
        "Resolved configuration",
    ):
        assert fact in text, f"{fact} is not in\n{text}"
    press(opened, "ESCAPE")
    assert not opened.execute_script("return document.querySelector('#origin-of').open")
    assert opened.execute_script("return document.activeElement.classList.contains('number')"), "focus goes back"
    place = "const cell = document.activeElement.closest('td'); return [cell.parentElement.rowIndex, cell.cellIndex]"
    row, column = opened.execute_script(place)
    press(opened, "ARROW_DOWN")
    press(opened, "ARROW_RIGHT")
    assert opened.execute_script(place) == [row + 1, column + 1]
    press(opened, "ENTER")
    title = opened.execute_script("return document.querySelector('#origin-title').textContent")
    assert "VAE" in title or "DiffAE" in title
    press(opened, "ESCAPE")
    opened.execute_script("document.querySelector('table[data-table=table2] .number').click()")
    command = opened.execute_script("return document.querySelector('#origin-of p code').innerText")
    assert command.startswith("paramrel trace table2 ") and command.endswith(" --preset tiny"), (
        "a table of this page's preset"
    )
    press(opened, "ESCAPE")


def test_sliders_move_the_picture_and_say_so(opened):
    still = canvas(opened)
    opened.execute_script("document.querySelector('#x-z0').focus()")
    press(opened, "ARROW_RIGHT", 2)
    moved = canvas(opened)
    assert moved != still
    said = opened.execute_script(
        "return [document.querySelector('#x-now').textContent, "
        "document.querySelector('#x-z0').getAttribute('aria-valuetext'), "
        "document.querySelector('#x-canvas').getAttribute('aria-label')]"
    )
    assert "std" in said[0] and "standard deviations" in said[1] and said[0] in said[2]
    opened.execute_script("document.querySelector('#x-s').focus()")
    press(opened, "ARROW_LEFT", 3)
    along = canvas(opened)
    assert along not in (still, moved)
    assert "s = 0.5" in opened.execute_script("return document.querySelector('#x-now').textContent")
    assert "own" in opened.execute_script("return document.querySelector('#x-z0-out').textContent"), (
        "one at a time counts"
    )
    opened.execute_script("document.querySelector('#x-own').click()")
    assert canvas(opened) == still


def test_methods_without_a_flow_say_why_they_have_no_s(opened):
    names = opened.execute_script(
        "return [...document.querySelector('#x-method').options].map((option) => option.textContent)"
    )
    assert names[0] == "PCA" and any("ParamReL" in name for name in names)
    opened.execute_script(
        "const select = document.querySelector('#x-method'); select.selectedIndex = 0; select.dispatchEvent(new "
        "Event('change'))"
    )
    assert "its code has no flow time" in opened.execute_script("return document.querySelector('#x-why').innerText")
    assert not opened.execute_script("return document.querySelector('#x-s').checkVisibility()")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_text_stands_out(opened, colours):
    scheme(opened, colours)
    open_details(opened)
    opened.execute_script("document.querySelector('table.numbers .number').click()")
    found = opened.execute_script(CONTRAST)
    assert len(found) > 200
    low = sorted(entry for entry in found if entry[0] < 4.5)
    assert not low, low[:10]
    ground = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if colours == "light" else "rgb(20, 23, 26)")


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_nothing_sticks_out(opened, width):
    size(opened, width)
    open_details(opened)
    scrolled, wide = opened.execute_script(OVERFLOW)
    assert scrolled <= width and not wide, wide
    opened.execute_script("document.querySelector('table.numbers .number').click()")
    left, right = opened.execute_script(
        "const box = document.querySelector('#origin-of').getBoundingClientRect(); return [box.left, box.right]"
    )
    assert left >= 0 and right <= width


def test_the_keyboard_reaches_every_control_and_shows_where_it_is(opened):
    wanted = opened.execute_script(CONTROLS)
    reached = []
    for _ in range(wanted + 20):
        press(opened, "TAB")
        at = opened.execute_script(STEP)
        if at is None or at[0] in [index for index, *_ in reached]:
            break
        reached.append(at)
    assert len(reached) == wanted, (len(reached), wanted)
    assert all(visible for *_, visible in reached), [at for at in reached if not at[3]]
    assert {tag for _, tag, *_ in reached} >= {"A", "BUTTON", "INPUT", "SELECT", "SUMMARY", "DIV"}


def test_a_screen_reader_finds_its_way(opened):
    assert opened.execute_script(NAMES) == []
    levels = opened.execute_script(
        "return [...document.querySelectorAll('main h2, main h3, h1')].map((head) => Number(head.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in pairwise(levels))
    assert opened.execute_script("return document.documentElement.lang") == "en"
    for landmark in ("header", "nav", "main", "footer"):
        assert opened.execute_script(f"return document.querySelectorAll('{landmark}').length") == 1
    loose = opened.execute_script(
        "return [...document.querySelectorAll('table')].filter((table) => !table.caption || "
        "[...table.querySelectorAll('th')].some((head) => !head.scope)).length"
    )
    assert loose == 0
    ids = opened.execute_script("return [...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "committed", sorted((ROOT / "results").glob("*/report.html")), ids=lambda path: path.parent.name
)
def test_the_committed_pages_are_whole(browser, committed):
    assert committed.stat().st_size < 10_000_000
    size(browser, NARROW)
    scheme(browser, "light")
    browser.get_log("browser")
    browser.get(committed.as_uri())
    wait_for(
        browser, "return document.readyState === 'complete' && [...document.images].every((image) => image.complete)"
    )
    assert browser.get_log("browser") == []
    assert browser.execute_script("return [...document.images].every((image) => image.naturalWidth > 0)")
    open_details(browser)
    scrolled, wide = browser.execute_script(OVERFLOW)
    assert scrolled <= NARROW and not wide, wide
    low = [entry for entry in browser.execute_script(CONTRAST) if entry[0] < 4.5]
    assert not low, low[:10]
    assert browser.execute_script(NAMES) == []
