"""A delivery's way: claimed, tried, tried again, given up; and throttled by e-mail."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from access.models import AuditRecord
from deployments.alerts import retention
from deployments.alerts.deliveries import PER_TARGET, PER_TEAM, Claim, Outcome, claim_due, settle
from deployments.alerts.retrying import GIVEN_UP_AFTER, JITTER, PAUSES, next_pause
from deployments.alerts.targets import AlertTooOften, resend_delivery, send_test
from deployments.executions.retention import forget_old
from deployments.models import AlertDelivery, AlertTarget, AlertTry
from deployments.tests.builders import make_alert, make_deployment, make_told, make_version
from deployments.tests.test_commands import make_team

pytestmark = pytest.mark.django_db


def make_delivery(target: AlertTarget, **fields: Any) -> AlertDelivery:
    now = timezone.now()
    values = {"event": "execution.failed", "payload": {"type": "x"}, "created_at": now, "next_try_at": now}
    return AlertDelivery.objects.create(target=target, **values | fields)


def only_claim(**options: Any) -> Claim:
    (claim,) = claim_due(room=10, **options)
    return claim


def outcome(error: str = "", *, at: datetime | None = None, **fields: Any) -> Outcome:
    return Outcome(at or timezone.now(), 5, error, **fields)


class TestClaims:
    def test_a_delivery_is_claimed_once_until_its_claim_is_over(self) -> None:
        make_delivery(make_alert())
        first = only_claim()
        assert claim_due(room=10) == []
        # The worker is lost: its claim is over, and another takes the very same delivery.
        AlertDelivery.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
        second = only_claim()
        assert second.delivery.id == first.delivery.id
        assert not settle(first, outcome()), "the first worker is too late"
        assert AlertDelivery.objects.get().status == "pending"
        assert settle(second, outcome())
        assert AlertDelivery.objects.get().status == "delivered"

    def test_targets_take_turns_and_a_busy_one_is_left_out(self) -> None:
        many, few = make_alert(), make_alert(make_deployment("few"))
        for _ in range(PER_TARGET + 3):
            make_delivery(many)
        make_delivery(few)
        claimed = claim_due(room=3)
        assert {claim.target.id for claim in claimed} == {many.id, few.id}
        assert len(claim_due(room=100)) == PER_TARGET
        assert claim_due(room=100, busy=[many.id]) == []
        assert len(claim_due(room=100)) == 1

    def test_one_that_is_being_sent_is_not_sent_again_by_hand(self) -> None:
        target = make_alert()
        delivery = make_delivery(target)
        [claim] = claim_due(room=1)
        with pytest.raises(AlertTooOften):
            resend_delivery(target=target, delivery_id=delivery.id, by="user:test")
        assert settle(claim, outcome("It refused."))
        resend_delivery(target=target, delivery_id=delivery.id, by="user:test")
        [again] = claim_due(room=1)
        assert settle(again, outcome())

    def test_one_whose_senders_are_lost_again_and_again_fails(self) -> None:
        make_delivery(make_alert(), tries=len(PAUSES) + 1)
        assert claim_due(room=1) == []
        delivery = AlertDelivery.objects.get()
        assert (delivery.status, delivery.next_try_at) == ("failed", None)
        assert "its worker was lost" in AlertTry.objects.get().error

    def test_targets_that_fail_come_last_and_no_team_has_more_than_its_share(self) -> None:
        stalled = [make_alert(make_deployment(f"s{number}")) for number in range(PER_TEAM + 5)]
        for target in stalled:
            make_delivery(target)
        theirs = make_alert(make_deployment("theirs", version=make_version(team=make_team("other"))))
        make_delivery(theirs)
        first = claim_due(room=50)
        assert len(first) == PER_TEAM + 1
        # What came first is on its way; the others of the same team have to wait.
        ours = Counter(claim.target.deployment.team_id for claim in first)
        make_delivery(theirs)
        assert [claim.target.id for claim in claim_due(room=50, of_teams=ours)] == [theirs.id]
        AlertTarget.objects.filter(id__in=[target.id for target in stalled]).update(failing_since=timezone.now())
        AlertDelivery.objects.update(next_try_at=timezone.now())
        healthy = make_alert(make_deployment("healthy"))
        make_delivery(healthy)
        assert healthy.id in {claim.target.id for claim in claim_due(room=3)}

    @pytest.mark.parametrize("fields", [{"enabled": False}, {"deleted_at": timezone.now()}])
    def test_nothing_is_sent_to_a_target_that_is_off_or_removed(self, fields: dict[str, Any]) -> None:
        make_delivery(make_alert(**fields))
        assert claim_due(room=10) == []


class TestRetries:
    def test_pauses_grow_are_jittered_and_end_after_more_than_a_day(self) -> None:
        for tries, pause in enumerate(PAUSES, start=1):
            found = {next_pause(tries) for _ in range(20)}
            assert len(found) > 1
            assert all(each is not None and pause <= each <= pause * (1 + JITTER) for each in found)
        assert timedelta(days=1) < sum(PAUSES, timedelta(0)) < timedelta(days=2)
        assert next_pause(len(PAUSES) + 1) is None

    def test_a_receiver_may_ask_for_longer_and_for_no_more_than_a_day(self) -> None:
        assert next_pause(1, retry_after=timedelta(hours=2)) == timedelta(hours=2)
        assert next_pause(1, retry_after=timedelta(days=400)) == timedelta(days=1)
        shortest = next_pause(3, retry_after=timedelta(0))
        assert shortest is not None
        assert shortest >= PAUSES[2]

    def test_each_failed_try_is_logged_and_after_the_last_it_has_failed(self) -> None:
        make_delivery(make_alert())
        for tries in range(1, len(PAUSES) + 2):
            claim = only_claim()
            assert claim.tries == tries
            before = timezone.now()
            settle(claim, outcome("The receiver answered 500.", status_code=500, answer="sorry"))
            delivery = AlertDelivery.objects.get()
            if tries <= len(PAUSES):
                assert delivery.next_try_at is not None
                assert delivery.next_try_at >= before + PAUSES[tries - 1] - timedelta(seconds=1)
                AlertDelivery.objects.update(next_try_at=before)
        assert (delivery.status, delivery.next_try_at) == ("failed", None)
        assert delivery.ended_at is not None
        log = [(each.status_code, each.answer, each.error) for each in AlertTry.objects.all()]
        assert log == [(500, "sorry", "The receiver answered 500.")] * (len(PAUSES) + 1)

    def test_410_switches_the_target_off_which_is_recorded_and_told_to_the_others(self) -> None:
        deployment = make_deployment()
        target, other = make_alert(deployment), make_alert(deployment, events=["execution.completed"])
        make_delivery(target)
        make_delivery(target, next_try_at=timezone.now() + timedelta(hours=1))
        settle(only_claim(), outcome("The receiver answered 410.", status_code=410))
        target.refresh_from_db()
        assert not target.enabled
        assert "410" in target.off_reason
        assert not AlertDelivery.objects.filter(target=target).exclude(next_try_at=None).exists(), "all is parked"
        told = AlertDelivery.objects.get(target=other)
        assert (told.event, told.payload["data"]["target_id"]) == ("alert.switched_off", str(target.id))
        record = AuditRecord.objects.get(action="alert.switched_off")
        assert (record.actor, record.object_id, record.team_id) == ("system", str(target.id), deployment.team_id)

    def test_a_target_that_has_failed_for_days_is_switched_off_and_one_that_recovers_is_not(self) -> None:
        target = make_alert()
        begun = timezone.now()
        make_delivery(target)
        settle(only_claim(), outcome("No.", at=begun))
        assert AlertTarget.objects.get().failing_since == begun
        make_delivery(target)
        settle(only_claim(), outcome(at=begun + timedelta(days=1)))
        assert AlertTarget.objects.get().failing_since is None
        for at in (begun, begun + GIVEN_UP_AFTER - timedelta(seconds=1), begun + GIVEN_UP_AFTER):
            assert AlertTarget.objects.get().enabled
            make_delivery(target)
            settle(only_claim(), outcome("No.", at=at))
        target.refresh_from_db()
        assert not target.enabled
        assert "No." in target.off_reason


class TestThrottle:
    def test_a_test_meanwhile_sends_nothing_twice(self) -> None:
        target = make_alert(kind="email", addresses=["ops@example.com"])
        make_delivery(target)
        [first] = claim_due(room=1)
        send_test(target=target, by="user:test")
        for claim in claim_due(room=10):
            assert first.delivery.id not in {each.id for each in claim.listed}
        assert settle(first, outcome())

    """Of e-mail: the first at once, then one about all that came meanwhile."""

    @pytest.fixture
    def target(self) -> AlertTarget:
        fields = {"kind": "email", "url": "", "secret": "", "addresses": ["ops@example.com"]}
        return make_alert(make_deployment(), **fields, throttle_minutes=10)

    def test_ten_thousand_failures_are_two_e_mails(self, target: AlertTarget) -> None:
        make_told(target.deployment)
        first = only_claim()
        assert first.count == 1
        settle(first, outcome())
        target.refresh_from_db()
        ended = {make_told(target.deployment).id for _ in range(3)}
        assert {each.next_try_at for each in AlertDelivery.objects.filter(status="pending")} == {target.quiet_until}
        AlertDelivery.objects.bulk_create(
            AlertDelivery(
                target=target, event="execution.failed", created_at=timezone.now(), next_try_at=timezone.now()
            )
            for _ in range(9_996)
        )
        assert claim_due(room=50) == [], "it is left in peace"
        waiting = AlertDelivery.objects.filter(status="pending")
        assert {each.execution_id for each in waiting if each.execution_id} == ended
        assert min(each.next_try_at for each in waiting if each.next_try_at) > timezone.now() + timedelta(minutes=9)
        self.let_time_pass()
        (second,) = claim_due(room=50)
        assert second.count == 9_999
        assert claim_due(room=50) == []
        settle(second, outcome())
        assert AlertDelivery.objects.filter(status="delivered").count() == 10_000
        assert AlertDelivery.objects.filter(sent_with=second.delivery.id).count() == 9_998
        assert AlertTry.objects.count() == 2

    def test_those_of_an_e_mail_that_cannot_be_sent_share_its_fate(self, target: AlertTarget) -> None:
        for _ in range(3):
            make_delivery(target)
        for _ in range(len(PAUSES) + 1):
            self.let_time_pass()
            (claim,) = claim_due(room=50)
            assert claim.count == 3
            settle(claim, outcome("The mail server could not be reached."))
        assert {(each.status, each.tries) for each in AlertDelivery.objects.all()} == {("failed", len(PAUSES) + 1)}
        assert AlertTry.objects.count() == len(PAUSES) + 1

    def test_a_young_one_does_not_end_with_the_last_try_of_an_old_one(self, target: AlertTarget) -> None:
        old, young = make_delivery(target, tries=len(PAUSES)), make_delivery(target)
        (claim,) = claim_due(room=50)
        assert (claim.delivery.id, claim.count) == (old.id, 2)
        settle(claim, outcome("The mail server could not be reached."))
        shown = {each.id: (each.status, each.tries, each.next_try_at) for each in AlertDelivery.objects.all()}
        assert shown[old.id] == ("failed", len(PAUSES) + 1, None)
        assert shown[young.id][:2] == ("pending", 1)
        assert shown[young.id][2] is not None

    def test_what_comes_while_an_e_mail_is_on_its_way_is_in_the_next(self, target: AlertTarget) -> None:
        make_delivery(target)
        first = only_claim()
        late = make_delivery(target)
        settle(first, outcome())
        late.refresh_from_db()
        assert late.status == "pending"
        self.let_time_pass()
        assert only_claim().delivery.id == late.id

    @staticmethod
    def let_time_pass() -> None:
        """The database's clock is real: what lies ahead is put behind."""
        ago = timezone.now() - timedelta(seconds=1)
        AlertDelivery.objects.filter(status="pending").update(next_try_at=ago)
        AlertTarget.objects.update(quiet_until=ago)


class TestRetention:
    def test_old_deliveries_go_with_their_tries_and_removed_targets(self) -> None:
        long_ago = timezone.now() - timedelta(days=31)
        kept, removed = make_alert(), make_alert(make_deployment("removed"), deleted_at=long_ago)
        for target in (kept, kept, removed):
            old = make_delivery(target, created_at=long_ago)
            AlertTry.objects.create(delivery=old, at=long_ago, duration_ms=1)
        young = make_delivery(kept)
        assert not forget_old(), "there is no more"
        assert list(AlertDelivery.objects.all()) == [young]
        assert not AlertTry.objects.exists()
        assert list(AlertTarget.objects.all()) == [kept]

    def test_no_more_goes_at_a_time_than_a_batch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "BATCH", 2)
        target, long_ago = make_alert(), timezone.now() - timedelta(days=31)
        for _ in range(5):
            make_delivery(target, created_at=long_ago)
        assert retention.forget_deliveries() == 2
        assert AlertDelivery.objects.count() == 3
