"""An audit that nobody answers is not run, and never passed."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestration_site.proving.servers import ServerMissing, free_port
from orchestration_site.tests.advisories import Service, advisories_of_npm, advisories_of_python
from orchestration_site.tests.lanes import LANES, Lane, run_lane

KNOWN = {"vulns": [{"id": "PYSEC-2018-28"}]}


@contextmanager
def answering(status: int, body: object) -> Iterator[str]:
    """The URL of a service that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def service_at(url: str) -> Service:
    return Service("a service", url, "vulns", {"package": "requests"})


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"", "404"),
        (405, {"error": "no"}, "405"),
        (200, {}, "no advisories"),
        (200, {"vulns": []}, "no advisories"),
        (200, ["vulns"], "no advisories"),
        (200, b"<html>", "Expecting value"),
    ],
)
def test_a_service_that_does_not_know_what_has_long_been_known_is_not_believed(
    status: int, body: object, said: str
) -> None:
    with answering(status, body) as url:
        with pytest.raises(ServerMissing, match=said), advisories_of_npm(service_at(url)):
            pass
        with pytest.raises(ServerMissing, match=said), advisories_of_python({"osv": service_at(url)}):
            pass


def test_the_first_service_that_knows_it_is_the_one_that_is_asked() -> None:
    nobody = service_at(f"http://127.0.0.1:{free_port()}/")
    with answering(200, KNOWN) as url, advisories_of_python({"pypi": nobody, "osv": service_at(url)}) as variables:
        assert variables == {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv"}


def test_a_lane_that_nobody_answers_is_not_run() -> None:
    nobody = service_at(f"http://127.0.0.1:{free_port()}/")
    outcome = run_lane(Lane("audit", 5, (("true",),), servers=lambda: advisories_of_npm(nobody)))
    assert outcome.result.startswith("NOT RUN: nobody can be asked")


def test_both_audits_ask_first_and_skip_no_package() -> None:
    lanes = {lane.name: lane for lane in LANES}
    python, pages = lanes["advisories-python"], lanes["advisories-npm"]
    assert (python.servers, pages.servers) == (advisories_of_python, advisories_of_npm)
    [words] = python.commands
    assert {"--strict", "requirements-dev.txt", "requirements-node.txt"} <= set(words)
