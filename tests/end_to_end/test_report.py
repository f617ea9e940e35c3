"""``amifactory report`` of real builds, on the terminal and as a page in a real browser."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from amifactory.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.conftest import Factory, Sandbox

PHONE, DESK = 360, 1280
SCHEMES = ("light", "dark")
SECTIONS = {"gates", "identity", "timeline", "cold-start", "spec", "leaks", "changes", "inventory"}
EVIL = "<script>document.title = 'hacked'</script><img src=x onerror=\"document.title = 'hacked'\">"
TOO_WIDE = """
const right = document.documentElement.clientWidth + 0.5;
const scrolls = (one) => one.closest(".wide, .aside, .skip");
return [...document.body.querySelectorAll("*")]
  .filter((one) => one.getBoundingClientRect().right > right && !scrolls(one))
  .map((one) => one.outerHTML.slice(0, 200));
"""
TOO_FAINT = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
const light = (color) => {
  const [r, g, b] = channels(color).map((channel) => linear(channel / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (one) => {
  for (; one; one = one.parentElement) {
    const color = getComputedStyle(one).backgroundColor;
    if ((channels(color)[3] ?? 1) > 0) return color;
  }
  return "rgb(255, 255, 255)";
};
const says = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
const seen = [...document.body.querySelectorAll("*")].filter((one) => says(one) && one.checkVisibility());
return seen.map((one) => {
  const [high, low] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => b - a);
  return [(high + 0.05) / (low + 0.05), one.outerHTML.slice(0, 200)];
}).filter(([contrast]) => contrast < 4.5);
"""
"""Contrast of text under 4.5, and of what: Web Content Accessibility Guidelines 2.2, 1.4.3 (level AA)."""


class Browser:
    """Headless Chromium, and what it did."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def show(self, page: Path, *, width: int = DESK, **media: str) -> None:
        """Opens a page as a screen of that width shows it; ``media`` are features, as of CSS."""
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.get(page.as_uri())

    def ask(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def log(self, kind: str) -> Any:
        """Returns what was logged since it was last asked: ``browser`` is the console."""
        return self.driver.get_log(kind)  # type: ignore[no-untyped-call]

    def requests(self) -> list[str]:
        """Returns what was asked of any network, or of the disk, since it was last asked."""
        entries = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [
            entry["params"]["request"]["url"]
            for entry in entries
            if entry["method"] == "Network.requestWillBeSent"
        ]

    def screenshot(self, file: Path) -> None:
        """Saves a picture of the whole page."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        file.write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail("not installed: chromium, chromium-driver (make test installs them)", pytrace=False)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)  # root may not use Chromium's own sandbox
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options, Service(driver, log_output=subprocess.DEVNULL))
    try:
        yield Browser(running)
    finally:
        running.quit()


@pytest.fixture(scope="module")
def reported(make_factory: Callable[..., Factory]) -> tuple[Factory, str, str]:
    """Returns a factory with two builds of ``base``, the older one's AMI first."""
    factory = make_factory("single", name="reported")
    first = factory.run("build", "--json").expect(0).builds["base"]["ami_id"]
    script = factory.image("base") / "provision/install.sh"
    script.write_text(f"{script.read_text()}\nuseradd --system newcomer\n")
    second = factory.run("build", "--json").expect(0).builds["base"]["ami_id"]
    return factory, first, second


@pytest.fixture(scope="module")
def page(reported: tuple[Factory, str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the page of the newer build."""
    factory, _, _ = reported
    file = tmp_path_factory.mktemp("page") / "base.html"
    ended = factory.run("report", "base", "--html", str(file)).expect(0)
    assert ended.stdout == ""
    assert ended.stderr == f"Wrote {file}\n"
    return file


def test_the_page_needs_nothing_else_and_complains_of_nothing(browser: Browser, page: Path) -> None:
    browser.requests()
    browser.show(page)
    assert browser.log("browser") == []
    requests = browser.requests()
    assert page.as_uri() in requests
    assert all(url == page.as_uri() or url.startswith("data:") for url in requests), requests


def test_every_section_is_there_to_see(browser: Browser, page: Path) -> None:
    browser.show(page)
    sections = browser.driver.find_elements(By.CSS_SELECTOR, "main > section")
    assert {section.get_attribute("id") for section in sections} == SECTIONS
    assert all(section.is_displayed() for section in sections)
    assert "newcomer" in browser.driver.find_element(By.ID, "changes").text
    assert browser.driver.find_element(By.CSS_SELECTOR, "#cold-start .plot polyline").is_displayed()


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_fits_and_can_be_read(
    browser: Browser, page: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    browser.show(page, width=width, prefers_color_scheme=scheme)
    browser.ask("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.ask("return document.documentElement.scrollWidth") == width
    assert browser.ask(TOO_WIDE) == []
    assert browser.ask(TOO_FAINT) == []
    ground = browser.ask("return getComputedStyle(document.body).backgroundColor")
    assert (int(ground.removeprefix("rgb(").partition(",")[0]) < 128) == (scheme == "dark")
    picture = tmp_path / f"{width}-{scheme}.png"
    browser.screenshot(picture)
    assert picture.stat().st_size > 50_000


def test_the_filter_shows_what_has_the_words(browser: Browser, page: Path) -> None:
    browser.show(page)
    shown = (
        "return [...document.querySelectorAll('[data-entry]')].filter((one) => one.checkVisibility()).length"
    )
    before = browser.ask(shown)
    box = browser.driver.find_element(By.ID, "filter")
    box.send_keys("OpenSSH-server")
    entries = browser.driver.find_elements(By.CSS_SELECTOR, "[data-entry]")
    assert [entry.text.split()[0] for entry in entries if entry.is_displayed()] == ["openssh-server"]
    assert browser.driver.find_element(By.ID, "filter-count").text == "1 found"
    box.clear()
    box.send_keys("no such thing")
    assert browser.ask(shown) == 0
    box.clear()
    box.send_keys(" ")
    assert browser.ask(shown) == before


def test_without_a_script_everything_is_there_but_the_filter(browser: Browser, page: Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.show(page)
        assert not browser.driver.find_element(By.ID, "filter").is_displayed()
        packages = browser.driver.find_element(By.CSS_SELECTOR, "[data-list=Packages]")
        packages.find_element(By.TAG_NAME, "summary").click()
        assert "openssh-server" in packages.text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_on_paper_it_is_light_and_nothing_is_folded(browser: Browser, page: Path) -> None:
    browser.show(page, prefers_color_scheme="dark")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.ask("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not browser.driver.find_element(By.TAG_NAME, "nav").is_displayed()
    entries = "return [...document.querySelectorAll('[data-entry]')].every((one) => one.checkVisibility())"
    assert browser.ask(entries)


def test_whatever_an_instance_calls_its_things_does_nothing(
    browser: Browser, reported: tuple[Factory, str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    factory, first, _ = reported
    bucket = sandbox.state["state_bucket"]
    key = f"reports/{first}/report.json"
    report = json.loads(sandbox.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    report["tests"]["cases"][0] |= {"test": f"{EVIL}::{EVIL}", "outcome": "failed", "message": EVIL}
    sandbox.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(report).encode())
    file = tmp_path / "evil.html"
    factory.run("report", first, "--html", str(file)).expect(0)
    browser.requests()
    browser.show(file)
    assert EVIL in browser.driver.find_element(By.ID, "spec").text
    assert "hacked" not in browser.driver.title
    assert [url for url in browser.requests() if not url.startswith("data:")] == [file.as_uri()]


def test_the_summary_says_how_it_went_and_where_to_look(reported: tuple[Factory, str, str]) -> None:
    factory, first, second = reported
    said = factory.run("report", second).expect(0).stdout
    assert said.startswith(f"base/x86_64  {second}  verified\n")
    for text in ("cold-start", "ready for a job", "Leaks: none in", f"Changes since {first}:", "1 new"):
        assert text in said, text
    log = next(line.split()[-1] for line in said.splitlines() if line.startswith("Log of the build"))
    assert "install.sh" in (factory.root / log).read_text()
    older = factory.run("report", first).expect(0).stdout
    assert f"Changes: there is no build of base/x86_64 before {first}" in older


def test_the_document_has_all_that_is_kept(reported: tuple[Factory, str, str]) -> None:
    factory, first, second = reported
    document = factory.run("report", "base", "--json").expect(0).json
    assert document["ami_id"] == document["report"]["ami_id"] == second
    assert document["made"]["timeline"]
    assert [earlier["ami_id"] for earlier in document["earlier"]] == [first]
    assert document["changes"]["before"]["ami_id"] == first
    assert [ancestor["ami_id"] for ancestor in document["lineage"]] == [document["parent"]]
    assert document["lineage"][0]["name"]


def test_the_page_goes_to_stdout_when_asked(reported: tuple[Factory, str, str]) -> None:
    factory, _, second = reported
    ended = factory.run("report", second, "--html", "-").expect(0)
    assert ended.stdout.startswith("<!doctype html>\n")
    assert ended.stdout.endswith("</html>\n")
    assert ended.stderr == ""


def test_what_cannot_be_reported(reported: tuple[Factory, str, str], tmp_path: Path) -> None:
    factory, _, _ = reported
    unknown = factory.run("report", "ami-00000000000000000").expect(ExitCode.USAGE)
    assert "ami-00000000000000000 is not a build of this factory" in unknown.stderr
    assert "is not an image" in factory.run("report", "bass").expect(ExitCode.USAGE).stderr
    both = factory.run("report", "base", "--html", "-", "--json").expect(ExitCode.USAGE)
    assert "ask for one" in both.stderr
    nowhere = factory.run("report", "base", "--html", str(tmp_path / "no/such/folder.html"))
    assert "No such file or directory" in nowhere.expect(ExitCode.FAILED).stderr
