"""The audit: what a record says, that it is only ever added, and that its chain shows what was done to it."""

import datetime as dt
from collections.abc import Iterator
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from access import origin
from access.audit import record_action
from access.audit_chain import seal_days, verify_chain
from access.models import AppendOnlyError, AuditRecord, AuditSegment, Team
from access.origin import Origin, OriginMiddleware, current_caller, current_origin, note_caller
from access.principal import ALL, Principal

pytestmark = pytest.mark.django_db

MONDAY = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
KEY = UUID(int=7)


@pytest.fixture(autouse=True)
def _outside_of_requests() -> Iterator[None]:
    origin_token, caller_token = origin._origin.set(origin.PROCESS), origin._caller.set(None)
    yield
    origin._caller.reset(caller_token)
    origin._origin.reset(origin_token)


def add(at: dt.datetime = MONDAY, label: str = "greet") -> AuditRecord:
    record_action("deployment.deployed", by="user:alice", team_id=None, on=("deployment", 1), label=label)
    record = AuditRecord.objects.latest("id")
    change(record, created_at=at)
    return record


def change(record: AuditRecord, **values: Any) -> None:
    """As somebody with access to the database would: past everything that refuses to."""
    columns = ", ".join(f"{name} = %s" for name in values)
    stored = [connection.ops.adapt_datetimefield_value(v) if isinstance(v, dt.datetime) else v for v in values.values()]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE access_auditrecord SET {columns} WHERE id = %s", [*stored, record.id])  # noqa: S608 - our own words


def remove(table: str, condition: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {condition}")  # noqa: S608 - our own words


def verify(*words: str) -> str:
    out = StringIO()
    call_command("verify_audit", *words, stdout=out, stderr=out)
    return out.getvalue()


def sealed_days(count: int = 3) -> list[AuditRecord]:
    records = [add(MONDAY + day * DAY, f"{day}-{number}") for day in range(count) for number in range(2)]
    assert seal_days(now=MONDAY + 10 * DAY) == count
    return records


def test_a_record_says_who_did_what_to_which_object_when_and_from_where() -> None:
    origin._origin.set(Origin("api", "192.0.2.7", "abc"))
    note_caller(Principal(ALL, ALL, "key:crm", key_id=KEY))
    before = timezone.now()
    on = ("deployment", KEY)
    record_action("deployment.changed", by="key:crm", team_id=Team.default().pk, on=on, label="x", details={"a": 1})
    record = AuditRecord.objects.get()
    assert (record.actor, record.key_id, record.user_id, record.action) == ("key:crm", KEY, None, "deployment.changed")
    assert (record.object_type, record.object_id, record.object_label) == ("deployment", str(KEY), "x")
    assert (record.way, record.address, record.request_id) == ("api", "192.0.2.7", "abc")
    assert (record.details, record.team_id) == ({"a": 1}, Team.default().pk)
    assert before <= record.created_at <= timezone.now()


def test_what_the_system_does_in_a_callers_request_is_not_said_to_be_the_callers() -> None:
    note_caller(Principal(ALL, ALL, "key:crm", key_id=KEY))
    record_action("execution.cancelled", by="system", team_id=None, on=("execution", 1))
    record = AuditRecord.objects.get()
    assert (record.actor, record.key_id) == ("system", None)


def test_a_record_is_neither_changed_nor_deleted() -> None:
    record = add()
    for attempt in (
        record.save,
        record.delete,
        AuditRecord.objects.all().delete,
        lambda: AuditRecord.objects.update(actor="user:bob"),
        lambda: AuditRecord.objects.bulk_update([record], ["actor"]),
        AuditSegment(day=MONDAY.date(), records=0, previous_digest="", digest="").delete,
    ):
        with pytest.raises(AppendOnlyError):
            attempt()


async def test_each_request_has_its_own_origin_and_no_caller_of_the_last_one() -> None:
    seen: list[tuple[Origin, object]] = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.append((current_origin(), current_caller()))
        note_caller(Principal(ALL, ALL, "key:crm"))

    wrapped = OriginMiddleware(app)
    client = ("2001:db8::1", 5)
    for scope in (
        {"type": "http", "path": "/api/designs", "client": client, "request_id": "r"},
        {"type": "http", "path": "/admin/", "client": ("", 0)},
        {"type": "http", "path": "/", "client": ("not an address", 0)},
        {"type": "websocket", "path": "/ws/executions", "client": None},
        {"type": "lifespan"},
    ):
        await wrapped(scope, None, None)  # type: ignore[arg-type] # as above
    assert seen == [
        (Origin("api", "2001:db8::1", "r"), None),
        (Origin("admin"), None),
        (Origin("page"), None),
        (Origin("socket"), None),
        (Origin("process"), None),
    ]


def test_signing_in_and_out_and_a_wrong_password_are_recorded() -> None:
    user = User.objects.create_user("alice", password="right")
    client = Client()
    client.post("/sign-in", {"username": "alice", "password": "wrong"})
    client.post("/sign-in", {"username": "hunter2", "password": "alice"})
    client.post("/sign-in", {"username": "alice", "password": "right"})
    client.post("/sign-out")
    told = AuditRecord.objects.order_by("id").values_list("action", "actor", "object_id", "object_label")
    assert list(told) == [
        ("sign_in_refused", "anonymous", str(user.pk), "alice"),
        ("sign_in_refused", "anonymous", "", ""),
        ("signed_in", "user:alice", str(user.pk), "alice"),
        ("signed_out", "user:alice", str(user.pk), "alice"),
    ]


def test_what_is_changed_in_the_admin_is_recorded_by_its_fields_without_their_values(admin_client: Client) -> None:
    AuditRecord._base_manager.get_queryset()._raw_delete("default")  # the client's sign-in
    added = {"username": "bob", "password1": "Xk9!uncommon", "password2": "Xk9!uncommon", "usable_password": "true"}
    assert admin_client.post("/admin/auth/user/add/", added).status_code == 302
    bob = User.objects.get(username="bob")
    team = Team.default()
    admin_client.post(f"/admin/access/team/{team.pk}/change/", {"name": "renamed", "permissions": []})
    admin_client.post(f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"})
    records = list(AuditRecord.objects.order_by("id"))
    assert [(each.action, each.actor, each.object_label) for each in records] == [
        ("admin.added", "user:admin", "bob"),
        ("admin.changed", "user:admin", "renamed"),
        ("admin.deleted", "user:admin", "bob"),
    ]
    assert "uncommon" not in str([each.details for each in records])
    assert records[1].details["changes"] == [{"changed": {"fields": ["Name"]}}]


def test_who_was_given_which_right_is_recorded(admin_client: Client) -> None:
    bob, team = User.objects.create_user("bob"), Team.default()
    execute = Permission.objects.get(codename="execute_deployments")
    admin_client.post(f"/admin/access/team/{team.pk}/change/", {"name": "default", "permissions": [execute.pk]})
    assert AuditRecord.objects.latest("id").details["now"] == {"name": "default", "permissions": [str(execute)]}
    sent = {
        "username": "bob",
        "is_active": "on",
        "is_staff": "on",
        "groups": [team.pk],
        "user_permissions": [execute.pk],
    }
    admin_client.post(
        f"/admin/auth/user/{bob.pk}/change/", {**sent, "date_joined_0": "2026-01-01", "date_joined_1": "0:0"}
    )
    now = AuditRecord.objects.latest("id").details["now"]
    assert (now["is_staff"], now["is_superuser"], now["groups"]) == (True, False, ["default"])
    assert now["user_permissions"] == [str(execute)]


def test_the_admin_offers_the_rights_that_count_and_no_other(admin_client: Client) -> None:
    bob = User.objects.create_user("bob")
    for page, field in (("access/team/add/", "permissions"), (f"auth/user/{bob.pk}/change/", "user_permissions")):
        form: Any = admin_client.get(f"/admin/{page}").context["adminform"].form
        assert {each.codename for each in form.fields[field].queryset} == {name for name, _ in Team._meta.permissions}
    assert form.fields["groups"].label == "Teams"


def test_before_the_first_day_is_over_it_says_that_nothing_is_known() -> None:
    add(timezone.now())
    assert "No day is sealed yet" in verify()


def test_an_untouched_chain_is_verified_and_names_the_digest_to_keep() -> None:
    sealed_days()
    add(MONDAY + 11 * DAY)
    told = verify()
    assert "6 records of 3 days. Of the 1 records since then nothing can be said" in told
    digest = AuditSegment.objects.get(day=(MONDAY + 2 * DAY).date()).digest
    assert digest in told
    assert "as they were written" in verify("--expect", digest)


def test_a_day_is_sealed_once_and_only_when_it_is_long_over() -> None:
    add()
    midnight = MONDAY.replace(hour=0) + DAY
    assert seal_days(now=midnight + dt.timedelta(minutes=59)) == 0
    assert seal_days(now=midnight + dt.timedelta(hours=1)) == 1
    assert seal_days(now=midnight + 2 * DAY) == 0
    assert AuditSegment.objects.get().records == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("actor", "user:bob"),
        ("address", "192.0.2.1"),
        ("object_label", "other"),
        ("details", '{"a": 2}'),
        ("created_at", MONDAY + dt.timedelta(seconds=1)),
    ],
)
def test_a_changed_record_is_found(name: str, value: object) -> None:
    change(sealed_days()[2], **{name: value if name != "created_at" else MONDAY + DAY + dt.timedelta(seconds=1)})
    with pytest.raises(CommandError, match="1 problems"):
        verify()
    assert verify_chain().problems == ["2026-03-03: a record was changed."]


def test_a_removed_and_an_added_record_are_found() -> None:
    records = sealed_days()
    remove("access_auditrecord", f"id = {records[0].id}")
    add(MONDAY + DAY)
    assert verify_chain().problems == [
        "2026-03-02: there were 2 records, and now there are 1.",
        "2026-03-03: there were 2 records, and now there are 3.",
    ]


def test_a_removed_day_is_found_with_and_without_its_records() -> None:
    sealed_days()
    remove("access_auditsegment", "day = '2026-03-03'")
    assert verify_chain().problems == [
        "2026-03-04: it is not chained to the day before it. A segment was removed or changed.",
        "2026-03-03: it has records, and no segment.",
    ]
    change_none = "created_at >= '2026-03-03' AND created_at < '2026-03-04'"
    remove("access_auditrecord", change_none)
    assert len(verify_chain().problems) == 1


def test_a_chain_that_was_made_anew_or_cut_off_lacks_the_digest_that_was_kept() -> None:
    sealed_days()
    kept = verify_chain().last_digest
    remove("access_auditsegment", "day = '2026-03-04'")
    remove("access_auditrecord", "created_at >= '2026-03-04'")
    assert verify_chain().problems == [], "alone it cannot know"
    with pytest.raises(CommandError):
        verify("--expect", kept)
