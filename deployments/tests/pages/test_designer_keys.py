"""A design is drawn, repaired, run, deployed and called by keyboard alone."""

import json
import re

from playwright.sync_api import expect

from deployments.tests.pages.board import run_pasted
from deployments.tests.pages.designer import api_of, document_of, editor, expect_saved, node
from deployments.tests.pages.keyboard import Keyboard
from deployments.tests.site_api import new_path
from orchestration_site.tests.browser import Visitor


def open_new_design(visitor: Visitor) -> tuple[Keyboard, str]:
    """An empty canvas, and which design it is."""
    keys, page = Keyboard(visitor), visitor.go("/designs")
    keys.press(page.get_by_role("button", name="New design"))
    expect(page).to_have_url(re.compile("/designs/[0-9a-f-]{36}$"))
    return keys, page.url.rpartition("/")[2]


def test_blocks_are_added_connected_edited_copied_deleted_and_brought_back(visitor: Visitor) -> None:
    (keys, design_id), page, api = open_new_design(visitor), visitor.page, api_of(visitor)
    keys.press(page.get_by_role("button", name="Sequential"))
    keys.press(page.get_by_role("button", name="Parallel"))
    keys.write(page.get_by_label("Label"), "Second")
    keys.press(node(page, "Sequential"))
    expect(page.get_by_label("Label")).to_have_value("Sequential")
    keys.reach(page.get_by_label("Connect to"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".react-flow__edge")).to_have_count(1)

    keys.press(page.get_by_role("button", name="to Second", exact=True))
    keys.write(page.get_by_label("What it carries"), "What Writer")
    expect_saved(page)
    (connection,) = document_of(api, design_id)["connections"]
    assert (connection["source_agent"], connection["target"]) == ("writer", "parallel")

    keys.press(node(page, "Second"))
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+v")
    expect(node(page, "Second 2")).to_be_visible()
    page.keyboard.press("Delete")
    expect(node(page, "Second 2")).to_have_count(0)
    keys.press(node(page, "Sequential"))
    page.keyboard.press("Delete")
    expect(page.locator(".react-flow__edge")).to_have_count(0)
    page.keyboard.press("Control+z")
    expect(page.locator(".react-flow__edge")).to_have_count(1)
    page.keyboard.press("t")
    expect_saved(page)
    first, second = document_of(api, design_id)["blocks"]
    assert second["position"]["x"] > first["position"]["x"] + 230
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_have_count(0)


def test_two_blocks_are_repaired_run_deployed_and_called(visitor: Visitor) -> None:
    (keys, _), page = open_new_design(visitor), visitor.page
    keys.press(page.get_by_role("button", name="Sequential"))
    keys.press(page.get_by_role("button", name="Reflection"))
    keys.press(node(page, "Sequential"))
    keys.reach(page.get_by_label("Connect to"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    keys.press(node(page, "Reflection"))
    keys.write(editor(page, "Task"), "Improve {{blocks.draft.output}} now.")
    problem = page.get_by_role("region", name="Problems").get_by_role("button", name="No block of this design")
    keys.press(problem)
    expect(editor(page, "Task")).to_be_focused()
    keys.write(editor(page, "Task"), "Improve {{")
    expect(page.get_by_role("option", name="blocks.sequential.output")).to_be_visible()
    page.wait_for_timeout(150)  # whoever presses Enter sooner has not seen the list: it is one of the text
    page.keyboard.press("Enter")
    expect(editor(page, "Task")).to_have_text("Improve {{blocks.sequential.output}}")
    expect(page.get_by_text("None: this design can run.")).to_be_visible()

    page.keyboard.press("Control+Enter")
    keys.write(page.get_by_role("textbox", name="Input"), '{"text": "Lighthouses guide ships at night."}')
    keys.press(page.get_by_role("button", name="Run the draft"))
    expect(page.get_by_role("region", name="Progress").get_by_role("status")).to_have_text("completed")

    keys.press(page.get_by_role("button", name="Deploy", exact=True))
    dialog = page.get_by_role("dialog")
    keys.write(dialog.get_by_label("Endpoint path"), new_path())
    page.keyboard.press("Enter")
    keys.press(dialog.get_by_role("button", name="Make a key"))
    expect(dialog.get_by_role("status")).to_contain_text("shown only now")
    keys.press(dialog.get_by_role("button", name="Copy the call").first)
    line = page.evaluate("navigator.clipboard.readText()")
    assert json.loads(run_pasted("bash", "-c", line))["status"] == "completed"
