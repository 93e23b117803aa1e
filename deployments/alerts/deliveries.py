"""A delivery's way: claimed by one worker, and settled with what came of the try.

Who locks both takes the target before its deliveries. A claim is over after `CLAIM_TIME`: the delivery of a worker that
is lost is due again then, and told twice rather than never.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q, Window
from django.db.models.functions import Coalesce, Now, RowNumber
from django.utils import timezone

from access.audit import record_action
from deployments.alerts.outbox import write_switched_off
from deployments.alerts.retrying import GIVEN_UP_AFTER, PAUSES, next_pause
from deployments.models import AlertDelivery, AlertTarget, AlertTry

log = logging.getLogger(__name__)

#: Longer than any try takes.
CLAIM_TIME: Final = timedelta(seconds=60)
#: Deliveries of one target, and of one team's targets, that one worker sends at once.
PER_TARGET: Final = 5
PER_TEAM: Final = 25
#: So many of those that one e-mail tells of are listed in it.
LISTED: Final = 20
SYSTEM: Final = "system"
PENDING: Final = AlertDelivery.Status.PENDING


@dataclass(frozen=True)
class Claim:
    """A delivery in the hands of this worker. `tries` is the fence: another worker's claim has a higher one."""

    delivery: AlertDelivery
    target: AlertTarget
    tries: int
    #: Of an e-mail: what it tells of, the first of all, and how many these are.
    listed: tuple[AlertDelivery, ...] = ()
    count: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of a try. It was delivered when there is no error."""

    at: datetime
    duration_ms: int
    error: str = ""
    status_code: int | None = None
    answer: str = ""
    retry_after: timedelta | None = field(default=None)

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing more, ever."""
        return self.status_code == 410


def claim_due(
    *, room: int, busy: Collection[UUID] = (), of_teams: Mapping[int, int] = MappingProxyType({})
) -> list[Claim]:
    """Take deliveries that are due, in turns over their targets, but none of the busy ones.

    Targets that fail come after those that do not: whoever lets many stall holds up nobody else. Of `of_teams` so many
    are on their way already, and no team has more than its share.
    """
    due = AlertDelivery.objects.filter(_due()).exclude(target_id__in=busy)
    full = [team_id for team_id, count in of_teams.items() if count >= PER_TEAM]
    fails = ExpressionWrapper(Q(target__failing_since__isnull=False), output_field=BooleanField())
    turn = Window(RowNumber(), partition_by=[F("target_id")], order_by=[F("created_at"), F("id")])
    first = (
        due.exclude(target__deployment__team_id__in=full).annotate(turn=turn, fails=fails).filter(turn__lte=PER_TARGET)
    )
    in_turn = first.order_by("fails", "turn", "created_at")
    found = _share(in_turn.values_list("id", "target_id", "target__deployment__team_id")[:room], of_teams)
    if not found:
        return []
    with transaction.atomic():
        # A target that another worker is claiming from is left to it.
        free = AlertTarget.objects.sealed().filter(id__in={target_id for _, target_id in found})
        rows = free.select_for_update(skip_locked=True, no_key=True, of=("self",)).order_by("id")
        targets = {target.id: target for target in rows.select_related("deployment")}
        still = AlertDelivery.objects.filter(_due(), id__in=[each for each, _ in found], target_id__in=targets)
        locked = list(still.select_for_update(skip_locked=True, of=("self",)).order_by("created_at", "id"))
        deliveries = [each for each in locked if not _give_up(each)]
        webhooks = [each for each in deliveries if targets[each.target_id].kind == AlertTarget.Kind.WEBHOOK]
        claims = _claim_webhooks(webhooks, targets)
        mailing = {each.target_id for each in deliveries} - {each.target_id for each in webhooks}
        return claims + [claim for target_id in mailing if (claim := _claim_mail(targets[target_id])) is not None]


def _share(rows: Iterable[tuple[UUID, UUID, int]], of_teams: Mapping[int, int]) -> list[tuple[UUID, UUID]]:
    """Those that their teams have room for. When all was one team's, the next look is for the others."""
    counts = Counter(of_teams)
    found = []
    for delivery_id, target_id, team_id in rows:
        if counts[team_id] < PER_TEAM:
            counts[team_id] += 1
            found.append((delivery_id, target_id))
    return found


def _give_up(delivery: AlertDelivery) -> bool:
    """Whether it was tried as often as it may be, and no worker came to tell of the last time."""
    if delivery.tries <= len(PAUSES):
        return False
    now = timezone.now()
    failed = {"status": AlertDelivery.Status.FAILED, "next_try_at": None, "ended_at": now}
    AlertDelivery.objects.filter(id=delivery.id).update(**failed)
    error = "Of the last try nobody told how it ended: its worker was lost."
    AlertTry.objects.create(delivery_id=delivery.id, at=now, duration_ms=0, error=error)
    return True


def is_claimed(delivery: AlertDelivery) -> bool:
    """Whether a worker is at it just now: its claim lasts, and no try is logged since."""
    now, until = timezone.now(), delivery.next_try_at
    if delivery.status != PENDING or not delivery.tries or until is None or not now < until <= now + CLAIM_TIME:
        return False
    return not delivery.log.filter(at__gte=until - CLAIM_TIME).exists()


def settle(claim: Claim, outcome: Outcome) -> bool:
    """Write down what came of the try, and when the next one is. False when the delivery is another worker's now."""
    with transaction.atomic():
        target = AlertTarget.objects.sealed().select_for_update(no_key=True).get(id=claim.target.id)
        pause = next_pause(claim.tries, retry_after=outcome.retry_after) if outcome.error else None
        held = AlertDelivery.objects.filter(id=claim.delivery.id, status=PENDING, tries=claim.tries)
        if not held.update(**_changes(outcome, pause)):
            return False
        AlertTry.objects.create(
            delivery_id=claim.delivery.id,
            at=outcome.at,
            duration_ms=outcome.duration_ms,
            status_code=outcome.status_code,
            answer=outcome.answer,
            error=outcome.error,
        )
        if target.kind == AlertTarget.Kind.EMAIL:
            quiet = pause or timedelta(minutes=target.throttle_minutes)
            _settle_told_with(claim.delivery, outcome, quiet)
            AlertTarget.objects.filter(id=target.id).update(quiet_until=Now() + quiet)
        _note_health(target, outcome)
    return True


def switch_off(target: AlertTarget, reason: str) -> None:
    """Send nothing more to the target, and say so: in the audit, to its deployment's other targets, in its own row."""
    on = AlertTarget.objects.filter(id=target.id, enabled=True)
    if not on.update(enabled=False, off_reason=reason, updated_at=timezone.now()):
        return
    park(target)
    record_action(
        "alert.switched_off",
        by=SYSTEM,
        team_id=target.deployment.team_id,
        on=("alert", target.id),
        label=target.deployment.endpoint_path,
        details={"reason": reason},
    )
    write_switched_off(target, reason=reason, at=timezone.now())
    log.warning("Alerts of %s to %s were switched off: %s", target.deployment.endpoint_path, target, reason)


def park(target: AlertTarget) -> None:
    """What is pending waits until its target is on again."""
    AlertDelivery.objects.filter(target=target, status=PENDING).update(next_try_at=None)


def unpark(target: AlertTarget) -> None:
    """What was pending while the target was off is due now."""
    AlertDelivery.objects.filter(target=target, status=PENDING).update(next_try_at=Now())


def _due() -> Q:
    return Q(status=PENDING, next_try_at__lte=Now(), target__enabled=True, target__deleted_at__isnull=True)


def _claim_webhooks(deliveries: list[AlertDelivery], targets: dict[UUID, AlertTarget]) -> list[Claim]:
    claimed = AlertDelivery.objects.filter(id__in=[each.id for each in deliveries])
    claimed.update(tries=F("tries") + 1, next_try_at=Now() + CLAIM_TIME)
    return [Claim(each, targets[each.target_id], each.tries + 1) for each in deliveries]


def _claim_mail(target: AlertTarget) -> Claim | None:
    """One e-mail about all that is pending; None while the target is to be left in peace."""
    # What another worker has on its way is not due: it is not told of twice.
    pending = AlertDelivery.objects.filter(target=target, status=PENDING, next_try_at__lte=Now())
    rested = AlertTarget.objects.filter(Q(quiet_until__isnull=True) | Q(quiet_until__lte=Now()), id=target.id)
    if not rested.update(quiet_until=Now() + CLAIM_TIME):
        pending.filter(next_try_at__lt=target.quiet_until).update(next_try_at=target.quiet_until)
        return None
    leader = pending.order_by("created_at", "id").first()
    if leader is None:
        return None
    pending.update(sent_with=leader.id, tries=F("tries") + 1, next_try_at=Now() + CLAIM_TIME)
    AlertDelivery.objects.filter(id=leader.id).update(sent_with=None)
    told = AlertDelivery.objects.filter(Q(id=leader.id) | Q(sent_with=leader.id, status=PENDING))
    return Claim(leader, target, leader.tries + 1, tuple(told.order_by("created_at", "id")[:LISTED]), told.count())


def _settle_told_with(leader: AlertDelivery, outcome: Outcome, pause: timedelta) -> None:
    """The others that the e-mail told of. They go with the next one where it failed, each as long as it has tries."""
    told = AlertDelivery.objects.filter(target_id=leader.target_id, sent_with=leader.id, status=PENDING)
    if outcome.error:
        told.filter(tries__lte=len(PAUSES)).update(next_try_at=Now() + pause)
        told = told.filter(tries__gt=len(PAUSES))
    told.update(**_changes(outcome, None))


def _changes(outcome: Outcome, pause: timedelta | None) -> dict[str, Any]:
    if pause is not None:
        return {"next_try_at": Now() + pause}
    status = AlertDelivery.Status.FAILED if outcome.error else AlertDelivery.Status.DELIVERED
    return {"status": status, "next_try_at": None, "ended_at": outcome.at}


def _note_health(target: AlertTarget, outcome: Outcome) -> None:
    rows = AlertTarget.objects.filter(id=target.id)
    if not outcome.error:
        rows.filter(failing_since__isnull=False).update(failing_since=None)
        return
    rows.update(failing_since=Coalesce("failing_since", outcome.at))
    if outcome.is_gone:
        switch_off(target, "The receiver answered 410 Gone: it wants nothing more.")
    elif target.failing_since is not None and outcome.at - target.failing_since >= GIVEN_UP_AFTER:
        switch_off(target, f"Every try has failed for {GIVEN_UP_AFTER.days} days. The last one: {outcome.error}")
