"""Everybody who may ask: each right alone, teams, keys of every scope; and the things that they ask for."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from access.models import AuditRecord, Team
from access.principal import ALL, ALL_VERBS, Everything, Verb
from access.principal_of import PERMISSION_OF
from deployments.alerts.outbox import write_test
from deployments.keys import SCOPES, VERBS_OF_SCOPE, Scope, make_key
from deployments.models import ApiKey, Deployment
from deployments.tests.builders import make_alert, make_deployment, make_ended, make_queued, make_schedule, make_version
from designs.models import OrchestrationDesign, ProviderAccount
from designs.samples import load_samples

Rights = Mapping[str, Collection[Verb]] | Everything
Ids = dict[str, str]
#: The team whose things are asked for, and another one.
HERE, THERE = "here", "there"


@dataclass(frozen=True)
class Caller:
    """Somebody with a session or a key, and what is to be allowed: the rights in each team."""

    name: str
    rights: Rights
    scopes: tuple[Scope, ...] = ()
    #: A key for another deployment of the same team.
    is_narrow: bool = False
    #: Whether the credential opens anything: not of a key that was revoked or has expired, nor of nobody.
    is_valid: bool = True
    key_fields: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def has_key(self) -> bool:
        return bool(self.scopes)

    def verbs_in(self, team: str) -> frozenset[Verb]:
        return ALL_VERBS if isinstance(self.rights, Everything) else frozenset(self.rights.get(team, ()))

    def belongs(self, team: str) -> bool:
        return isinstance(self.rights, Everything) or team in self.rights

    def may_somewhere(self, *verbs: Verb) -> bool:
        return any(not self.verbs_in(team).isdisjoint(verbs) for team in (HERE, THERE))


def _with_key(*scopes: Scope, name: str = "", team: str = HERE, **others: Any) -> Caller:
    verbs = frozenset[Verb]().union(*(VERBS_OF_SCOPE[scope] for scope in scopes))
    return Caller(name or f"key to {scopes[0]}", {team: verbs}, scopes, **others)


NOBODY: Final = Caller("nobody", {}, is_valid=False)
#: One more than the rights that there are, each with what they are to be allowed.
CALLERS: Final = (
    NOBODY,
    Caller("superuser", ALL),
    *(Caller(f"may {verb}", {HERE: {verb}}) for verb in sorted(ALL_VERBS)),
    Caller("member without a right", {HERE: ()}),
    Caller("member of another team", {THERE: ALL_VERBS}),
    Caller("no right here and all there", {HERE: (), THERE: ALL_VERBS}),
    Caller("may view here and all there", {HERE: {"view"}, THERE: ALL_VERBS}),
    Caller("may all here and execute there", {HERE: ALL_VERBS, THERE: {"execute"}}),
    *(_with_key(scope) for scope in SCOPES),
    _with_key(*SCOPES, name="key of another team", team=THERE),
    _with_key(*SCOPES, name="key for another deployment", is_narrow=True),
    _with_key(*SCOPES, name="revoked key", is_valid=False, key_fields={"revoked_at": timezone.now()}),
    _with_key(*SCOPES, name="expired key", is_valid=False, key_fields={"expires_at": timezone.now() - timedelta(1)}),
)
PEOPLE: Final = tuple(caller for caller in CALLERS if not caller.has_key)


def client_of(caller: Caller, *, is_staff: bool = True) -> Client:
    """Their browser or program, once their teams give exactly those rights."""
    if caller.has_key:
        return Client(headers={"Authorization": f"Bearer {_key_of(caller)}"})
    browser = Client()
    if caller.is_valid:
        user = User.objects.create_user(
            caller.name, is_staff=is_staff, is_superuser=isinstance(caller.rights, Everything)
        )
        user.groups.set([_team_with(team, caller.verbs_in(team)) for team in (HERE, THERE) if caller.belongs(team)])
        browser.force_login(user)
    return browser


def _key_of(caller: Caller) -> str:
    team = Team.objects.get(name=HERE if caller.belongs(HERE) else THERE)
    deployments = [_other_deployment(team)] if caller.is_narrow else None
    key, plaintext = make_key(name=caller.name, team_id=team.pk, scopes=caller.scopes, deployments=deployments)
    # Used just now: a thread of its own would note it, and these tests write in a transaction.
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now(), **caller.key_fields)
    return plaintext


def _other_deployment(team: Any) -> Deployment:
    return make_deployment("another", version=make_version(team=team))


def _team_with(name: str, verbs: Collection[Verb]) -> Any:
    team = Team.objects.get(name=name)
    codenames = [PERMISSION_OF[verb].removeprefix("access.") for verb in verbs]
    team.permissions.set(Permission.objects.filter(content_type__app_label="access", codename__in=codenames))
    return team


def make_things(team: Any) -> Ids:
    """One of everything, of that team: ids by what they are called in the rows."""
    version = make_version(team=team)
    deployment = make_deployment("here/it", version=version)
    draft = OrchestrationDesign.objects.create(team=team, name="Draft", draft=version.document)
    key, _ = make_key(name="key", team_id=team.pk, scopes=["read"])
    alert = make_alert(deployment)
    things = {
        "design": version.design_id,
        "version": version.pk,
        "draft": draft.pk,
        "deployment": deployment.pk,
        "schedule": make_schedule(deployment).pk,
        "execution": make_queued(deployment).pk,
        "ended": make_ended(deployment, at=timezone.now()).pk,
        "provider": ProviderAccount.objects.create(team=team, name="account", kind="openai").pk,
        "key": key.pk,
        "alert": alert.pk,
        "delivery": write_test(alert).pk,
        "record": AuditRecord.objects.get(object_type="key", object_id=key.pk).pk,
        "path": "here/it",
        "sample": load_samples()[0].endpoint_path,
    }
    return {name: str(pk) for name, pk in things.items()}


def missing_things(things: Ids) -> Ids:
    """Ids of nothing at all; the samples are everybody's."""
    others = {"path": "no/where", "record": str(10**12), "sample": things["sample"]}
    return dict.fromkeys(things, str(uuid4())) | others


def without_form_tokens(page: str) -> str:
    """A page but for what guards its forms, which differs each time."""
    return re.sub(r'(?<=name="csrfmiddlewaretoken" value=")\w+', "…", page)
