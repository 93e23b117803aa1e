"""How many problems each of many drafts has: for lists, where parsing every draft anew would take seconds."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from designs.models import OrchestrationDesign
from designs.providers import models_for
from executor.document import parse_design
from executor.providers.registry import ProviderRegistry
from executor.validation import validate_design

CACHED_COUNTS = 5_000

#: A draft by its design and revision, held against the models of its team as they were then.
_Key = tuple[UUID, int, ProviderRegistry]


def count_problems(designs: Sequence[OrchestrationDesign]) -> dict[UUID, int]:
    """The number of problems of each draft, by design. One query for the drafts, and one for each team's accounts."""
    registries = {team_id: models_for(team_id) for team_id in {design.team_id for design in designs}}
    keys = {design.pk: (design.pk, design.revision, registries[design.team_id]) for design in designs}
    with _lock:
        counts = {pk: _counts[key] for pk, key in keys.items() if key in _counts}
    unknown = [design.pk for design in designs if design.pk not in counts]
    # A draft that was saved since has another revision than its key: it is counted and not remembered.
    for pk, revision, draft in OrchestrationDesign.objects.filter(pk__in=unknown).values_list(
        "pk", "revision", "draft"
    ):
        counts[pk] = len(validate_design(parse_design(draft), models=keys[pk][2]))
        if revision == keys[pk][1]:
            _remember(keys[pk], counts[pk])
    return counts


def _remember(key: _Key, count: int) -> None:
    with _lock:
        _counts[key] = count
        while len(_counts) > CACHED_COUNTS:
            _counts.popitem(last=False)


_lock = threading.Lock()
_counts: OrderedDict[_Key, int] = OrderedDict()
