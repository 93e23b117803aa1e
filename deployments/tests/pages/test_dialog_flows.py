"""The dialogs of a card in a browser: what closing them asks and keeps, what they lead to, and the way back."""

from playwright.sync_api import expect

from deployments.tests.pages.board import find_card, open_dialog, question, shown
from deployments.tests.pages.executions import SCHEMA, deploy_chain, state_of, wait_until
from deployments.tests.site_api import TEXT_SCHEMA, Deployed, SiteApi
from orchestration_site.tests.browser import Visitor, accessibility_problems


def test_a_dialog_asks_before_it_drops_what_was_typed_however_it_is_closed(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    page, dialog = visitor.page, open_dialog(visitor, deployed, "Configure")
    dialog.get_by_role("tab", name="Limits").click()
    calls = dialog.get_by_label("Model calls of an execution")
    calls.fill("7")
    calls.fill("")  # as it was: there is nothing to ask for
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    find_card(page, deployed).get_by_role("button", name="Configure").click()
    dialog.get_by_role("tab", name="Limits").click()
    calls.fill("7")
    page.mouse.click(5, 5)  # beside the dialog
    expect(calls).to_be_visible()
    calls.focus()
    for _ in range(3):  # a browser would let the page refuse it once
        page.keyboard.press("Escape")
        expect(question(page)).to_be_visible()
        page.keyboard.press("Escape")
        expect(question(page)).to_be_hidden()
        expect(calls).to_be_focused()
    dialog.evaluate("(one) => one.requestClose()")  # as the gesture of a phone does
    question(page).get_by_role("button", name="Keep editing").click()
    dialog.get_by_role("button", name="Cancel").click()
    assert accessibility_problems(page) == []
    question(page).get_by_role("button", name="Keep editing").click()
    expect(calls).to_have_value("7")
    dialog.get_by_role("button", name="Close").click()
    question(page).get_by_role("button", name="Drop it").click()
    expect(dialog).to_be_hidden()
    expect(find_card(page, deployed).get_by_role("button", name="Configure")).to_be_focused()
    assert shown(page_api, deployed)["limits"]["max_calls"] is None

    page.keyboard.press("Enter")
    dialog.get_by_role("tab", name="Keys").click()
    dialog.get_by_label("Name").fill("Half typed")
    page.keyboard.press("Escape")
    question(page).get_by_role("button", name="Keep editing").click()
    dialog.get_by_role("button", name="Make a key").click()
    expect(dialog.locator("[data-made]")).to_contain_text("shown only now")
    dialog.get_by_role("button", name="Copy the key").click()
    expect(dialog.locator("[data-made][data-copied]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_key_holds_its_dialog_open_until_it_was_copied(
    visitor: Visitor, deployed: Deployed, page_api: SiteApi
) -> None:
    page, dialog = visitor.page, open_dialog(visitor, deployed, "Configure")
    ask = page.get_by_role("alertdialog", name="Close without the key?")
    dialog.get_by_role("tab", name="Limits").click()
    dialog.get_by_label("Model calls of an execution").fill("7")
    dialog.get_by_role("tab", name="Keys").click()
    key, copied = dialog.locator("[data-made] code"), dialog.locator("[data-made][data-copied]")
    for number in (1, 2):  # the second does not take the place of the first
        dialog.get_by_role("button", name="Make a key").click()
        expect(key).to_have_count(number)
    dialog.get_by_role("button", name="Save").click()
    expect(ask).to_be_visible()
    assert accessibility_problems(page) == []
    assert shown(page_api, deployed)["limits"]["max_calls"] == 7
    ask.get_by_role("button", name="Go back to the key").click()
    with page.expect_event("dialog") as leaving:  # the browser's own question
        page.evaluate("setTimeout(() => location.reload())")
    assert leaving.value.type == "beforeunload"
    leaving.value.dismiss()
    dialog.get_by_role("button", name="Copy the key").first.click()
    expect(copied).to_have_count(1)
    page.keyboard.press("Escape")
    expect(ask).to_be_visible()  # for the second
    page.keyboard.press("Escape")
    key.last.select_text()
    page.keyboard.press("Control+c")
    expect(copied).to_have_count(2)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    find_card(page, deployed).get_by_role("button", name="Call it").click()
    dialog.get_by_role("button", name="Make a key").click()
    expect(key).to_have_count(1)
    dialog.get_by_role("button", name="Copy the URL").click()
    expect(page.get_by_text("Copied.").last).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    ask.get_by_role("button", name="Go back to the key").click()
    dialog.get_by_role("button", name="Copy the call").first.click()
    expect(copied).to_have_count(1)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()

    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Make a key").click()
    expect(key).to_have_count(1)
    page.keyboard.press("Escape")
    ask.get_by_role("button", name="Close without it").click()
    expect(dialog).to_be_hidden()


def test_another_design_takes_over_what_was_typed_for_the_first(visitor: Visitor, page_api: SiteApi) -> None:
    visitor.complaints.expected += ["ERR_INTERNET_DISCONNECTED", "htmx:"]
    first = page_api.store(name="First of two", input_schema=TEXT_SCHEMA)
    second = page_api.store(name="Second of two", input_schema=SCHEMA)
    page = visitor.go("/")
    page.get_by_role("button", name="Deploy", exact=True).click()
    dialog = page.get_by_role("dialog")
    design, path = dialog.get_by_label("Design", exact=True), dialog.get_by_label("Endpoint path")
    design.select_option(first)
    expect(path).to_have_value("first-of-two")
    design.select_option(second)
    expect(path).to_have_value("second-of-two")  # nobody had typed one
    expect(design).to_be_focused()
    design.select_option(first)
    path.fill("typed/by-hand")
    dialog.get_by_label("Run by itself").check()
    dialog.get_by_label("Cron expression").fill("15 7 * * 1-5")
    dialog.get_by_text("Input of each run").click()
    dialog.get_by_role("textbox", name="text").fill("Typed for both.")

    visitor.context.set_offline(True)
    design.select_option(second)
    expect(page.locator("#notices")).to_contain_text("The site was not reached")
    expect(design).to_have_value(first)  # what the form is still about
    visitor.context.set_offline(False)
    design.select_option(second)
    expect(dialog.get_by_role("heading", name="Deploy “Second of two”")).to_be_visible()
    expect(path).to_have_value("typed/by-hand")
    expect(dialog).to_contain_text("Free: it will be called at")
    expect(dialog.get_by_label("Cron expression")).to_have_value("15 7 * * 1-5")
    expect(dialog.get_by_role("textbox", name="Text")).to_have_value("Typed for both.")
    dialog.get_by_label("Tone").select_option("warm")
    design.select_option(first)
    expect(dialog.get_by_role("heading", name="Deploy “First of two”")).to_be_visible()
    design.select_option(second)
    expect(dialog.get_by_label("Tone").locator("option:checked")).to_have_text("warm")
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    expect(dialog).to_contain_text("is deployed")
    (made,) = (row for row in page_api.http.get("/api/deployments").json()["results"] if row["design_id"] == second)
    assert made["endpoint_path"] == "/api/deployed/typed/by-hand"
    assert made["schedule"]["cron_expression"] == "15 7 * * 1-5"
    given = made["schedule"]["input_data"]
    assert (given["text"], given["tone"]) == ("Typed for both.", "warm")


def test_the_deploy_dialog_asks_and_the_execute_dialog_keeps(visitor: Visitor, page_api: SiteApi) -> None:
    deployed = deploy_chain(page_api, "offline:demo")
    page, dialog = visitor.page, open_dialog(visitor, deployed, "Execute")
    dialog.get_by_label("Text").fill("Typed by hand")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("What you typed is kept")).to_be_visible()
    find_card(page, deployed).get_by_role("button", name="Execute").click()
    expect(dialog.get_by_label("Text")).to_have_value("Typed by hand")
    dialog.get_by_role("tab", name="JSON").click()
    dialog.get_by_label("Input as JSON").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text('{"text": "Half')  # no value, and so kept nowhere
    page.keyboard.press("Escape")
    question(page).get_by_role("button", name="Drop it").click()
    expect(dialog).to_be_hidden()

    page.get_by_role("button", name="Deploy", exact=True).click()
    dialog.get_by_label("Design", exact=True).select_option(deployed.design_id)
    path = dialog.get_by_label("Endpoint path")
    expect(path).to_be_focused()
    path.fill("typed-by-hand")
    page.keyboard.press("Escape")
    question(page).get_by_role("button", name="Keep editing").click()
    expect(path).to_have_value("typed-by-hand")
    dialog.get_by_role("button", name="Cancel").click()
    question(page).get_by_role("button", name="Drop it").click()
    expect(dialog).to_be_hidden()


def test_the_history_of_a_card_is_filtered_and_a_row_leads_to_its_execution(
    visitor: Visitor, page_api: SiteApi
) -> None:
    deployed = page_api.deploy("openai:status-400-1+history-dialog")
    assert deployed.call().status_code == 502
    failed = deployed.only_execution()
    assert deployed.call().status_code == 200
    page, dialog = visitor.page, open_dialog(visitor, deployed, "View logs")
    address = page.url
    rows = dialog.get_by_role("region", name="Executions").get_by_role("row")
    expect(rows).to_have_count(3)
    dialog.get_by_label("Status").select_option("failed")
    expect(rows).to_have_count(2)
    assert page.url == address  # that of the page below
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    button = find_card(page, deployed).get_by_role("button", name="View logs")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    rows.filter(has_text="failed").get_by_text("provider_error").click()
    expect(page).to_have_url(f"{visitor.site.base_url}/executions/{failed}")


def test_an_execution_is_cancelled_in_the_dialog(visitor: Visitor, page_api: SiteApi) -> None:
    deployed = deploy_chain(page_api, "openai:stall+dialog")
    provider = visitor.site.provider.counters
    others = provider.in_flight
    page, dialog = visitor.page, open_dialog(visitor, deployed, "Execute")
    dialog.get_by_label("Text").fill("Stop me")
    dialog.get_by_role("button", name="Execute", exact=True).click()
    wait_until(lambda: provider.in_flight > others)
    dialog.get_by_role("button", name="Cancel").click()
    state_of(page, "cancelled")
    expect(dialog.get_by_role("alert")).to_contain_text("Cancelled by user:admin")
    assert page_api.wait_for_end(deployed.only_execution())["status"] == "cancelled"
    wait_until(lambda: provider.in_flight == others)  # the model's call is not left running
    page.keyboard.press("Escape")
    expect(find_card(page, deployed).get_by_role("button", name="Execute")).to_be_focused()
