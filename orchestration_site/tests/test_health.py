"""Probes are told the truth, quickly, and cannot become a load."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestration_site import draining, health
from orchestration_site.draining import DrainingMiddleware
from orchestration_site.health import HealthEndpoints, InOwnThread, Readiness


class Part:
    """A part of the site that a test takes away and gives back."""

    def __init__(self) -> None:
        self.is_away = False
        self.looks = 0

    async def check(self) -> None:
        self.looks += 1
        if self.is_away:
            raise ConnectionError("postgres://user:S3cret@host/name refuses")


async def application(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(app: Any, path: str, method: str = "GET") -> tuple[int, dict[str, str], Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app({"type": "http", "path": path, "method": method, "headers": []}, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, json.loads(sent[1]["body"] or "null")


@pytest.fixture
def part() -> Part:
    return Part()


@pytest.fixture
def site(part: Part, monkeypatch: pytest.MonkeyPatch) -> HealthEndpoints:
    monkeypatch.setattr(health, "REMEMBER_SECONDS", 0)
    return HealthEndpoints(DrainingMiddleware(application), Readiness({"database": part.check}))


@pytest.fixture
def begin_draining(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    monkeypatch.setattr(draining, "_draining", threading.Event())
    return draining.begin_draining


async def test_a_part_that_is_away_is_named_with_the_first_time_and_without_its_secrets(
    site: HealthEndpoints, part: Part, caplog: pytest.LogCaptureFixture
) -> None:
    part.is_away = True

    first, headers, answer = await ask(site, "/readyz")
    _, _, again = await ask(site, "/readyz")

    assert first == 503
    assert int(headers["retry-after"]) > 0
    assert (headers["content-type"], answer["type"]) == ("application/problem+json", "/problems/unavailable")
    assert answer["detail"].startswith("Away: database since ")
    assert answer["checks"]["database"]["ok"] is False
    assert answer["checks"]["database"]["away_since"] == again["checks"]["database"]["away_since"] is not None
    assert "S3cret" not in json.dumps(answer) + caplog.text


async def test_a_part_that_came_back_is_ready_and_forgets_since_when(site: HealthEndpoints, part: Part) -> None:
    part.is_away = True
    await ask(site, "/readyz")
    part.is_away = False

    status, _, answer = await ask(site, "/readyz/")

    assert status == 200
    assert answer["checks"]["database"] == {"ok": True, "away_since": None}


async def test_many_probes_at_once_look_once(part: Part) -> None:
    site = HealthEndpoints(application, Readiness({"database": part.check}))

    answers = await asyncio.gather(*(ask(site, "/readyz") for _ in range(50)))

    assert {status for status, _, _ in answers} == {200}
    assert part.looks == 1


async def test_a_check_that_hangs_is_away_and_does_not_keep_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.05)
    hanging = threading.Event()

    def hang() -> None:
        hanging.wait(60)

    async with asyncio.timeout(30):
        status, _, answer = await ask(HealthEndpoints(application, Readiness({"broker": InOwnThread(hang)})), "/readyz")
    hanging.set()

    assert status == 503
    assert answer["checks"]["broker"]["ok"] is False


async def test_the_process_is_alive_whatever_is_away(site: HealthEndpoints, part: Part) -> None:
    part.is_away = True

    assert (await ask(site, "/livez"))[0] == 200


async def test_a_draining_process_is_alive_not_ready_and_refuses_new_requests(
    site: HealthEndpoints, begin_draining: Callable[[], None]
) -> None:
    assert (await ask(site, "/api/deployments"))[0] == 204
    begin_draining()

    refused, headers, problem = await ask(site, "/api/deployments")
    assert refused == 503
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["retry-after"]) > 0
    assert problem["type"] == "/problems/draining"
    status, _, problem = await ask(site, "/readyz")
    assert (status, problem["type"]) == (503, "/problems/draining")
    assert (await ask(site, "/livez"))[0] == 200


async def test_other_paths_are_handed_on_and_other_methods_refused(site: HealthEndpoints) -> None:
    assert (await ask(site, "/livezz"))[0] == 204
    status, headers, _ = await ask(site, "/livez", "POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
