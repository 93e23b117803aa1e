"""A worker's judgement of what it may do, without a site around it."""

import time

from django.conf import settings

from deployments.executions.worker import QUIET_HEARTBEATS, Worker


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
