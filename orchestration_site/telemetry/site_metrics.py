"""The figures of the whole site as metrics: every web process gives the same ones, read from the database."""

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Final

from django.db import close_old_connections
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from deployments.figures import LATELY, SiteFigures, read_site_figures

#: Figures are good for so long, so that scrapes cannot become a load.
REMEMBER_SECONDS: Final = 5.0
PREFIX: Final = "orchestration_site"
WHILE: Final = f"in the last {int(LATELY.total_seconds())} seconds"

log = logging.getLogger(__name__)


class SiteCollector(Collector):
    """Reads the figures when they are asked for. One thread at a time may: `MetricsEndpoint` sees to it."""

    def __init__(self) -> None:
        self._figures: SiteFigures | None = None
        self._read_at = float("-inf")

    def describe(self) -> list[Metric]:
        """None, so that to register it reads nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        if time.monotonic() - self._read_at >= REMEMBER_SECONDS:
            self._figures = _read()
            self._read_at = time.monotonic()
        yield GaugeMetricFamily(
            f"{PREFIX}_up",
            "1 where the database could be read for the site's figures.",
            float(self._figures is not None),
        )
        if self._figures is not None:
            yield from _families(self._figures)


def _read() -> SiteFigures | None:
    close_old_connections()
    try:
        return read_site_figures()
    except Exception as error:  # noqa: BLE001 - whatever the driver raises: what the process counts is shown without
        log.warning("The figures of the site could not be read: %s", error)
        return None
    finally:
        close_old_connections()


def _families(figures: SiteFigures) -> Iterator[Metric]:
    yield _by("executions", "Executions that are queued and that run now.", "status", figures.now)
    yield _one("queue_age_seconds", "How long the oldest execution has been queued.", figures.queue_age_seconds)
    yield _one("leases_over", "Running executions whose worker has not renewed them in time.", figures.leases_over)
    yield _by("recent_executions", f"Executions accepted {WHILE}, by status.", "status", figures.lately)
    yield from _schedule_families(figures)


def _schedule_families(figures: SiteFigures) -> Iterator[Metric]:
    schedules = figures.schedules
    skipped = {reason: count for reason, count in schedules.skipped.items() if reason != "missed"}
    late = {f"{bound:g}": count for bound, count in schedules.at_most_late.items()}
    mean = schedules.lateness_sum / schedules.measured if schedules.measured else 0.0
    yield _one("schedules", "Schedules that have a next time.", schedules.in_force)
    yield _one("schedule_overdue_seconds", "How long the next time of all is overdue.", schedules.overdue_seconds)
    yield _one("schedule_fired", f"Scheduled times that were fired {WHILE}.", schedules.fired)
    yield _one("schedule_missed", f"Scheduled times that were missed {WHILE}.", schedules.missed)
    yield _by("schedule_skipped", f"Scheduled times that were skipped {WHILE}.", "reason", skipped)
    yield _one("schedule_lateness_max_seconds", f"The latest of those fired {WHILE}.", schedules.lateness_max)
    yield _one("schedule_lateness_mean_seconds", f"How late those fired {WHILE} were on average.", mean)
    yield _by("schedule_at_most_late", f"How many of those fired {WHILE} were at most so late.", "seconds", late)


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
