"""Who is asking, as every API sees it: `request.auth` is always one of these, whether a session or a key made it."""

import enum
import uuid
from dataclasses import dataclass, field
from typing import Final, Literal

Verb = Literal["view", "execute", "change", "deploy", "manage_keys"]
ALL_VERBS: Final[frozenset[Verb]] = frozenset({"view", "execute", "change", "deploy", "manage_keys"})


class Everything(enum.Enum):
    """The one value that stands for "all of them". An empty set never does."""

    ALL = "all"


ALL: Final = Everything.ALL


@dataclass(frozen=True)
class Principal:
    """What the caller is allowed.

    `team_id` is the team that new objects belong to. `team_ids` are those whose objects may be seen, `deployment_ids`
    narrows a key to some deployments. `label` is what `triggered_by` shows: `user:alice`, `key:crm`.
    """

    team_id: int | None
    team_ids: frozenset[int] | Everything
    verbs: frozenset[Verb]
    deployment_ids: frozenset[uuid.UUID] | Everything
    label: str
    user_id: int | None = None
    key_id: uuid.UUID | None = field(default=None)

    def sees(self, team_id: int, deployment_id: uuid.UUID | None) -> bool:
        """Whether something of that team, which belongs to that deployment or to none, may be seen."""
        of_team = self.team_ids is ALL or team_id in self.team_ids
        return of_team and (self.deployment_ids is ALL or deployment_id in self.deployment_ids)

    def may(self, *verbs: Verb) -> bool:
        """Whether any of these verbs is allowed."""
        return any(verb in self.verbs for verb in verbs)
