"""No beat runs for an hour over scheduled times: each policy of catching up does what it says, and no time is lost.

The hour is not waited for: the schedules are set back by it in their rows, where they would then stand.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from orchestration_site.proving.processes import run_manage
from orchestration_site.proving.scenarios.contract import Scenario
from orchestration_site.proving.schedules import (
    Fired,
    Scheduled,
    deploy_unscheduled,
    find_outcome,
    schedule,
    until_all_have_ended,
)
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED
from orchestration_site.proving.trial import Trial
from orchestration_site.proving.verdict import Promise, Verdict

EVERY: Final = timedelta(minutes=10)
AWAY: Final = timedelta(hours=1)
#: How many of the missed times run, and are completed.
RUNS: Final = {"none": 0, "latest": 1, "all": AWAY // EVERY}


@dataclass(frozen=True, kw_only=True)
class BeatAway(Scenario):
    """Schedules of every ten minutes; `latest` runs one of the six that were missed, `all` every one."""

    name: ClassVar = "beat-away"
    shows: ClassVar = "No beat runs for an hour: none, latest and all each do what they say, and every time has a row."
    targets: ClassVar = frozenset({EMBEDDED, DISTRIBUTED})

    ended_within: float = 60.0

    async def run(self, trial: Trial) -> Verdict:
        if trial.target == EMBEDDED:  # there, nothing takes a schedule before it runs
            await trial.run_workers(1)
        start = datetime.now(UTC).replace(microsecond=0) - AWAY - EVERY / 2
        times = tuple(start + EVERY * place for place in range(1, AWAY // EVERY + 1))
        scheduled = [await self._deploy(trial, policy, start, times) for policy in RUNS]
        await asyncio.to_thread(trial.stack.end_workers)
        trial.has_killed("everything that fires killed")
        await asyncio.to_thread(run_manage, trial.stack.env, "shell", "-v0", "-c", _set_back_to(times[0]))
        trial.say(f"the schedules stand at {times[0]:%H:%M:%S} UTC, an hour ago")
        if trial.target != EMBEDDED:
            trial.stack.add_beat()
        await trial.add_workers(1)
        await until_all_have_ended(trial, scheduled, self.ended_within)
        outcome = await find_outcome(trial, scheduled)
        promises = [
            Promise("every time has its row", not outcome.findings.lost, f"{len(outcome.findings.lost)} have none"),
            Promise("and no more than one", not outcome.findings.strangers, f"{len(outcome.findings.strangers)} more"),
            *(_kept_policy(policy, rows) for policy, rows in zip(RUNS, outcome.fired, strict=True)),
        ]
        return self.verdict(trial, outcome.findings, promises, [outcome.remark])

    async def _deploy(self, trial: Trial, policy: str, start: datetime, times: tuple[datetime, ...]) -> Scheduled:
        made = await deploy_unscheduled(trial)
        every = int(EVERY.total_seconds())
        await schedule(trial, made, interval_seconds=every, start_at=start.isoformat(), catch_up=policy)
        return replace(made, times=times)


def _kept_policy(policy: str, rows: Sequence[Fired]) -> Promise:
    """The last times run, as many as the policy says; those before them are skipped because they were missed."""
    skipped = len(rows) - RUNS[policy]
    expected = ["missed"] * skipped + ["completed"] * RUNS[policy]
    shown = [row.reason or row.status for row in rows]
    text = f"`{policy}` runs {RUNS[policy]} of {len(rows)} missed times, the last"
    return Promise(text, shown == expected, ", ".join(shown))


def _set_back_to(moment: datetime) -> str:
    """Python for `manage.py shell`."""
    return (
        "from datetime import datetime; from deployments.models import ScheduleConfig;"
        f"at = datetime.fromisoformat({moment.isoformat()!r});"
        "ScheduleConfig.objects.filter(next_occurrence_at__gt=at).update(next_occurrence_at=at, next_fire_at=at)"
    )
