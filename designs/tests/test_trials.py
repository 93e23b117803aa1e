"""One block of a draft on its own."""

from typing import Any

import pytest

from access.models import Team
from designs.models import OrchestrationDesign
from designs.tests.builders import document
from designs.trials import NoSuchBlock, freeze_block
from executor.errors import InvalidDesign
from executor.json_types import JsonObject

pytestmark = pytest.mark.django_db


def block(block_id: str, task: str, prompt: str = "") -> dict[str, Any]:
    agent: JsonObject = {"id": "w", "name": "W", "system_prompt": prompt}
    data: JsonObject = {"label": block_id.title(), "task": task, "agents": [agent]}
    return {"id": block_id, "type": "sequential", "data": data}


def make_design(*blocks: dict[str, Any]) -> OrchestrationDesign:
    connections: list[JsonObject] = [{"id": "c", "source": blocks[0]["id"], "target": blocks[-1]["id"]}]
    draft = document("Chain", blocks=list(blocks), connections=connections)
    return OrchestrationDesign.objects.create(team=Team.default(), name="Chain", draft=draft)


def test_it_asks_the_input_for_what_other_blocks_would_deliver() -> None:
    design = make_design(
        block("a", "A."), block("b", "B {{ blocks.a.output }} {{input.x}}.", "See {{blocks.a.output}}.")
    )
    version = freeze_block(design=design, block_id="b", created_by="user:alice")
    (alone,) = version.document["blocks"]
    assert version.document["connections"] == []
    assert alone["data"]["task"] == "B {{input.blocks.a.output}} {{input.x}}."
    assert alone["data"]["agents"][0]["system_prompt"] == "See {{input.blocks.a.output}}."


def test_no_list_shows_it_and_the_draft_gets_no_version() -> None:
    design = make_design(block("a", "A."), block("b", "B."))
    version = freeze_block(design=design, block_id="b", created_by="user:alice")
    assert version.design.name == "B, a block of Chain"
    assert list(OrchestrationDesign.objects.live()) == [design]
    assert not design.versions.exists()


def test_problems_point_into_the_whole_draft() -> None:
    broken = block("b", "B.")
    broken["data"]["agents"][0]["model"] = "nobody:model"
    design = make_design(block("a", "A."), broken)
    with pytest.raises(InvalidDesign) as refused:
        freeze_block(design=design, block_id="b", created_by="")
    assert [found.pointer for found in refused.value.problems] == ["/blocks/1/data/agents/0/model"]
    assert freeze_block(design=design, block_id="a", created_by="")


def test_a_block_that_is_not_saved_is_refused() -> None:
    with pytest.raises(NoSuchBlock):
        freeze_block(design=make_design(block("a", "A."), block("b", "B.")), block_id="c", created_by="")
