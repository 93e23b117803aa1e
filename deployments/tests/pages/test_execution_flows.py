"""What a person does with executions, in a real browser against the real system: start, watch, cancel, run again."""

import re

import pytest
from playwright.sync_api import Page, expect

from deployments.tests.pages.executions import ENDED, SLOW, block, deploy_chain, is_accessible, state_of
from deployments.tests.site_api import EVERYTHING, SiteApi
from orchestration_site.proving.mock_provider import ChatRequest, Reply
from orchestration_site.tests.browser import Visitor
from orchestration_site.tests.sites import Site

HOSTILE = "<script>window.wasRun = 1</script><img src=x onerror='window.wasRun = 2'>"


@pytest.fixture(scope="module")
def api(embedded_site: Site) -> SiteApi:
    return SiteApi(embedded_site, embedded_site.make_key(scopes=EVERYTHING))


def test_form_and_json_are_one_value_and_nothing_of_it_is_lost(visitor: Visitor, api: SiteApi) -> None:
    deployed = deploy_chain(api, "offline:demo")
    visitor.complaints.expected.append("status of 422")
    page = visitor.go(f"/deployments/{deployed.id}/execute")
    page.get_by_label("Text").fill("By hand")
    page.get_by_label("Tone").select_option("cool")
    tags = page.get_by_role("group", name="Tags")
    tags.get_by_role("button", name="Add to Tags").click()
    tags.get_by_role("textbox", name="Item 1").fill("urgent")
    page.get_by_role("tab", name="JSON").click()
    editor = page.get_by_label("Input as JSON")
    expect(editor).to_contain_text('"tone": "cool"')
    is_accessible(page)
    write(page, '{"text": "By', ends=False)
    page.get_by_role("tab", name="Form").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not JSON yet")
    write(page, '{"text": "By JSON", "tags": ["one", "two"], "more": {"kept": true}}')
    page.get_by_role("tab", name="Form").click()
    expect(page.get_by_label("Text")).to_have_value("By JSON")
    expect(tags.get_by_role("textbox", name="Item 2")).to_have_value("two")
    tags.get_by_role("button", name="Remove Item 1 of Tags").click()
    expect(tags.get_by_role("textbox", name="Item 1")).to_have_value("two")
    expect(tags.get_by_role("button", name="Remove")).to_have_accessible_name("Remove Item 1 of Tags")
    page.get_by_label("Text").fill("no")
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_label("Text")).to_have_attribute("aria-invalid", "true")
    is_accessible(page)
    page.reload()
    page.get_by_label("Text").fill("By both")
    page.get_by_role("button", name="Execute").click()
    state_of(page, "completed")
    execution = api.http.get(f"/api/executions/{page.url.partition('execution=')[2]}").json()
    assert execution["input_data"] == {"text": "By both", "tags": ["two"], "more": {"kept": True}}


def write(page: Page, text: str, *, ends: bool = True) -> None:
    """Put a text into the JSON editor, in place of what it holds."""
    page.get_by_label("Input as JSON").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    if ends:
        expect(page.get_by_role("alert")).to_be_hidden()


def test_an_execution_is_watched_reloaded_and_cancelled(visitor: Visitor, api: SiteApi) -> None:
    deployed = deploy_chain(api, SLOW, f"{SLOW}+stall")
    page = visitor.go(f"/deployments/{deployed.id}/execute")
    page.get_by_label("Text").fill("Hello there")
    page.get_by_role("button", name="Execute").click()
    text = page.get_by_role("region", name="Text of Worker")
    expect(text).to_contain_text("Mock answer to:")
    assert block(page, "A") == "running"
    is_accessible(page)
    page.reload()
    expect(page.locator(".graph-block[data-state=completed]")).to_have_count(1, timeout=ENDED)
    expect(page.locator(".graph-block[data-state=running]")).to_have_count(1)
    page.goto(page.url.partition("?")[0])  # opened anew, without the execution in the address
    expect(page.get_by_text(re.compile(r"\d+ tokens"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    state_of(page, "cancelled")
    expect(page.get_by_role("alert")).to_contain_text("Cancelled by user:admin")
    page.get_by_role("button", name="Execute again").click()
    expect(page.get_by_label("Text")).to_have_value("Hello there")


def test_a_lost_network_is_said_and_nothing_is_missed(visitor: Visitor, api: SiteApi) -> None:
    deployed = deploy_chain(api, SLOW, SLOW)
    page = visitor.go(f"/deployments/{deployed.id}/execute")
    page.get_by_label("Text").fill("Hello there")
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_role("region", name="Text of Worker")).to_contain_text("Mock")
    visitor.context.set_offline(True)
    expect(page.get_by_text("The network is lost.")).to_be_visible()
    api.wait_for_end(page.url.partition("execution=")[2])
    assert block(page, "B") != "completed"
    visitor.context.set_offline(False)
    state_of(page, "completed")
    expect(page.get_by_text("The network is lost.")).to_be_hidden()
    expect(page.locator(".graph-block[data-state=completed]")).to_have_count(2)


def test_what_is_typed_survives_a_network_that_is_lost(visitor: Visitor, api: SiteApi) -> None:
    deployed = deploy_chain(api, "offline:demo")
    visitor.complaints.expected.append("ERR_INTERNET_DISCONNECTED")
    page = visitor.go(f"/deployments/{deployed.id}/execute")
    page.get_by_label("Text").fill("Typed before")
    visitor.context.set_offline(True)
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_role("alert").filter(has_text="The site was not reached")).to_be_visible()
    visitor.context.set_offline(False)
    expect(page.get_by_label("Text")).to_have_value("Typed before")
    page.get_by_role("button", name="Execute").click()
    state_of(page, "completed")


def test_a_models_markup_is_never_more_than_text(visitor: Visitor, api: SiteApi, scripted: Site) -> None:
    def answer(request: ChatRequest) -> Reply | None:
        return Reply(text=HOSTILE, piece_delay=0.1) if "hostile" in request.model else None

    scripted.provider.script = answer
    deployed = deploy_chain(api, "openai:hostile")
    page = visitor.go(f"/deployments/{deployed.id}/execute")
    page.get_by_label("Text").fill(HOSTILE)
    page.get_by_role("button", name="Execute").click()
    state_of(page, "completed")
    expect(page.locator("json-view")).to_contain_text(HOSTILE)
    page.get_by_role("link", name="Open the execution").click()
    page.locator("details.call").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    expect(page.locator("json-view").first).to_contain_text(HOSTILE)
    expect(page.locator(".call-body")).to_contain_text(HOSTILE)
    assert page.evaluate("window.wasRun") is None
    assert page.locator("main img").count() == 0


def test_a_running_executions_page_moves_on_by_itself(visitor: Visitor, api: SiteApi) -> None:
    deployed = deploy_chain(api, "openai:latency-5000", "openai:latency-100")  # time for both pages to open
    started = deployed.call({"text": "Watch me"}, Prefer="respond-async").json()["execution_id"]
    history = visitor.new_tab()
    history.goto(f"{visitor.site.base_url}/executions?deployment={deployed.id}")
    expect(history.get_by_role("heading", name="Now")).to_be_visible()
    page = visitor.go(f"/executions/{started}")
    expect(page.get_by_role("heading", name="Time line")).to_be_visible(timeout=ENDED)
    expect(page.locator("#execution-head .state")).to_have_text("completed", timeout=ENDED)
    expect(page.locator("details.call")).to_have_count(2)
    expect(page.get_by_role("button", name="Run again…")).to_be_visible()
    expect(history.get_by_role("region", name="Executions").get_by_text("completed")).to_be_visible(timeout=ENDED)
    expect(history.get_by_role("heading", name="Now")).to_be_hidden()


def test_an_execution_is_cancelled_on_its_page(visitor: Visitor, api: SiteApi) -> None:
    deployed = deploy_chain(api, "openai:stall+page")
    started = deployed.call({"text": "Stop me"}, Prefer="respond-async").json()["execution_id"]
    # The block's beginning has been shown by then: what comes after the click comes from the end alone.
    with visitor.page.expect_response(lambda response: response.request.resource_type == "xhr"):
        page = visitor.go(f"/executions/{started}")
    expect(page.locator(".graph-block[data-state=running]")).to_have_count(1)
    page.get_by_role("button", name="Cancel").press("Enter")
    expect(page.locator("#execution-head .state")).to_have_text("cancelled", timeout=ENDED)
    expect(page.locator(".execution-cause")).to_contain_text("Cancelled by user:admin")
