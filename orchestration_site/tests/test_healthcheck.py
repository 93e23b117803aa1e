"""The health checks of containers: each says that its role works, and why it does not."""

import asyncio
import http.server
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings

from deployments.executions.worker import Worker
from deployments.scheduling.scheduler import DeploymentScheduler
from deployments.signs_of_life import show_alive
from orchestration_site.healthcheck import MAX_AGE_SECONDS, main


@contextmanager
def web_server(status: int) -> Iterator[int]:
    """The port of a server that answers `/livez` with that, and everything else with 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_a_web_server_is_well_when_it_says_so(status: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with web_server(status) as port:
        monkeypatch.setenv("PORT", str(port))
        assert main(["web"]) == expected


def test_a_web_server_that_is_gone_is_not(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with web_server(200) as port:
        monkeypatch.setenv("PORT", str(port))
    assert main(["web"]) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_a_worker_is_well_while_it_touches_its_file(
    role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "alive"
    assert main([role]) == 1
    assert "ALIVE_FILE is not set" in capsys.readouterr().err
    monkeypatch.setenv("ALIVE_FILE", str(path))
    assert main([role]) == 1
    assert "yet" in capsys.readouterr().err

    with override_settings(ENVIRONMENT=settings.ENVIRONMENT.model_copy(update={"alive_file": path})):
        show_alive()
    assert main([role]) == 0
    long_ago = time.time() - MAX_AGE_SECONDS - 1
    os.utime(path, (long_ago, long_ago))
    assert main([role]) == 1
    assert "61 s ago" in capsys.readouterr().err
    with override_settings(ENVIRONMENT=settings.ENVIRONMENT.model_copy(update={"alive_file": path})):
        show_alive()
    assert main([role]) == 0


@pytest.mark.parametrize("words", [[], ["celery"], ["web", "worker"]])
def test_it_has_to_be_told_the_role(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "web, worker, beat" in capsys.readouterr().err


async def test_a_worker_shows_that_it_is_alive_before_its_first_heartbeat(tmp_path: Path) -> None:
    environment = settings.ENVIRONMENT.model_copy(update={"alive_file": tmp_path / "alive", "heartbeat_seconds": 600})
    with override_settings(ENVIRONMENT=environment):
        beating = asyncio.ensure_future(Worker()._beat())
        await asyncio.sleep(0)
        beating.cancel()
    assert (tmp_path / "alive").exists()


def test_a_beat_shows_it_with_each_tick_also_while_nothing_can_be_fired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> float:
        raise RuntimeError("nothing can be fired")

    beat = object.__new__(DeploymentScheduler)
    monkeypatch.setattr(beat, "_fire", fail)
    monkeypatch.setattr("deployments.scheduling.scheduler.close_old_connections", lambda: None)
    with override_settings(ENVIRONMENT=settings.ENVIRONMENT.model_copy(update={"alive_file": tmp_path / "alive"})):
        beat.tick()
    assert (tmp_path / "alive").exists()


def test_where_the_file_cannot_be_written_the_work_goes_on_and_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gone" / "alive"
    with override_settings(ENVIRONMENT=settings.ENVIRONMENT.model_copy(update={"alive_file": path})):
        show_alive()
        show_alive()
    assert [record.getMessage() for record in caplog.records] == [
        f"ALIVE_FILE={str(path)!r} cannot be touched, so health checks will fail: No such file or directory"
    ]
