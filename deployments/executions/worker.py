"""A worker process: one event loop that runs all its executions, their leases, and the requests to cancel them."""

import asyncio
import logging
import os
import secrets
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

from django.conf import settings
from structlog.contextvars import bind_contextvars

from access.audit_chain import seal_days
from deployments.alerts.sender import AlertSender
from deployments.executions import lifecycle
from deployments.executions.daily_use import settle_ended
from deployments.executions.database_threads import in_database_thread
from deployments.executions.dispatch import dispatch_due, publish_next_of
from deployments.executions.presence import Presence
from deployments.executions.publisher import publisher
from deployments.executions.retention import forget_old
from deployments.executions.retirement import resident_bytes, retirement
from deployments.executions.run import ExecutionRun, LoadedExecution, load_execution
from deployments.executions.writer import GroupCommitWriter, Write
from deployments.live.announcements import WORKERS_GROUP, channel_layer
from deployments.retention.sweep import RetentionSweep
from deployments.scheduling.failing import pause_when_failing
from deployments.scheduling.followers import release_followers
from deployments.signs_of_life import show_alive
from designs.models import DesignVersion
from executor.errors import MalformedDesign
from rest.outages import DATABASE_OUTAGES

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
#: So many heartbeats long a worker that was cut off from the database reaps nothing: the others were cut off too.
QUIET_HEARTBEATS = 2
#: What giving executions back may take when the grace is over.
RELEASE_SECONDS = 5.0
#: How often days of the audit that are over are looked for.
SEAL_SECONDS = 600.0
#: How often it is looked for what is too old to be kept.
FORGET_SECONDS = 3_600
#: How often a worker does something for retention, and how often it looks whether there is anything to do: each time a
#: few queries for each deployment that keeps anything for a time only.
RETAIN_SECONDS, RETAINED_SECONDS = 10.0, 300.0
MAX_PUT_OFF = 1_000
MEGABYTE = 1_000_000
#: So often a worker takes up an execution whose design it cannot read, while a newer one may be about to be started.
UNREADABLE_TRIES = 5
REMEMBERED_UNREADABLE = 1_000


class Worker:
    """Runs executions for as many Celery threads as there are; each thread waits for its own."""

    def __init__(self) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._loop = asyncio.new_event_loop()
        self._writer = GroupCommitWriter(on_committed=self._follow_commits)
        self._runs: dict[UUID, ExecutionRun] = {}
        #: Executions that wait for another's last chance to be over. What is forgotten here the sweep finds.
        self._put_off: deque[tuple[UUID, int]] = deque(maxlen=MAX_PUT_OFF)
        #: Executions whose designs this worker's code cannot read, and how often it has tried.
        self._unreadable: OrderedDict[UUID, int] = OrderedDict()
        self._is_draining = False
        self._rests = False
        #: Who is told when it begins and ends to rest.
        self.on_rest: list[Callable[[bool], None]] = []
        self._has_ended_one = False
        self._idle = asyncio.Event()
        # A worker that starts just as the database comes back takes itself for one that was never cut off, and reaps at
        # once. What it takes from workers that are alive is made again, and counts as one loss.
        self._renewed_at = time.monotonic()
        self._reaps_from = self._renewed_at
        self._seals_at = float("-inf")
        self._forgets_at = float("-inf")
        self._alerts = AlertSender()
        self._presence = Presence(self.owner, count_running=lambda: len(self._runs), rest=self._rest)
        self._background: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the loop, the journal's writer, and what watches over the executions."""
        self._writer.start()
        threading.Thread(target=self._loop.run_forever, name="executions", daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._watch(), self._loop).result()

    def run(self, execution_id: UUID, attempt: int) -> None:
        """Run the execution unless the message is stale, and return when it has ended. Blocks the calling thread."""
        asyncio.run_coroutine_threadsafe(self._run(execution_id, attempt), self._loop).result()

    def drain(self, grace_seconds: float) -> None:
        """Claim nothing more, let what runs end within the grace, and give the rest back to the queue. Blocks."""
        asyncio.run_coroutine_threadsafe(self._drain(grace_seconds), self._loop).result()
        self._writer.stop()

    def send_alerts(self) -> None:
        """Send the alerts that are due. Returns at once."""
        self._loop.call_soon_threadsafe(self._alerts.wake)

    def give_back(self) -> None:
        """Claim nothing more, and give what runs back to the queue at once. Returns at once; `drain` waits for it."""
        self._loop.call_soon_threadsafe(self._give_back)

    def _rest(self, rests: bool) -> None:  # noqa: FBT001 - it is the one thing that is said
        """Take no executions, and end those that there are, until an operator resumes this worker."""
        self._rests = rests
        log.info("This worker is drained: it takes no executions." if rests else "This worker takes executions again.")
        for tell in self.on_rest:
            tell(rests)

    @property
    def _takes_none(self) -> bool:
        return self._is_draining or self._rests

    def _give_back(self) -> None:
        self._is_draining = True
        for run in list(self._runs.values()):
            run.release()

    async def _run(self, execution_id: UUID, attempt: int) -> None:
        bind_contextvars(execution_id=str(execution_id))  # this is a task of its own: every line of it is logged so
        if execution_id in self._runs or self._takes_none:
            return
        loaded = await self._load(execution_id, attempt)
        if loaded is None or execution_id in self._runs or self._takes_none:
            return
        deployment_id = loaded.row.deployment_id
        bind_contextvars(
            deployment_id=deployment_id and str(deployment_id), deployment=loaded.path, attempt=attempt + 1
        )
        if loaded.row.request_id:
            bind_contextvars(request_id=loaded.row.request_id)
        run = ExecutionRun(loaded, owner=self.owner, writer=self._writer)
        if run.is_last_chance and self._has_last_chance():
            self._put_off.append((execution_id, attempt))
            return
        self._runs[execution_id] = run
        try:
            await run.run()
        finally:
            del self._runs[execution_id]
            self._has_ended_one = True
            if not self._runs:
                self._idle.set()

    async def _load(self, execution_id: UUID, attempt: int) -> LoadedExecution | None:
        try:
            return await in_database_thread(load_execution, execution_id, attempt)
        except DATABASE_OUTAGES as error:
            log.warning("Execution %s could not be read; the sweep sends it again: %s", execution_id, error)
        except (DesignVersion.DoesNotExist, MalformedDesign) as error:
            if isinstance(error, DesignVersion.DoesNotExist) or self._has_tried_enough(execution_id):
                log.exception("Execution %s cannot be started", execution_id)
                await _fail_unreadable(execution_id, attempt)
            else:
                log.warning("Execution %s is left to a worker that can read its design: %s", execution_id, error)
        except Exception:
            log.exception("Execution %s could not be read; it stays queued until its deadline", execution_id)
        return None

    def _has_tried_enough(self, execution_id: UUID) -> bool:
        """During a rolling upgrade the older workers cannot read what the newer ones can."""
        tries = self._unreadable.pop(execution_id, 0) + 1
        if tries >= UNREADABLE_TRIES:
            return True
        self._unreadable[execution_id] = tries
        if len(self._unreadable) > REMEMBERED_UNREADABLE:
            self._unreadable.popitem(last=False)
        return False

    async def _drain(self, grace_seconds: float) -> None:
        self._is_draining = True
        for seconds in (grace_seconds, RELEASE_SECONDS):
            if self._runs:
                self._idle.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), seconds)
            self._give_back()
        for task in self._background:
            task.cancel()
        await self._alerts.close()
        await self._presence.end()

    async def _watch(self) -> None:
        watching = (self._listen(), self._beat(), self._sweep(), self._presence.run(), self._alerts.run(), _retain())
        self._background = [asyncio.create_task(watch) for watch in watching]

    async def _listen(self) -> None:
        """Hear at once which executions are to be cancelled; the heartbeat hears of them a little later."""
        while True:
            try:
                await self._receive_cancellations()
            except Exception as error:  # noqa: BLE001 - whatever the layer's client raises: it is away
                log.debug("The channel layer cannot be heard: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _receive_cancellations(self) -> None:
        layer = channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(WORKERS_GROUP, channel)
        while True:
            message = await layer.receive(channel)
            self._cancel(UUID(message["execution"]), message["by"])

    async def _beat(self) -> None:
        """Renew the leases, and obey what the rows say meanwhile."""
        while True:
            show_alive()
            await asyncio.sleep(settings.ENVIRONMENT.heartbeat_seconds)
            try:
                await self._renew()
            except Exception as error:  # noqa: BLE001 - whatever the database's driver raises: it is away
                log.warning("The leases could not be renewed: %s", error)

    async def _renew(self) -> None:
        runs = [run for run in self._runs.values() if run.holds_lease]
        held = await in_database_thread(lifecycle.renew, [run.fence for run in runs])
        self._note_renewal()
        for run in runs:
            if run.fence.execution_id not in held:
                run.release()
            elif (cancelled_by := held[run.fence.execution_id]) is not None:
                run.cancel(cancelled_by)

    def _note_renewal(self) -> None:
        now, heartbeat = time.monotonic(), settings.ENVIRONMENT.heartbeat_seconds
        if now - self._renewed_at > QUIET_HEARTBEATS * heartbeat:
            # After an outage every lease is over. Who is alive renews its own within a heartbeat: whoever reaped at
            # once would take executions from workers that are at work on them.
            self._reaps_from = now + QUIET_HEARTBEATS * heartbeat
        self._renewed_at = now

    async def _sweep(self) -> None:
        """Find what was lost or is due. Every worker does it, and it needs neither beat nor the broker."""
        while True:
            await asyncio.sleep(settings.ENVIRONMENT.sweep_seconds)
            self._retire_when_outgrown()
            # Who rests publishes nothing: where all do, messages would pile up that nobody takes.
            capacity = 0 if self._rests else settings.ENVIRONMENT.max_concurrent_executions - len(self._runs)
            await _attempt(self._reap(), "Lost executions could not be looked for")
            await _attempt(in_database_thread(settle_ended), "Daily budgets could not be settled")
            if not self._is_draining:
                await _attempt(in_database_thread(release_followers), "Executions that wait could not be let go")
                await _attempt(in_database_thread(dispatch_due, capacity), "Due executions could not be published")
                self._alerts.wake()
                await _attempt(self._seal_audit(), "Days of the audit could not be sealed")
                await _attempt(self._forget_old(), "What is too old could not be deleted")

    def _retire_when_outgrown(self) -> None:
        """Make way for a fresh process above the bound of memory. All executions share it: none is to blame alone.

        Not before one has ended here: where the bound is less than what an idle worker takes, they go on all the same.
        """
        allowed = settings.ENVIRONMENT.worker_max_memory_mb
        if allowed is None or self._is_draining or not self._has_ended_one:
            return
        held = resident_bytes() // MEGABYTE
        if held > allowed:
            self._is_draining = True
            log.warning(
                "This process holds %d MB, and WORKER_MAX_MEMORY_MB allows %d: it takes no more executions, ends what"
                " it runs, and a fresh one takes its place.",
                held,
                allowed,
            )
            retirement.begin()

    async def _seal_audit(self) -> None:
        if time.monotonic() >= self._seals_at:
            self._seals_at = time.monotonic() + SEAL_SECONDS
            await in_database_thread(seal_days)

    async def _forget_old(self) -> None:
        if time.monotonic() >= self._forgets_at:
            self._forgets_at = time.monotonic() + FORGET_SECONDS
            if await in_database_thread(forget_old):
                self._forgets_at = float("-inf")  # a batch with every sweep, until there is no more

    async def _reap(self) -> None:
        if time.monotonic() - self._renewed_at > settings.ENVIRONMENT.heartbeat_seconds:
            await self._renew()  # after an outage: our own leases first, or we would reap ourselves
        if time.monotonic() >= self._reaps_from:
            await in_database_thread(lifecycle.reap)

    def _cancel(self, execution_id: UUID, by: str) -> None:
        if (run := self._runs.get(execution_id)) is not None:
            run.cancel(by)

    def _has_last_chance(self) -> bool:
        """Whether an execution runs here that has lost its last two workers, and recorded nothing since.

        There is only one of these at a time: one of them may be to blame, and would take the others with it.
        """
        return any(run.is_last_chance for run in self._runs.values())

    def _publish_put_off(self) -> None:
        if self._put_off and not self._has_last_chance():
            publisher.publish(*self._put_off.popleft())

    def _follow_commits(self, writes: Sequence[Write]) -> None:
        """What has ended made room: hint at the next executions of deployments that limit their concurrency.

        And what failed may have been one failure too many of its schedule.
        """
        if self._put_off:
            self._loop.call_soon_threadsafe(self._publish_put_off)
        deployments = {
            write.deployment_id for write in writes if write.ending and write.is_limited and write.deployment_id
        }
        for deployment_id in deployments:
            asyncio.run_coroutine_threadsafe(_publish_next_of(deployment_id), self._loop)
        failed = [write.schedule_id for write in writes if write.ending and write.ending.status == "failed"]
        for schedule_id in {schedule_id for schedule_id in failed if schedule_id}:
            asyncio.run_coroutine_threadsafe(_pause_when_failing(schedule_id), self._loop)


async def _retain() -> None:
    """Remove what is beyond its period, apart from the sweep: nothing of an execution waits for it."""
    retention = RetentionSweep()
    while True:
        await asyncio.sleep(RETAINED_SECONDS if retention.is_done else RETAIN_SECONDS)
        await _attempt(in_database_thread(retention.run), "History could not be looked through for what is to go")


async def _attempt(part: Awaitable[object], complaint: str) -> None:
    """One part of a sweep: whatever goes wrong with it, the others follow."""
    try:
        await part
    except DATABASE_OUTAGES as error:
        log.warning("%s: %s", complaint, error)
    except Exception:
        log.exception(complaint)


async def _fail_unreadable(execution_id: UUID, attempt: int) -> None:
    message = "This version of the design cannot be run any more; the server's log has the details."
    failing = in_database_thread(lifecycle.fail_queued, execution_id, attempt, code="internal_error", message=message)
    await _attempt(failing, f"Execution {execution_id} could not be ended")


async def _pause_when_failing(schedule_id: UUID) -> None:
    try:
        await in_database_thread(pause_when_failing, schedule_id=schedule_id)
    except Exception as error:  # noqa: BLE001 - the next time that it fires is looked at before
        log.warning("Whether schedule %s is to pause could not be told: %s", schedule_id, error)


async def _publish_next_of(deployment_id: UUID) -> None:
    try:
        await in_database_thread(publish_next_of, deployment_id)
    except Exception as error:  # noqa: BLE001 - the sweep publishes them a little later
        log.warning("The next executions of deployment %s could not be published: %s", deployment_id, error)


_lock = threading.Lock()
_worker: Worker | None = None


def current_worker() -> Worker:
    """This process's worker; started when it is first asked for."""
    global _worker  # noqa: PLW0603 - one loop a process is the point
    with _lock:
        if _worker is None:
            _worker = Worker()
            _worker.start()
        return _worker


def drain_worker(grace_seconds: float) -> None:
    """Drain this process's worker, if it has one."""
    if _worker is not None:
        _worker.drain(grace_seconds)


def give_back_executions() -> None:
    """Give back what this process's worker runs, if it has one, without waiting for the drain's grace."""
    retirement.note_stop()
    if _worker is not None:
        _worker.give_back()
