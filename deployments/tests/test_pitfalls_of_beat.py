"""What django-celery-beat's own scheduler gets wrong, and ours does not: each test is tried on both.

On the stock scheduler it has to fail: should a release of it mend that, the test says so, and our code may become less.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from deployments.scheduling import scheduler as scheduler_module
from deployments.tests.beat_worlds import Ours, Stock, World

pytestmark = pytest.mark.django_db

#: A Monday.
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
STEP = 5 * MINUTE
UPDATE_OF_ENTRIES = re.compile(r'^UPDATE "django_celery_beat_periodictask" SET (.*?) WHERE', re.DOTALL)


@pytest.fixture(
    params=[
        pytest.param(Ours, id="ours"),
        pytest.param(Stock, id="stock", marks=pytest.mark.xfail(strict=True, raises=AssertionError)),
    ]
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Each scheduler in turn, at midnight before a Monday."""
    with (
        time_machine.travel(MONDAY, tick=False) as clock,
        patch.object(scheduler_module, "close_old_connections"),
        patch("django_celery_beat.schedulers.close_old_connections"),
    ):
        world: World = request.param(clock)
        yield world
        world.kill_beats()


def go_to(world: World, moment: datetime) -> None:
    """Nothing runs until then."""
    world.clock.move_to(moment)


def columns_written(queries: CaptureQueriesContext) -> set[str]:
    updates = [found[1] for query in queries if (found := UPDATE_OF_ENTRIES.match(query["sql"]))]
    return {name for update in updates for name in re.findall(r'"(\w+)" = ', update)}


def test_1_a_daily_run_that_was_missed_does_not_come_at_another_hour_the_day_after(world: World) -> None:
    world.add("daily", cron="0 10 * * *")
    world.start_beat()
    go_to(world, MONDAY + 9 * HOUR)
    world.run_until(MONDAY + 9 * HOUR + 50 * MINUTE, step=STEP)
    world.kill_beats()
    go_to(world, MONDAY + 14 * HOUR)
    world.start_beat()
    world.run_until(MONDAY + DAY + 12 * HOUR, step=STEP)
    assert [at for at in world.fired("daily") if at > MONDAY + DAY] == [MONDAY + DAY + 10 * HOUR]


def test_2_the_start_of_a_schedule_is_no_time_of_it(world: World) -> None:
    world.start_beat()
    world.add("daily", cron="0 9,21 * * *", start=MONDAY + 2 * HOUR + 20 * MINUTE)
    world.run_until(MONDAY + 10 * HOUR, step=STEP)
    assert world.fired("daily") == [MONDAY + 9 * HOUR]


def test_2_an_edit_fires_nothing_itself(world: World) -> None:
    world.start_beat()
    world.add("daily", cron="0 2 * * *")
    world.run_until(MONDAY + 3 * HOUR, step=STEP)
    world.edit("daily", cron="30 2 * * *")
    world.run_until(MONDAY + 4 * HOUR, step=STEP)
    assert world.fired("daily") == [MONDAY + 2 * HOUR]


def test_3_what_is_accepted_runs(world: World) -> None:
    """Seven is Sunday, to cron and to beat's own check."""
    world.start_beat()
    world.add("weekend", cron="0 9 * * 5-7")
    world.run_until(MONDAY + 7 * DAY, step=HOUR)
    assert world.fired("weekend") == [MONDAY + day * DAY + 9 * HOUR for day in (4, 5, 6)]


def test_3_an_entry_that_cannot_be_read_stops_no_other(world: World) -> None:
    world.add("hourly", cron="0 * * * *")
    PeriodicTask.objects.create(name="bad", task="their.task", crontab=CrontabSchedule.objects.create(minute=""))
    try:
        world.start_beat()
    except Exception as error:
        raise AssertionError(f"The beat died: {error!r}") from error
    world.run_until(MONDAY + HOUR, step=STEP)
    assert world.fired("hourly") == [MONDAY + HOUR]


def test_4_an_edit_by_a_host_whose_clock_is_behind_is_in_force_at_once(world: World) -> None:
    world.start_beat()
    world.run_until(MONDAY + 55 * SECOND, step=SECOND)
    world.add("other", cron="0 0 1 1 *")
    world.run_until(MONDAY + MINUTE, step=SECOND)
    world.clock.shift(-10 * SECOND)
    world.add("quick", every=1)
    world.clock.shift(10 * SECOND)
    world.run_until(MONDAY + MINUTE + 5 * SECOND, step=SECOND)
    assert world.fired("quick")


def test_4_what_is_switched_off_in_the_tables_fires_no_more(world: World) -> None:
    world.add("quick", every=10)
    world.start_beat()
    world.run_until(MONDAY + MINUTE, step=SECOND)
    assert world.fired("quick") or pytest.fail("It did not even begin.")
    world.switch_off_by_update("quick")
    world.run_until(MONDAY + 2 * MINUTE, step=SECOND)
    assert max(world.fired("quick")) <= MONDAY + MINUTE


def test_5_writing_down_a_run_undoes_no_edit(world: World) -> None:
    world.add("hourly", cron="0 * * * *")
    world.start_beat()
    with CaptureQueriesContext(connection) as queries:
        world.run_until(MONDAY + HOUR + 5 * MINUTE, step=STEP)
    assert world.fired("hourly") or pytest.fail("It did not run.")
    assert columns_written(queries) == {"last_run_at", "total_run_count"}


def test_5_what_is_switched_off_still_shows_when_it_ran(world: World) -> None:
    world.add("hourly", cron="0 * * * *")
    world.start_beat()
    world.run_until(MONDAY + HOUR + 5 * MINUTE, step=STEP)
    assert world.entry("hourly").last_run_at == MONDAY + HOUR or pytest.fail("It did not run.")
    world.switch_off("hourly")
    assert world.entry("hourly").last_run_at == MONDAY + HOUR


def test_6_what_comes_due_while_the_broker_is_down_is_not_lost(world: World) -> None:
    world.add("hourly", cron="0 * * * *")
    world.start_beat()
    world.broker_is_down = True
    world.run_until(MONDAY + HOUR + MINUTE, step=MINUTE)
    world.broker_is_down = False
    world.run_until(MONDAY + HOUR + 30 * MINUTE, step=MINUTE)
    assert len(world.fired("hourly")) == 1
    assert world.fired("hourly")[0] < MONDAY + HOUR + 5 * MINUTE


def test_6_a_beat_that_is_killed_after_it_fired_fires_nothing_again(world: World) -> None:
    world.add("before", cron="59 * * * *")  # what is fired just after another is written down minutes later
    world.add("hourly", cron="0 * * * *")
    world.start_beat()
    world.run_until(MONDAY + HOUR + MINUTE, step=MINUTE)
    world.kill_beats()
    world.start_beat()
    world.run_until(MONDAY + HOUR + 2 * MINUTE, step=MINUTE)
    assert world.fired("hourly") == [MONDAY + HOUR]


def test_6_two_beats_fire_a_time_once(world: World) -> None:
    world.add("before", cron="59 * * * *")  # what is fired just after another is written down minutes later
    world.add("hourly", cron="0 * * * *")
    world.start_beat()
    world.start_beat()
    world.run_until(MONDAY + HOUR + MINUTE, step=MINUTE)
    assert world.fired("hourly") == [MONDAY + HOUR]


def test_7_an_edit_of_one_schedule_leaves_an_equal_one_as_it_is(world: World) -> None:
    world.add("one", cron="0 2 * * *")
    world.add("equal", cron="0 2 * * *")
    world.edit("one", cron="0 3 * * *")
    assert world.entry("equal").crontab.hour == "2"
    world.start_beat()
    world.run_until(MONDAY + 2 * HOUR, step=STEP)
    assert world.fired("equal") == [MONDAY + 2 * HOUR]


def test_7_so_does_its_removal(world: World) -> None:
    world.add("one", cron="0 2 * * *")
    world.add("equal", cron="0 2 * * *")
    world.remove("one")
    world.start_beat()
    world.run_until(MONDAY + 2 * HOUR, step=STEP)
    assert world.fired("equal") == [MONDAY + 2 * HOUR]


def test_8_a_tick_fires_all_that_is_due(world: World) -> None:
    """Beat's own takes one entry a tick, each of which looks at all entries; `python -m bench schedules` times it."""
    names = [f"s{number}" for number in range(20)]
    for name in names:
        world.add(name, cron="0 * * * *")
    world.start_beat()
    world.run_until(MONDAY + 59 * MINUTE, step=MINUTE)
    go_to(world, MONDAY + HOUR)
    world.tick_once()
    assert sum(len(world.fired(name)) for name in names) == len(names)
