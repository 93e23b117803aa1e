"""The deployments page in a browser, for tests: its cards and its dialogs."""

import subprocess
from typing import Any

from playwright.sync_api import Locator, Page, expect

from deployments.tests.site_api import Deployed, SiteApi
from orchestration_site.tests.browser import Visitor


def shown(page_api: SiteApi, deployed: Deployed) -> dict[str, Any]:
    """What the API says of it now."""
    answer: dict[str, Any] = page_api.http.get(f"/api/deployments/{deployed.id}").json()
    return answer


def find_card(page: Page, deployed: Deployed) -> Locator:
    return page.locator(f'[data-deployment="{deployed.id}"]')


def look_for(page: Page, deployed: Deployed) -> Locator:
    """Its card, found by the search."""
    page.get_by_role("searchbox").fill(deployed.path.removeprefix("/api/deployed/"))
    expect(page.locator("[data-deployment]")).to_have_count(1)
    return find_card(page, deployed)


def open_dialog(visitor: Visitor, deployed: Deployed, action: str) -> Locator:
    """Of the page of which its card is the only one."""
    page = visitor.go(f"/?search={deployed.path.removeprefix('/api/deployed/')}")
    find_card(page, deployed).get_by_role("button", name=action).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def question(page: Page) -> Locator:
    """What a dialog asks before it drops what was typed."""
    return page.get_by_role("alertdialog", name="Close without saving?")


def run_pasted(*words: str) -> str:
    """What our own page's call writes. Raises `CalledProcessError`."""
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout  # noqa: S603
