"""Live text: from the provider's piece to the eyes of 50 viewers, one of whom is a real browser on the execute page."""

import asyncio
import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import connect

from bench.measurement import Measurement, percentile
from executor.json_types import Json, JsonObject
from orchestration_site.proving.mock_provider import ChatRequest, Reply
from orchestration_site.proving.mock_replies import PIECES
from orchestration_site.tests.browser import run_browser, run_visitor
from orchestration_site.tests.sites import Site, run_distributed_site

VIEWERS = 50
BLOCKS = 10
PIECE_SECONDS = 0.12
PIECE_CHARACTERS = 40
BOUND_MS = 300
#: Notes when which block's text had which length, as it is put into the page.
OBSERVE = """() => {
    window.seen = [];
    new MutationObserver((changes) => {
        for (const { target } of changes) {
            const place = (target.nodeType === 1 ? target : target.parentElement)?.closest?.(".live-text");
            if (!place) continue;
            const block = place.parentElement?.querySelector("h2")?.textContent ?? "";
            window.seen.push([Date.now() / 1000, block.split(" ")[0], place.textContent.length]);
        }
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


@dataclass
class Sent:
    """When each block's answer began, by the clock of the provider."""

    began: dict[str, float] = field(default_factory=dict)

    def answer(self, request: ChatRequest) -> Reply:
        self.began[request.model] = time.time()
        return Reply(text="x" * PIECE_CHARACTERS * PIECES, piece_delay=PIECE_SECONDS)

    def lateness(self, seen: Iterable[tuple[float, str, int]]) -> list[float]:
        """Milliseconds from each piece to the first time that it was seen; a piece that was never seen is infinite.

        A piece is taken to leave when it was due: what the provider is late itself counts against us.
        """
        first: dict[tuple[str, int], float] = {}
        for at, block, length in seen:
            for piece in range(length // PIECE_CHARACTERS):
                first.setdefault((block, piece), at)
        return [
            (first.get((block, piece), float("inf")) - began - (piece + 1) * PIECE_SECONDS) * 1000
            for block, began in self.began.items()
            for piece in range(PIECES)
        ]


def measure_live_text(postgres_url: str, redis_url: str) -> list[Measurement]:
    """p95 over all pieces, of the browser and of the sockets beside it."""
    with run_distributed_site(postgres_url, redis_url) as site:
        sent = Sent()
        site.provider.script = sent.answer
        in_page, in_sockets = _watch(site)
        page, sockets = sent.lateness(in_page), [late for seen in in_sockets for late in sent.lateness(seen)]
    details = {"page_p50": percentile(page, 50), "page_max": max(page), "sockets_p95": percentile(sockets, 95)}
    title = f"live text from the provider to a browser, {VIEWERS} viewers: p95"
    return [Measurement(title, percentile(page, 95), "ms", BOUND_MS, details=details)]


def _watch(site: Site) -> tuple[list[Any], list[list[Any]]]:
    key = site.make_key("bench", scopes=("execute", "read", "manage"))
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=site.base_url, headers=headers, timeout=30) as http:
        design = http.post("/api/designs", json=_document()).raise_for_status().json()["id"]
        body = {"design_id": design, "endpoint_path": "live"}
        deployment = http.post("/api/deployments", json=body).raise_for_status().json()["id"]
    with run_browser() as browser, run_visitor(browser, site) as visitor:
        visitor.sign_in()
        page = visitor.go(f"/deployments/{deployment}/execute")
        page.evaluate(OBSERVE)
        page.get_by_role("button", name="Execute").click()
        page.wait_for_url("**execution=*")
        others = _Sockets(site, page.url.partition("execution=")[2], headers)
        page.get_by_role("heading", name="Result").wait_for(timeout=60_000)
        seen = page.evaluate("window.seen")
        return seen, others.join()


def _document() -> JsonObject:
    blocks: list[Json] = [
        {
            "id": f"b{number}",
            "type": "sequential",
            "data": {
                "label": f"b{number}",
                "task": "Say it.",
                "agents": [{"id": "w", "name": "Writer", "model": f"openai:b{number}"}],
            },
        }
        for number in range(BLOCKS)
    ]
    connections: list[Json] = [
        {"id": f"c{number}", "source": f"b{number}", "target": f"b{number + 1}"} for number in range(BLOCKS - 1)
    ]
    return {"format": 1, "name": "Live", "blocks": blocks, "connections": connections}


class _Sockets:
    """All viewers but the browser, on a thread of their own."""

    def __init__(self, site: Site, execution_id: str, headers: dict[str, str]) -> None:
        self._address = f"{site.base_url.replace('http', 'ws', 1)}/ws/executions/{execution_id}"
        self._headers = headers
        self._seen: list[list[Any]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()))
        self._thread.start()

    def join(self) -> list[list[Any]]:
        self._thread.join()
        return self._seen

    async def _watch(self) -> None:
        self._seen = await asyncio.gather(*(self._view() for _ in range(VIEWERS - 1)))

    async def _view(self) -> list[Any]:
        seen: list[Any] = []
        async with connect(self._address, additional_headers=self._headers, proxy=None, compression=None) as socket:
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "delta":
                    seen.append((time.time(), message["block_id"], message["offset"] + len(message["text"])))
        return seen
