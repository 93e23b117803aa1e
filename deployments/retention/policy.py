"""What is kept of a deployment's executions, and for how long: its own periods, else the site's, else for ever."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from django.conf import settings

from deployments.models import Deployment

FOR_EVER: Final = 0
#: A hundred years; and as many executions as can be counted off without hurry.
MAX_DAYS: Final = 36_500
MAX_LAST: Final = 1_000_000


@dataclass(frozen=True)
class RetentionFields:
    """What is set for a deployment; None means the site's default, 0 for ever."""

    keep_payload_days: int | None = None
    keep_payload_last: int | None = None
    keep_history_days: int | None = None
    keep_history_last: int | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        return cls(**{name: getattr(deployment, name) for name in RETENTION_FIELDS})

    def put_on(self, deployment: Deployment) -> None:
        """Set the columns; the caller saves `RETENTION_FIELDS`."""
        for name in RETENTION_FIELDS:
            setattr(deployment, name, getattr(self, name))

    def changed_by(self, changes: "RetentionFields | Mapping[str, Any]") -> "RetentionFields":
        """A whole one replaces this one, a mapping only the fields in it."""
        if isinstance(changes, RetentionFields):
            return changes
        return RetentionFields(**{name: changes.get(name, getattr(self, name)) for name in RETENTION_FIELDS})


@dataclass(frozen=True)
class Bound:
    """Two ends of what is kept; what is beyond either goes. None is no end."""

    days: int | None
    last: int | None

    @property
    def is_endless(self) -> bool:
        return self.days is None and self.last is None


@dataclass(frozen=True)
class Policy:
    """What is in force."""

    payloads: Bound
    history: Bound

    @classmethod
    def of(cls, own: RetentionFields) -> Self:
        site = settings.ENVIRONMENT
        values = {field.name: _in_force(getattr(own, field.name), getattr(site, field.name)) for field in fields(own)}
        return cls(
            payloads=Bound(values["keep_payload_days"], values["keep_payload_last"]),
            history=Bound(values["keep_history_days"], values["keep_history_last"]),
        )

    @classmethod
    def of_drafts(cls) -> Self:
        """Runs of drafts belong to no deployment: the site's days hold for them, and its counts do not."""
        whole = cls.of(RetentionFields())
        return cls(Bound(whole.payloads.days, None), Bound(whole.history.days, None))

    @property
    def is_endless(self) -> bool:
        return self.payloads.is_endless and self.history.is_endless


RETENTION_FIELDS: Final = tuple(RetentionFields.__dataclass_fields__)


def _in_force(own: int | None, site: int | None) -> int | None:
    chosen = site if own is None else own
    return None if chosen is None or chosen == FOR_EVER else chosen
