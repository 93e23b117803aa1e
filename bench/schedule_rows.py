"""The rows of many schedules, ours and django-celery-beat's own, made and changed in a process of the site.

Each function prints what it answers as JSON.
"""

import json
import time
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from deployments.models import Deployment, ExecutionEvent, ExecutionLog, ScheduleConfig
from deployments.scheduling.entries import FIRE_SCHEDULE, names_of_entries
from deployments.scheduling.times import Timetable
from deployments.tests.builders import make_version
from designs.models import DesignVersion

PATH = "/api/deployed/scheduled-"
STOCK_TASK = "bench.theirs"
DAY = 86_400


def clear() -> None:
    """No schedules of either kind, and no executions of them."""
    PeriodicTask.objects.exclude(task__startswith="celery.").delete()
    ExecutionEvent.objects.filter(execution__trigger_type="scheduled").delete()
    ExecutionLog.objects.filter(trigger_type="scheduled").delete()
    Deployment.objects.filter(endpoint_path__startswith=PATH).delete()
    PeriodicTasks.update_changed()
    print(json.dumps({}))


def make_ours(idle: int, due: int, at: str, quick: int) -> None:
    """So many schedules that run at New Year, at that moment (and daily), and every second from soon on."""
    version, moment = make_version(), datetime.fromisoformat(at)
    total = idle + due + quick
    deployments = Deployment.objects.bulk_create([_deployment(version, number) for number in range(total)], 1_000)
    kinds: list[dict[str, Any]] = [
        *[{"cron_expression": "0 0 1 1 *"}] * idle,
        *[{"interval_seconds": DAY, "start_at": moment - timedelta(seconds=DAY)}] * due,
        *[{"interval_seconds": 1}] * quick,
    ]
    schedules = [
        ScheduleConfig(deployment=deployment, overlap="allow", input_data={}, **kind)
        for deployment, kind in zip(deployments, kinds, strict=True)
    ]
    now = timezone.now()
    for schedule in schedules:
        schedule.next_occurrence_at = schedule.next_fire_at = next(Timetable.of(schedule).after(now))
        schedule.in_force_since = now
    ScheduleConfig.objects.bulk_create(schedules, 1_000)
    entries = [(names_of_entries(each.id)[0], FIRE_SCHEDULE, json.dumps([str(each.id)])) for each in schedules]
    _make_entries(entries, idle, due, quick, None)
    print(json.dumps({"deployments": [str(each.id) for each in deployments[:20]]}))


def make_stock(idle: int, due: int, at: str, quick: int) -> None:
    """The same as entries of beat's own; each tells its name as its argument."""
    names = [
        *[f"idle-{n}" for n in range(idle)],
        *[f"due-{n}" for n in range(due)],
        *[f"quick-{n}" for n in range(quick)],
    ]
    entries = [(name, STOCK_TASK, json.dumps([name])) for name in names]
    _make_entries(entries, idle, due, quick, datetime.fromisoformat(at) - timedelta(seconds=DAY))
    PeriodicTasks.update_changed()
    print(json.dumps({}))


def edit_stock(number: int) -> None:
    """Make an entry run every second, as the admin does; how long that took (s) and when it was done."""
    interval = IntervalSchedule.objects.filter(every=1, period="seconds").first()
    entry = PeriodicTask.objects.get(name=f"idle-{number}")
    began = time.perf_counter()
    entry.crontab, entry.interval = None, interval
    entry.save()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "at": time.time()}))


def scheduled_and_committed_times() -> None:
    """Of the executions that there are: when each was to run and when its row was committed, seconds since the epoch.

    The server has to be one that keeps the times of commits. Nobody may have changed the rows since.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, scheduled_for, pg_xact_commit_timestamp(xmin)"
            " FROM deployments_executionlog WHERE trigger_type = 'scheduled'"
        )
        rows = cursor.fetchall()
    print(json.dumps({str(name): [moment.timestamp() for moment in moments] for name, *moments in rows}))


def _deployment(version: DesignVersion, number: int) -> Deployment:
    return Deployment(
        team=version.design.team,
        design=version.design,
        version=version,
        design_name=version.design.name,
        endpoint_path=f"{PATH}{number}",
    )


def _make_entries(
    entries: list[tuple[str, str, str]], idle: int, due: int, quick: int, last_run_of_due: datetime | None
) -> None:
    yearly = CrontabSchedule.objects.create(minute="0", hour="0", day_of_month="1", month_of_year="1")
    daily = IntervalSchedule.objects.create(every=DAY, period="seconds")
    second = IntervalSchedule.objects.create(every=1, period="seconds")
    kinds: list[dict[str, Any]] = [
        *[{"crontab": yearly, "last_run_at": timezone.now()}] * idle,
        *[{"interval": daily, "last_run_at": last_run_of_due}] * due,
        *[{"interval": second, "last_run_at": timezone.now()}] * quick,
    ]
    PeriodicTask.objects.bulk_create(
        [
            PeriodicTask(name=name, task=task, args=args, **kind)
            for (name, task, args), kind in zip(entries, kinds, strict=True)
        ],
        1_000,
    )
