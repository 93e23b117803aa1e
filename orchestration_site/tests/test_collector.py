"""Each process that serves leaves what it was built of out of its collections."""

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from celery import signals

from orchestration_site import celery
from orchestration_site.collector import THRESHOLDS, settle_collector
from orchestration_site.management.commands import serve, web

pytestmark = pytest.mark.without_database


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    gc.unfreeze()
    yield
    settle_collector()


@pytest.mark.parametrize(
    "begin",
    [
        lambda: signals.worker_ready.send(sender=celery.app),
        lambda: signals.beat_init.send(sender=celery.app),
        lambda: web.Command()._begin("", []),
        lambda: serve.Command()._begin("", []),
    ],
    ids=["worker", "beat", "web", "serve"],
)
def test_what_is_there_when_it_is_ready_is_left_out(
    begin: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.tasks.current_worker", lambda: None)
    assert gc.get_freeze_count() == 0
    begin()
    assert gc.get_freeze_count() > 10_000


def test_from_its_first_import_on_a_process_collects_seldom() -> None:
    says = "import gc, orchestration_site; print(gc.get_threshold())"
    printed = subprocess.run([sys.executable, "-c", says], check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own words
    assert printed.strip() == str(THRESHOLDS)


def test_what_becomes_garbage_afterwards_is_collected() -> None:
    settle_collector()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1
