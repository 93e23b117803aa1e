"""Versions: what a design was when it was deployed or run."""

import threading
from collections import OrderedDict
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from access.audit import record_action
from designs.models import DesignVersion, OrchestrationDesign
from designs.providers import models_for
from executor.document import content_hash, parse_design, to_document
from executor.errors import InvalidDesign, Problem
from executor.spec import Design
from executor.validation import validate_design

#: Parsed designs that a process keeps. A large one takes some megabytes.
CACHED_DESIGNS = 128


def freeze_version(*, design: OrchestrationDesign, created_by: str) -> DesignVersion:
    """The version of what is saved of the design now: the one with the same content, else a new one.

    Raises `InvalidDesign` while the draft has problems, and when the design was deleted in the meantime.
    """
    parsed = parse_design(design.draft)
    if problems := validate_design(parsed, models=models_for(design.team_id)):
        raise InvalidDesign(problems)
    digest = content_hash(parsed)
    with transaction.atomic():
        # The design's lock: two callers must not take one number, nor make two versions of one content. Executions that
        # are just accepted need not wait for it.
        if not OrchestrationDesign.objects.live().select_for_update(no_key=True).filter(id=design.id).exists():
            raise InvalidDesign([Problem("", "design_deleted", "This design was deleted in the meantime.")])
        versions = DesignVersion.objects.filter(design=design)
        if (same := versions.filter(content_hash=digest).first()) is not None:
            return same
        made = DesignVersion.objects.create(
            design=design,
            number=(versions.aggregate(last=Max("number"))["last"] or 0) + 1,
            content_hash=digest,
            document=to_document(parsed),
            created_by=created_by,
        )
        on, details = ("version", made.id), {"number": made.number, "content_hash": digest}
        record_action("version.made", by=created_by, team_id=design.team_id, on=on, label=design.name, details=details)
        return made


def parse_version(version_id: UUID) -> Design:
    """The version's design, read and parsed once a process: versions never change.

    Raises `DesignVersion.DoesNotExist`, and `MalformedDesign` for a document that this code cannot read.
    """
    with _lock:
        known = _designs.get(version_id)
        if known is not None:
            _designs.move_to_end(version_id)
            return known
    parsed = parse_design(DesignVersion.objects.values_list("document", flat=True).get(id=version_id))
    with _lock:
        _designs[version_id] = parsed
        while len(_designs) > CACHED_DESIGNS:
            _designs.popitem(last=False)
    return parsed


_lock = threading.Lock()
_designs: OrderedDict[UUID, Design] = OrderedDict()
