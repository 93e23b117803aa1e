"""A database that is away: 503 with Retry-After, over a socket, from a web process that has lost it."""

from collections.abc import Iterator

import httpx
import pytest

from orchestration_site.proving.processes import Process, commands_of_roles
from orchestration_site.proving.servers import free_port
from orchestration_site.tests.sites import site_environment


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web process whose database cannot be opened."""
    folder, port = tmp_path_factory.mktemp("outage"), free_port()
    gone = folder / "gone" / "orchestration.sqlite3"
    env = site_environment(folder, DATABASE_URL=f"sqlite:///{gone}")
    process = Process.start("web", commands_of_roles(port)["web"], env, folder)
    try:
        _wait_for_answer(process, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/deployed/feedback-analysis"),
        ("GET", "/api/deployments"),
        ("POST", "/api/deployments"),
        ("GET", "/api/executions"),
    ],
)
def test_every_address_that_needs_the_database_says_so(base_url: str, method: str, path: str) -> None:
    key = f"ok_{'0' * 12}_{'a' * 43}"
    answer = httpx.request(method, base_url + path, headers={"Authorization": f"Bearer {key}"}, json={})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["type"] == "/problems/database-unavailable"


def _wait_for_answer(process: Process, base_url: str) -> None:
    while process.running.poll() is None:
        try:
            httpx.get(f"{base_url}/livez")
        except httpx.TransportError:
            continue
        return
    pytest.fail(process.tail())
