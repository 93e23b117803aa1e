"""Everything that is done with deployments and executions, by keyboard alone. (Drawing: `test_designer_keys.py`.)"""

import re

from playwright.sync_api import Browser, Locator, Page, expect

from deployments.tests.builders import chain_document
from deployments.tests.pages.board import find_card, question, shown
from deployments.tests.pages.executions import ENDED, SCHEMA, SLOW, block, deploy_chain, is_accessible, state_of
from deployments.tests.pages.keyboard import Keyboard
from deployments.tests.site_api import Deployed, SiteApi
from orchestration_site.proving.mock_provider import Reply
from orchestration_site.tests.browser import Visitor, accessibility_problems, run_visitor
from orchestration_site.tests.sites import Site


def open_card(visitor: Visitor, deployed: Deployed) -> tuple[Keyboard, Locator]:
    """The page of which it is the only card."""
    keys = Keyboard(visitor)
    page = visitor.go(f"/?search={deployed.path.removeprefix('/api/deployed/')}")
    return keys, find_card(page, deployed)


def turn_to(page: Page, tab: str) -> None:
    """The tab of that name, from the one that has the cursor."""
    wanted = page.get_by_role("tab", name=tab)
    while wanted.get_attribute("aria-selected") != "true":
        page.keyboard.press("ArrowRight")
    expect(wanted).to_be_focused()


def test_a_first_visit_leads_to_a_finished_execution(chromium: Browser, embedded_site: Site) -> None:
    with run_visitor(chromium, embedded_site) as visitor:
        keys, page = Keyboard(visitor), visitor.go("/")
        keys.write(page.get_by_label("User name"), "admin")
        keys.write(page.get_by_label("Password"), embedded_site.admin_password)
        page.keyboard.press("Enter")
        keys.write(page.get_by_role("searchbox"), "support-triage")
        expect(page.locator("[data-deployment]")).to_have_count(1)
        keys.press(page.locator("[data-deployment]").get_by_role("button", name="Execute"))
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Customer")).to_have_value("Dana Whitfield")
        keys.press(dialog.get_by_role("button", name="Execute", exact=True))
        state_of(page, "completed")
        expect(page.get_by_role("heading", name="Result")).to_be_visible()
        expect(page.get_by_label("Decisions")).to_contain_text("The router chose Billing")
        assert (block(page, "Triage"), block(page, "Diagnose")) == ("completed", "skipped")
        page.reload()
        expect(page.get_by_role("heading", name="Result")).to_be_visible()
        is_accessible(page)
        keys.press(page.get_by_role("link", name="Open the execution"))
        expect(page.get_by_role("heading", name="Trace")).to_be_visible()
        keys.press(page.locator("summary", has_text="Dispatcher"))
        expect(page.get_by_text("You sort support messages.")).to_be_visible()
        is_accessible(page)


def test_a_schedule_is_built_and_saved_with_a_limit(visitor: Visitor, deployed: Deployed, page_api: SiteApi) -> None:
    keys, card = open_card(visitor, deployed)
    page, dialog = visitor.page, visitor.page.get_by_role("dialog")
    configure = card.get_by_role("button", name="Configure")
    keys.press(configure)
    keys.press(dialog.get_by_label("Run by itself"), "Space")
    keys.write(dialog.get_by_label("Repeats"), "On days")
    keys.write(dialog.get_by_label("Time zone"), "Europe/Berlin")
    keys.press(dialog.get_by_label("Friday"), "Space")
    expect(dialog.get_by_text("At 09:00, Monday to Thursday (Europe/Berlin)")).to_be_visible()
    expect(dialog.locator(".runs li")).to_have_count(10)
    keys.write(dialog.get_by_label("Cron expression"), "15 7 * * 1-5")
    expect(dialog.get_by_text("At 07:15, Monday to Friday (Europe/Berlin)")).to_be_visible()
    keys.reach(dialog.get_by_role("tab", name="Status and schedule"))
    turn_to(page, "Limits")
    keys.write(dialog.get_by_label("Executions at once"), "3")
    with page.expect_response(lambda response: "/?search=" in response.url):
        page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    # The list was drawn anew, and the cursor is where it was.
    expect(card).to_contain_text("At 07:15, Monday to Friday (Europe/Berlin)")
    expect(configure).to_be_focused()
    now = shown(page_api, deployed)
    assert (now["limits"]["max_concurrent"], now["schedule"]["timezone"]) == (3, "Europe/Berlin")


def test_an_execution_is_written_as_json_watched_reloaded_and_cancelled(visitor: Visitor, page_api: SiteApi) -> None:
    keys, card = open_card(visitor, deploy_chain(page_api, SLOW, f"{SLOW}+stall"))
    page, dialog = visitor.page, visitor.page.get_by_role("dialog")
    execute = card.get_by_role("button", name="Execute")
    keys.press(execute)
    keys.write(dialog.get_by_label("Text"), "By form")
    keys.write(dialog.get_by_label("Tone"), "cool")
    keys.reach(dialog.get_by_role("tab", name="Form"))
    turn_to(page, "JSON")
    editor = dialog.get_by_label("Input as JSON")
    expect(editor).to_contain_text('"tone": "cool"')
    keys.reach(editor)
    page.keyboard.press("Control+a")
    page.keyboard.insert_text('{"text": "By JSON"}')
    keys.press(dialog.get_by_role("button", name="Execute", exact=True))
    expect(page.get_by_role("region", name="Text of Worker")).to_contain_text("By JSON")
    page.reload()
    expect(page.locator(".graph-block[data-state=running]")).to_have_count(1, timeout=ENDED)
    keys.press(page.get_by_role("button", name="Cancel"))
    state_of(page, "cancelled")
    expect(page.get_by_role("alert")).to_contain_text("Cancelled by user:admin")


def test_a_failed_execution_is_found_and_run_again_from_the_failure(
    visitor: Visitor, page_api: SiteApi, scripted: Site
) -> None:
    tasks = dict.fromkeys("ab", "Say {{input.text}}.")
    document = chain_document("openai:mock+keys", "openai:breaks+keys", tasks=tasks, input_schema=SCHEMA)
    deployed = page_api.deploy_document(document | {"name": "Breaks by keys"})
    scripted.provider.script = lambda request: Reply(status=400) if request.model == "breaks+keys" else None
    assert deployed.call({"text": "Find me"}).status_code == 502
    scripted.provider.script = None
    assert deploy_chain(page_api, "offline:demo").call({"text": "Not me"}).status_code == 200
    keys, page = Keyboard(visitor), visitor.go("/executions")
    keys.write(page.get_by_label("Deployment"), "Breaks by keys")
    keys.write(page.get_by_label("Status"), "Failed")
    expect(page).to_have_url(re.compile(f"deployment={deployed.id}&status=failed"))
    begin = page.get_by_role("slider", name="Begin of the range")
    keys.press(begin, "End")
    is_accessible(page)
    keys.press(begin)
    expect(page).to_have_url(re.compile("from=.*&to="))
    expect(page.get_by_label("From", exact=True)).not_to_have_value("")
    row = page.get_by_role("region", name="Executions").get_by_role("row").filter(has_text="failed")
    expect(row).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Status")).to_have_value("failed")
    keys.press(row.get_by_role("link"))
    expect(page.get_by_text("provider_error").first).to_be_visible()
    keys.press(page.get_by_role("button", name="Run again…"))
    expect(page.get_by_label("From where")).to_have_value("failed")
    assert accessibility_problems(page) == []
    keys.reach(page.get_by_role("dialog").get_by_label("Text"))
    for key in ("End", "x", "Escape"):
        page.keyboard.press(key)
    expect(question(page)).to_be_visible()
    for key in ("Enter", "Backspace"):  # keep it, and have it as it was
        page.keyboard.press(key)
    keys.press(page.get_by_role("button", name="Run again", exact=True))
    expect(page.get_by_role("heading", name="What this re-run has otherwise")).to_be_visible(timeout=ENDED)
    expect(page.locator("#execution-head .state")).to_have_text("completed", timeout=ENDED)
    expect(page.get_by_text("A (1 call)")).to_be_visible()
    is_accessible(page)


def test_a_version_is_rolled_back_and_a_deployment_deleted_whose_history_stays(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    execution = deployed.call().json()["execution_id"]
    document = page_api.http.get(f"/api/designs/{deployed.design_id}").json()["document"]
    document["blocks"][0]["data"]["task"] = "Say it the other way round."
    assert page_api.http.put(f"/api/designs/{deployed.design_id}", json=document).status_code == 200
    deployed.change(version="latest")
    keys, card = open_card(visitor, deployed)
    page, dialog = visitor.page, visitor.page.get_by_role("dialog")
    keys.press(card.get_by_role("button", name="Configure"))
    keys.reach(dialog.get_by_role("tab", name="Status and schedule"))
    turn_to(page, "Version")
    keys.write(dialog.get_by_label("Compare with"), "Version 1")
    expect(dialog.locator("del")).to_have_text("Say it the other way round.")
    keys.press(dialog.get_by_role("button", name="Make version 1 live"))
    expect(dialog).to_contain_text("Version 1 is live")
    assert shown(page_api, deployed)["version"] == 1
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    keys.press(card.get_by_role("button", name="Delete"))
    keys.press(dialog.get_by_role("button", name="Delete it"))
    expect(card).to_have_count(0)
    keys.press(page.get_by_role("link", name="See its history"))
    keys.press(page.get_by_role("region", name="Executions").get_by_role("row").get_by_role("link"))
    expect(page).to_have_url(f"{visitor.site.base_url}/executions/{execution}")
