"""One block of a draft on its own, so that it can be tried without running what comes before it.

The trial is a design of its own that no list shows, so that the numbers of the draft's versions are for what was
deployed or run whole. History keeps it under a name that says what it was.
"""

import re
from typing import Any

from django.db import transaction
from django.utils import timezone

from designs.drafts import problems_with
from designs.models import DesignVersion, OrchestrationDesign
from executor.document import content_hash, parse_design, to_document
from executor.errors import InvalidDesign, Problem
from executor.json_types import JsonObject

MAX_NAME = 200
_OUTPUT_NAME = re.compile(r"\{\{\s*(blocks\.[A-Za-z0-9_:-]+\.output)\s*\}\}")


class NoSuchBlock(Exception):
    """What is saved of the design has no block of that id."""


def freeze_block(*, design: OrchestrationDesign, block_id: str, created_by: str) -> DesignVersion:
    """A version of that block alone. Where it names `{{blocks.a.output}}`, the input is asked for `blocks.a.output`.

    Raises `NoSuchBlock`, and `InvalidDesign` with pointers into the whole draft while the block has problems.
    """
    blocks: list[dict[str, Any]] = design.draft["blocks"]
    place = next((number for number, block in enumerate(blocks) if block["id"] == block_id), None)
    if place is None:
        raise NoSuchBlock(f"What is saved of this design has no block {block_id!r}.")
    parsed = parse_design(_alone(design, blocks[place]))
    if problems := problems_with(parsed, team_id=design.team_id):
        raise InvalidDesign([_in_draft(found, place) for found in problems])
    with transaction.atomic():
        trial = OrchestrationDesign.objects.create(
            team_id=design.team_id,
            name=parsed.name,
            draft=to_document(parsed),
            created_by=created_by,
            deleted_at=timezone.now(),
        )
        return DesignVersion.objects.create(
            design=trial,
            number=1,
            content_hash=content_hash(parsed),
            document=to_document(parsed),
            created_by=created_by,
        )


def _alone(design: OrchestrationDesign, block: dict[str, Any]) -> JsonObject:
    data = dict(block["data"])
    if "task" in data:
        data["task"] = _ask_input(data["task"])
    if "agents" in data:
        data["agents"] = [_with_prompt(agent) for agent in data["agents"]]
    name = f"{data['label']}, a block of {design.name}"[:MAX_NAME]
    return {"format": 1, "name": name, "blocks": [{**block, "data": data}], "connections": []}


def _with_prompt(agent: dict[str, Any]) -> dict[str, Any]:
    return {**agent, "system_prompt": _ask_input(agent["system_prompt"])} if "system_prompt" in agent else agent


def _ask_input(text: str) -> str:
    return _OUTPUT_NAME.sub(r"{{input.\1}}", text)


def _in_draft(problem: Problem, place: int) -> Problem:
    """The problem with its pointer into the draft, where the trial's only block is one of many."""
    pointer = re.sub("^/blocks/0(?=/|$)", f"/blocks/{place}", problem.pointer)
    return Problem(pointer, problem.code, problem.message)
