"""The table of rights in the admin: what staff of a team find there, and what they can do with it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from access.admin_rights import SuperusersAlone, TeamRowsAdmin
from access.models import AuditRecord, Team
from access.principal import ALL, ALL_VERBS
from access.rights import RIGHTS
from deployments.models import (
    AlertDelivery,
    AlertTarget,
    ApiKey,
    Deployment,
    ExecutionEvent,
    ExecutionLog,
    IdempotencyKey,
    ScheduleConfig,
)
from designs.models import DesignVersion, OrchestrationDesign, ProviderAccount
from orchestration_site import urls
from orchestration_site.tests.rights_callers import (
    HERE,
    NOBODY,
    THERE,
    Caller,
    Ids,
    client_of,
    make_things,
    missing_things,
    without_form_tokens,
)
from orchestration_site.tests.rights_rows import ADMIN_FRAME, ADMIN_PAGES

pytestmark = [pytest.mark.django_db, pytest.mark.either_database]
assert urls.urlpatterns, "the admin's models are registered there"

STAFF = (
    Caller("superuser", ALL),
    Caller("may view", {HERE: {"view"}}),
    Caller("may change", {HERE: {"change"}}),
    Caller("may manage keys", {HERE: {"manage_keys"}}),
    Caller("member of another team", {THERE: ALL_VERBS}),
    Caller("may view here and all there", {HERE: {"view", "manage_keys"}, THERE: ALL_VERBS}),
    Caller("may all here and nothing there", {HERE: ALL_VERBS, THERE: ()}),
)
#: Of each model that teams own: its row in the table, and which of the things is one.
OWNED: dict[type[Model], tuple[str, str]] = {
    OrchestrationDesign: ("design", "design"),
    DesignVersion: ("design", "version"),
    ProviderAccount: ("provider", "provider"),
    Deployment: ("deployment", "deployment"),
    ScheduleConfig: ("schedule", "schedule"),
    ExecutionLog: ("execution", "execution"),
    ExecutionEvent: ("execution", "event"),
    IdempotencyKey: ("execution", "idempotency"),
    ApiKey: ("key", "key"),
    AlertTarget: ("alert", "alert"),
    AlertDelivery: ("alert", "delivery"),
    AuditRecord: ("audit", "record"),
}
#: Each action of the admin: the model, what it is done with, and what it is in the table.
ACTIONS = {
    ("activate", Deployment): ("deployment", "update"),
    ("deactivate", Deployment): ("deployment", "update"),
    ("run_now", Deployment): ("deployment", "execute"),
    ("pause", ScheduleConfig): ("schedule", "pause"),
    ("resume", ScheduleConfig): ("paused", "resume"),
    ("cancel", ExecutionLog): ("execution", "cancel"),
    ("rerun_from_start", ExecutionLog): ("ended", "rerun"),
    ("rerun_failed", ExecutionLog): ("ended", "rerun"),
    ("revoke", ApiKey): ("key", "destroy"),
    ("delete_selected", ProviderAccount): ("provider", "destroy"),
}


@pytest.fixture
def things() -> Ids:
    Team.objects.create(name=THERE)
    return make_all(Team.objects.create(name=HERE))


def make_all(team: Any) -> Ids:
    """One row of everything that the admin shows of teams."""
    things = make_things(team)
    execution = ExecutionLog.objects.get(pk=things["execution"])
    idempotency = IdempotencyKey.objects.create(
        principal="x",
        deployment_id=things["deployment"],
        key="k",
        execution=execution,
        expires_at=timezone.now() + timedelta(1),
    )
    event = ExecutionEvent.objects.filter(execution=execution).latest("seq")
    return {**things, "event": str(event.pk), "idempotency": str(idempotency.pk)}


def address_of(model: type[Model], page: str, *args: str) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def names_of_routes(patterns: Any = None) -> Iterator[str]:
    for pattern in admin.site.get_urls() if patterns is None else patterns:
        if hasattr(pattern, "url_patterns"):
            yield from names_of_routes(pattern.url_patterns)
        elif pattern.name:
            yield pattern.name


def test_every_model_of_the_admin_reads_the_table_or_is_the_superusers() -> None:
    shown = admin.site._registry
    assert {model for model, each in shown.items() if isinstance(each, TeamRowsAdmin)} == set(OWNED)
    assert all(isinstance(each, TeamRowsAdmin | SuperusersAlone) for each in shown.values())
    assert {model: each.kind for model, each in shown.items() if isinstance(each, TeamRowsAdmin)} == {
        model: kind for model, (kind, _) in OWNED.items()
    }


def test_every_route_and_every_action_of_the_admin_has_a_row() -> None:
    models = {f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry}
    known = ADMIN_FRAME | {f"{model}_{page}" for model in models for page in ADMIN_PAGES}
    assert set(names_of_routes()) - known == set()
    offered = {
        (name, model)
        for model in OWNED
        for _, name, _ in admin.site._registry[model]._get_base_actions()  # type: ignore[attr-defined] # the stubs lack it
        if name != "delete_selected" or (name, model) in ACTIONS
    }
    assert offered == set(ACTIONS)


@pytest.mark.parametrize("caller", STAFF, ids=str)
def test_staff_find_what_the_table_lets_them_see(caller: Caller, things: Ids) -> None:
    browser, missing, told_apart = client_of(caller), missing_things(things) | {"idempotency": "999999999"}, []
    for model, (kind, name) in OWNED.items():
        sees_here = not caller.verbs_in(HERE).isdisjoint(RIGHTS[kind]["list"])
        sees_some = caller.may_somewhere(*RIGHTS[kind]["list"])
        page = browser.get(address_of(model, "changelist"))
        assert (model, page.status_code) == (model, 200 if sees_some else 403)
        assert (address_of(model, "change", things[name]) in page.content.decode()) is sees_here
        if sees_here:
            assert browser.get(address_of(model, "change", things[name])).status_code == 200
            continue
        for part in ("change", "delete", "history"):
            answer, absent = (get_afresh(browser, address_of(model, part, ids[name])) for ids in (things, missing))
            if shown(answer, things, missing) != shown(absent, things, missing):
                told_apart.append((model, part))
    assert told_apart == []


def get_afresh(browser: Client, address: str) -> Any:
    """The page without what an earlier one has left to be said on the next."""
    browser.cookies.pop("messages", None)
    return browser.get(address)


def shown(answer: Any, *ids: Ids) -> tuple[int, list[str]]:
    """What a caller is told but for the ids: by this page, or by the one that they are sent on to."""
    texts = [without_form_tokens(answer.content.decode()), answer.headers.get("Location", "")]
    texts += [str(message) for message in answer.wsgi_request._messages._queued_messages]
    for value in {*chain(*(each.values() for each in ids))}:
        texts = [re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", "…", text) for text in texts]
    return answer.status_code, texts


@pytest.mark.parametrize("caller", STAFF, ids=str)
def test_staff_do_what_the_table_lets_them_do(caller: Caller, things: Ids) -> None:
    browser, wrong = client_of(caller), []
    for (act, model), (name, action) in ACTIONS.items():
        kind = OWNED[model][0]
        held = caller.verbs_in(HERE)
        allowed = not held.isdisjoint(RIGHTS[kind][action]) and not held.isdisjoint(RIGHTS[kind]["list"])
        if changes_something(browser, act, model, things[{"paused": "schedule"}.get(name, name)]) is not allowed:
            wrong.append((act, model, allowed))
    assert wrong == []


def changes_something(browser: Client, act: str, model: type[Model], pk: str) -> bool:
    """Whether the action does anything to that row or with it. Nothing of it is kept."""
    with transaction.atomic():
        if act == "resume":
            ScheduleConfig.objects.update(paused_at=timezone.now(), paused_by="user:x")
        before = state_of(model, pk)
        body = {"action": act, "_selected_action": [pk], "post": "yes"}
        browser.post(address_of(model, "changelist"), body)
        changed = state_of(model, pk) != before
        transaction.set_rollback(True)
    return bool(changed)


def state_of(model: Any, pk: str) -> Any:
    return list(model.objects.filter(pk=pk).values()), ExecutionLog.objects.count()


@pytest.mark.parametrize("caller", [*STAFF, Caller("may all", {HERE: ALL_VERBS})], ids=str)
def test_only_accounts_are_edited_and_only_within_the_readers_teams(caller: Caller, things: Ids) -> None:
    browser = client_of(caller)
    makes = [team for team in (HERE, THERE) if "change" in caller.verbs_in(team)]
    page = browser.get(address_of(ProviderAccount, "add"))
    assert page.status_code == (200 if makes else 403)
    offered = set(re.findall(r'<option value="\d+"[^>]*>(.*?)</option>', page.content.decode()))
    assert offered & {HERE, THERE, "default"} == {*makes, *(["default"] if caller.rights is ALL else [])}
    for team in (HERE, THERE):
        body = {"team": str(Team.objects.get(name=team).pk), "name": f"new-{team}", "kind": "openai", "prices": "{}"}
        browser.post(address_of(ProviderAccount, "add"), body)
        assert ProviderAccount.objects.filter(name=f"new-{team}").exists() is (team in makes)
    edited = {"team": str(Team.objects.get(name=HERE).pk), "name": "edited", "kind": "openai", "prices": "{}"}
    browser.post(address_of(ProviderAccount, "change", things["provider"]), edited)
    assert ProviderAccount.objects.filter(name="edited").exists() is {"view", "change"}.issubset(caller.verbs_in(HERE))


def test_an_account_stays_in_its_team(things: Ids) -> None:
    browser = client_of(Caller("superuser", ALL))
    body = {"team": str(Team.objects.get(name=THERE).pk), "name": "account", "kind": "openai", "prices": "{}"}
    page = browser.post(address_of(ProviderAccount, "change", things["provider"]), body)
    assert "An account stays in its team" in page.content.decode()
    assert ProviderAccount.objects.get().team.name == HERE


def test_filters_name_no_other_teams(things: Ids) -> None:
    for number in range(2):
        Team.objects.create(name=f"secret {number}")
    browser = client_of(Caller("may all here and nothing there", {HERE: ALL_VERBS, THERE: ()}))
    for model in OWNED:
        page = browser.get(address_of(model, "changelist")).content.decode()
        assert "secret" not in page
    page = browser.get(address_of(Deployment, "changelist")).content.decode()
    assert f">{THERE}</a>" in page


def test_an_action_on_rows_of_two_teams_leaves_those_alone_where_the_right_is_missing(things: Ids) -> None:
    other = Team.objects.get(name=THERE)
    theirs = ProviderAccount.objects.create(team_id=other.pk, name="theirs", kind="openai")
    browser = client_of(Caller("may view here and all there", {HERE: {"view"}, THERE: ALL_VERBS}))
    body = {"action": "delete_selected", "_selected_action": [things["provider"], str(theirs.pk)], "post": "yes"}
    page = browser.post(address_of(ProviderAccount, "changelist"), body, follow=True).content.decode()
    assert "1 left alone: this needs the right to change in their team." in page
    assert [str(account.pk) for account in ProviderAccount.objects.all()] == [things["provider"]]


@pytest.mark.parametrize("model", sorted(set(admin.site._registry) - set(OWNED), key=str), ids=str)
def test_what_is_no_teams_is_the_superusers_whatever_djangos_permissions_say(model: type[Model]) -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    user.groups.add(Team.default())
    browser = Client()
    browser.force_login(user)
    for page in ("changelist", "add"):
        assert browser.get(address_of(model, page)).status_code == 403
        assert browser.post(address_of(model, page), {"name": "x"}).status_code == 403
    assert browser.get(address_of(model, "change", str(user.pk))).status_code == 403
    assert str(model._meta.verbose_name_plural) not in browser.get("/admin/").content.decode()


def test_who_is_not_staff_has_no_admin(things: Ids) -> None:
    member = client_of(Caller("may all", {HERE: ALL_VERBS}), is_staff=False)
    for browser in (member, client_of(NOBODY)):
        for model, (_, name) in OWNED.items():
            for address in (address_of(model, "changelist"), address_of(model, "change", things[name])):
                answer = browser.get(address)
                assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/admin/login/")


def test_the_admins_own_routes_tell_nothing_of_another_teams_rows(things: Ids) -> None:
    browser, missing = client_of(Caller("member of another team", {THERE: ALL_VERBS})), missing_things(things)
    for model, (_, name) in OWNED.items():
        if name in missing and name not in ("event", "idempotency"):
            content_type = ContentType.objects.get_for_model(model).pk
            answers = [browser.get(f"/admin/r/{content_type}/{ids[name]}/") for ids in (things, missing)]
            assert {answer.status_code for answer in answers} == {404}
            assert shown(answers[0], things, missing) == shown(answers[1], things, missing)
