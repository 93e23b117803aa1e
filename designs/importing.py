"""Designs come back from a file: what is there already is left alone, so that it may be repeated."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from django.db import transaction

from access.audit import record_action
from access.models import Team
from designs.drafts import create_design, save_draft
from designs.models import OrchestrationDesign
from executor.document import parse_design, to_document
from executor.spec import Design

ImportOutcome = Literal["created", "replaced", "unchanged", "differs", "ambiguous"]


class Imported(NamedTuple):
    """What became of one design of the file. `differs` and `ambiguous` ones were left alone."""

    name: str
    outcome: ImportOutcome


def import_designs(*, documents: Sequence[object], team: Team, by: str, replaces: bool) -> list[Imported]:
    """Store those that the team does not have, all or none; one of the same name is replaced only if that is asked for.

    Raises `MalformedDesign`. As with a draft, what is merely unsound is stored as it is.
    """
    parsed = [parse_design(document) for document in documents]
    with transaction.atomic():
        # Two imports at once would each find nothing of the other.
        Team.objects.select_for_update().get(pk=team.pk)
        return [Imported(design.name, _import(design, team, by, replaces=replaces)) for design in parsed]


def _import(parsed: Design, team: Team, by: str, *, replaces: bool) -> ImportOutcome:
    document = to_document(parsed)
    live = OrchestrationDesign.objects.live().filter(team=team, name=parsed.name)
    same_name = list(live.select_for_update(of=("self",)).order_by("id"))
    if any(design.draft == document for design in same_name):
        return "unchanged"
    if not same_name:
        create_design(document=document, team_id=team.pk, by=by)
        return "created"
    if not replaces:
        return "differs"
    if len(same_name) > 1:
        return "ambiguous"
    replaced = same_name[0]
    save_draft(design=replaced, parsed=parsed)
    record_action("design.replaced", by=by, team_id=team.pk, on=("design", replaced.id), label=replaced.name)
    return "replaced"
