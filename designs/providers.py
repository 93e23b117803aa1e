"""The models that a team's designs may name: accounts from the environment, and the team's own."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db.models import Count, Max
from pydantic import SecretStr

from designs.models import ProviderAccount
from executor.model_names import named_models
from executor.providers.accounts import ENVIRONMENT_VARIABLES, Account, AccountKind, accounts_from_environment
from executor.providers.contract import Price
from executor.providers.registry import ProviderRegistry
from executor.spec import Design

RECENT_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Stamp:
    """Changes whenever one of the team's accounts is added, changed or removed."""

    count: int
    updated_at: Any


@dataclass(frozen=True)
class _Known:
    """A team's registry, the accounts it was made of, and when it was last compared with them (monotonic)."""

    stamp: _Stamp
    looked_at: float
    registry: ProviderRegistry


def models_for(team_id: int) -> ProviderRegistry:
    """The team's models, with the keys inside. One registry a process and team, so that its connections live on.

    It is made anew after an account has changed; executions that run keep the one they started with.
    """
    looked_at, stamp = time.monotonic(), _stamp_of(team_id)
    with _lock:
        known = _registries.get(team_id)
        if known is not None and known.stamp == stamp:
            _registries[team_id] = replace(known, looked_at=looked_at)
            return known.registry
    # Read after the stamp: a change in between makes the next caller read again, and is never missed.
    registry = ProviderRegistry(
        # The operator's accounts come last and so win: no team can take a name, and the calls, of theirs.
        [*_accounts_of(team_id), *accounts_from_environment(_environment())],
        default_model=settings.ENVIRONMENT.default_model,
    )
    with _lock:
        known = _registries.get(team_id)
        if known is not None and known.stamp == stamp:
            return known.registry  # another thread was quicker, and its connections may be open already
        _registries[team_id] = _Known(stamp, looked_at, registry)
    return registry


def models_to_run(design: Design, *, team_id: int) -> ProviderRegistry:
    """The models for one execution, their prices known. Another key of an account counts within a second, a new
    account at once: so a worker that is busy does not ask the database for every execution what has changed.

    To be called on a thread: the first price imports the public list, which takes up to a second.
    """
    with _lock:
        known = _registries.get(team_id)
    is_recent = known is not None and time.monotonic() - known.looked_at <= RECENT_SECONDS
    models = known.registry if known is not None and is_recent else models_for(team_id)
    names = named_models(design, models.default_model)
    if is_recent and any(models.problem_with(name) is not None for name in names):
        models = models_for(team_id)
    for name in names:
        models.price(name)
    return models


def models_from_environment() -> ProviderRegistry:
    """The models that the environment alone names, for runs without a database. Close it after use."""
    return ProviderRegistry(accounts_from_environment(_environment()), default_model=settings.ENVIRONMENT.default_model)


def reserved_names() -> frozenset[str]:
    """The names of the accounts that the environment gives, `offline` among them: no team's account can have them."""
    return frozenset(account.name for account in accounts_from_environment(_environment()))


def prices_of(prices: Mapping[str, Any]) -> dict[str, Price]:
    """An account's prices as the engine wants them. Raises KeyError, TypeError or ArithmeticError for others."""
    return {model: Price(Decimal(str(row["input"])), Decimal(str(row["output"]))) for model, row in prices.items()}


def _stamp_of(team_id: int) -> _Stamp:
    accounts = ProviderAccount.objects.filter(team_id=team_id)
    return _Stamp(**accounts.aggregate(count=Count("pk"), updated_at=Max("updated_at")))


def _accounts_of(team_id: int) -> list[Account]:
    accounts = (_account(row) for row in ProviderAccount.objects.filter(team_id=team_id).defer("api_key"))
    return [account for account in accounts if account is not None]


def _account(row: ProviderAccount) -> Account | None:
    try:
        key = row.api_key  # decrypted here, so that one lost key does not take the other accounts with it
    except InvalidToken:
        log.error("The key of the provider account %r cannot be decrypted: ENCRYPTION_KEYS lacks its key.", row.name)  # noqa: TRY400 - the trace says no more
        return None
    account = Account(
        name=row.name,
        kind=cast("AccountKind", row.kind),
        base_url=row.base_url or None,
        api_key=SecretStr(key) if key else None,
        max_concurrent_calls=row.max_concurrent_calls,
        prices=prices_of(row.prices) or None,
    )
    return replace(account, allow_private=may_be_private(account.host))


def may_be_private(host: str) -> bool:
    """Whether the operator lets accounts reach this host in a private network, and by plain http."""
    return host.lower() in {allowed.lower() for allowed in settings.ENVIRONMENT.private_hosts}


def _environment() -> dict[str, str]:
    """As the settings read it: from the process's environment and from `.env`."""
    values = {name: getattr(settings.ENVIRONMENT, name.lower()) for name in ENVIRONMENT_VARIABLES}
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in values.items()
        if value
    }


_lock = threading.Lock()
_registries: dict[int, _Known] = {}
