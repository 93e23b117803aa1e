"""Saving, exporting and deleting designs: one function each, so that the API, the admin and the pages behave alike."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from access.audit import Action, record_action
from designs.models import OrchestrationDesign
from designs.providers import models_for
from executor.document import parse_design, to_document
from executor.errors import Problem
from executor.spec import Design
from executor.validation import validate_design

#: How many of the deployments that keep a design alive are named.
NAMED_DEPENDENTS = 20


class DesignDeployed(Exception):
    """The design is in use; `names` says by what (its deployments' endpoint paths)."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(f"This design is deployed at {', '.join(names)}. Delete these deployments first.")


def create_design(*, document: object, team_id: int, by: str) -> OrchestrationDesign:
    """Store a new design. Raises `MalformedDesign`; what is merely unsound is stored as it is."""
    parsed = parse_design(document)
    with transaction.atomic():
        design = OrchestrationDesign.objects.create(
            team_id=team_id,
            name=parsed.name,
            description=parsed.description,
            draft=to_document(parsed),
            created_by=by,
        )
        _record("design.created", design, by)
    return design


def save_draft(*, design: OrchestrationDesign, parsed: Design) -> None:
    """Replace the draft. The caller holds the row's lock, so that no save is lost, and has parsed before taking it."""
    design.name, design.description = parsed.name, parsed.description
    design.draft = to_document(parsed)
    design.revision += 1
    design.save(update_fields=["name", "description", "draft", "revision", "updated_at"])


def parse_merged(*, design: OrchestrationDesign, changes: Mapping[str, Any]) -> Design:
    """The draft with the fields that are given in place of its own. Raises `MalformedDesign`."""
    return parse_design({**design.draft, **changes})


def delete_design(*, design: OrchestrationDesign, by: str) -> None:
    """Hide the design for good; history keeps its name. The caller holds the row's lock. Raises `DesignDeployed`."""
    with transaction.atomic():
        if names := _live_dependents(design):
            raise DesignDeployed(names)
        design.deleted_at = timezone.now()
        design.save(update_fields=["deleted_at", "updated_at"])
        _record("design.deleted", design, by)


def export_design(*, design: OrchestrationDesign, by: str) -> Any:
    """The draft's document, for whoever takes it away as a file: that they did is recorded."""
    _record("design.exported", design, by)
    return design.draft


def problems_of(design: OrchestrationDesign) -> list[Problem]:
    """Why the draft cannot be deployed yet. Opens no connection."""
    return problems_with(parse_design(design.draft), team_id=design.team_id)


def problems_with(parsed: Design, *, team_id: int) -> list[Problem]:
    """The same for a design that is not stored."""
    return validate_design(parsed, models=models_for(team_id))


def _record(action: Action, design: OrchestrationDesign, by: str) -> None:
    """Of the transaction that does it. Drafts are saved while somebody types: what counts of them is a version."""
    record_action(action, by=by, team_id=design.team_id, on=("design", design.id), label=design.name)


def _live_dependents(design: OrchestrationDesign) -> list[str]:
    """What is live on the design, by the models above this app whose rows can be (`objects.live()`)."""
    names: list[str] = []
    for relation in OrchestrationDesign._meta.related_objects:  # noqa: SLF001 - Django's documented API
        live = getattr(relation.related_model._default_manager, "live", None)  # noqa: SLF001 - Django's documented API
        if live is not None:
            names += map(str, live().filter(**{relation.field.name: design})[:NAMED_DEPENDENTS])
    return names
