"""API keys: making, rotating, finding and revoking them, and what their scopes allow.

A key is `ok_<prefix>_<secret>` with 256 random bits. It is shown once; the row keeps the prefix, by which it is found
through an index, and the SHA-256 of the whole. A rotated key is the same row with another secret: whatever counts
against it goes on counting, whichever of its two secrets it is used with.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args
from uuid import UUID

from django.db import transaction
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

#: How long the earlier secret of a rotated key goes on, unless it is said.
DEFAULT_GRACE: Final = timedelta(hours=24)
MAX_GRACE: Final = timedelta(days=30)

_MARK = "ok"
_BY_PREFIX = PreparedRead(ApiKey, lambda slot: ApiKey.objects.filter(prefix=slot("prefix")))


class RotationRefused(Exception):
    """The key cannot be rotated as things stand; the message says what to do. `code` is stable."""

    def __init__(self, message: str, *, code: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True)
class KeySecret:
    """One of a key's secrets, by its hash."""

    key_id: UUID
    hash: str = field(repr=False)


@dataclass(frozen=True)
class KeyPrincipal(Principal):
    """Whoever asks with an API key, and what that one allows."""

    limits: KeyLimits = field(default_factory=KeyLimits)
    #: What was asked with. It opens no more and no less than the other one, and is no part of who asks.
    secret: KeySecret | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class FoundKey:
    """Who asks with a key, and when that secret of it was last used."""

    principal: KeyPrincipal
    last_used_at: datetime | None
    #: Whether it was the secret before the last rotation.
    is_previous: bool


def calling_key(principal: Principal) -> CallingKey | None:
    """The key that the caller has asked with; None for a session."""
    if principal.key_id is None or not isinstance(principal, KeyPrincipal):
        return None
    return CallingKey(principal.key_id, principal.limits)


def end_of(principal: Principal) -> datetime | None:
    """When what the caller has asked with opens nothing any more; None for a session, and for what has no end.

    Nothing that is made with it may open longer: its end could be got around so.
    """
    if not isinstance(principal, KeyPrincipal) or principal.key_id is None:
        return None
    key = ApiKey.objects.get(id=principal.key_id)
    is_previous = principal.secret is not None and principal.secret.hash != key.key_hash
    ends = (key.expires_at, key.previous_until if is_previous else None)
    return min((end for end in ends if end is not None), default=None)


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
    plaintext = _make_plaintext(prefix)
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


def rotate_key(*, key: ApiKey, by: str, grace: timedelta = DEFAULT_GRACE) -> str:
    """The key with another secret, which nobody can read again. The one that it had opens the same for `grace` still.

    Two are valid at once, never three. Raises `RotationRefused` for a key that opens nothing any more, and while the
    earlier secret of the last rotation still does, unless without `grace` both are to end.
    """
    now, plaintext = timezone.now(), _make_plaintext(key.prefix)
    with transaction.atomic():
        locked = ApiKey.objects.select_for_update(no_key=True).get(id=key.id)
        _refuse_rotation(locked, now, grace)
        key.key_hash, key.rotated_at = _hash(plaintext), now
        key.previous_hash = locked.key_hash if grace else ""
        key.previous_until = now + grace if grace else None
        key.previous_used_at = locked.last_used_at if grace else None
        key.save(update_fields=["key_hash", "rotated_at", "previous_hash", "previous_until", "previous_used_at"])
        _record("key.rotated", key, by, {"previous_until": key.previous_until})
    return plaintext


def _refuse_rotation(key: ApiKey, now: datetime, grace: timedelta) -> None:
    if not key.is_valid_at(now):
        state = "expired" if key.revoked_at is None else "was revoked"
        raise RotationRefused(f"This key {state}, and opens nothing. Make a new one.", code="key-not-valid")
    if grace and key.previous_until is not None and key.previous_until > now:
        message = (
            f"This key was rotated already, and the secret that it had before opens until"
            f" {key.previous_until:%Y-%m-%dT%H:%M:%SZ}. Rotate it after that, or with a grace of 0, which ends both of"
            " its secrets at once. If the newer one is lost, make another key and revoke this one."
        )
        raise RotationRefused(message, code="key-rotated-already")


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


def principal_of_key(plaintext: str) -> FoundKey | None:
    """Who asks with this key; None when it is unknown, revoked or past its time.

    One indexed query, and one more for a key that is for some deployments only. Nothing of it is kept: a key that
    is revoked stops with the next request.
    """
    mark, _, rest = plaintext.partition("_")
    prefix, _, secret = rest.partition("_")
    if mark != _MARK or not prefix or not secret or len(plaintext) > MAX_KEY_CHARACTERS:
        return None
    key, given, now = _BY_PREFIX.first(prefix=prefix), _hash(plaintext), timezone.now()
    if key is None or not key.is_valid_at(now) or not _opens(key, given, now):
        return None
    deployments = frozenset() if key.all_deployments else _deployments_of([key.id]).get(key.id, frozenset())
    is_previous = given != key.key_hash
    last_used_at = key.previous_used_at if is_previous else key.last_used_at
    return FoundKey(_principal(key, deployments, KeySecret(key.id, given)), last_used_at, is_previous)


def principals_of_secrets(asked: Collection[KeySecret]) -> dict[KeySecret, KeyPrincipal]:
    """Who asks with each of these, those left out that open nothing any more. Two queries at most."""
    now = timezone.now()
    keys = {key.id: key for key in ApiKey.objects.filter(id__in={secret.key_id for secret in asked})}
    deployments = _deployments_of([key.id for key in keys.values() if not key.all_deployments])
    return {
        secret: _principal(key, deployments.get(key.id, frozenset()), secret)
        for secret in asked
        if (key := keys.get(secret.key_id)) is not None and key.is_valid_at(now) and _opens(key, secret.hash, now)
    }


def _opens(key: ApiKey, given: str, now: datetime) -> bool:
    """Whether this is the hash of one of the key's secrets that are good."""
    if hmac.compare_digest(key.key_hash, given):
        return True
    is_kept = key.previous_until is not None and key.previous_until > now
    return is_kept and hmac.compare_digest(key.previous_hash, given)


def _principal(key: ApiKey, deployments: frozenset[UUID], secret: KeySecret) -> KeyPrincipal:
    return KeyPrincipal(
        rights={key.team_id: verbs_of(key.scopes)},
        deployment_ids=ALL if key.all_deployments else deployments,
        label=f"key:{key.name}",
        key_id=key.id,
        limits=KeyLimits.of(key),
        secret=secret,
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


def _make_plaintext(prefix: str) -> str:
    return f"{_MARK}_{prefix}_{secrets.token_urlsafe(32)}"


def _hash(plaintext: str) -> str:
    return hashlib.sha256(plaintext.encode()).hexdigest()
