"""`/metrics` is read by whom the operator lets, and by nobody else."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from orchestration_site.telemetry import endpoint
from orchestration_site.telemetry.endpoint import MetricsEndpoint
from orchestration_site.telemetry.no_metrics import NoMetrics
from orchestration_site.telemetry.tests.asgi import application, ask

TOKEN = "only-for-tests-" + "0" * 20
INSIDE, OUTSIDE = ("10.1.2.3", 5), ("192.0.2.7", 5)


def serve(networks: tuple[str, ...] = (), token: str | None = None) -> MetricsEndpoint:
    registry = CollectorRegistry()
    Counter("orchestration_tests", "Of this test.", registry=registry).inc(3)
    return MetricsEndpoint(application, registry, networks=networks, token=token)


def bearing(token: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {token}".encode())]


async def test_who_comes_from_a_network_that_may_reads_what_was_counted() -> None:
    status, headers, body = await ask(serve(("10.0.0.0/8",)), "/metrics", client=INSIDE)

    assert (status, headers["cache-control"]) == (200, "no-store")
    assert headers["content-type"].startswith("text/plain")
    samples = [sample for family in text_string_to_metric_families(body.decode()) for sample in family.samples]
    assert [sample.value for sample in samples if sample.name == "orchestration_tests_total"] == [3]


async def test_an_address_of_version_4_within_one_of_6_counts_as_that() -> None:
    assert (await ask(serve(("10.0.0.0/8",)), "/metrics", client=("::ffff:10.1.2.3", 5)))[0] == 200


@pytest.mark.parametrize("client", [OUTSIDE, None, ("no address", 5)])
async def test_from_elsewhere_it_is_refused_as_a_problem(client: Any) -> None:
    status, headers, body = await ask(serve(("10.0.0.0/8",)), "/metrics", client=client)

    assert (status, headers["content-type"]) == (403, "application/problem+json")
    assert "METRICS_NETWORKS" in json.loads(body)["detail"]
    assert b"orchestration_tests" not in body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (bearing(TOKEN), 200),
        ([(b"Authorization", f"bearer  {TOKEN}".encode())], 200),
        (bearing(TOKEN[:-1]), 401),
        ([(b"authorization", f"Basic {TOKEN}".encode())], 401),
        ([(b"authorization", b"Bearer \xff")], 401),
        ([], 401),
    ],
)
async def test_the_token_has_to_be_the_one(headers: Any, status: int) -> None:
    answered, sent, _ = await ask(serve(token=TOKEN), "/metrics", client=OUTSIDE, headers=headers)

    assert answered == status
    assert ("www-authenticate" in sent) == (status == 401)


async def test_of_a_network_and_a_token_both_are_needed() -> None:
    both = serve(("10.0.0.0/8",), TOKEN)

    assert (await ask(both, "/metrics", client=INSIDE))[0] == 401
    assert (await ask(both, "/metrics", client=OUTSIDE, headers=bearing(TOKEN)))[0] == 403
    assert (await ask(both, "/metrics/", client=INSIDE, headers=bearing(TOKEN)))[0] == 200


async def test_a_form_that_is_none_gets_the_usual_one() -> None:
    odd = [(b"accept", b"application/openmetrics-text; version=abc")]
    status, headers, _ = await ask(serve(("10.0.0.0/8",)), "/metrics", client=INSIDE, headers=odd)
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")


async def test_where_metrics_are_off_it_says_what_turns_them_on() -> None:
    site: Any = NoMetrics(application, with_site=True)
    status, _, body = await ask(site, "/metrics")

    assert status == 404
    assert "METRICS_TOKEN" in json.loads(body)["detail"]
    assert (await ask(site, "/api"))[0] == 204


async def test_other_paths_are_handed_on_and_other_methods_refused() -> None:
    assert (await ask(serve(), "/metrics2"))[0] == 204
    status, headers, _ = await ask(serve(), "/metrics", "POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


class Hanging(Collector):
    """What a database that says nothing makes of the figures."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Any]:
        self.goes_on.wait(10)
        return iter(())


async def test_figures_that_do_not_come_are_waited_for_no_longer_than_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "PATIENCE_SECONDS", 0.05)
    hanging, registry = Hanging(), CollectorRegistry()
    registry.register(hanging)
    status, _, _ = await ask(MetricsEndpoint(application, registry, networks=(), token=None), "/metrics")
    hanging.goes_on.set()

    assert status == 503
