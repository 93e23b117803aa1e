"""The designer in a browser: drawing, repairing, running; two people; no right to change; files. (Keys: beside it.)"""

import json
import re
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from deployments.tests.builders import chain_document
from deployments.tests.live_clients import run_in_site
from deployments.tests.pages.board import run_pasted
from deployments.tests.pages.designer import api_of, document_of, editor, expect_saved, node
from deployments.tests.site_api import new_path
from orchestration_site.tests.browser import Visitor, accessibility_problems, run_visitor
from orchestration_site.tests.sites import Site

NAMES_IN_SECOND = """
from designs.models import OrchestrationDesign
made = OrchestrationDesign.objects.filter(team__name="second").order_by("id")
print([design.name for design in made])
"""


def new_design(visitor: Visitor) -> str:
    """Opens an empty canvas, and says which design it is."""
    page = visitor.go("/designs")
    page.get_by_role("button", name="New design").click()
    expect(page).to_have_url(re.compile("/designs/[0-9a-f-]{36}$"))
    expect(page.get_by_role("button", name="Sequential")).to_be_visible()
    return page.url.rpartition("/")[2]


def draw_line(page: Page, source: Locator, target: Locator) -> None:
    """From the point on the right of the one to the point on the left of the other, as a hand draws it."""
    begin = source.locator(".block-head .react-flow__handle.source").bounding_box()
    end = target.locator(".block-head .react-flow__handle.target").bounding_box()
    assert begin
    assert end
    page.mouse.move(begin["x"] + 5, begin["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] - 20, end["y"] + 5, steps=4)
    page.mouse.move(end["x"] + 5, end["y"] + 5, steps=4)
    page.mouse.up()


def drag(page: Page, block: Locator, *, down: float) -> None:
    """So many pixels down, as a hand drags it."""
    head = block.locator(".block-words").bounding_box()
    assert head
    page.mouse.move(head["x"] + 8, head["y"] + 8)
    page.mouse.down()
    page.mouse.move(head["x"] + 8, head["y"] + 8 + down, steps=5)
    page.mouse.up()


def test_two_blocks_are_drawn_repaired_run_deployed_and_called(visitor: Visitor) -> None:
    design_id, page, api = new_design(visitor), visitor.page, api_of(visitor)
    page.get_by_role("button", name="Sequential").click()
    page.get_by_label("Label").fill("Draft")
    page.get_by_role("button", name="Reflection").drag_to(
        page.locator(".react-flow__pane"), target_position={"x": 420, "y": 120}
    )
    page.get_by_label("Label").fill("Review")
    page.get_by_role("button", name="Zoom to fit").click()
    expect(node(page, "Review")).to_be_visible()
    page.wait_for_timeout(400)  # the canvas moves to where all is seen
    expect_saved(page)
    before = document_of(api, design_id)["blocks"][1]["position"]
    with page.expect_response(lambda answer: answer.request.method == "PUT"):
        drag(page, node(page, "Review"), down=90)
    after = document_of(api, design_id)["blocks"][1]["position"]
    assert after["y"] > before["y"] + 50
    assert after["x"] == before["x"]
    draw_line(page, node(page, "Draft"), node(page, "Review"))
    expect(page.locator(".react-flow__edge")).to_have_count(1)

    node(page, "Review").click()
    editor(page, "Task").click()
    page.keyboard.type("Improve {{blocks.draft.output}} now.")
    expect(node(page, "Review").locator(".block-problems")).to_contain_text("1")
    problem = page.get_by_role("region", name="Problems").get_by_role("button", name="No block of this design")
    page.get_by_role("tab", name="Versions").click()
    problem.click()
    expect(editor(page, "Task")).to_be_focused()
    expect(editor(page, "Task")).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Control+a")
    page.keyboard.type("Improve {{")
    page.get_by_role("option", name="blocks.sequential.output").click()
    expect(editor(page, "Task")).to_have_text("Improve {{blocks.sequential.output}}")
    expect(page.get_by_text("None: this design can run.")).to_be_visible()
    expect_saved(page)

    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("textbox", name="Input").fill('{"text": "Lighthouses guide ships at night."}')
    page.get_by_role("button", name="Run the draft").click()
    progress = page.get_by_role("region", name="Progress")
    expect(progress.get_by_role("status")).to_have_text("completed")
    expect(node(page, "Draft").locator(".block-state")).to_have_text("completed")
    expect(node(page, "Review").locator(".block-state")).to_have_text("completed")
    expect(progress.get_by_role("listitem").filter(has_text="Draft · Writer")).to_contain_text("Lighthouses guide")
    expect(page.get_by_role("region", name="Result")).to_contain_text("[offline demo]")
    assert accessibility_problems(page) == []

    node(page, "Draft").click()
    page.get_by_label("Only the block “Draft”").check()
    page.get_by_role("button", name="Run this block").click()
    expect(progress.get_by_role("status")).to_have_text("completed")
    expect(node(page, "Review").locator(".block-state")).to_have_count(0)

    page.get_by_role("button", name="Deploy", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Endpoint path").fill(new_path())
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    dialog.get_by_role("button", name="Make a key").click()
    expect(dialog.get_by_role("status")).to_contain_text("shown only now")
    dialog.get_by_role("button", name="Copy the call").first.click()
    line = page.evaluate("navigator.clipboard.readText()")
    assert json.loads(run_pasted("bash", "-c", line))["status"] == "completed"
    assert api.http.get(f"/api/designs/{design_id}").json()["latest_version"] == 1

    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Edit").click()
    page.get_by_label("Label").fill("Drafting")
    page.get_by_role("tab", name="Versions").click()
    page.locator("summary", has_text="Version 1").click()
    versions = page.get_by_role("tabpanel")
    expect(versions).to_contain_text(re.compile(r"Block Drafting: label\s+changed\s+Draft\s+Drafting"))
    page.get_by_role("button", name="Take version 1 as the draft").click()
    expect(versions).to_contain_text("The draft is the same.")
    expect(node(page, "Draft")).to_be_visible()


def test_nothing_is_overwritten_when_two_people_edit(visitor: Visitor) -> None:
    visitor.complaints.expected.append("412")
    design_id, page, api = new_design(visitor), visitor.page, api_of(visitor)
    page.get_by_label("Name").fill("Mine")
    expect_saved(page)
    other = visitor.new_tab()
    other.goto(page.url)
    other.get_by_label("Description").fill("By the other.")
    expect_saved(other)

    page.get_by_label("Name").fill("Mine and newer")
    expect(page.get_by_role("alert")).to_contain_text("Somebody else has saved")
    assert document_of(api, design_id)["description"] == "By the other."
    page.reload()  # neither a reload nor a closed page loses it
    expect(page.get_by_label("Name")).to_have_value("Mine and newer")
    page.get_by_role("button", name="Load theirs").click()
    expect(page.get_by_label("Description")).to_have_value("By the other.")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Name")).to_have_value("Mine and newer")
    expect_saved(page)

    other.get_by_label("Name").fill("Theirs again")
    expect(other.get_by_role("alert")).to_contain_text("Somebody else has saved")
    other.get_by_role("button", name="Save mine as a copy").click()
    expect(other).not_to_have_url(page.url)
    expect(other.get_by_label("Name")).to_have_value("Theirs again (copy)")
    assert document_of(api, design_id)["name"] == "Mine and newer"


def test_what_is_typed_outlives_a_lost_network_and_a_session_that_is_over(visitor: Visitor) -> None:
    visitor.complaints.expected += ["ERR_INTERNET_DISCONNECTED", "401", "403"]
    design_id, page, api = new_design(visitor), visitor.page, api_of(visitor)
    visitor.context.set_offline(True)
    page.get_by_label("Name").fill("Typed offline")
    expect(page.locator(".save-mark")).to_contain_text("Not saved: The site was not reached")
    visitor.context.set_offline(False)
    expect_saved(page)
    assert document_of(api, design_id)["name"] == "Typed offline"

    (session,) = (cookie for cookie in visitor.context.cookies() if cookie["name"] == "sessionid")
    visitor.context.clear_cookies(name="sessionid")
    page.get_by_label("Name").fill("Typed signed out")
    expect(page.locator(".save-mark")).to_contain_text("Not saved: You are no longer signed in")
    visitor.context.add_cookies(
        [{"name": "sessionid", "value": session["value"], "url": visitor.site.base_url, "httpOnly": True}]
    )
    expect_saved(page)
    assert document_of(api, design_id)["name"] == "Typed signed out"


def test_who_may_only_look_is_told_so_and_changes_and_sends_nothing(chromium: Browser, embedded_site: Site) -> None:
    embedded_site.make_person("reader", "view")
    with run_visitor(chromium, embedded_site) as visitor:
        stored = api_of(visitor).http.post("/api/designs", json=chain_document("offline:demo", "offline:demo")).json()
        visitor.sign_in("reader")
        page, sent = visitor.page, set[str]()
        page.on("request", lambda request: sent.add(request.method))
        visitor.go(f"/designs/{stored['id']}")
        expect(page.get_by_text("You may look at this design, and not change it.")).to_be_visible()
        expect(page.locator(".save-mark")).to_have_text("Read only")
        for name in ("Undo", "Delete", "Tidy up", "Import", "Run", "Deploy", "Sequential"):
            expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
        expect(page.get_by_role("tab")).to_have_text(["Look", "Versions"])
        expect(page.get_by_label("Name")).to_be_disabled()
        place = node(page, "A").evaluate("(block) => block.style.transform")
        drag(page, node(page, "A"), down=90)
        draw_line(page, node(page, "B"), node(page, "A"))
        node(page, "A").click()
        expect(page.get_by_label("Label")).to_be_disabled()
        for keys in ("ArrowDown", "Control+d", "Control+x", "Control+v", "t", "Delete"):
            page.keyboard.press(keys)
        task = editor(page, "Task")
        expect(task).to_have_attribute("aria-readonly", "true")
        page.get_by_role("button", name="to B").click()
        page.get_by_role("button", name="B", exact=True).click()
        expect(page.get_by_label("Label")).to_have_value("B")
        for name in ("Connect", "Add an agent"):
            expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
        page.keyboard.press("Escape")
        page.get_by_label("Output").get_by_role("button", name="B").click()
        expect(page.get_by_label("Label")).to_have_value("B")
        node(page, "A").click()
        task.click()
        page.keyboard.type("Mine")
        page.keyboard.press("Control+s")
        expect(task).to_have_text("Work on it.")
        page.get_by_role("tab", name="Versions").click()
        assert accessibility_problems(page) == []
        assert node(page, "A").evaluate("(block) => block.style.transform") == place
        expect(page.locator(".react-flow__node")).to_have_count(2)
        expect(page.locator(".react-flow__edge")).to_have_count(1)
        assert sent == {"GET"}
        now = api_of(visitor).http.get(f"/api/designs/{stored['id']}").json()
        assert now["document"] == stored["document"]


def test_a_design_goes_out_as_a_file_and_comes_back_the_same(visitor: Visitor, tmp_path: Path) -> None:
    page, api = visitor.go("/designs"), api_of(visitor)
    page.get_by_role("button", name="Use this sample: Support triage").click()
    expect(node(page, "Triage")).to_be_visible()
    original = document_of(api, page.url.rpartition("/")[2])
    # The audit is told that it was taken.
    with page.expect_download() as download, page.expect_response(re.compile("/api/designs/[^/]+/export$")) as told:
        page.get_by_role("button", name="Export").click()
    assert told.value.status == 200
    file = tmp_path / "design.json"
    download.value.save_as(file)
    page.go_back()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Import JSON").click()
    chooser.value.set_files(file)
    expect(node(page, "Triage")).to_be_visible()
    imported = page.url.rpartition("/")[2]
    assert document_of(api, imported) == original

    broken = tmp_path / "broken.json"
    broken.write_text('{"format": 1, "name": "", "boxes": []}')
    page.go_back()
    with page.expect_file_chooser() as chooser:
        visitor.complaints.expected.append("422")
        page.get_by_role("button", name="Import JSON").click()
    chooser.value.set_files(broken)
    expect(page.get_by_role("alert")).to_contain_text("/boxes: Unknown key 'boxes'.")


def test_a_design_is_found_duplicated_and_deleted_in_the_list(visitor: Visitor) -> None:
    visitor.complaints.expected.append("409")
    page = visitor.go("/designs")
    page.get_by_role("searchbox", name="Search designs").fill("status digest")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Delete Service status digest").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alert")).to_contain_text("deployed at /api/deployed/status-digest")
    page.get_by_role("button", name="Duplicate Service status digest").click()
    expect(page.get_by_label("Name")).to_have_value("Service status digest (copy)")
    page.goto(visitor.site.base_url + "/designs?search=digest+(copy)")
    page.get_by_role("button", name="Delete Service status digest (copy)").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("“Service status digest (copy)” is deleted.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("No design has")).to_be_visible()


def test_a_new_design_and_its_copy_belong_to_the_team_that_was_chosen(visitor: Visitor) -> None:
    run_in_site(visitor.site, "from access.models import Team; Team.objects.create(name='second')")
    page = visitor.go("/designs")
    page.get_by_label("Team of a new design").select_option("second")
    page.get_by_role("button", name="New design").click()
    expect(page.get_by_label("Name")).to_have_value("Untitled design")
    page.goto(visitor.site.base_url + "/designs?search=untitled")
    row = page.get_by_role("row").filter(has_text="of the team second")
    row.get_by_role("button", name="Duplicate Untitled design").click()
    expect(page.get_by_label("Name")).to_have_value("Untitled design (copy)")
    assert run_in_site(visitor.site, NAMES_IN_SECOND) == "['Untitled design', 'Untitled design (copy)']"


def test_it_is_usable_by_all_in_both_themes_and_on_a_narrow_screen(chromium: Browser, visitor: Visitor) -> None:
    page = visitor.go("/designs")
    assert accessibility_problems(page) == []
    page.get_by_role("link", name="Open Support triage").first.click()
    node(page, "Triage").click()
    page.get_by_role("group", name="Dispatcher").or_(page.locator("summary", has_text="Dispatcher")).first.click()
    expect(editor(page, "System prompt")).to_be_visible()
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        assert accessibility_problems(page, colours_only=theme == "dark") == []
    profile = {"viewport": {"width": 360, "height": 740}, "storage_state": visitor.context.storage_state()}
    with run_visitor(chromium, visitor.site, **profile) as narrow:
        for path in ("/designs", "/designs/" + page.url.rpartition("/")[2]):
            narrow.go(path)
            narrow.page.wait_for_load_state("networkidle")
            assert narrow.page.evaluate("document.documentElement.scrollWidth") <= 360
        node(narrow.page, "Triage").click()
        expect(narrow.page.get_by_label("Label")).to_have_value("Triage")
        assert accessibility_problems(narrow.page) == []
