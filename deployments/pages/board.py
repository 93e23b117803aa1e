"""What the first page shows of each deployment: a constant number of queries, however many there are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    Count,
    F,
    OuterRef,
    Q,
    Subquery,
    TextField,
    When,
    Window,
)
from django.db.models.functions import Cast, RowNumber
from django.utils import timezone

from access.principal import Principal
from deployments.models import Deployment, ExecutionLog, ScheduleConfig
from deployments.models.deployment import DeploymentQuerySet
from deployments.models.execution import NEWEST_FIRST, UNFINISHED_STATUSES
from deployments.scheduling.words import words_of
from designs.models import DesignVersion

PAGE_SIZE: Final = 48
#: What lists are ordered by, in the words of the address; the ids make the order a whole one.
SORTS: Final = {
    "newest": ("Newest first", (F("created_at").desc(), F("id").desc())),
    "name": ("Name", (F("design_name").asc(), F("id").asc())),
    "last-run": ("Last run", (F("last_execution_at").desc(nulls_last=True), F("id").desc())),
    "executions": ("Most executions", (F("execution_count").desc(), F("id").desc())),
}
DAY: Final = timedelta(days=1)
#: So many of the latest executions are looked at for one that a person or a program has asked for.
LOOKED_AT: Final = 100


@dataclass(frozen=True)
class Choice:
    """What of the list is wanted, as the address says it. What it does not understand is left out."""

    search: str = ""
    status: str = ""
    sort: str = "newest"
    page: int = 1

    @classmethod
    def of(cls, parameters: Any) -> "Choice":
        status, sort, page = (parameters.get(name, "") for name in ("status", "sort", "page"))
        return cls(
            # PostgreSQL takes no NUL; no name has one.
            search=parameters.get("search", "").replace("\0", "").strip()[:200],
            status=status if status in Deployment.Status.values else "",
            sort=sort if sort in SORTS else "newest",
            page=max(1, int(page)) if page.isascii() and page.isdigit() and len(page) <= 6 else 1,
        )

    def parameters(self) -> dict[str, str]:
        """Those that differ from what an address without any means."""
        given = {"search": self.search, "status": self.status, "sort": self.sort, "page": str(self.page)}
        return {name: value for name, value in given.items() if value not in ("", "newest", "1") or name == "search"}

    def narrow(self, deployments: DeploymentQuerySet) -> DeploymentQuerySet:
        if self.search:
            deployments = deployments.matching(self.search)
        return deployments.filter(status=self.status) if self.status else deployments


@dataclass
class Outcomes:
    """What a deployment's executions of the last day came to. `p95_ms` is of those that completed."""

    completed: int = 0
    failed: int = 0
    other: int = 0
    p95_ms: int | None = None

    @property
    def total(self) -> int:
        return self.completed + self.failed + self.other

    @property
    def success_rate(self) -> float | None:
        """In per cent, of those that completed or failed. Never rounded up to 100: one failure has to show."""
        judged = self.completed + self.failed
        return int(1000 * self.completed / judged) / 10 if judged else None

    @property
    def p95(self) -> str:
        """`840 ms`, `1.2 s`, `3 min 20 s`; empty where nothing completed."""
        if self.p95_ms is None:
            return ""
        if self.p95_ms < 1000:
            return f"{self.p95_ms} ms"
        seconds = self.p95_ms / 1000
        return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"

    @property
    def segments(self) -> list[dict[str, Any]]:
        """Kinds with where they begin and how wide they are, of 100."""
        found, start = [], 0.0
        for kind, count in (("good", self.completed), ("bad", self.failed), ("other", self.other)):
            if count:
                width = 100 * count / self.total
                found.append({"kind": kind, "x": f"{start:.2f}", "width": f"{width:.2f}"})
                start += width
        return found


@dataclass(frozen=True)
class Shown:
    """One deployment of the list."""

    deployment: Deployment
    outcomes: Outcomes = field(default_factory=Outcomes)

    @property
    def schedule(self) -> ScheduleConfig | None:
        found: ScheduleConfig | None = getattr(self.deployment, "schedule", None)
        return found

    @property
    def schedule_words(self) -> str | None:
        return None if self.schedule is None else words_of(self.schedule)

    @property
    def newer(self) -> str | None:
        """What there is to update to, as a sentence; None where what is deployed is what was saved last."""
        row: Any = self.deployment
        if row.latest_version is not None and row.latest_version > row.version.number:
            return f"Version {row.latest_version} is there; {row.version.number} is deployed."
        if row.is_edited:
            return f"The design was edited after version {row.version.number}."
        return None


#: Both are kept in one spelling, so that equal texts are equal designs. A key of `json` has no comparison of its own.
_IS_EDITED: Final = Q(design__updated_at__gt=F("version__created_at")) & ~Q(
    draft_text=Cast("version__document", TextField())
)


def live_deployments(principal: Principal) -> DeploymentQuerySet:
    """Those that the principal may see, with all that one of the list shows but its outcomes."""
    latest = ExecutionLog.objects.filter(deployment=OuterRef("pk")).order_by(*NEWEST_FIRST)
    versions = DesignVersion.objects.filter(design=OuterRef("design_id")).order_by("-number")
    unfinished = (
        ExecutionLog.objects.filter(deployment=OuterRef("pk"), status__in=UNFINISHED_STATUSES)
        .order_by()
        .values("deployment")
        .annotate(n=Count("pk"))
        .values("n")
    )
    found: DeploymentQuerySet = (
        Deployment.objects.visible_to(principal)
        .live()
        .select_related("version", "schedule", "design")
        .defer("version__document", "design__draft", "design__description", "schedule__input_data")
        .alias(draft_text=Cast("design__draft", TextField()))
        .annotate(
            last_status=Subquery(latest.values("status")[:1]),
            last_id=Subquery(latest.values("id")[:1]),
            unfinished=Subquery(unfinished),
            latest_version=Subquery(versions.values("number")[:1]),
            is_edited=Case(When(_IS_EDITED, then=True), default=False, output_field=BooleanField()),
        )
    )
    return found


def count_statuses(principal: Principal) -> dict[str, int]:
    """How many are live, by status, and all of them under an empty string."""
    rows = Deployment.objects.visible_to(principal).live().order_by().values_list("status").annotate(n=Count("pk"))
    counts: dict[str, int] = dict(rows)
    return {"": sum(counts.values()), **{status: counts.get(status, 0) for status in Deployment.Status.values}}


def with_outcomes(deployments: Sequence[Deployment]) -> list[Shown]:
    """The deployments with what their executions of the last day came to, in two queries."""
    outcomes = _outcomes_of([deployment.id for deployment in deployments])
    return [Shown(deployment, outcomes[deployment.id]) for deployment in deployments]


def is_first_visit(principal: Principal) -> bool:
    """Whether none of the latest executions was asked for: what ran, ran by its schedule."""
    latest = ExecutionLog.objects.visible_to(principal).order_by(*NEWEST_FIRST)
    return all(trigger == "scheduled" for trigger in latest.values_list("trigger_type", flat=True)[:LOOKED_AT])


def _outcomes_of(ids: Sequence[UUID]) -> dict[UUID, Outcomes]:
    found = {deployment_id: Outcomes() for deployment_id in ids}
    since = timezone.now() - DAY
    day = ExecutionLog.objects.filter(deployment_id__in=ids, created_at__gte=since).order_by()
    for deployment_id, status, count in day.values_list("deployment_id", "status").annotate(n=Count("pk")):
        outcomes = found[deployment_id]
        if status == "completed":
            outcomes.completed = count
        elif status == "failed":
            outcomes.failed = count
        elif status in ("cancelled", "skipped"):
            outcomes.other += count
    for deployment_id, duration in _p95(day):
        found[deployment_id].p95_ms = duration
    return found


def _p95(day: Any) -> Any:
    """Pairs of a deployment's id and the duration that 95 of 100 of its executions did not exceed (nearest rank).

    By window functions, which SQLite has too: it has no percentile_cont.
    """
    each = [F("deployment_id")]
    ranked = day.filter(status="completed", duration_ms__isnull=False).annotate(
        rank=Window(RowNumber(), partition_by=each, order_by=[F("duration_ms").asc()]),
        among=Window(Count("pk"), partition_by=each, output_field=BigIntegerField()),
    )
    # The rank is 0.95 of the number, rounded up, in whole numbers.
    wanted = ranked.filter(rank=(F("among") * 95 + 99) / 100)
    return wanted.values_list("deployment_id", "duration_ms")
