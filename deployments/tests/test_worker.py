"""A worker's judgement of what it may do, without a site around it."""

import atexit
import os
import signal
import time

import pytest
from django.conf import settings

from deployments.executions import worker as worker_module
from deployments.executions.retirement import Retirement, resident_bytes
from deployments.executions.worker import MEGABYTE, QUIET_HEARTBEATS, Worker


def test_a_worker_that_was_cut_off_reaps_nothing_until_the_others_had_time_to_renew() -> None:
    """After an outage of the database every lease is over, also those of workers that are at work."""
    worker, heartbeat = Worker(), settings.ENVIRONMENT.heartbeat_seconds
    worker._renewed_at = time.monotonic() - (QUIET_HEARTBEATS + 1) * heartbeat
    worker._note_renewal()
    quiet_for = worker._reaps_from - time.monotonic()
    assert heartbeat < quiet_for <= QUIET_HEARTBEATS * heartbeat

    worker._note_renewal()
    assert worker._reaps_from - time.monotonic() <= quiet_for, "the next renewal, in time, adds nothing"


def test_a_worker_that_renews_in_time_may_always_reap() -> None:
    worker = Worker()
    worker._note_renewal()
    assert worker._reaps_from <= time.monotonic()


class TestMemory:
    @pytest.fixture
    def stops(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The signals that this process would have been sent. A worker may have 100 MB here."""
        sent: list[int] = []
        monkeypatch.setattr(os, "kill", lambda _pid, number: sent.append(number))
        monkeypatch.setattr(atexit, "register", lambda _function: None)
        monkeypatch.setattr(worker_module, "retirement", Retirement())
        bounded = settings.ENVIRONMENT.model_copy(update={"worker_max_memory_mb": 100})
        monkeypatch.setattr(settings, "ENVIRONMENT", bounded)
        return sent

    @pytest.mark.parametrize(("held", "expected"), [(100, []), (101, [signal.SIGTERM])])
    def test_above_the_bound_it_takes_no_more_and_stops_once(
        self, monkeypatch: pytest.MonkeyPatch, stops: list[int], held: int, expected: list[int]
    ) -> None:
        monkeypatch.setattr(worker_module, "resident_bytes", lambda: held * MEGABYTE)
        worker = Worker()
        worker._retire_when_outgrown()
        assert stops == [], "what an idle worker takes is no reason"
        worker._has_ended_one = True
        worker._retire_when_outgrown()
        worker._retire_when_outgrown()
        assert stops == expected
        assert worker._is_draining is bool(expected)

    def test_without_a_bound_it_stays(self, monkeypatch: pytest.MonkeyPatch, stops: list[int]) -> None:
        without = settings.ENVIRONMENT.model_copy(update={"worker_max_memory_mb": None})
        monkeypatch.setattr(settings, "ENVIRONMENT", without)
        monkeypatch.setattr(worker_module, "resident_bytes", lambda: 10**12)
        worker = Worker()
        worker._has_ended_one = True
        worker._retire_when_outgrown()
        assert stops == []

    def test_who_is_told_to_stop_besides_is_not_followed(self, stops: list[int]) -> None:
        retirement = Retirement()
        followed = [retirement.is_followed]
        retirement.begin()
        for _ in range(2):
            retirement.note_stop()
            followed.append(retirement.is_followed)
        assert stops == [signal.SIGTERM]
        assert followed == [False, True, False]
        retirement.follow()  # else this process would begin anew here

    def test_memory_is_counted_as_it_is_taken(self) -> None:
        before = resident_bytes()
        taken = b"x" * (64 * MEGABYTE)
        assert resident_bytes() - before > len(taken) // 2
