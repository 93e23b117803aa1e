"""What models, designs and callers write is text wherever it is shown: on no page does any of it run."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from deployments.tests.site_api import EVERYTHING, SiteApi
from executor.json_types import Json, JsonObject
from orchestration_site.proving.mock_replies import ChatRequest, Reply
from orchestration_site.tests.browser import Visitor
from orchestration_site.tests.sites import Site

RUN = "window.wasRun=1"
#: Ways into a page, each of which sets `wasRun` where it is not text.
CORPUS = (
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f"--></style></textarea></title><script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f'"><img src=x onerror="{RUN}">',
    f"'><svg onload={RUN}>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<details open ontoggle={RUN}>",
    f"<body onload={RUN}><input autofocus onfocus={RUN}>",
    f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    f"<iframe src=javascript:parent.{RUN}></iframe>",
    f"[a link](javascript:{RUN}) <a href=javascript:{RUN}>x</a>",
    f"<math><mi//xlink:href=data:x,<script>{RUN}</script>>",
    f"<template><script>{RUN}</script></template><noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<object data=data:text/html,<script>parent.{RUN}</script>></object><embed src=javascript:{RUN}>",
    f"<button hx-on:click={RUN} hx-get=/ hx-trigger=load hx-vals='js:{{a:{RUN}}}'>x</button>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'><base href=//evil.example/>",
    "{{constructor.constructor('" + RUN + "')()}} ${" + RUN + "} <%= " + RUN + " %>",
    f"<style>@import 'data:text/css,*{{x:expression({RUN})}}'</style>",
    f"\u2028<\u0000script>{RUN}</script>".replace("\u0000", ""),
)
HOSTILE = "\n".join(CORPUS)
#: In a prompt braces name something.
PROMPT = HOSTILE.replace("{{", "{ {")
NAME = f"<img src=x onerror={RUN}>'\"><svg onload={RUN}>"


def answer(request: ChatRequest) -> Reply:
    if request.model == "fails":
        return Reply(status=400, error_message=NAME, error_code=CORPUS[0])
    return Reply(text=HOSTILE)


@pytest.fixture
def told(embedded_site: Site) -> Iterator[SiteApi]:
    embedded_site.provider.script = answer
    yield SiteApi(embedded_site, embedded_site.make_key(NAME, scopes=EVERYTHING))
    embedded_site.provider.script = None


def document(model: str) -> JsonObject:
    agent: JsonObject = {"id": "a", "name": NAME, "system_prompt": PROMPT, "model": model}
    data: JsonObject = {"label": NAME, "task": f"{PROMPT} {{{{input.text}}}}", "agents": [agent]}
    schema: JsonObject = {
        "type": "object",
        "properties": {"text": {"type": "string", "title": NAME, "description": HOSTILE}},
    }
    blocks: list[Json] = [{"id": "b", "type": "sequential", "data": data}]
    return {
        "format": 1,
        "name": NAME,
        "description": HOSTILE,
        "blocks": blocks,
        "connections": [],
        "input_schema": schema,
    }


def assert_nothing_ran(page: Page, where: str) -> None:
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.wasRun") is None, where
    assert "javascript:" not in page.evaluate("[...document.links].map(link => link.href).join()"), where


def look_at(visitor: Visitor, *paths: str) -> None:
    """Each in a tab of its own: all together they take as long to settle as one."""
    tabs = {path: visitor.new_tab() for path in paths}
    for path, page in tabs.items():
        page.on("dialog", lambda dialog: pytest.fail(f"A dialog was opened: {dialog.message}"))
        page.goto(visitor.site.base_url + path)
    for path, page in tabs.items():
        assert_nothing_ran(page, path)
        # Whatever can be opened is: what is closed holds texts as well.
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert_nothing_ran(page, f"{path}, all opened")
        page.close()


def test_it_is_text_on_every_page(visitor: Visitor, told: SiteApi) -> None:
    good, bad = (told.deploy_document(document(f"openai:{model}")) for model in ("fine", "fails"))
    ended = [deployed.call({"text": HOSTILE}).json()["execution_id"] for deployed in (good, bad)]
    design = told.http.get(f"/api/deployments/{good.id}").json()["design_id"]
    look_at(
        visitor,
        "/",
        "/designs",
        f"/designs/{design}",
        *(f"/executions/{execution}" for execution in ended),
        "/executions",
        f"/executions?text={RUN}",
        "/admin/designs/orchestrationdesign/",
        f"/admin/designs/orchestrationdesign/{design}/change/",
        "/admin/deployments/apikey/",
        *(f"/admin/deployments/executionlog/{execution}/change/" for execution in ended),
        "/admin/access/auditrecord/",
    )
    # Nothing was even tried, or the browser would complain of it; but for the styles of the framework's own API pages.
    visitor.complaints.expected.append("favicon")
    assert visitor.complaints.unexpected == [], visitor.complaints.unexpected
    visitor.complaints.expected.append("Applying inline style")
    look_at(visitor, f"/api/executions/{ended[0]}", f"/api/designs/{design}", "/api/audit")


def test_it_is_text_in_every_dialog(visitor: Visitor, told: SiteApi) -> None:
    deployed = told.deploy_document(document("openai:fine"))
    deployed.call({"text": HOSTILE})
    page = visitor.go("/")
    card = page.locator(f"[data-deployment='{deployed.id}'], #deployment-{deployed.id}").first
    for name in ("Execute", "Configure", "Call", "View logs", "Delete"):
        card.get_by_role("button", name=name).or_(card.get_by_role("link", name=name)).first.click()
        assert_nothing_ran(page, name)
        page.keyboard.press("Escape")
        page = visitor.go("/")
    card.get_by_role("button", name="Execute").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Execute").click()
    dialog.get_by_text("completed").first.wait_for()
    assert_nothing_ran(page, "a live run")
