"""The checks of `manage.py doctor`, a function each. `CHECKS` names them in their order.

None asks whether the site is one process or many: each looks at what the settings' factories gave.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

from celery import current_app
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks.security.base import check_secret_key
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now
from django.utils import timezone
from redis import Redis

from access.database_command import name_of_database
from access.models import Team
from access.reencryption import count_encrypted
from deployments.executions.presence import known_workers
from deployments.models import BeatLease, ExecutionLog
from deployments.scheduling.figures import read_figures
from designs.providers import models_for, models_from_environment
from orchestration_site import factories
from orchestration_site.checks import check_generated_secrets, startup_messages
from orchestration_site.doctor.findings import Check, Finding
from orchestration_site.health import query_database, reach_broker

#: How long a message may take through the channel layer.
MESSAGE_SECONDS: Final = 5.0
#: Clocks that differ by more than the first are told of, by more than the second are wrong: deadlines go by them.
SKEW_TOLD: Final = timedelta(seconds=1)
SKEW_TOO_GREAT: Final = timedelta(seconds=5)
#: A worker that was lost longer ago was read of, or is not to be mended any more.
LOST_TOLD: Final = timedelta(hours=1)
#: A due schedule that waits longer says that nobody fires it.
OVERDUE_SECONDS: Final = 15.0
LITTLE_FREE_BYTES: Final = 2 * 2**30
LEAST_FREE_BYTES: Final = 200 * 2**20
#: Of small file systems, in place of these.
LITTLE_FREE_SHARE: Final = 0.25
LEAST_FREE_SHARE: Final = 0.1
MEGABYTE: Final = 2**20


def check_database() -> Finding:
    """It answers."""
    query_database()
    return Finding("ok", f"{name_of_database()} answers.")


def check_migrations() -> Finding:
    """Every migration of this release is applied."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        first, _ = plan[0]
        told = f"{len(plan)} migrations are not applied, the first is {first.app_label} {first.name}."
        hint = "Is this the site's environment? " if not executor.loader.applied_migrations else ""
        return Finding("fails", told, f"{hint}Type: manage.py setup")
    return Finding("ok", "All migrations are applied.")


def check_broker() -> Finding:
    """It takes connections."""
    reach_broker()
    return Finding("ok", f"The broker ({current_app.connection_for_write().transport.driver_name}) answers.")


def check_channel_layer() -> Finding:
    """A message to a group arrives at a member of it."""
    took = asyncio.run(_send_round())
    return Finding("ok", f"A message went through in {took * 1_000:.0f} ms.")


async def _send_round() -> float:
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("CHANNEL_LAYERS has no default")
    group, began = f"doctor-{uuid4().hex}", time.monotonic()
    async with asyncio.timeout(MESSAGE_SECONDS):
        channel = await layer.new_channel()
        await layer.group_add(group, channel)
        await layer.group_send(group, {"type": "doctor.message", "group": group})
        while (await layer.receive(channel)).get("group") != group:
            pass
        await layer.group_discard(group, channel)
    return time.monotonic() - began


def check_workers() -> Finding:
    """One takes executions, and none was lost just now."""
    known = known_workers()
    states = [state for _, state in known]
    working, lost = states.count("working"), [worker.seen_at for worker, state in known if state == "lost"]
    if not working:
        resting = states.count("draining") + states.count("drained")
        mend = "Type: manage.py workers --resume all" if resting else "Start one: make worker, or make run."
        rest = f" {resting} rest." if resting else ""
        return Finding("fails", f"No worker takes executions.{rest}", mend)
    running = ExecutionLog.objects.filter(status=ExecutionLog.Status.RUNNING)
    told = f"Workers that take executions: {working}."
    if lost:
        told += f" Lost in the last day: {len(lost)}, the latest at {max(lost):%H:%M} UTC."
    is_left = running.filter(lease_expires_at__lte=Now() - timedelta(seconds=OVERDUE_SECONDS)).exists()
    if is_left or (lost and timezone.now() - max(lost) < LOST_TOLD):
        mend = "Others take up what it ran. Read why it ended: its log, and the kernel's for a lack of memory."
        return Finding("warning", told, mend)
    return Finding("ok", told)


def check_beat() -> Finding:
    """One holds the lease, and no schedule is overdue."""
    figures = read_figures(since=timezone.now() - timedelta(minutes=5))
    mend = "Start one: make beat, or make run. If one runs, its log says what holds it up."
    if figures.overdue_seconds > OVERDUE_SECONDS:
        return Finding("fails", f"A schedule is due since {figures.overdue_seconds:.0f} s.", mend)
    if not BeatLease.objects.filter(expires_at__gt=Now()).exists():
        told = f"No beat runs; {figures.in_force} schedules wait for one."
        return Finding("fails" if figures.in_force else "warning", told, mend)
    return Finding("ok", f"A beat runs; {figures.in_force} schedules are in force, none is overdue.")


def check_clocks() -> Finding:
    """This process, the database and each Redis tell the same time."""
    skews = {"the database": _skew(_time_of_database)}
    for name, url in settings.REDIS_SERVERS.items():
        skews[f"Redis at {name}"] = _skew(partial(_time_of_redis, url))
    name, worst = max(skews.items(), key=lambda item: abs(item[1]))
    compared = ", ".join(skews)
    if abs(worst) <= SKEW_TOLD:
        told = f"The clocks of this process and of {compared} agree within {abs(worst).total_seconds():.2f} s."
        return Finding("ok", told)
    direction = "ahead of" if worst > timedelta() else "behind"
    told = f"The clock of {name} is {abs(worst).total_seconds():.1f} s {direction} that of this process."
    mend = "Let both machines keep time: on Debian, sudo apt install chrony. Times are the database's, deadlines ours."
    return Finding("fails" if abs(worst) > SKEW_TOO_GREAT else "warning", told, mend)


def _skew(ask: Callable[[], datetime]) -> timedelta:
    """How far that clock is ahead of ours, as of the middle of the question."""
    before = timezone.now()
    answer = ask()
    after = timezone.now()
    return answer - (before + (after - before) / 2)


def _time_of_database() -> datetime:
    told: datetime = Team.objects.annotate(now=Now()).values_list("now", flat=True)[:1].get()
    return told


def _time_of_redis(url: str) -> datetime:
    with Redis.from_url(url, **factories.REDIS_TIMEOUTS) as client:
        seconds, microseconds = client.time()
    return datetime.fromtimestamp(seconds, tz=timezone.get_default_timezone()) + timedelta(microseconds=microseconds)


def check_disk() -> Finding:
    """DATA_DIR can be written to, and has room."""
    folder = settings.DATA_DIR
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"doctor")
    total, _, free = shutil.disk_usage(folder)
    told = f"{free // MEGABYTE:,} MB are free in {folder}."
    mend = "Make room: manage.py retain removes what is beyond the set periods; docs/retention.md says how to set them."
    # A container whose database is elsewhere has a folder of some megabytes in memory, which is room enough.
    if free < min(LEAST_FREE_BYTES, total * LEAST_FREE_SHARE):
        return Finding("fails", told, mend)
    little = free < min(LITTLE_FREE_BYTES, total * LITTLE_FREE_SHARE)
    return Finding("warning", told, mend) if little else Finding("ok", told)


def check_encryption_keys() -> Finding:
    """They open all that is stored."""
    stored = count_encrypted()
    if stored.unreadable:
        shown = ", ".join(stored.unreadable[:5])
        told = f"No key opens {len(stored.unreadable)} of {len(stored.unreadable) + stored.rewritten}: {shown}."
        mend = "Add the key that they were stored with to ENCRYPTION_KEYS, behind the newest; or enter them anew."
        return Finding("fails", told, mend)
    return Finding("ok", f"The keys open all {stored.rewritten} secrets that are stored.")


def check_default_model() -> Finding:
    """Its account is known in every team. No provider is asked."""
    model = settings.ENVIRONMENT.default_model
    if models_from_environment().problem_with(model) is None:
        return Finding("ok", f"Agents without a model of their own use {model}.")
    without = [team for team in Team.objects.order_by("name") if models_for(team.pk).problem_with(model) is not None]
    if not without:
        return Finding("ok", f"Agents without a model of their own use {model}, by each team's account.")
    problem = models_for(without[0].pk).problem_with(model)
    told = f"DEFAULT_MODEL cannot be used in {', '.join(team.name for team in without[:5])}: {problem}"
    return Finding(
        "warning", told, "Set that provider's key, or make the account in the admin: docs/howto/real-model.md."
    )


def check_secrets() -> Finding:
    """SECRET_KEY is long enough, and the same for every process."""
    messages = [*check_secret_key(None), *check_generated_secrets(None)]
    return _of_messages(messages, "SECRET_KEY is as it should be.", _SET_KEY)


def check_exposure() -> Finding:
    """Hosts, proxies and HTTPS are set as the address that the site listens on wants them."""
    hosts = ", ".join(settings.ALLOWED_HOSTS)
    return _of_messages(startup_messages(settings.ENVIRONMENT.host), f"It answers to {hosts}.", _SEE_CONFIGURATION)


def _of_messages(messages: Sequence[CheckMessage], fine: str, mend: str) -> Finding:
    """What Django's checks say; what to do about the most serious, or `mend` where it does not say."""
    if not messages:
        return Finding("ok", fine)
    worst = max(messages, key=lambda message: message.level)
    told = " ".join(message.msg for message in messages)
    return Finding("fails" if worst.is_serious() else "warning", told, worst.hint or mend)


_START_DATABASE = "Start the database, or correct DATABASE_URL; without one it is SQLite in DATA_DIR."
_START_BROKER = "Start the broker, or correct BROKER_URL. Meanwhile executions wait for the workers' sweep."
_START_LAYER = "Start its Redis, or correct CHANNEL_URL. Meanwhile pages and callers learn of progress late."
_SET_KEY = "Set SECRET_KEY to 50 random characters or more, the same for every process; all have to sign in again."
_SEE_CONFIGURATION = "Correct HOST, ALLOWED_HOSTS, TRUSTED_PROXIES and HTTPS: docs/configuration.md says what each is."
_READABLE = "Read the database's log."

CHECKS: Final = (
    Check("database", check_database, _START_DATABASE),
    Check("migrations", check_migrations, "Type: manage.py setup", needs=("database",)),
    Check("broker", check_broker, _START_BROKER),
    Check("channel layer", check_channel_layer, _START_LAYER),
    Check("workers", check_workers, _READABLE, needs=("database", "migrations")),
    Check("beat", check_beat, _READABLE, needs=("database", "migrations")),
    Check("clocks", check_clocks, "Start what does not answer.", needs=("database", "migrations")),
    Check("disk", check_disk, "Let DATA_DIR name a folder that the user of this process may write in."),
    Check("encryption keys", check_encryption_keys, _READABLE, needs=("database", "migrations")),
    Check("default model", check_default_model, _READABLE, needs=("database", "migrations")),
    Check("secrets", check_secrets, _SET_KEY),
    Check("hosts and proxies", check_exposure, _SEE_CONFIGURATION),
)
