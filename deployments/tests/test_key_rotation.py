"""Rotating a key: another secret, the same key; the earlier one opens for a while, and then nothing."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from access.models import AuditRecord, Team
from deployments.keys import (
    FoundKey,
    RotationRefused,
    Scope,
    make_key,
    principal_of_key,
    revoke_key,
    rotate_key,
)
from deployments.limits import KeyLimits
from deployments.models import ApiKey
from deployments.tests.builders import make_deployment

pytestmark = [pytest.mark.django_db, pytest.mark.either_database]

ALICE = "user:alice"


def make(*scopes: Scope, **more: Any) -> tuple[ApiKey, str]:
    return make_key(name="crm", team_id=Team.default().pk, scopes=scopes or ("execute",), **more)


def found(plaintext: str) -> FoundKey:
    key = principal_of_key(plaintext)
    assert key is not None
    return key


def client_of(plaintext: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plaintext}")
    return client


def problem(answer: Any, status: int, slug: str) -> str:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}"), answer.content
    return str(answer.json()["detail"])


class TestSecrets:
    def test_both_open_the_same_and_count_as_one(self) -> None:
        key, old = make("execute", "read", deployments=[make_deployment()], limits=KeyLimits(max_concurrent=3))
        new = rotate_key(key=key, by=ALICE)
        assert new != old
        assert found(new).principal == found(old).principal
        assert (found(new).is_previous, found(old).is_previous) == (False, True)
        row = ApiKey.objects.values().get()
        assert not any(text.split("_", 2)[2] in str(value) for text in (old, new) for value in row.values())

    def test_after_its_time_the_earlier_one_is_refused(self) -> None:
        key, old = make()
        new = rotate_key(key=key, by=ALICE, grace=timedelta(hours=1))
        assert key.previous_until is not None
        assert timedelta(minutes=59) < key.previous_until - timezone.now() <= timedelta(hours=1)
        ApiKey.objects.update(previous_until=timezone.now())
        assert principal_of_key(old) is None
        assert client_of(old).get("/api/executions").status_code == 401
        assert found(new)

    def test_without_a_grace_it_is_refused_at_once_and_its_hash_is_gone(self) -> None:
        key, old = make()
        hash_before = key.key_hash
        new = rotate_key(key=key, by=ALICE, grace=timedelta())
        assert principal_of_key(old) is None
        assert found(new)
        assert hash_before not in str(ApiKey.objects.values().get())

    def test_revoking_ends_both(self) -> None:
        key, old = make()
        new = rotate_key(key=key, by=ALICE)
        revoke_key(key=key, by=ALICE)
        assert (principal_of_key(old), principal_of_key(new)) == (None, None)

    def test_two_are_valid_at_once_and_never_three(self) -> None:
        key, first = make()
        second = rotate_key(key=key, by=ALICE)
        with pytest.raises(RotationRefused, match=r"rotated already.*grace of 0") as refused:
            rotate_key(key=key, by=ALICE)
        assert refused.value.code == "key-rotated-already"
        assert found(first)
        assert found(second)
        third = rotate_key(key=key, by=ALICE, grace=timedelta())
        assert (principal_of_key(first), principal_of_key(second)) == (None, None)
        rotate_key(key=key, by=ALICE)
        assert found(third).is_previous

    @pytest.mark.parametrize(("ended", "said"), [("revoked_at", "was revoked"), ("expires_at", "expired")])
    def test_a_key_that_opens_nothing_is_not_rotated(self, ended: str, said: str) -> None:
        key, _ = make()
        ApiKey.objects.update(**{ended: timezone.now() - timedelta(seconds=1)})
        with pytest.raises(RotationRefused, match=f"{said}.*Make a new one"):
            rotate_key(key=key, by=ALICE)

    def test_it_is_in_the_audit_without_a_secret(self) -> None:
        key, old = make()
        new = rotate_key(key=key, by=ALICE)
        record = AuditRecord.objects.values().latest("id")
        assert (record["action"], record["actor"], record["object_id"]) == ("key.rotated", ALICE, str(key.id))
        assert key.previous_until is not None
        assert record["details"]["previous_until"][:19] == key.previous_until.isoformat()[:19]
        assert not any(text.split("_", 2)[2] in str(record) for text in (old, new))

    def test_the_last_use_of_each_is_told_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        noted: list[Any] = []
        monkeypatch.setattr("deployments.api.authentication.note_use", lambda _, **told: noted.append(told))
        key, old = make("read")
        used = timezone.now() - timedelta(hours=2)
        ApiKey.objects.update(last_used_at=used)
        new = rotate_key(key=key, by=ALICE)
        ApiKey.objects.update(last_used_at=None)
        client_of(old).get("/api/designs")
        client_of(new).get("/api/designs")
        assert [(each["is_previous"], each["last_used_at"]) for each in noted] == [(True, used), (False, None)]


@pytest.mark.django_db(transaction=True)
class TestOverRest:
    def test_a_key_rotates_another_and_the_new_secret_is_shown_once(self) -> None:
        key, old = make("read")
        _, manager = make("manage")
        answer = client_of(manager).post(f"/api/keys/{key.id}/rotate", {"grace_seconds": 60}, format="json")
        assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
        shown = answer.json()
        assert found(shown["key"]).principal == found(old).principal
        assert shown["id"] == str(key.id)
        assert shown["previous_until"] > shown["rotated_at"]
        again = client_of(manager).get(f"/api/keys/{key.id}").json()
        assert "key" not in again
        assert again["rotated_at"] == shown["rotated_at"]

    def test_without_a_body_the_earlier_one_goes_on_for_a_day(self) -> None:
        key, manager = make("manage")
        assert client_of(manager).post(f"/api/keys/{key.id}/rotate").status_code == 200
        key.refresh_from_db()
        assert key.previous_until is not None
        assert key.rotated_at is not None
        assert key.previous_until - key.rotated_at == timedelta(hours=24)

    @pytest.mark.parametrize("seconds", [-1, 2_592_001, "soon", None])
    def test_a_grace_that_is_none_changes_nothing(self, seconds: object) -> None:
        key, manager = make("manage")
        answer = client_of(manager).post(f"/api/keys/{key.id}/rotate", {"grace_seconds": seconds}, format="json")
        problem(answer, 422, "validation-failed")
        assert ApiKey.objects.get().rotated_at is None

    def test_what_cannot_be_rotated_is_a_409_that_says_what_to_do(self) -> None:
        key, manager = make("manage")
        revoked, _ = make("read")
        revoke_key(key=revoked, by=ALICE)
        client = client_of(manager)
        assert "Make a new one" in problem(client.post(f"/api/keys/{revoked.id}/rotate"), 409, "key-not-valid")
        client = client_of(client.post(f"/api/keys/{key.id}/rotate").json()["key"])
        assert "grace of 0" in problem(client.post(f"/api/keys/{key.id}/rotate"), 409, "key-rotated-already")

    def test_nobody_takes_over_a_key_that_may_more_than_they(self) -> None:
        stronger, old = make("execute", "read")
        _, manager = make("manage")
        problem(client_of(manager).post(f"/api/keys/{stronger.id}/rotate"), 403, "forbidden")
        assert not found(old).is_previous

    def test_a_key_with_limits_rotates_itself_and_no_other(self) -> None:
        limited, plaintext = make("manage", limits=KeyLimits(max_concurrent=1))
        other, _ = make("read")
        client = client_of(plaintext)
        assert "limits" in problem(client.post(f"/api/keys/{other.id}/rotate"), 403, "forbidden")
        answer = client.post(f"/api/keys/{limited.id}/rotate")
        assert answer.json()["limits"]["max_concurrent"] == 1


class TestByCommand:
    def test_it_prints_the_key_alone_and_says_beside_it_until_when_the_earlier_one_opens(self) -> None:
        key, old = make()
        out, err = StringIO(), StringIO()
        call_command("rotate_key", f"ok_{key.prefix}", "--grace-seconds=3600", stdout=out, stderr=err)
        assert out.getvalue().count("\n") == 1
        assert found(out.getvalue().strip()).principal == found(old).principal
        assert "The secret that it had opens until" in err.getvalue()
        call_command("rotate_key", key.prefix, "--grace-seconds=0", stdout=StringIO(), stderr=err)
        assert "The secret that it had ended at once" in err.getvalue()
        assert [each.actor for each in AuditRecord.objects.filter(action="key.rotated")] == ["rotate_key"] * 2

    def test_what_it_cannot_do_it_says(self) -> None:
        key, _ = make()
        with pytest.raises(CommandError, match=f"There is: {key.prefix} .crm."):
            call_command("rotate_key", "unknown")
        with pytest.raises(CommandError, match="from 0 to 2592000"):
            call_command("rotate_key", key.prefix, "--grace-seconds=-1")
        revoke_key(key=key, by=ALICE)
        with pytest.raises(CommandError, match="was revoked"):
            call_command("rotate_key", key.prefix)
