"""A client of a running site for tests: it stores, deploys and calls over the socket, as a stranger would."""

import itertools
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from executor.json_types import JsonObject
from orchestration_site.tests.sites import Site

TEXT_SCHEMA: JsonObject = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
PROBLEM = "application/problem+json"
NOBODY = "01900000-0000-7000-8000-000000000000"
EVERYTHING = ("execute", "read", "manage")

_numbers = itertools.count(1)


class SiteApi:
    """Requests to one site, with one key; `other` is the same site with another key or none."""

    def __init__(self, site: Site, key: str | None) -> None:
        self.site = site
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.http = httpx.Client(base_url=site.base_url, headers=headers, timeout=30)

    def other(self, key: str | None) -> "SiteApi":
        return SiteApi(self.site, key)

    def key(self, *scopes: str, deployments: list[str] | None = None) -> str:
        """A new key, made over REST."""
        body = {"name": "test", "scopes": list(scopes), "deployments": deployments}
        made = self.http.post("/api/keys", json=body)
        assert made.status_code == 201, made.text
        return str(made.json()["key"])

    def store(self, model: str = "offline:demo", **fields: Any) -> str:
        """The id of a new design of one agent on that model."""
        stored = self.http.post("/api/designs", json=design_document(model, **fields))
        assert stored.status_code == 201, stored.text
        return str(stored.json()["id"])

    def deploy(self, model: str = "offline:demo", *, limits: JsonObject | None = None, **fields: Any) -> "Deployed":
        """A new deployment of a new design, under a path of its own."""
        deployed = self._deploy(self.store(model, **fields))
        if limits is not None:
            deployed.change(limits=limits)
        return deployed

    def deploy_document(self, document: JsonObject) -> "Deployed":
        """A new deployment of this design, under a path of its own."""
        stored = self.http.post("/api/designs", json=document)
        assert stored.status_code == 201, stored.text
        return self._deploy(str(stored.json()["id"]))

    def _deploy(self, design_id: str) -> "Deployed":
        made = self.http.post("/api/deployments", json={"design_id": design_id, "endpoint_path": new_path()})
        assert made.status_code == 201, made.text
        return Deployed(self, made.json())

    def wait_for_end(self, execution_id: str) -> JsonObject:
        """The execution once it has ended; the stream of its events says when."""
        with self.http.stream("GET", f"/api/executions/{execution_id}/events") as stream:
            assert stream.status_code == 200
            for _ in stream.iter_lines():
                pass
        ended: JsonObject = self.http.get(f"/api/executions/{execution_id}").json()
        return ended


class Deployed:
    """One deployment. `path` is its whole address."""

    def __init__(self, api: SiteApi, shown: JsonObject) -> None:
        self.api = api
        self.id = str(shown["id"])
        self.design_id = str(shown["design_id"])
        self.path = str(shown["endpoint_path"])

    def call(self, body: Any = None, **headers: str) -> httpx.Response:
        """POST to the endpoint; header names with underscores for dashes."""
        sent = {"text": "Hello there."} if body is None else body
        return self.api.http.post(self.path, json=sent, headers=_dashed(headers))

    def change(self, **changes: Any) -> httpx.Response:
        """PUT; raises when it is refused."""
        changed = self.api.http.put(f"/api/deployments/{self.id}", json=changes)
        assert changed.status_code == 200, changed.text
        return changed

    def executions(self) -> list[JsonObject]:
        """Its log rows, newest first."""
        rows: list[JsonObject] = self.api.http.get(f"/api/deployments/{self.id}/logs").json()["results"]
        return rows

    def only_execution(self) -> str:
        """The id of its one execution, as soon as there is one."""
        while not (rows := self.executions()):
            pass
        return str(rows[0]["execution_id"])

    def count_executions(self) -> int:
        return len(self.executions())

    @contextmanager
    def running(self) -> Iterator[str]:
        """An execution that goes on until the end of the block, where it is cancelled; its id."""
        started = self.call(Prefer="respond-async")
        assert started.status_code == 202, started.text
        execution_id = started.json()["execution_id"]
        try:
            yield execution_id
        finally:
            self.api.http.post(f"/api/executions/{execution_id}/cancel")
            self.api.wait_for_end(execution_id)


#: A deployment, its execution that failed, and those that completed.
History = tuple[Deployed, str, list[str]]


def design_document(
    model: str = "offline:demo",
    *,
    name: str = "Summary",
    input_schema: JsonObject | None = TEXT_SCHEMA,
    output_schema: JsonObject | None = None,
) -> JsonObject:
    """A design of one agent."""
    agent: JsonObject = {"id": "writer", "name": "Writer", "model": model, "settings": {"tries": 1}}
    if output_schema is not None:
        agent["output_schema"] = output_schema
    data: JsonObject = {"label": "Summarise", "task": "Summarise the text.", "agents": [agent]}
    block: JsonObject = {"id": "summarise", "type": "sequential", "data": data}
    return {"format": 1, "name": name, "input_schema": input_schema, "blocks": [block], "connections": []}


def new_path() -> str:
    """An endpoint path that nobody else uses, on a site that tests share."""
    return f"test-{next(_numbers)}-{secrets.token_hex(3)}"


def events_of(text: str) -> list[tuple[str | None, str, JsonObject]]:
    """The `id`, `event` and `data` of each message of a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
    return found


def expect_problem(answer: httpx.Response, status: int, slug: str) -> Any:
    """The problem's body, when it is that one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == PROBLEM
    body = answer.json()
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == status
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert len(body["detail"]) > 10
    return body


def pointers(body: Any) -> set[str]:
    """Where a problem says that something is wrong."""
    return {error["pointer"] for error in body["errors"]}


def json_body(body: Any) -> dict[str, Any]:
    """A request's body, null too, for which httpx would send none."""
    return {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
