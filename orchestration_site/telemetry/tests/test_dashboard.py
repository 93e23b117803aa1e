"""The dashboard shows what the site gives: every metric, label and value that it names is one of ours."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from deployments.figures import SiteFigures
from deployments.scheduling.figures import LATENESS_BOUNDS, ScheduleFigures
from deployments.telemetry import RunEnd
from orchestration_site.environment import BASE_DIR
from orchestration_site.telemetry import site_metrics
from orchestration_site.telemetry.metrics import ProcessMetrics
from orchestration_site.telemetry.observing import ObservedRequests
from orchestration_site.telemetry.site_metrics import SiteCollector
from orchestration_site.telemetry.tests.asgi import application, ask
from orchestration_site.telemetry.tests.observed import completed, event, observed_run, started

DASHBOARD = BASE_DIR / "docs" / "grafana-dashboard.json"
DOCUMENT = BASE_DIR / "docs" / "telemetry.md"
METRIC = re.compile(r"\b((?:orchestration|process)_\w+)(?:\{([^}]*)\})?")
#: What Prometheus itself adds to each sample.
LABELS_OF_PROMETHEUS = {"job", "instance", "le"}
FIGURES = SiteFigures(
    now={"queued": 3, "running": 2},
    queue_age_seconds=1.5,
    leases_over=0,
    lately={"completed": 5},
    schedules=ScheduleFigures(
        fired=4,
        skipped={"missed": 2, "overlap": 1},
        at_most_late=dict.fromkeys(LATENESS_BOUNDS, 4),
        measured=4,
        lateness_sum=2.0,
        lateness_max=1.0,
        in_force=1,
        overdue_seconds=0.0,
    ),
)


@pytest.fixture
async def samples(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Each sample's name and its labels, of a site on which everything has happened once."""
    monkeypatch.setattr(site_metrics, "read_site_figures", lambda: FIGURES)
    metrics, registry = ProcessMetrics(), CollectorRegistry()
    counts = metrics.follow(observed_run())
    for each in (event("execution.started", 0), started(1), completed(2, cost=str(Decimal("0.1")))):
        counts.note(each)
    counts.end(RunEnd("completed", duration_ms=1))
    metrics.follow(observed_run()).end(RunEnd("released"))
    await ask(ObservedRequests(application, [metrics]), "/api")
    registry.register(metrics.registry)
    registry.register(SiteCollector())
    return {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


def expressions() -> Iterator[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    yield from (target["expr"] for panel in panels for target in panel.get("targets", ()))


async def test_every_metric_that_the_dashboard_names_is_one_that_the_site_gives(samples: dict[str, set[str]]) -> None:
    named = {name for expression in expressions() for name, _ in METRIC.findall(expression)}

    assert len(named) > 20
    assert named - set(samples) == set()


async def test_every_label_is_one_of_its_metric(samples: dict[str, set[str]]) -> None:
    for expression in expressions():
        [*metrics] = METRIC.findall(expression)
        known = LABELS_OF_PROMETHEUS.union(*(samples[name] for name, _ in metrics))
        matched = {label for _, inside in metrics for label in re.findall(r"(\w+)(?:=|!=|=~)", inside)}
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        assert matched | grouped <= known, expression


async def test_the_document_tells_of_every_metric_that_the_site_gives(samples: dict[str, set[str]]) -> None:
    names = {name for name in samples if name.startswith("orchestration_") and not name.endswith("_created")}
    ours = {re.sub(r"_(?:bucket|count|sum)$", "", name) for name in names}
    told = set(re.findall(r"`(orchestration_\w+)`", DOCUMENT.read_text()))

    assert told == ours


def test_the_panels_have_titles_texts_and_a_place_of_their_own() -> None:
    panels: list[Any] = [each for each in json.loads(DASHBOARD.read_text())["panels"] if each["type"] != "row"]
    places = {(cell, line) for panel in panels for cell, line in cells_of(panel["gridPos"])}

    assert all(panel["title"] and panel["description"] for panel in panels)
    assert len(places) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels)


def cells_of(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for cell in range(place["x"], place["x"] + place["w"]):
        yield from ((cell, line) for line in range(place["y"], place["y"] + place["h"]))


async def test_where_the_database_is_away_the_site_says_so_and_gives_the_rest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away() -> SiteFigures:
        raise ConnectionError("refused")

    monkeypatch.setattr(site_metrics, "read_site_figures", away)
    assert [(family.name, family.samples[0].value) for family in SiteCollector().collect()] == [
        ("orchestration_site_up", 0.0)
    ]
    assert "could not be read" in caplog.text


@pytest.mark.django_db
def test_figures_are_read_no_oftener_than_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def read() -> SiteFigures:
        reads.append(1)
        return FIGURES

    monkeypatch.setattr(site_metrics, "read_site_figures", read)
    collector = SiteCollector()
    for _ in range(3):
        list(collector.collect())
    assert len(reads) == 1
    monkeypatch.setattr(site_metrics, "REMEMBER_SECONDS", 0)
    list(collector.collect())
    assert len(reads) == 2
