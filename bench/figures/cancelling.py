"""Cancel in the execute dialog: from the click until the page says so, and until the model's call is let go."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect

from bench.measurement import Measurement, percentile
from bench.stacks import Ours
from orchestration_site.proving.mock_provider import Counters
from orchestration_site.tests.browser import run_browser, run_visitor
from orchestration_site.tests.sites import Site, run_distributed_site

CANCELS = 20
BOUND_MS = 1_000
POLL_SECONDS = 0.002
#: Notes when Cancel was clicked, and when the page first showed the state that comes of it.
OBSERVE = """() => {
    window.noted = {};
    document.addEventListener("click", ({ target }) => {
        if (target.closest(".watch-bar .danger")) window.noted.asked = Date.now() / 1000;
    }, true);
    new MutationObserver(() => {
        const state = document.querySelector(".watch-bar .state")?.textContent;
        if (state === "cancelled") window.noted.shown ??= Date.now() / 1000;
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
#: And how long the API itself took to accept it, in ms.
READ = """() => {
    const [sent] = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/cancel")).slice(-1);
    const { asked, shown } = window.noted;
    window.noted = {};
    return [asked, shown, sent.duration];
}"""


def measure_cancelling(postgres_url: str, redis_url: str) -> list[Measurement]:
    """p95 of the page; beside it how long the request took alone, and how long the provider was still held."""
    with run_distributed_site(postgres_url, redis_url) as site:
        Ours.of(site).deploy("cancel", "openai:stall")
        rounds = _cancel_many(site)
    shown = [(at - asked) * 1000 for asked, at, _, _ in rounds]
    details = {
        "page_p50": percentile(shown, 50),
        "page_max": max(shown),
        "request_p50": percentile([request for _, _, request, _ in rounds], 50),
        "call_let_go_p95": percentile([(at - asked) * 1000 for asked, _, _, at in rounds], 95),
    }
    title = "cancel in the execute dialog until the page shows it: p95"
    return [Measurement(title, percentile(shown, 95), "ms", BOUND_MS, details=details)]


def _cancel_many(site: Site) -> list[tuple[float, float, float, float]]:
    """Of each: when it was asked for and shown, how long the request took (ms), when the provider was let go."""
    with run_browser() as browser, run_visitor(browser, site) as visitor, _letting_go(site.provider.counters) as let_go:
        visitor.sign_in()
        page = visitor.go("/?search=cancel")
        page.get_by_role("button", name="Execute cancel").click()
        page.evaluate(OBSERVE)
        return [(*_cancel(page, site, number), _await(let_go, number)) for number in range(CANCELS)]


def _cancel(page: Page, site: Site, number: int) -> tuple[float, float, float]:
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Execute", exact=True).click()
    while site.provider.counters.requests <= number:
        page.wait_for_timeout(5)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog.locator(".watch-bar .state")).to_have_text("cancelled")
    asked, shown, request = page.evaluate(READ)
    dialog.get_by_role("button", name="Execute again").click()
    return asked, shown, request


@contextmanager
def _letting_go(counters: Counters) -> Iterator[list[float]]:
    """When each of the calls was let go, noted as it happens."""
    seen: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(POLL_SECONDS):
            seen.extend(time.time() for _ in range(counters.disconnects - len(seen)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _await(seen: list[float], number: int) -> float:
    while len(seen) <= number:
        time.sleep(POLL_SECONDS)
    return seen[number]
