"""A real Chromium that visits the running system, for tests of the pages. What a page complains of fails its test."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Response,
    StorageState,
    expect,
    sync_playwright,
)

from orchestration_site.environment import BASE_DIR
from orchestration_site.proving.servers import ServerMissing
from orchestration_site.tests.sites import Site

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
SECONDS = 15.0
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")
AXE = BASE_DIR / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RULES_OF_COLOURS = ("color-contrast", "link-in-text-block")
SIZE = (1280, 900)


def find_chromium() -> str:
    """The browser's path; installed first where that may be done. Raises `ServerMissing`."""
    if found := _installed():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False, stdout=subprocess.DEVNULL)  # noqa: S607 - Debian's own
        subprocess.run(INSTALL, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
        if found := _installed():
            return found
    raise ServerMissing("There is no Chromium. On Debian, type: sudo apt install chromium")


def _installed() -> str | None:
    return next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


@contextmanager
def run_browser() -> Iterator[Browser]:
    """Chromium, without a window. Raises `ServerMissing`."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = _launch(playwright, path)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright, path: str) -> Browser:
    expect.set_options(timeout=SECONDS * 1000)
    return playwright.chromium.launch(executable_path=path, args=list(QUIET))


@dataclass
class Complaints:
    """What the browser holds against a page: errors of scripts, what the policy forbids, answers of 500 and above."""

    found: list[str] = field(default_factory=list)
    #: Parts of complaints that a test brings about on purpose.
    expected: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("console", self._read)
        page.on("pageerror", lambda error: self.found.append(str(error)))
        page.on("response", self._look_at)

    def _read(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.found.append(f"{message.text} {message.location.get('url', '')}".strip())

    def _look_at(self, response: Response) -> None:
        if response.status >= 500:
            self.found.append(f"{response.status} {response.url}")

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.found if not any(part in text for part in self.expected)]


@dataclass
class Visitor:
    """Somebody who looks at the site, in a browser profile of their own."""

    site: Site
    context: BrowserContext
    page: Page
    complaints: Complaints

    def go(self, path: str) -> Page:
        """Open a page of the site."""
        self.page.goto(self.site.base_url + path)
        return self.page

    def sign_in(self, name: str = "admin", password: str | None = None) -> None:
        """Through the form, as a person does."""
        self.go("/sign-in")
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(password or self.site.admin_password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page).not_to_have_url(self.site.base_url + "/sign-in")

    def new_tab(self) -> Page:
        """A second page of the same person, watched like the first."""
        page = self.context.new_page()
        self.complaints.listen(page)
        return page


@contextmanager
def run_visitor(browser: Browser, site: Site, **options: Any) -> Iterator[Visitor]:
    """A new visitor, not signed in. Raises `AssertionError` at the end when a page complained."""
    width, height = SIZE
    chosen: dict[str, Any] = {"viewport": {"width": width, "height": height}, "locale": "en-GB", **options}
    context = browser.new_context(**chosen)
    context.set_default_timeout(SECONDS * 1000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    complaints = Complaints()
    page = context.new_page()
    complaints.listen(page)
    try:
        yield Visitor(site, context, page, complaints)
    finally:
        context.close()
    assert complaints.unexpected == [], complaints.unexpected


def sign_in_once(browser: Browser, site: Site) -> StorageState:
    """What a browser keeps of `admin` who has signed in, for visitors that begin so: a password takes its time."""
    with run_visitor(browser, site) as visitor:
        visitor.sign_in()
        return visitor.context.storage_state()


def accessibility_problems(page: Page, *, colours_only: bool = False) -> list[str]:
    """What axe finds in the page as it is now: one line for each rule that is broken, with the elements.

    The other theme of a page that was looked at has other colours, and nothing else.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if colours_only:
        options["runOnly"] = {"type": "rule", "values": list(RULES_OF_COLOURS)}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {violation['help']}: {[node['target'] for node in violation['nodes']]}"
        for violation in found["violations"]
    ]
