"""The deployments page as people use it: a real browser, the real system, and the calls as they are pasted."""

import json

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from deployments.tests.pages.board import find_card, look_for, open_dialog, run_pasted
from deployments.tests.site_api import TEXT_SCHEMA, Deployed, SiteApi
from orchestration_site.tests.browser import Visitor, accessibility_problems, run_visitor
from orchestration_site.tests.sites import Site

PHONE = {"width": 360, "height": 780}


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
    expect(dialog.locator("[data-copied]")).to_be_visible()
    line = page.evaluate("navigator.clipboard.readText()")
    answer = run_pasted("bash", "-c", line)
    assert json.loads(answer)["status"] == "completed", answer
    # So have the other two languages; of them Python is on every machine that runs this.
    code = page.locator("#line-python").text_content() or ""
    assert run_pasted("python3", "-c", code).strip()
    script = page.locator("#line-javascript")
    expect(script).to_contain_text("Bearer ok_")
    expect(script).not_to_contain_text("process.env")
    page.keyboard.press("Escape")
    # The page behind it has the new card, and it has counted the call: nothing was reloaded.
    (new,) = (row for row in page_api.http.get("/api/deployments").json()["results"] if wanted in row["endpoint_path"])
    card = page.locator(f'[data-deployment="{new["id"]}"]')
    expect(card.locator('[data-shows="count"]')).to_have_text("2")
    expect(card.locator('[data-shows="last"]')).to_contain_text("completed")
    expect(card.get_by_role("img")).to_have_accessible_name(
        "2 completed, 0 failed, 0 cancelled or skipped in the last day"
    )


def test_what_keeps_a_design_from_being_deployed_is_said_where_it_is(visitor: Visitor, page_api: SiteApi) -> None:
    visitor.complaints.expected.append("422")
    design = page_api.store(input_schema=TEXT_SCHEMA)
    page = visitor.go("/")
    page.get_by_role("button", name="Deploy", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Design", exact=True).select_option(design)
    dialog.get_by_label("Run by itself").check()
    dialog.get_by_label("Repeats").select_option("interval")
    expect(dialog.get_by_text("Every 5 minutes")).to_be_visible()
    dialog.get_by_text("Input of each run").click()
    text = dialog.get_by_role("textbox", name="text")
    text.fill("")
    dialog.get_by_text("Input of each run").click()
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    expect(dialog).to_contain_text("The input of each run does not fit the design")
    expect(text).to_have_attribute("aria-invalid", "true")
    # Meanwhile somebody else takes the only agent out of the design.
    document = page_api.http.get(f"/api/designs/{design}").json()["document"]
    block = document["blocks"][0]
    block["data"]["agents"] = []
    assert page_api.http.put(f"/api/designs/{design}", json=document).status_code == 200
    dialog.get_by_label("Run by itself").uncheck()
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    problem = dialog.get_by_role("alert").get_by_role("link").first
    expect(problem).to_have_attribute("href", f"/designs/{design}#block={block['id']}")


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
    page.get_by_role("searchbox").focus()
    expect(find_card(page, page_api.deploy())).to_be_visible()


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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_both_layouts_and_in_each_dialog(visitor: Visitor, deployed: Deployed, theme: str) -> None:
    deployed.change(status="inactive", schedule={"cron_expression": "0 9 * * *", "input_data": {"text": "Hello."}})
    deployed.call()
    visitor.context.add_cookies([{"name": "theme", "value": theme, "url": visitor.site.base_url}])
    page = visitor.go("/")
    card = look_for(page, deployed)
    colours = theme == "dark"
    assert accessibility_problems(page, colours_only=colours) == []
    for action in ("Configure", "Call it", "Delete"):
        card.get_by_role("button", name=action).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        tabs = dialog.get_by_role("tab").all()
        for tab in tabs:
            tab.click()
            assert accessibility_problems(page, colours_only=colours) == [], (action, tab.text_content())
        if not tabs:
            assert accessibility_problems(page, colours_only=colours) == [], action
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Table").click()
    expect(page.locator("tr[data-deployment]")).to_be_visible()
    assert accessibility_problems(page, colours_only=colours) == []


def test_nothing_is_cut_off_on_a_phone(
    chromium: Browser, embedded_site: Site, signed_in: StorageState, deployed: Deployed
) -> None:
    with run_visitor(chromium, embedded_site, viewport=PHONE, storage_state=signed_in) as visitor:
        page = visitor.go("/")
        look_for(page, deployed)
        assert overflow(page, "html") == 0
        for action in ("Configure", "Call it", "Delete"):
            find_card(page, deployed).get_by_role("button", name=action).click()
            dialog = page.get_by_role("dialog")
            expect(dialog).to_be_visible()
            for tab in dialog.get_by_role("tab").all():
                tab.click()
                assert overflow(page, "dialog[open]") == 0, (action, tab.text_content())
            assert overflow(page, "dialog[open]") == 0, action
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Table").click()
        expect(page.locator("tr[data-deployment]")).to_be_visible()
        assert overflow(page, "html") == 0


def overflow(page: Page, selector: str) -> int:
    """Pixels that stand out to the right."""
    return int(page.locator(selector).evaluate("(element) => element.scrollWidth - element.clientWidth"))
