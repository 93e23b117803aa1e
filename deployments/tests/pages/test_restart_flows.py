"""The site is restarted while somebody watches: the page says so, connects again, and misses nothing."""

import signal

from playwright.sync_api import expect

from deployments.tests.pages.executions import deploy_chain, state_of, wait_until
from deployments.tests.site_api import SiteApi
from orchestration_site.proving.mock_provider import ChatRequest, Reply
from orchestration_site.proving.processes import wait_until_ready
from orchestration_site.tests.browser import Visitor
from orchestration_site.tests.sites import Site

MODELS = ["first+restart", "held+restart", "last+restart"]


def test_a_restart_in_the_middle_of_a_run_is_said_and_nothing_is_missed(
    visitor: Visitor, page_api: SiteApi, scripted: Site
) -> None:
    site, page = scripted, visitor.page
    calls, process = site.provider.counters.by_model, site.processes["serve"]
    visitor.complaints.expected += ["ERR_CONNECTION_REFUSED", "WebSocket connection"]

    def answer(request: ChatRequest) -> Reply:
        is_held = request.model == MODELS[1] and request.earlier == 0
        return Reply(fault="stall") if is_held else Reply(text=f"Said by {request.model}.")

    site.provider.script = answer
    deployed = deploy_chain(page_api, *(f"openai:{model}" for model in MODELS))
    visitor.go(f"/deployments/{deployed.id}/execute")
    page.get_by_label("Text").fill("Hello there")
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".graph-block[data-state=completed]")).to_have_count(1)
    wait_until(lambda: calls[MODELS[1]] == 1)

    process.running.send_signal(signal.SIGTERM)
    try:
        process.stop()  # a second signal means now
        expect(page.get_by_text("this page connects again by itself")).to_be_visible()
    finally:
        process.restart()
        wait_until_ready(site.base_url, process)
    state_of(page, "completed")
    expect(page.get_by_text("this page connects again by itself")).to_be_hidden()
    expect(page.locator(".graph-block[data-state=completed]")).to_have_count(3)
    expect(page.locator("json-view")).to_contain_text(f"Said by {MODELS[2]}.")
    assert [calls[model] for model in MODELS] == [1, 2, 1]
