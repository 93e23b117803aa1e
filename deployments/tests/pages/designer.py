"""The designer in a browser, for tests: the parts of its page, and what is stored of a design."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from deployments.tests.site_api import EVERYTHING, SiteApi
from orchestration_site.tests.browser import Visitor


def api_of(visitor: Visitor) -> SiteApi:
    return SiteApi(visitor.site, visitor.site.make_key(scopes=EVERYTHING))


def node(page: Page, label: str) -> Locator:
    return page.locator(".react-flow__node").filter(has=page.locator(".block-head strong", has_text=label))


def editor(page: Page, label: str) -> Locator:
    return page.get_by_role("textbox", name=re.compile(f"^{label}"))


def expect_saved(page: Page) -> None:
    expect(page.locator(".save-mark")).to_have_text("Saved")


def document_of(api: SiteApi, design_id: str) -> dict[str, Any]:
    document: dict[str, Any] = api.http.get(f"/api/designs/{design_id}").json()["document"]
    return document
