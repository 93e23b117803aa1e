"""The site's REST API as a proof uses it: all that is known of a system under proof is read over a socket."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

#: How long a read is repeated while the site is away.
PATIENCE_SECONDS = 90.0
PAUSE_SECONDS = 0.25
CALL_SECONDS = 30.0
PAGE = 500
#: Statuses of a site that is away, or whose database is; 0 is no answer at all.
AWAY = (0, 503)


class SiteRefused(Exception):
    """The site answered something that a proof cannot go on with."""


@dataclass(frozen=True)
class Answer:
    """One answer. `status` 0: there was none, the connection failed or broke."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def retry_after(self) -> float | None:
        value = self.headers.get("Retry-After", "")
        return float(value) if value.isdigit() else None


class SiteClient:
    """Requests with one key. As an async context manager it holds its connections until the end of the block."""

    def __init__(self, base_url: str, key: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.key = key
        self._headers = {"Authorization": f"Bearer {key}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, once. Never raises for what the network or the site does."""
        if self._session is None:
            raise RuntimeError("Use it as an async context manager.")
        url = path if path.startswith("http") else self.base_url + path
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                content = await answer.json(content_type=None) if answer.status != 204 else None
                return Answer(answer.status, answer.headers, content)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return Answer(0, {}, None)

    async def read(self, path: str) -> Answer:
        """GET, repeated while the site or its database is away. Raises `SiteRefused` when that takes too long."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            answer = await self.send("GET", path)
            if answer.status not in AWAY:
                return answer
            await asyncio.sleep(PAUSE_SECONDS)
        raise SiteRefused(f"{path} was not answered within {PATIENCE_SECONDS:g} seconds.")

    async def deploy(self, document: Mapping[str, Any], path: str, limits: Mapping[str, Any] | None = None) -> str:
        """Store the design and deploy it under that path; the deployment's id. Raises `SiteRefused`."""
        design = await self._write("POST", "/api/designs", document)
        body = {"design_id": design["id"], "endpoint_path": path}
        deployment_id = str((await self._write("POST", "/api/deployments", body))["id"])
        if limits is not None:
            await self._write("PUT", f"/api/deployments/{deployment_id}", {"limits": limits})
        return deployment_id

    async def schedule(self, deployment_id: str, schedule: Mapping[str, Any]) -> None:
        """Give the deployment this schedule. Raises `SiteRefused`."""
        await self._write("PUT", f"/api/deployments/{deployment_id}", {"schedule": dict(schedule)})

    async def undeploy(self, deployment_id: str) -> None:
        """Take the deployment away again; its history stays."""
        await self.send("DELETE", f"/api/deployments/{deployment_id}")

    async def unfinished(self, deployment_id: str) -> int:
        """How many executions of the deployment have not ended; at most a page of them."""
        query = f"deployment_id={deployment_id}&status=queued&status=running&limit={PAGE}"
        return len((await self.read(f"/api/executions?{query}")).body["results"])

    async def executions(self, deployment_id: str) -> list[str]:
        """The ids of all executions of the deployment."""
        return [row["execution_id"] for row in await self.rows(deployment_id)]

    async def rows(self, deployment_id: str) -> list[dict[str, Any]]:
        """All executions of the deployment as lists show them."""
        found: list[dict[str, Any]] = []
        page: str | None = f"/api/executions?deployment_id={deployment_id}&limit={PAGE}"
        while page:
            body = (await self.read(page)).body
            found += body["results"]
            page = body["next"]
        return found

    async def ended_count(self, deployment_id: str) -> int:
        """How many executions the deployment itself has counted as ended."""
        return int((await self.read(f"/api/deployments/{deployment_id}")).body["execution_count"])

    async def _write(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.send(method, path, body=dict(body))
        if answer.status not in (200, 201):
            detail = answer.body.get("detail") if isinstance(answer.body, dict) else None
            raise SiteRefused(f"{method} {path} was answered with {answer.status or 'nothing'}. {detail or ''}")
        return dict(answer.body)
