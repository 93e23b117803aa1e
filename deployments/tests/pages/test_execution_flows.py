"""What a person does with executions, in a real browser against the real system: start, watch, cancel, run again."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from deployments.tests.pages.executions import ENDED, SLOW, block, deploy_chain, state_of
from deployments.tests.site_api import EVERYTHING, SiteApi
from orchestration_site.proving.mock_provider import ChatRequest, Reply
from orchestration_site.tests.browser import Visitor, accessibility_problems, run_visitor
from orchestration_site.tests.sites import Site

HOSTILE = "<script>window.wasRun = 1</script><img src=x onerror='window.wasRun = 2'>"


@pytest.fixture(scope="module")
def api(embedded_site: Site) -> SiteApi:
    return SiteApi(embedded_site, embedded_site.make_key(scopes=EVERYTHING))


def is_accessible(page: Page) -> None:
    """In light and dark, and without a bar to scroll the whole page aside when it is 360 px wide."""
    for theme in ("dark", "light"):
        page.get_by_label("Theme").select_option(theme)
        assert accessibility_problems(page) == []
    size = page.viewport_size
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert accessibility_problems(page) == []
    assert size is not None
    page.set_viewport_size(size)


def test_a_first_visit_leads_to_a_finished_execution_by_keyboard_alone(
    chromium: Browser, embedded_site: Site, api: SiteApi
) -> None:
    rows = api.http.get("/api/deployments", params={"search": "support-triage"}).json()["results"]
    with run_visitor(chromium, embedded_site) as visitor:
        visitor.sign_in()
        page = visitor.go(f"/deployments/{rows[0]['id']}/execute")
        expect(page.get_by_label("Customer")).to_have_value("Dana Whitfield")
        is_accessible(page)
        page.get_by_label("Message").press("Tab")
        page.keyboard.press("Enter")
        state_of(page, "completed")
        expect(page.get_by_role("heading", name="Result")).to_be_visible()
        expect(page.get_by_label("Decisions")).to_contain_text("The router chose Billing")
        assert (block(page, "Triage"), block(page, "Diagnose")) == ("completed", "skipped")
        is_accessible(page)
        page.reload()
        expect(page.get_by_role("heading", name="Result")).to_be_visible()
        page.get_by_role("link", name="Open the execution").press("Enter")
        expect(page.get_by_role("heading", name="Trace")).to_be_visible()
        page.locator("summary", has_text="Dispatcher").press("Enter")
        expect(page.get_by_text("You sort support messages.")).to_be_visible()
        is_accessible(page)


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


def test_a_failed_execution_is_found_and_run_again_from_the_failure(
    visitor: Visitor, api: SiteApi, scripted: Site
) -> None:
    deployed = deploy_chain(api, "openai:mock+found", "openai:breaks+found")
    scripted.provider.script = lambda request: Reply(status=400) if request.model == "breaks+found" else None
    assert deployed.call({"text": "Find me"}).status_code == 502
    scripted.provider.script = None
    assert deploy_chain(api, "offline:demo").call({"text": "Not me"}).status_code == 200
    page = visitor.go("/executions")
    page.get_by_label("Status").select_option("failed")
    page.get_by_label("Deployment").select_option(deployed.id)
    expect(page).to_have_url(re.compile("status=failed"))
    slider = page.get_by_role("slider", name="Begin of the range")
    slider.press("End")
    is_accessible(page)
    slider.press("Enter")
    expect(page).to_have_url(re.compile("from=.*&to="))
    expect(page.get_by_label("From", exact=True)).not_to_have_value("")
    row = page.get_by_role("region", name="Executions").get_by_role("row").filter(has_text="failed")
    expect(row).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Status")).to_have_value("failed")
    row.get_by_role("link").press("Enter")
    expect(page.get_by_text("provider_error").first).to_be_visible()
    page.get_by_role("button", name="Run again…").click()
    expect(page.get_by_label("From where")).to_have_value("failed")
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Run again", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="What this re-run has otherwise")).to_be_visible(timeout=ENDED)
    expect(page.locator("#execution-head .state")).to_have_text("completed", timeout=ENDED)
    expect(page.get_by_text("A (1 call)")).to_be_visible()
    is_accessible(page)


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
    deployed = deploy_chain(api, SLOW, SLOW)
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
