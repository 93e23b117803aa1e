"""At every numbered point around a commit, a hint and a message a real process ends; the site recovers from each.

What was answered reaches its end, a call that got no answer and is repeated is one execution, nothing is recorded or
counted twice, and a model is asked again only for what was not recorded. `sweep` prints the table by itself.
"""

from collections.abc import Sequence

import pytest

from orchestration_site.tests.crashes.sweep import Crash, sweep, table_of

pytestmark = pytest.mark.durability

#: What the sweep would be blind without, whatever else it finds.
OPERATIONS = {
    "start_execution: accept",
    "commit_writes: claim",
    "commit_writes: advance",
    "commit_writes: finish",
    "commit_writes: advance, release",
    "request_cancel",
    "renew",
    "ending._reap_each",
    "fail_queued",
    "dispatch._publish",
    "undeploy",
    "firing._fire_some: accept_all",
    "hint",
    "publish",
    "message",
    "acknowledge",
}


@pytest.mark.embedded
def test_one_process_recovers_from_every_point(capsys: pytest.CaptureFixture[str]) -> None:
    crashes = sweep(None, is_short=True)
    show(capsys, "SQLite, one process", crashes)
    assert not_recovered(crashes) == []
    assert never_tried(crashes, OPERATIONS | {"end_leases_of"}) == set()


@pytest.mark.distributed
def test_web_worker_and_beat_recover_from_every_point(
    postgres_url: str, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    crashes = sweep((postgres_url, redis_url), is_short=True)
    show(capsys, "PostgreSQL and Redis; web, worker and beat", crashes)
    assert not_recovered(crashes) == []
    assert never_tried(crashes, OPERATIONS) == set()


def not_recovered(crashes: Sequence[Crash]) -> list[str]:
    return [crash.line(number) for number, crash in enumerate(crashes, 1) if crash.complaints]


def never_tried(crashes: Sequence[Crash], operations: set[str]) -> set[tuple[str, str]]:
    """The operations around which no process ended, before or after."""
    wanted = {(side, operation) for side in ("before", "after") for operation in operations}
    return wanted - {(crash.point.side, crash.point.operation) for crash in crashes if crash.reached}


def show(capsys: pytest.CaptureFixture[str], where: str, crashes: Sequence[Crash]) -> None:
    with capsys.disabled():
        print("", where, *table_of(crashes), sep="\n")  # noqa: T201 - the table is what the lane is to show
