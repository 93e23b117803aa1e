"""Django-celery-beat's own scheduler and ours behind one face, on a clock that a test moves: what each of them fires.

Both run within this process, on this database, and send nothing.
"""

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import time_machine
from celery import current_app
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler
from kombu.exceptions import OperationalError

from deployments.deploying import DeploymentChanges, undeploy, update_deployment
from deployments.models import ExecutionLog, ScheduleConfig
from deployments.scheduling.changes import pause_schedule
from deployments.scheduling.scheduler import DeploymentScheduler
from deployments.tests.builders import make_deployment

TICKS_AT_ONCE = 1_000


class World(ABC):
    """Schedules by their names, the beats that run them, and a clock."""

    def __init__(self, clock: time_machine.Traveller) -> None:
        self.clock = clock
        self.beats: list[Any] = []
        self.broker_is_down = False

    @abstractmethod
    def make_beat(self) -> Any:
        """A beat that has just been started."""

    @abstractmethod
    def add(
        self, name: str, *, cron: str | None = None, every: int | None = None, start: datetime | None = None
    ) -> None:
        """A schedule, as the scheduler's own checks let it pass."""

    @abstractmethod
    def edit(self, name: str, *, cron: str) -> None:
        """Give it other times, as a person does."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """With everything that is its own."""

    @abstractmethod
    def switch_off(self, name: str) -> None:
        """As a person does."""

    @abstractmethod
    def switch_off_by_update(self, name: str) -> None:
        """In the tables, as a script does."""

    @abstractmethod
    def entry(self, name: str) -> PeriodicTask:
        """What beat's tables show of it."""

    @abstractmethod
    def fired(self, name: str) -> list[datetime]:
        """When it was fired, so that it runs."""

    def start_beat(self) -> None:
        self.beats.append(self.make_beat())

    def kill_beats(self) -> None:
        """SIGKILL: what a beat has only in its memory is gone."""
        for beat in self.beats:
            beat._finalize.cancel()  # it would write at the end of this process what its beat has run
        self.beats.clear()

    def tick(self) -> None:
        """Every beat does what is due now. Raises `AssertionError` when one dies of it."""
        for beat in self.beats:
            for _ in range(TICKS_AT_ONCE):
                if self._tick(beat) > 0:
                    break

    def tick_once(self) -> None:
        for beat in self.beats:
            self._tick(beat)

    def run_until(self, moment: datetime, *, step: timedelta) -> None:
        """Let the time pass in such steps, and the beats tick at each."""
        while datetime.now(UTC) < moment:
            self.tick()
            self.clock.shift(step)
        self.tick()

    def _tick(self, beat: Any) -> float:
        try:
            return float(beat.tick())
        except Exception as error:
            raise AssertionError(f"The beat died: {error!r}") from error


class Stock(World):
    """`django_celery_beat.schedulers:DatabaseScheduler` with entries as its admin makes them."""

    def __init__(self, clock: time_machine.Traveller) -> None:
        super().__init__(clock)
        self.sent: list[tuple[str, datetime]] = []

    def make_beat(self) -> DatabaseScheduler:
        world = self

        class Recorded(DatabaseScheduler):  # type: ignore[misc] # it ships no types
            producer = None

            def send_task(self, *args: Any, **options: Any) -> Any:
                if world.broker_is_down:
                    raise OperationalError("The broker is down.")
                world.sent.append((options["headers"]["periodic_task_name"], datetime.now(UTC)))
                return current_app.AsyncResult("sent")

        return Recorded(app=current_app)

    def add(
        self, name: str, *, cron: str | None = None, every: int | None = None, start: datetime | None = None
    ) -> None:
        kind: dict[str, Any] = {"crontab": _stock_crontab(cron)} if cron else {"interval": _stock_interval(every)}
        PeriodicTask.objects.create(name=name, task="their.task", start_time=start, **kind)

    def edit(self, name: str, *, cron: str) -> None:
        crontab = self.entry(name).crontab
        for field, value in _fields_of(cron).items():
            setattr(crontab, field, value)
        crontab.save()

    def remove(self, name: str) -> None:
        entry = self.entry(name)
        entry.crontab.delete()

    def switch_off(self, name: str) -> None:
        entry = self.entry(name)
        entry.enabled = False
        entry.save()

    def switch_off_by_update(self, name: str) -> None:
        PeriodicTask.objects.filter(name=name).update(enabled=False)

    def entry(self, name: str) -> PeriodicTask:
        return PeriodicTask.objects.get(name=name)

    def fired(self, name: str) -> list[datetime]:
        return [at for sent, at in self.sent if sent == name]


class Ours(World):
    """`DeploymentScheduler` with schedules as the API makes them."""

    def __init__(self, clock: time_machine.Traveller) -> None:
        super().__init__(clock)
        self._deployments: dict[str, UUID] = {}

    def make_beat(self) -> DeploymentScheduler:
        return DeploymentScheduler(app=current_app)

    def add(
        self, name: str, *, cron: str | None = None, every: int | None = None, start: datetime | None = None
    ) -> None:
        self._deployments[name] = make_deployment(name).id
        self._change(name, cron_expression=cron, interval_seconds=every, start_at=start, overlap="allow")

    def edit(self, name: str, *, cron: str) -> None:
        self._change(name, cron_expression=cron)

    def remove(self, name: str) -> None:
        undeploy(deployment_id=self._deployments[name], by="user:ann")

    def switch_off(self, name: str) -> None:
        pause_schedule(schedule=self._schedule(name), by="user:ann", reason="")

    def switch_off_by_update(self, name: str) -> None:
        ScheduleConfig.objects.filter(deployment_id=self._deployments[name]).update(enabled=False)

    def entry(self, name: str) -> PeriodicTask:
        return PeriodicTask.objects.get(name=f"schedule {self._schedule(name).id}")

    def fired(self, name: str) -> list[datetime]:
        rows = ExecutionLog.objects.filter(deployment_id=self._deployments[name]).exclude(status="skipped")
        return list(rows.order_by("created_at", "scheduled_for").values_list("created_at", flat=True))

    def _change(self, name: str, **fields: Any) -> None:
        changes = DeploymentChanges(schedule=fields)
        update_deployment(deployment_id=self._deployments[name], changes=changes, by="user:ann")

    def _schedule(self, name: str) -> ScheduleConfig:
        return ScheduleConfig.objects.select_related("deployment").get(deployment_id=self._deployments[name])


def _fields_of(cron: str) -> dict[str, str]:
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    return dict(zip(names, cron.split(), strict=True))


def _stock_crontab(cron: str) -> CrontabSchedule:
    """The shared row of that expression, as its form would let it pass."""
    fields = _fields_of(cron) | {"timezone": "UTC"}
    crontab = CrontabSchedule.objects.filter(**fields).first() or CrontabSchedule(**fields)
    crontab.full_clean()
    crontab.save()
    return crontab


def _stock_interval(every: int | None) -> IntervalSchedule:
    return IntervalSchedule.objects.get_or_create(every=every, period=IntervalSchedule.SECONDS)[0]
