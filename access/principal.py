"""Who is asking, as every API sees it: `request.auth` is always one of these, whether a session or a key made it."""

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Verb = Literal["view", "execute", "change", "deploy", "manage_keys"]
Verbs = tuple[Verb, ...]
ALL_VERBS: Final[frozenset[Verb]] = frozenset({"view", "execute", "change", "deploy", "manage_keys"})


class Everything(enum.Enum):
    """The one value that stands for "all of them". An empty set never does."""

    ALL = "all"


ALL: Final = Everything.ALL


@dataclass(frozen=True)
class Principal:
    """What the caller is allowed.

    `rights` are the verbs in each team that the caller belongs to: what is allowed in one team is not in another.
    ALL is a superuser's: every verb, in every team. `deployment_ids` narrows a key to some deployments. `label` is
    what `triggered_by` shows: `user:alice`, `key:crm`.
    """

    rights: Mapping[int, frozenset[Verb]] | Everything
    deployment_ids: frozenset[uuid.UUID] | Everything
    label: str
    user_id: int | None = None
    key_id: uuid.UUID | None = field(default=None)

    @property
    def team_ids(self) -> frozenset[int] | Everything:
        """The teams that the caller belongs to, whatever their rights there."""
        return ALL if self.rights is ALL else frozenset(self.rights)

    def verbs_in(self, team_id: int | None) -> frozenset[Verb]:
        """What is allowed with that team's objects. What is no team's is the superusers'."""
        if self.rights is ALL:
            return ALL_VERBS
        return frozenset() if team_id is None else self.rights.get(team_id, frozenset())

    def may_in(self, team_id: int | None, *verbs: Verb) -> bool:
        """Whether any of these verbs is allowed with that team's objects."""
        return not self.verbs_in(team_id).isdisjoint(verbs)

    def teams_with(self, *verbs: Verb) -> frozenset[int] | Everything:
        """The teams with whose objects any of these verbs is allowed."""
        if self.rights is ALL:
            return ALL
        return frozenset(team_id for team_id in self.rights if self.may_in(team_id, *verbs))

    def may(self, *verbs: Verb) -> bool:
        """Whether any of these verbs is allowed anywhere: whether to ask on. An object's own team decides."""
        return self.rights is ALL or any(not allowed.isdisjoint(verbs) for allowed in self.rights.values())

    def knows(self, team_id: int, deployment_id: uuid.UUID | None) -> bool:
        """Whether something of that team, which belongs to that deployment or to none, is there for the caller."""
        of_team = self.rights is ALL or team_id in self.rights
        return of_team and (self.deployment_ids is ALL or deployment_id in self.deployment_ids)
