"""The deployments page as people use it: a real browser, the real system, and the calls as they are pasted."""

import json
import re
import subprocess
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from deployments.tests.site_api import Deployed, SiteApi
from orchestration_site.tests.browser import Visitor, accessibility_problems, run_visitor
from orchestration_site.tests.sites import Site

PHONE = {"width": 360, "height": 780}


@pytest.fixture
def deployed(page_api: SiteApi) -> Deployed:
    """A deployment that nobody else looks at."""
    return page_api.deploy()


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
    page = visitor.go("/")
    look_for(page, deployed).get_by_role("button", name=action).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def test_a_design_is_deployed_from_the_plus_and_called_as_pasted(visitor: Visitor, page_api: SiteApi) -> None:
    design = page_api.store()
    taken = page_api.deploy()
    page = visitor.go("/")
    page.get_by_role("button", name="Deploy", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Design", exact=True).select_option(design)
    path = dialog.get_by_label("Endpoint path")
    expect(path).to_be_focused()
    path.fill(taken.path)
    expect(dialog).to_contain_text(f"{taken.path} is taken")
    path.fill("Not A Path")
    expect(dialog).to_contain_text("Use /api/deployed/not-a-path instead")
    wanted = f"{taken.path.removeprefix('/api/deployed/')}-pasted"
    path.fill(f"/{wanted}/")
    expect(dialog).to_contain_text(f"Free: it will be called at {page_api.site.base_url}/api/deployed/{wanted}")
    assert accessibility_problems(page) == []
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    expect(dialog).to_contain_text("is deployed")
    dialog.get_by_role("button", name="Make a key").click()
    expect(dialog.get_by_role("status")).to_contain_text("shown only now")
    dialog.get_by_role("button", name="Copy the call").first.click()
    line = page.evaluate("navigator.clipboard.readText()")
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603, S607 - the line of our own page
    assert json.loads(ran.stdout)["status"] == "completed", ran.stdout
    # The other two languages have the key in them as well, and no place for one left.
    for language, place in (("python", "environ"), ("javascript", "process.env")):
        call = page.locator(f"#line-{language}")
        expect(call).to_contain_text("ok_")
        expect(call).not_to_contain_text(place)
    page.keyboard.press("Escape")
    # The page behind it has the new card, and it has counted the call: nothing was reloaded.
    (new,) = (row for row in page_api.http.get("/api/deployments").json()["results"] if wanted in row["endpoint_path"])
    card = page.locator(f'[data-deployment="{new["id"]}"]')
    expect(card.locator('[data-shows="count"]')).to_have_text("1")
    expect(card.locator('[data-shows="last"]')).to_contain_text("completed")
    expect(card.get_by_role("img")).to_have_accessible_name(
        "1 completed, 0 failed, 0 cancelled or skipped in the last day"
    )


def test_the_python_call_runs_as_pasted(visitor: Visitor, page_api: SiteApi, deployed: Deployed) -> None:
    dialog = open_dialog(visitor, deployed, "Call it")
    dialog.get_by_role("button", name="Make a key").click()
    expect(dialog.get_by_role("status")).to_contain_text("shown only now")
    code = visitor.page.locator("#line-python").text_content() or ""
    ran = subprocess.run(["python3", "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603, S607 - the call of our own page
    assert ran.stdout.strip()
    (made,) = (key for key in page_api.http.get("/api/keys").json()["results"] if key["deployments"] == [deployed.id])
    assert made["scopes"] == ["execute", "read"]


def test_numbers_move_while_they_are_looked_at(visitor: Visitor, deployed: Deployed, page_api: SiteApi) -> None:
    page = visitor.go("/?sort=newest")
    card = find_card(page, deployed)
    expect(card.locator('[data-shows="count"]')).to_have_text("0")
    button = card.get_by_role("button", name="Configure")
    button.focus()
    for _ in range(3):
        assert deployed.call().status_code == 200
    expect(card.locator('[data-shows="count"]')).to_have_text("3")
    expect(card.get_by_role("img")).to_have_accessible_name(
        "3 completed, 0 failed, 0 cancelled or skipped in the last day"
    )
    deployed.change(status="inactive")
    expect(card.locator('[data-shows="status"]')).to_contain_text("Set inactive by key:program.")
    expect(button).to_be_focused()
    page_api.http.delete(f"/api/deployments/{deployed.id}")
    expect(card).to_have_count(0)


def test_a_cron_schedule_is_built_in_a_zone_with_its_next_runs_in_sight(
    browser: Browser, embedded_site: Site, deployed: Deployed, page_api: SiteApi
) -> None:
    with run_visitor(browser, embedded_site, timezone_id="America/New_York") as visitor:
        visitor.sign_in()
        dialog = open_dialog(visitor, deployed, "Configure")
        dialog.get_by_label("Run by itself").check()
        zone, cron, repeats = (dialog.get_by_label(name) for name in ("Time zone", "Cron expression", "Repeats"))
        expect(zone).to_have_value("America/New_York")
        expect(dialog.get_by_text("At 09:00 every day (America/New_York)")).to_be_visible()
        expect(dialog.locator(".runs li")).to_have_count(10)
        # Both ways: the fields write the expression, the expression chooses the fields.
        repeats.select_option("weekly")
        expect(cron).to_have_value("0 9 * * 1,2,3,4,5")
        dialog.get_by_label("Friday").uncheck()
        dialog.get_by_label("At", exact=True).fill("02:30")
        expect(cron).to_have_value("30 2 * * 1,2,3,4")
        zone.fill("Europe/Berlin")
        expect(dialog.get_by_text("At 02:30, Monday to Thursday (Europe/Berlin)")).to_be_visible()
        cron.fill("30 2 * 3 0")  # Sundays in March: one of ten is the day when the clocks go forward
        expect(repeats).to_have_value("custom")
        expect(dialog.locator(".runs")).to_contain_text("clocks go forward: right after the gap")
        cron.fill("0 9 1 * 1")
        match = dialog.get_by_label("Day of month and day of week")
        expect(match).to_have_attribute("aria-invalid", "true")
        match.select_option("and")
        expect(dialog.get_by_text("At 09:00 on the 1st of the month if it is Monday (Europe/Berlin)")).to_be_visible()
        zone.fill("Europe/Berlinn")
        expect(dialog.get_by_text("Did you mean Europe/Berlin?")).to_be_visible()
        zone.fill("Europe/Berlin")
        cron.fill("15 7 * * 1-5")
        expect(repeats).to_have_value("weekly")
        dialog.get_by_role("button", name="Save").click()
        # The input that the design demands is there already: the schema's example.
        expect(find_card(visitor.page, deployed)).to_contain_text("At 07:15, Monday to Friday (Europe/Berlin)")
        expect(find_card(visitor.page, deployed)).to_contain_text("Next run")
    schedule = shown(page_api, deployed)["schedule"]
    assert (schedule["cron_expression"], schedule["day_match"]) == ("15 7 * * 1-5", None)


def test_a_schedule_is_paused_resumed_and_run_by_hand(visitor: Visitor, deployed: Deployed, page_api: SiteApi) -> None:
    deployed.change(schedule={"interval_seconds": 86_400, "input_data": {"text": "By the clock."}})
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Limits").click()
    dialog.get_by_label("Tokens of an execution").fill("1000")
    dialog.get_by_role("tab", name="Status and schedule").click()
    expect(dialog.get_by_label("Repeats")).to_have_value("interval")
    expect(dialog.get_by_label("Unit")).to_have_value("86400")
    dialog.get_by_label("Reason of a pause").fill("The importer is away")
    dialog.get_by_role("button", name="Pause").click()
    expect(dialog).to_contain_text("Paused by user:admin")
    expect(find_card(visitor.page, deployed)).to_contain_text("Paused by user:admin: The importer is away")
    assert shown(page_api, deployed)["schedule"]["paused_reason"] == "The importer is away"
    dialog.get_by_label("What the pause held back").select_option("latest")
    dialog.get_by_role("button", name="Resume").click()
    expect(dialog.get_by_role("button", name="Pause")).to_be_visible()
    assert shown(page_api, deployed)["schedule"]["paused_by"] is None
    dialog.get_by_role("button", name="Run now").click()
    expect(visitor.page.get_by_role("link", name="Watch it")).to_be_visible()
    assert deployed.only_execution()
    # What was typed on another tab meanwhile is still there, and is saved on the same revision.
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    assert shown(page_api, deployed)["limits"]["max_tokens"] == 1000


def test_a_version_is_updated_and_rolled_back(visitor: Visitor, deployed: Deployed, page_api: SiteApi) -> None:
    document = page_api.http.get(f"/api/designs/{deployed.design_id}").json()["document"]
    document["blocks"][0]["data"]["task"] = "Say it the other way round."
    assert page_api.http.put(f"/api/designs/{deployed.design_id}", json=document).status_code == 200
    page = visitor.go("/")
    card = look_for(page, deployed)
    expect(card).to_contain_text("The design was edited after version 1.")
    card.get_by_role("button", name="Update").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("ins")).to_have_text("Say it the other way round.")
    dialog.get_by_role("button", name="Make what is saved live").click()
    expect(dialog).to_contain_text("Version 2 is live")
    assert shown(page_api, deployed)["version"] == 2
    dialog.get_by_label("Compare with").select_option("1")
    expect(dialog.locator("del")).to_have_text("Say it the other way round.")
    assert accessibility_problems(page) == []
    dialog.get_by_role("button", name="Make version 1 live").click()
    expect(dialog).to_contain_text("Version 1 is live")
    assert shown(page_api, deployed)["version"] == 1
    expect(card).to_contain_text("Version 2 is there; 1 is deployed.")


def test_a_deployment_is_deleted_and_its_history_is_still_found(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    execution = deployed.call().json()["execution_id"]
    dialog = open_dialog(visitor, deployed, "Delete")
    expect(dialog).to_contain_text("What stays: the history of 1 execution")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    expect(find_card(visitor.page, deployed)).to_be_visible()
    dialog = open_dialog(visitor, deployed, "Delete")
    dialog.get_by_role("button", name="Delete it").click()
    expect(find_card(visitor.page, deployed)).to_have_count(0)
    link = visitor.page.get_by_role("link", name="See its history")
    assert link.get_attribute("href") == f"/executions?deployment={deployed.id}"
    assert [row["execution_id"] for row in deployed.executions()] == [execution]
    assert deployed.call().status_code == 404


def test_another_persons_change_is_shown_and_nothing_typed_is_lost(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    visitor.complaints.expected.append("412")
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Limits").click()
    calls = dialog.get_by_label("Model calls of an execution")
    calls.fill("9")
    deployed.change(status="inactive", limits={"max_tokens": 500})
    dialog.get_by_role("button", name="Save").click()
    conflict = dialog.get_by_role("alert").filter(has_text="meanwhile")
    expect(conflict).to_contain_text("key:program has changed this deployment")
    expect(conflict).to_contain_text("status: inactive")
    expect(conflict).to_contain_text("limits, max tokens: 500")
    expect(calls).to_have_value("9")
    assert shown(page_api, deployed)["limits"]["max_calls"] is None
    assert accessibility_problems(visitor.page) == []
    dialog.get_by_role("button", name="Save mine on top of it").click()
    expect(dialog).to_be_hidden()
    now = shown(page_api, deployed)
    assert (now["status"], now["limits"]["max_tokens"], now["limits"]["max_calls"]) == ("inactive", 500, 9)


def test_an_ended_session_and_a_lost_network_keep_what_was_typed(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    visitor.complaints.expected += ["401", "ERR_INTERNET_DISCONNECTED"]
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Limits").click()
    calls = dialog.get_by_label("Model calls of an execution")
    calls.fill("4")
    visitor.context.set_offline(True)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("The site was not reached. What you typed is kept")
    visitor.context.set_offline(False)
    visitor.context.clear_cookies(name="sessionid")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("You are no longer signed in")
    expect(calls).to_have_value("4")
    with visitor.context.expect_page() as opened:
        dialog.get_by_role("link", name="Sign in in a new tab").click()
    other = opened.value
    other.get_by_label("User name").fill("admin")
    other.get_by_label("Password").fill(visitor.site.admin_password)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", name="Deployments")).to_be_visible()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    assert shown(page_api, deployed)["limits"]["max_calls"] == 4


def test_a_wrong_value_is_shown_at_its_field_on_whichever_tab(visitor: Visitor, deployed: Deployed) -> None:
    visitor.complaints.expected.append("422")
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Limits").click()
    rate = dialog.get_by_label("Rate: calls")
    rate.fill("10")
    dialog.get_by_role("tab", name="Version").click()
    dialog.get_by_role("button", name="Save").click()
    seconds = dialog.get_by_label("Rate: in so many seconds")
    expect(seconds).to_be_focused()
    expect(seconds).to_have_accessible_description(
        re.compile("3600 an hour.*A rate needs both rate_count and rate_seconds")
    )
    expect(rate).to_have_value("10")


def test_a_key_is_made_shown_once_and_revoked(visitor: Visitor, deployed: Deployed, page_api: SiteApi) -> None:
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Keys").click()
    dialog.get_by_label("Name").fill("Only here")
    dialog.get_by_role("checkbox", name="read").uncheck()
    dialog.get_by_role("button", name="Make a key").click()
    key = dialog.locator("[data-made] code").text_content() or ""
    assert page_api.other(key).http.post(deployed.path, json={"text": "Hello."}).status_code == 200
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Keys").click()
    expect(dialog).not_to_contain_text(key)
    dialog.get_by_role("button", name="Revoke Only here").click()
    dialog.get_by_role("button", name="Revoke Only here").click()
    expect(dialog.get_by_role("row").filter(has_text="Only here")).to_have_count(0)
    assert page_api.other(key).http.post(deployed.path, json={"text": "Hello."}).status_code == 401


def test_the_address_keeps_the_search_and_the_browser_goes_back_through_it(
    visitor: Visitor, deployed: Deployed
) -> None:
    page = visitor.go("/")
    look_for(page, deployed)
    expect(page).to_have_url(f"{visitor.site.base_url}/?search={deployed.path.removeprefix('/api/deployed/')}")
    page.reload()
    expect(page.locator("[data-deployment]")).to_have_count(1)
    page.get_by_role("button", name="Table").click()
    expect(page.locator("tr[data-deployment]")).to_have_count(1)
    page.reload()
    expect(page.locator("tr[data-deployment]")).to_have_count(1)
    page.go_back()
    expect(page.locator("tr[data-deployment]").nth(1)).to_be_visible()
    page.get_by_role("button", name="Cards").click()
    expect(page.locator("article").first).to_be_visible()


def test_everything_is_done_with_the_keyboard_alone(visitor: Visitor, deployed: Deployed, page_api: SiteApi) -> None:
    page = visitor.go(f"/?search={deployed.path.removeprefix('/api/deployed/')}")
    configure = find_card(page, deployed).get_by_role("button", name="Configure")
    press_until(page, "Tab", configure)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    press_until(page, "Tab", dialog.get_by_role("tab", name="Status and schedule"))
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("tab", name="Limits")).to_be_focused()
    press_until(page, "Tab", dialog.get_by_label("Executions at once"))
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(configure).to_be_focused()
    assert shown(page_api, deployed)["limits"]["max_concurrent"] == 3


def press_until(page: Page, key: str, wanted: Locator) -> None:
    expect(wanted).to_be_visible()
    for _ in range(60):
        page.keyboard.press(key)
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"{key} does not lead to {wanted}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_both_layouts_and_in_each_dialog(visitor: Visitor, deployed: Deployed, theme: str) -> None:
    deployed.change(status="inactive", schedule={"cron_expression": "0 9 * * *", "input_data": {"text": "Hello."}})
    deployed.call()
    visitor.context.add_cookies([{"name": "theme", "value": theme, "url": visitor.site.base_url}])
    page = visitor.go("/")
    card = look_for(page, deployed)
    assert accessibility_problems(page) == []
    for action in ("Configure", "Call it", "Delete"):
        card.get_by_role("button", name=action).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        for tab in dialog.get_by_role("tab").all():
            tab.click()
            assert accessibility_problems(page) == [], (action, tab.text_content())
        assert accessibility_problems(page) == [], action
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Table").click()
    expect(page.locator("tr[data-deployment]")).to_be_visible()
    assert accessibility_problems(page) == []


def test_nothing_is_cut_off_on_a_phone(browser: Browser, embedded_site: Site, deployed: Deployed) -> None:
    with run_visitor(browser, embedded_site, viewport=PHONE) as visitor:
        visitor.sign_in()
        page = visitor.page
        look_for(page, deployed)
        assert overflow(page, "html") == 0
        for action in ("Configure", "Call it", "Delete"):
            find_card(page, deployed).get_by_role("button", name=action).click()
            expect(page.get_by_role("dialog")).to_be_visible()
            assert overflow(page, "dialog[open]") == 0, action
            page.keyboard.press("Escape")


def overflow(page: Page, selector: str) -> int:
    """Pixels that stand out to the right."""
    return int(page.locator(selector).evaluate("(element) => element.scrollWidth - element.clientWidth"))
