"""Executions in a browser, for tests: what is executed, and what the page says of it."""

import re
import time
from collections.abc import Callable

from playwright.sync_api import Page, expect

from deployments.tests.builders import chain_document
from deployments.tests.site_api import Deployed, SiteApi
from executor.json_types import JsonObject
from orchestration_site.tests.browser import accessibility_problems

SCHEMA: JsonObject = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "title": "Text", "minLength": 3},
        "tone": {"type": "string", "enum": ["warm", "cool"], "title": "Tone"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}, "title": "Tags"},
    },
}
#: Eight pieces and a little, 300 ms apart: time to look at a text while it is written.
SLOW = "openai:latency-100+pieces-300"
ENDED = 30_000
PATIENCE = 30.0


def deploy_chain(api: SiteApi, *models: str) -> Deployed:
    tasks = dict.fromkeys("abcd"[: len(models)], "Say {{input.text}}.")
    return api.deploy_document(chain_document(*models, tasks=tasks, input_schema=SCHEMA))


def state_of(page: Page, word: str) -> None:
    expect(page.get_by_role("status").filter(has_text=re.compile(f"^{word}$"))).to_be_visible(timeout=ENDED)


def block(page: Page, label: str) -> str:
    """The word that stands for the state of a block in the graph."""
    return page.locator(".graph-block", has=page.get_by_text(label, exact=True)).locator(".state").inner_text()


def wait_until(look: Callable[[], bool]) -> None:
    """Until that is so of something that no page shows."""
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_accessible(page: Page) -> None:
    """In light and dark, and without a bar to scroll the whole page aside when it is 360 px wide."""
    for theme in ("dark", "light"):
        page.get_by_label("Theme").select_option(theme)
        assert accessibility_problems(page, colours_only=theme == "light") == []
    size = page.viewport_size
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert accessibility_problems(page) == []
    assert size is not None
    page.set_viewport_size(size)
