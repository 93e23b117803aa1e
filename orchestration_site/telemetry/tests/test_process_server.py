"""A worker and a beat answer probes on a port of their own; one that is taken keeps nobody from working."""

import socket
import threading

import httpx
import pytest
from celery import signals
from django.conf import settings

from orchestration_site import draining
from orchestration_site.proving.servers import free_port
from orchestration_site.telemetry import process_server
from orchestration_site.telemetry.process_server import start_server, stop_being_ready

#: Which signals the module listens to; not in this process, which is neither worker nor beat.
HEARD = {
    name
    for name, receiver in (
        ("worker_ready", start_server),
        ("beat_init", start_server),
        ("worker_shutting_down", stop_being_ready),
    )
    if getattr(signals, name).disconnect(receiver)
}


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    port = free_port()
    environment = settings.ENVIRONMENT.model_copy(update={"metrics_port": port, "host": "127.0.0.1"})
    monkeypatch.setattr(settings, "ENVIRONMENT", environment)
    monkeypatch.setattr(draining, "_draining", threading.Event())
    return port


def test_it_listens_to_the_start_of_both_and_to_the_end_of_a_worker() -> None:
    assert {"worker_ready", "beat_init", "worker_shutting_down"} == HEARD


def test_a_process_that_ends_is_alive_and_not_ready(port: int) -> None:
    start_server()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as probe:
        assert probe.get("/livez").json() == {"status": "alive"}
        assert probe.get("/metrics").json()["type"] == "/problems/metrics-off"
        assert probe.get("/anything").status_code == 404
        stop_being_ready()
        refused = probe.get("/readyz")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/draining")
        assert refused.json()["request_id"] == refused.headers["X-Request-ID"]
        assert probe.get("/livez").status_code == 200


def test_a_port_that_is_taken_is_said_and_no_more(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", port)):
        start_server()
    assert f"METRICS_PORT={port} cannot be listened on" in caplog.text
    assert process_server.log.name in {record.name for record in caplog.records}
