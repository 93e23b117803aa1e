"""Ten thousand schedules: a thousand due at once, an idle beat, an edit, and a hundred of a second, beside beat's own.

No worker runs. What a beat sends is taken from Redis here, and the database keeps the times of its commits: these are
what is measured.
"""

import base64
import contextlib
import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import redis

from bench.measurement import Measurement, percentile
from orchestration_site.proving.processes import BIN, Process
from orchestration_site.tests.sites import Site, run_distributed_site

SCHEDULES = 10_000
DUE = 1_000
QUICK = 100
EDITS = 20
#: So long before the due ones everything else is measured.
BEFORE_DUE_SECONDS = 65.0
SETTLE_SECONDS = 12.0
IDLE_SECONDS = 15.0
QUICK_SECONDS = 20.0
PATIENCE_SECONDS = 180.0
STOCK = ("-S", "django_celery_beat.schedulers:DatabaseScheduler")


@dataclass
class Messages:
    """What beats have sent: the first argument of each message, and when it came."""

    seen: list[tuple[str, float]] = field(default_factory=list)
    _ends: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def taken_from(self, url: str) -> Iterator[None]:
        """Until the end of the block."""
        taking = threading.Thread(target=self._take, args=(redis.Redis.from_url(url),), daemon=True)
        taking.start()
        try:
            yield
        finally:
            self._ends.set()
            taking.join()

    def _take(self, broker: "redis.Redis") -> None:
        while not self._ends.is_set():
            if taken := broker.blpop(["celery"], timeout=1):
                at = time.time()
                [first, *_], *_ = json.loads(base64.b64decode(json.loads(taken[1])["body"]))
                self.seen.append((str(first), at))

    def arrivals(self, wanted: Callable[[str], bool], *, since: float = 0.0) -> list[float]:
        return [at for name, at in list(self.seen) if at >= since and wanted(name)]


@dataclass(frozen=True)
class Seen:
    """What was seen of one scheduler. Seconds; the idle beat's share of a core in per cent."""

    due_sent: int
    due_seconds: float
    idle_percent: float
    edit_seconds: list[float]
    in_force_seconds: float
    lateness: list[float]
    missed: int
    #: Until the row is committed; the stock scheduler has none.
    row_lateness: list[float] = field(default_factory=list)


@dataclass
class Bench:
    """One site without a worker, and what a beat on it sends."""

    site: Site
    messages: Messages
    folder: Path

    def rows(self, function: str, *words: object) -> Any:
        """What that function of `bench.schedule_rows` prints."""
        code = f"from bench import schedule_rows; schedule_rows.{function}(*{list(words)!r})"
        return json.loads(self.site.run_manage("shell", "-v0", "-c", code))

    @contextlib.contextmanager
    def beat(self, name: str, *words: str) -> Iterator[Process]:
        command = [str(BIN / "celery"), "-A", "orchestration_site", "beat", *words]
        process = Process.start(name, command, self.site.env, self.folder)
        try:
            yield process
        finally:
            process.stop()


def measure_schedules(postgres_url: str, redis_url: str) -> list[Measurement]:
    """Ours and the stock scheduler one after the other on the same servers."""
    messages = Messages()
    with (
        run_distributed_site(postgres_url, redis_url, roles=("web",)) as site,
        messages.taken_from(f"{redis_url}/0"),
        tempfile.TemporaryDirectory(prefix="orchestration-beats-") as folder,
    ):
        bench = Bench(site, messages, Path(folder))
        ours = _measure_ours(bench)
        print("  … and now the stock scheduler", file=sys.stderr, flush=True)
        stock = _measure_stock(bench)
    return _compare(ours, stock)


def _compare(ours: Seen, stock: Seen) -> list[Measurement]:
    """The figures of ours, with those of the stock scheduler beside them."""
    per_edit = [statistics.median(seen.edit_seconds) * 1000 for seen in (ours, stock)]
    unsent = DUE - ours.due_sent
    return [
        Measurement(
            f"{DUE:,} of {SCHEDULES:,} schedules due in one second: all rows",
            ours.due_seconds if not unsent else PATIENCE_SECONDS,
            "s",
            30,
            details={"stock_s": stock.due_seconds, "stock_sent": stock.due_sent, "unsent": unsent},
        ),
        Measurement(
            f"a beat with {SCHEDULES:,} schedules, none due, of a core",
            ours.idle_percent,
            "%",
            10,
            details={"stock": stock.idle_percent},
        ),
        Measurement(
            f"an edit of one of {SCHEDULES:,} over HTTP",
            per_edit[0],
            "ms",
            50,
            details={"max_ms": max(ours.edit_seconds) * 1000, "stock_save_ms": per_edit[1]},
        ),
        Measurement(
            "the same until it fires every second",
            ours.in_force_seconds,
            "s",
            5,
            details={"stock_s": stock.in_force_seconds},
        ),
        Measurement(
            f"lateness of {QUICK} schedules of 1 s until the row is committed, p50",
            percentile(ours.row_lateness, 50),
            "s",
            0.05,
            details={"message": percentile(ours.lateness, 50), "stock_message": percentile(stock.lateness, 50)},
        ),
        Measurement(
            "the same, max",
            max(ours.row_lateness),
            "s",
            0.5,
            details={
                "message": max(ours.lateness),
                "stock_message": max(stock.lateness),
                "stock_missed": stock.missed,
            },
        ),
        Measurement("times missed by the same", ours.missed, "", 0),
    ]


def _measure_ours(bench: Bench) -> Seen:
    at = float(round(time.time() + BEFORE_DUE_SECONDS))
    made = bench.rows("make_ours", SCHEDULES - DUE, DUE, _text(at), 0)
    key = bench.site.make_key("bench", scopes=("read", "manage"))
    with bench.beat("ours") as beat:
        time.sleep(SETTLE_SECONDS)
        idle = _share_of_a_core(beat)
        yearly = {"cron_expression": "30 0 1 1 *"}
        edits = [_edit(bench, key, deployment, yearly)[0] for deployment in made["deployments"][:EDITS]]
        _, edited = _edit(bench, key, made["deployments"][0], {"cron_expression": None, "interval_seconds": 1})
        in_force = _wait_for(bench, lambda name: True, since=edited)
        _edit(bench, key, made["deployments"][0], {"cron_expression": "30 0 1 1 *", "interval_seconds": None})
        _sleep_until(at)
        _wait_until(lambda: len(bench.messages.arrivals(lambda name: True, since=at)) >= DUE)
    arrived = bench.messages.arrivals(lambda name: True, since=at)
    bench.rows("clear")
    bench.rows("make_ours", 0, 0, _text(at), QUICK)
    began = time.time()
    with bench.beat("ours"):
        time.sleep(SETTLE_SECONDS)
        since = time.time()
        time.sleep(QUICK_SECONDS)
    # By the server's clock, which is this machine's: somebody who listened for commits would come late himself.
    commits = bench.rows("scheduled_and_committed_times")
    seen = [(name, moment) for name, moment in bench.messages.seen if moment >= began]
    looked_at = {name: times for name, times in commits.items() if since <= times[0] < since + QUICK_SECONDS - 1}
    lateness = [moment - looked_at[name][0] for name, moment in seen if name in looked_at]
    rows = [committed - scheduled for scheduled, committed in looked_at.values()]
    expected = QUICK * _seconds_between(since, since + QUICK_SECONDS - 1)
    bench.rows("clear")
    return Seen(len(arrived), max(arrived) - at, idle, edits, in_force, lateness, expected - len(rows), rows)


def _measure_stock(bench: Bench) -> Seen:
    at = float(round(time.time() + BEFORE_DUE_SECONDS))
    bench.rows("make_stock", SCHEDULES - DUE, DUE, _text(at), 0)
    with bench.beat("stock", *STOCK) as beat:
        time.sleep(SETTLE_SECONDS)
        idle = _share_of_a_core(beat)
        edited = bench.rows("edit_stock", 0)
        in_force = _wait_for(bench, lambda name: name == "idle-0", since=edited["at"])
        _sleep_until(at)
        _wait_until(lambda: len(_due(bench, at)) >= DUE)
    arrived = _due(bench, at)
    bench.rows("clear")
    bench.rows("make_stock", 0, 0, _text(at), QUICK)
    with bench.beat("stock", *STOCK):
        time.sleep(SETTLE_SECONDS)
        since = time.time()
        time.sleep(QUICK_SECONDS)
    late: list[float] = []
    for number in range(QUICK):
        fires = bench.messages.arrivals(lambda name, wanted=f"quick-{number}": name == wanted, since=since)  # type: ignore[misc] # bound to its number
        # It has no scheduled times: each entry is held against the second at which it first fired.
        late += [moment - fires[0] - place for place, moment in enumerate(fires)]
    bench.rows("clear")
    missed = QUICK * int(QUICK_SECONDS) - len(late)
    return Seen(len(arrived), max(arrived) - at, idle, [edited["seconds"]], in_force, late, missed)


def _due(bench: Bench, at: float) -> list[float]:
    return bench.messages.arrivals(lambda name: name.startswith("due-"), since=at)


def _edit(bench: Bench, key: str, deployment_id: str, schedule: Mapping[str, object]) -> tuple[float, float]:
    """How long the answer took, and when it came."""
    request = urllib.request.Request(  # noqa: S310 - our own http URL
        f"{bench.site.base_url}/api/deployments/{deployment_id}",
        json.dumps({"schedule": schedule}).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        method="PATCH",
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own http URL
        answer.read()
    return time.perf_counter() - began, time.time()


def _share_of_a_core(beat: Process) -> float:
    process = psutil.Process(beat.running.pid)
    before = process.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / IDLE_SECONDS * 100


def _wait_for(bench: Bench, wanted: Callable[[str], bool], *, since: float) -> float:
    """Until the first such message; how long after `since` it came."""
    _wait_until(lambda: bool(bench.messages.arrivals(wanted, since=since)))
    return min(bench.messages.arrivals(wanted, since=since), default=since + PATIENCE_SECONDS) - since


def _wait_until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not holds() and time.monotonic() < give_up_at:
        time.sleep(0.05)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _seconds_between(begin: float, end: float) -> int:
    """How many whole seconds of the clock lie in [begin, end)."""
    return -int(-end // 1) + int(-begin // 1)


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
