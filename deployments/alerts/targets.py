"""Targets of alerts: added, changed, removed, tested; and a delivery sent again. One function each, all audited."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from access.audit import Action, record_action
from deployments.alerts.deliveries import CLAIM_TIME, is_claimed, park, unpark
from deployments.alerts.outbox import write_test
from deployments.alerts.signing import make_secret
from deployments.executions.publisher import publisher
from deployments.models import AlertDelivery, AlertTarget, AlertTry, Deployment
from deployments.models.alert import TEST_EVENT
from designs.base_urls import problem_with_webhook_url
from designs.providers import may_be_private
from executor.errors import Problem

MAX_TARGETS: Final = 20
#: Within so long, a target is tested so often, all of a team's are, and one delivery is tried so often again.
BY_HAND_WITHIN: Final = timedelta(hours=1)
TESTS_OF_TARGET: Final = 10
TESTS_OF_TEAM: Final = 60
TRIES_OF_DELIVERY: Final = 20
#: How long the secret before is signed with as well.
GRACE: Final = timedelta(hours=24)
#: Of each kind, what only it has.
OWN_FIELDS: Final = {"webhook": ("url",), "email": ("addresses", "throttle_minutes")}


class InvalidAlert(Exception):
    """The fields of a target are not what it needs."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].message)
        self.problems = problems


class AlertGone(Exception):
    """The target, or its delivery, is not there any more."""


class AlertTooOften(Exception):
    """What is sent by hand is bounded: it goes to whom it may concern nothing, in the operator's name."""

    def __init__(self, sentence: str, pause: timedelta | None = None) -> None:
        super().__init__(f"{sentence} Try again later.")
        #: Seconds.
        self.retry_after = int((pause or BY_HAND_WITHIN).total_seconds())


class AlertIsOff(Exception):
    """Nothing is sent to this target while it is off. Switch it on first: PATCH it with enabled true."""


def add_target(*, deployment: Deployment, fields: Mapping[str, Any], by: str) -> AlertTarget:
    """A new target. A webhook's secret is in its row, to be shown this once."""
    problems = [*_problems_of(str(fields["kind"]), fields), *_missing(fields)]
    with transaction.atomic():
        # Two at once would count the same targets.
        Deployment.objects.select_for_update(no_key=True, of=("self",)).get(id=deployment.id)
        if AlertTarget.objects.present().filter(deployment=deployment).count() >= MAX_TARGETS:
            sentence = f"A deployment has {MAX_TARGETS} alerts at most. Remove one first."
            problems.append(Problem("", "too_many", sentence))
        if problems:
            raise InvalidAlert(problems)
        secret = make_secret() if fields["kind"] == AlertTarget.Kind.WEBHOOK else ""
        target = AlertTarget.objects.create(deployment=deployment, secret=secret, created_by=by, **fields)
        _record("alert.added", target, by, {"kind": target.kind, "events": target.events})
    return target


def change_target(*, target: AlertTarget, fields: Mapping[str, Any], by: str) -> AlertTarget:
    """The target as it is then. Switched on, or with another address, it is sent at once what was pending."""
    if problems := _problems_of(target.kind, fields):
        raise InvalidAlert(problems)
    with transaction.atomic():
        current = _lock(target)
        changes = {name: value for name, value in fields.items() if _value_of(current, name) != value}
        if not changes:
            return current
        for name, value in changes.items():
            setattr(current, name, value)
        if "enabled" in changes:
            current.off_reason, current.failing_since = "", None
        if "addresses" in changes or "throttle_minutes" in changes:
            current.quiet_until = None
        current.save()
        if not current.enabled:
            park(current)
        elif {"enabled", "url", "addresses"} & set(changes):
            unpark(current)
        _record("alert.changed", current, by, {"fields": sorted(changes)})
        transaction.on_commit(publisher.publish_alerts)
    return current


def rotate_secret(*, target: AlertTarget, by: str) -> AlertTarget:
    """A new secret, in the row to be shown this once. The one before is signed with as well for a day."""
    if target.kind != AlertTarget.Kind.WEBHOOK:
        raise InvalidAlert([Problem("", "no_secret", "Only webhooks have a secret.")])
    with transaction.atomic():
        current = _lock(target)
        current.previous_secret, current.previous_secret_until = current.read("secret"), timezone.now() + GRACE
        current.secret = make_secret()
        current.save(update_fields=["secret", "previous_secret", "previous_secret_until", "updated_at"])
        _record("alert.secret_rotated", current, by, {"previous_until": current.previous_secret_until})
    return current


def remove_target(*, target: AlertTarget, by: str) -> None:
    """Nothing is sent to it from now on. Its address and secrets are forgotten; its log goes with time."""
    with transaction.atomic():
        current = _lock(target)
        current.url = current.secret = current.previous_secret = ""  # nosec B105
        current.addresses, current.enabled, current.deleted_at = [], False, timezone.now()
        current.save()
        park(current)
        _record("alert.removed", current, by, {"kind": current.kind})


def send_test(*, target: AlertTarget, by: str) -> AlertDelivery:
    """A harmless delivery; the first one of an hour at once even where an e-mail would have to wait."""
    with transaction.atomic():
        current = _lock(target)
        if not current.enabled:
            raise AlertIsOff(AlertIsOff.__doc__)
        recent = AlertDelivery.objects.filter(event=TEST_EVENT, created_at__gt=timezone.now() - BY_HAND_WITHIN)
        of_target = recent.filter(target=current).count()
        if of_target >= TESTS_OF_TARGET:
            raise AlertTooOften(f"An alert is tested {TESTS_OF_TARGET} times an hour at most.")
        # Two at once of different targets may both find the last place: the bound need not be exact.
        if recent.filter(target__deployment__team_id=current.deployment.team_id).count() >= TESTS_OF_TEAM:
            raise AlertTooOften(f"A team's alerts are tested {TESTS_OF_TEAM} times an hour at most.")
        if not of_target:
            AlertTarget.objects.filter(id=current.id).update(quiet_until=None)
            current.quiet_until = None
        _record("alert.tested", current, by, {})
        return write_test(current)


def resend_delivery(*, target: AlertTarget, delivery_id: UUID, by: str) -> AlertDelivery:
    """Send it again, with the same id, and with as many tries as at first: now, if it was not tried just before."""
    with transaction.atomic():
        current = _lock(target)
        if not current.enabled:
            raise AlertIsOff(AlertIsOff.__doc__)
        found = AlertDelivery.objects.filter(id=delivery_id, target=current)
        if any(map(is_claimed, found)):
            raise AlertTooOften("It is being sent just now.", CLAIM_TIME)
        recent = AlertTry.objects.filter(delivery_id=delivery_id, at__gt=timezone.now() - BY_HAND_WITHIN).count()
        if recent >= TRIES_OF_DELIVERY:
            raise AlertTooOften(f"One delivery is tried {TRIES_OF_DELIVERY} times an hour at most.")
        again = {"status": AlertDelivery.Status.PENDING, "tries": 0, "ended_at": None, "sent_with": None}
        if not found.update(next_try_at=Now(), **again):
            raise AlertGone
        if not recent:
            AlertTarget.objects.filter(id=current.id).update(quiet_until=None)
        _record("alert.resent", current, by, {"delivery": str(delivery_id)})
        transaction.on_commit(publisher.publish_alerts)
        return found.get()


def _value_of(target: AlertTarget, name: str) -> Any:
    return target.read(name) if name in AlertTarget.ENCRYPTED else getattr(target, name)


def _lock(target: AlertTarget) -> AlertTarget:
    rows = AlertTarget.objects.present().sealed().filter(id=target.id).select_related("deployment")
    current = rows.select_for_update(no_key=True, of=("self",)).first()
    if current is None:
        raise AlertGone
    return current


def _problems_of(kind: str, fields: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem(f"/{name}", "other_kind", f"Only a target of kind {other} has {name}. Leave it out.")
        for other, names in OWN_FIELDS.items()
        for name in names
        if other != kind and name in fields
    ]
    if "url" in fields and (problem := problem_with_webhook_url(fields["url"], may_be_private=may_be_private)):
        problems.append(Problem("/url", "bad_url", problem))
    if kind == AlertTarget.Kind.EMAIL and "addresses" in fields and not settings.ENVIRONMENT.email_url:
        sentence = "This site sends no e-mail. Its operator sets EMAIL_URL; or use a webhook."
        problems.append(Problem("/addresses", "no_email", sentence))
    return problems


def _missing(fields: Mapping[str, Any]) -> list[Problem]:
    needed = OWN_FIELDS[str(fields["kind"])][0]
    return [] if fields.get(needed) else [Problem(f"/{needed}", "required", f"A {fields['kind']} needs {needed}.")]


def _record(action: Action, target: AlertTarget, by: str, details: Mapping[str, Any]) -> None:
    """Of the transaction that does it. Addresses are not named: some are secret."""
    deployment = target.deployment
    on = ("alert", target.id)
    record_action(action, by=by, team_id=deployment.team_id, on=on, label=deployment.endpoint_path, details=details)
