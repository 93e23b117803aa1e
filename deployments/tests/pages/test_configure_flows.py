"""Configuring a deployment in a browser: schedule, limits, version, keys; and what keeps a save from being made."""

import re

from playwright.sync_api import Browser, StorageState, expect

from deployments.tests.pages.board import find_card, look_for, open_dialog, question, shown
from deployments.tests.site_api import Deployed, SiteApi
from orchestration_site.tests.browser import Visitor, accessibility_problems, run_visitor
from orchestration_site.tests.sites import Site


def test_a_cron_schedule_is_built_in_a_zone_with_its_next_runs_in_sight(
    chromium: Browser, embedded_site: Site, signed_in: StorageState, deployed: Deployed, page_api: SiteApi
) -> None:
    profile = {"timezone_id": "America/New_York", "storage_state": signed_in}
    with run_visitor(chromium, embedded_site, **profile) as visitor:
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
    expect(dialog.get_by_label("Repeats")).to_have_value("interval")
    expect(dialog.get_by_label("Unit")).to_have_value("86400")
    dialog.get_by_label("Reason of a pause").fill("The importer is away")
    visitor.page.keyboard.press("Escape")
    question(visitor.page).get_by_role("button", name="Keep editing").click()
    dialog.get_by_role("tab", name="Limits").click()
    dialog.get_by_label("Tokens of an execution").fill("1000")
    dialog.get_by_role("tab", name="Status and schedule").click()
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


def test_a_deployment_is_set_inactive_and_active(visitor: Visitor, deployed: Deployed, page_api: SiteApi) -> None:
    deployed.change(schedule={"cron_expression": "0 9 * * *", "input_data": {"text": "Good morning."}})
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_label("Inactive").check()
    dialog.get_by_label("Run by itself").uncheck()
    dialog.get_by_role("button", name="Save").click()
    card = find_card(visitor.page, deployed)
    expect(card).to_contain_text("Set inactive by user:admin.")
    expect(card).to_contain_text("It is off.")
    now = shown(page_api, deployed)
    assert (now["status"], now["schedule"]["enabled"], now["updated_by"]) == ("inactive", False, "user:admin")
    card.get_by_role("button", name="Configure").click()
    dialog.get_by_label("Active", exact=True).check()
    dialog.get_by_label("Run by itself").check()
    expect(dialog.get_by_text("At 09:00 every day (UTC)")).to_be_visible()
    dialog.get_by_role("button", name="Save").click()
    expect(card.locator('[data-state="active"]')).to_be_visible()
    expect(card).to_contain_text("Next run")


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
    # The card was drawn anew behind the dialog; the focus goes back to it all the same.
    page.keyboard.press("Escape")
    expect(card.get_by_role("button", name="Update")).to_be_focused()


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
    visitor.complaints.expected.append("422")
    name = dialog.get_by_label("Name")
    name.fill("")
    name.press("Enter")
    expect(name).to_have_attribute("aria-invalid", "true")
    name.fill("Only here")
    dialog.get_by_role("checkbox", name="read").uncheck()
    expires = dialog.get_by_label("Expires")
    expires.fill("2020-01-31T12:00")
    name.press("Enter")
    expect(expires).to_have_accessible_description(re.compile("This time has passed"))
    expires.fill("2099-01-31T12:00")
    name.press("Enter")
    key = dialog.locator("[data-made] code").text_content() or ""
    # Its row is there at once, and so is what is shown once.
    expect(dialog.get_by_role("row").filter(has_text="Only here")).to_contain_text("Expires")
    expect(dialog.locator("[data-made] code")).to_have_text(key)
    assert page_api.other(key).http.post(deployed.path, json={"text": "Hello."}).status_code == 200
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Keys").click()
    expect(dialog).not_to_contain_text(key)
    dialog.get_by_role("button", name="Revoke Only here").click()
    dialog.get_by_role("button", name="Revoke Only here").click()
    expect(dialog.get_by_role("row").filter(has_text="Only here")).to_have_count(0)
    assert page_api.other(key).http.post(deployed.path, json={"text": "Hello."}).status_code == 401


def test_a_key_is_rotated_and_the_earlier_secret_goes_on_or_ends(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    def calls(key: str) -> int:
        return int(page_api.other(key).http.post(deployed.path, json={"text": "Hello."}).status_code)

    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Keys").click()
    dialog.get_by_label("Name").fill("Turning")
    dialog.get_by_role("button", name="Make a key").click()
    made = dialog.locator("[data-made] code")
    first = made.text_content() or ""
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Keys").click()
    dialog.get_by_role("button", name="Rotate Turning").click()
    visitor.page.get_by_role("button", name="Rotate, keep it for a day").click()
    expect(made).to_contain_text("ok_")
    second = made.text_content() or ""
    assert second != first
    assert (calls(first), calls(second)) == (200, 200)
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Keys").click()
    row = dialog.get_by_role("row").filter(has_text="Turning")
    expect(row).to_contain_text("Its earlier secret ends")
    visitor.complaints.expected.append("409")
    row.get_by_role("button", name="Rotate").click()
    visitor.page.get_by_role("button", name="Rotate, keep it for a day").click()
    expect(dialog.locator("[data-error]")).to_contain_text("rotated already")
    row.get_by_role("button", name="Rotate").click()
    visitor.page.get_by_role("button", name="End it at once").click()
    expect(made).to_contain_text("ok_")
    assert (calls(first), calls(second), calls(made.text_content() or "")) == (401, 401, 200)


def test_a_key_is_made_with_limits_that_hold(visitor: Visitor, deployed: Deployed, page_api: SiteApi) -> None:
    visitor.complaints.expected.append("422")
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Keys").click()
    dialog.get_by_label("Name").fill("Only once")
    dialog.get_by_text("Limits of the key").click()
    calls, seconds = dialog.get_by_label("Calls", exact=True), dialog.get_by_label("Within so many seconds")
    calls.fill("1")
    dialog.get_by_role("button", name="Make a key").click()
    expect(seconds).to_be_focused()
    expect(seconds).to_have_accessible_description(re.compile("A rate needs both rate_count and rate_seconds"))
    seconds.fill("3600")
    dialog.get_by_label("USD a day").fill("0.25")
    dialog.get_by_label("Tokens a day").fill("100000")
    seconds.press("Enter")
    key = dialog.locator("[data-made] code").text_content() or ""
    limited = page_api.other(key).http
    assert limited.post(deployed.path, json={"text": "Hello."}).status_code == 200
    refused = limited.post(deployed.path, json={"text": "Hello."})
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 3_000) == (429, True)
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Keys").click()
    row = dialog.get_by_role("row").filter(has_text="Only once")
    for words in ("1 calls in 3,600 s", "100,000 tokens a day", "0.25 USD a day"):
        expect(row).to_contain_text(words)


def test_a_days_budget_is_set_and_what_was_used_is_shown(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Limits").click()
    expect(dialog.locator("[data-used-today]")).to_have_count(0)
    dialog.get_by_label("Tokens of a day").fill("2000000")
    dialog.get_by_label("Cost of a day, in USD").fill("1.50")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    limits = shown(page_api, deployed)["limits"]
    assert (limits["daily_max_tokens"], limits["daily_max_cost_usd"]) == (2_000_000, "1.5")
    called = deployed.call()
    assert called.status_code == 200, called.text
    tokens = called.json()["usage"]["input_tokens"] + called.json()["usage"]["output_tokens"]
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Limits").click()
    expect(dialog.locator("[data-used-today]")).to_contain_text(f"{tokens:,} tokens")


def test_an_alert_is_added_tested_and_sent_again_and_its_log_says_what_came_of_it(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    visitor.complaints.expected.append("422")
    dialog = open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Alerts").click()
    url = dialog.get_by_label("URL")
    url.fill("http://127.0.0.1/hook")
    url.press("Enter")
    expect(url).to_have_attribute("aria-invalid", "true")
    expect(dialog.locator("#alert-url-error")).to_contain_text("https://")
    url.fill("https://alerts.invalid/hook")
    dialog.get_by_role("button", name="Add the alert").click()
    expect(dialog.locator("[data-secret]")).to_contain_text("whsec_")
    row = dialog.locator("[data-alert]")
    expect(row).to_contain_text("https://alerts.invalid/hook")
    expect(row).to_contain_text("execution.failed, schedule.paused, budget.exhausted")
    row.get_by_role("button", name="Test").click()
    row.get_by_role("button", name="Log").click()
    log = dialog.locator("#alert-log")
    expect(log).to_contain_text("alert.test")
    (alert,) = page_api.http.get(f"/api/deployments/{deployed.id}/alerts").json()
    deliveries = f"/api/deployments/{deployed.id}/alerts/{alert['id']}/deliveries"
    while not page_api.http.get(deliveries).json()["results"][0]["log"]:
        pass
    log.get_by_role("button", name="Refresh").click()
    expect(log).to_contain_text("'alerts.invalid' could not be resolved")
    assert accessibility_problems(visitor.page) == []
    log.get_by_role("button", name="Send again: alert.test").click()
    expect(visitor.page.get_by_text("It is on its way again.")).to_be_visible()
    row.get_by_role("button", name="Edit").click()
    expect(url).to_be_focused()
    expect(dialog.get_by_role("group", name="Change the alert to https://alerts.invalid/hook")).to_be_visible()
    dialog.get_by_role("checkbox", name="execution.completed").check()
    dialog.get_by_role("checkbox", name="execution.failed").uncheck()
    assert accessibility_problems(visitor.page) == []
    expect(url).to_have_accessible_description(
        "Empty: as it is. The secret stays, and what was told before stays in the log."
    )
    dialog.get_by_role("button", name="Change the alert").click()
    expect(row).to_contain_text("execution.completed, schedule.paused, budget.exhausted")
    expect(row).to_contain_text("https://alerts.invalid/hook")  # nothing was typed there
    expect(dialog.get_by_role("checkbox", name="execution.failed")).to_be_checked()  # a new alert's again
    row.get_by_role("button", name="Edit").click()
    url.fill("https://alerts.invalid/other")
    url.press("Enter")
    expect(row).to_contain_text("https://alerts.invalid/other")
    row.get_by_role("button", name="Edit").click()
    dialog.get_by_role("button", name="Leave it as it is").click()
    expect(dialog.get_by_role("group", name="A new alert")).to_be_visible()
    row.get_by_role("button", name="Switch off").click()
    expect(row.get_by_role("button", name="Switch on")).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    row.get_by_role("button", name="Remove for good?").click()
    expect(dialog).to_contain_text("Nobody is alerted yet.")
    # It asks for the secret alone, and no more once that was copied.
    visitor.page.keyboard.press("Escape")
    asked = visitor.page.get_by_role("alertdialog", name="Close without the secret?")
    asked.get_by_role("button", name="Go back to the secret").click()
    dialog.get_by_role("button", name="Copy the secret").click()
    expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
