"""API keys: making, finding and revoking them, and what their scopes allow.

A key is `ok_<prefix>_<secret>` with 256 random bits. It is shown once; the row keeps the prefix, by which it is found
through an index, and the SHA-256 of the whole.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from access.audit import Action, record_action
from access.principal import ALL, Principal, Verb
from deployments.limits import CallingKey, KeyLimits
from deployments.models import ApiKey, Deployment
from deployments.prepared_statements import PreparedRead

Scope = Literal["execute", "read", "manage"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
DEFAULT_SCOPES: Final[tuple[Scope, ...]] = ("execute", "read")

VERBS_OF_SCOPE: Final[dict[Scope, frozenset[Verb]]] = {
    "read": frozenset({"view"}),
    "execute": frozenset({"execute"}),
    "manage": frozenset({"view", "change", "deploy", "manage_keys"}),
}

MAX_KEY_CHARACTERS: Final = 200

_MARK = "ok"
_BY_PREFIX = PreparedRead(ApiKey, lambda slot: ApiKey.objects.filter(prefix=slot("prefix")))


@dataclass(frozen=True)
class KeyPrincipal(Principal):
    """Whoever asks with an API key, and what that one allows."""

    limits: KeyLimits = field(default_factory=KeyLimits)


def calling_key(principal: Principal) -> CallingKey | None:
    """The key that the caller has asked with; None for a session."""
    if principal.key_id is None or not isinstance(principal, KeyPrincipal):
        return None
    return CallingKey(principal.key_id, principal.limits)


def make_key(
    *,
    name: str,
    team_id: int,
    scopes: Collection[Scope],
    deployments: Collection[Deployment] | None = None,
    expires_at: datetime | None = None,
    created_by: str = "",
    limits: KeyLimits | None = None,
) -> tuple[ApiKey, str]:
    """The new row and the key itself, which nobody can read again. `deployments` None means all of the team's.

    Raises `ValueError` for a scope that does not exist, for none, and for an empty collection of deployments, and
    `InvalidLimits`.
    """
    limits = limits or KeyLimits()
    limits.check()
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"A key has at least one of the scopes {', '.join(SCOPES)}.")
    if deployments is not None and not deployments:
        raise ValueError("A key for no deployment at all could do nothing. Leave them out for all of the team's.")
    prefix = secrets.token_hex(6)
    plaintext = f"{_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name,
            team_id=team_id,
            prefix=prefix,
            key_hash=_hash(plaintext),
            scopes=[scope for scope in SCOPES if scope in scopes],
            all_deployments=deployments is None,
            created_by=created_by,
            expires_at=expires_at,
            **vars(limits),
        )
        if deployments is not None:
            key.deployments.set(deployments)
        told = {"scopes": key.scopes, "expires_at": expires_at, "limits": _set_ones(limits)}
        _record("key.made", key, created_by, told | _for_which(deployments))
    return key, plaintext


def revoke_key(*, key: ApiKey, by: str) -> None:
    """From now on the key opens nothing. Revoking twice keeps the first time."""
    with transaction.atomic():
        if ApiKey.objects.filter(id=key.id, revoked_at__isnull=True).update(revoked_at=timezone.now()):
            _record("key.revoked", key, by, {})
    key.refresh_from_db(fields=["revoked_at"])


def _record(action: Action, key: ApiKey, by: str, details: Mapping[str, Any]) -> None:
    """Of the transaction that does it. The prefix tells keys of one name apart, and opens nothing."""
    label = f"{key.name} ({key.prefix}…)"
    record_action(action, by=by, team_id=key.team_id, on=("key", key.id), label=label, details=details)


def _set_ones(limits: KeyLimits) -> dict[str, Any]:
    return {name: value for name, value in vars(limits).items() if value is not None}


def _for_which(deployments: Collection[Deployment] | None) -> dict[str, Any]:
    return {"deployments": "all" if deployments is None else sorted(each.endpoint_path for each in deployments)}


def principal_of_key(plaintext: str) -> tuple[Principal, datetime | None] | None:
    """Who asks with this key, and when it was last used; None when it is unknown, revoked or past its time.

    One indexed query, and one more for a key that is for some deployments only. Nothing of it is kept: a key that
    is revoked stops with the next request.
    """
    mark, _, rest = plaintext.partition("_")
    prefix, _, secret = rest.partition("_")
    if mark != _MARK or not prefix or not secret or len(plaintext) > MAX_KEY_CHARACTERS:
        return None
    key = _BY_PREFIX.first(prefix=prefix)
    if key is None or not hmac.compare_digest(key.key_hash, _hash(plaintext)):
        return None
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= timezone.now()):
        return None
    deployments = frozenset() if key.all_deployments else _deployments_of([key.id]).get(key.id, frozenset())
    return _principal(key, deployments), key.last_used_at


def principals_of_keys(key_ids: Collection[UUID]) -> dict[UUID, Principal]:
    """Who asks with each of these keys, those left out that are revoked or past their time. Two queries at most."""
    still_good = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    keys = list(ApiKey.objects.filter(still_good, id__in=key_ids, revoked_at__isnull=True))
    deployments = _deployments_of([key.id for key in keys if not key.all_deployments])
    return {key.id: _principal(key, deployments.get(key.id, frozenset())) for key in keys}


def _principal(key: ApiKey, deployments: frozenset[UUID]) -> KeyPrincipal:
    return KeyPrincipal(
        rights={key.team_id: verbs_of(key.scopes)},
        deployment_ids=ALL if key.all_deployments else deployments,
        label=f"key:{key.name}",
        key_id=key.id,
        limits=KeyLimits.of(key),
    )


def _deployments_of(key_ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
    """The deployments of each key that is for some only."""
    found: dict[UUID, set[UUID]] = {}
    if key_ids:
        pairs = Deployment.objects.filter(api_keys__in=key_ids).values_list("api_keys", "id")
        for key_id, deployment_id in pairs:
            found.setdefault(key_id, set()).add(deployment_id)
    return {key_id: frozenset(ids) for key_id, ids in found.items()}


def verbs_of(scopes: Collection[Scope]) -> frozenset[Verb]:
    """Everything that these scopes allow together."""
    return frozenset().union(*(VERBS_OF_SCOPE[scope] for scope in scopes))


def _hash(plaintext: str) -> str:
    return hashlib.sha256(plaintext.encode()).hexdigest()
