"""What two documents of a design differ in, as people read it."""

import copy
from typing import Any

import pytest

from designs.differences import MAX_DIFFERENCES, SHOWN_CHARACTERS, Difference, differences
from designs.samples import load_samples
from designs.tests.builders import document


def changed(change: Any) -> list[Difference]:
    before: Any = document()
    after = copy.deepcopy(before)
    change(after)
    return differences(before, after)


@pytest.mark.parametrize("sample", load_samples(), ids=lambda sample: sample.endpoint_path)
def test_a_document_differs_in_nothing_from_itself(sample: Any) -> None:
    assert differences(sample.document, copy.deepcopy(sample.document)) == []


def test_a_prompt_and_a_task_are_told_with_their_texts() -> None:
    def change(after: Any) -> None:
        after["blocks"][0]["data"]["task"] = "Say goodbye."
        after["blocks"][0]["data"]["agents"][0]["system_prompt"] = "Be long."

    assert changed(change) == [
        Difference("Block Greet: task", "changed", "Greet {{input.name}}.", "Say goodbye."),
        Difference("Block Greet, agent Writer: prompt", "changed", "Be brief.", "Be long."),
    ]


def test_blocks_agents_and_connections_come_and_go() -> None:
    def change(after: Any) -> None:
        second = copy.deepcopy(after["blocks"][0]) | {"id": "second"}
        second["data"] = second["data"] | {"label": "Second"}
        after["blocks"].append(second)
        after["blocks"][0]["data"]["agents"][0] = {"id": "other", "name": "Other"}
        after["connections"].append({"id": "c", "source": "greet", "target": "second"})

    assert changed(change) == [
        Difference("Block Greet, agent Writer", "removed"),
        Difference("Block Greet, agent Other", "added"),
        Difference("Block Second", "added"),
        Difference("Connection Greet → Second", "added"),
    ]


def test_a_connection_of_one_agent_is_another_than_that_of_the_whole_block() -> None:
    before: Any = document()
    before["blocks"].append({"id": "second", "type": "sequential", "data": {"label": "Second"}})
    before["connections"].append({"id": "c", "source": "greet", "target": "second"})
    after = copy.deepcopy(before)
    after["connections"][0] |= {"source_agent": "writer", "target_agent": "gone"}
    assert differences(before, after) == [
        Difference("Connection Greet → Second", "removed"),
        Difference("Connection Greet (Writer) → Second (gone)", "added"),
    ]


def test_connections_are_told_apart_by_what_they_connect_not_by_its_labels() -> None:
    before: Any = document()
    before["blocks"] += [{"id": id_, "type": "sequential", "data": {"label": "Same"}} for id_ in ("one", "two")]
    before["connections"].append({"id": "c", "source": "greet", "target": "one"})
    after = copy.deepcopy(before)
    after["connections"][0]["target"] = "two"
    assert [found.kind for found in differences(before, after)] == ["removed", "added"]


def test_agents_in_another_order_are_told() -> None:
    before: Any = document()
    before["blocks"][0]["data"]["agents"].append({"id": "editor", "name": "Editor"})
    after = copy.deepcopy(before)
    after["blocks"][0]["data"]["agents"].reverse()
    order = Difference("Block Greet: order of the agents", "changed", "Writer, Editor", "Editor, Writer")
    assert differences(before, after) == [order]


def test_settings_and_config_are_named_one_by_one() -> None:
    def change(after: Any) -> None:
        after["blocks"][0]["data"]["config"] = {"on_error": "skip"}
        after["blocks"][0]["data"]["agents"][0]["settings"] = {"temperature": 0}

    assert [found.place for found in changed(change)] == [
        "Block Greet: on error",
        "Block Greet, agent Writer: temperature",
    ]


def test_a_pattern_that_changes_and_fields_of_the_design_are_told() -> None:
    def change(after: Any) -> None:
        after["blocks"][0]["type"] = "parallel"
        after["input_schema"] = {"type": "object"}

    assert [(found.place, found.before, found.after) for found in changed(change)] == [
        ("Design: input schema", "", '{\n  "type": "object"\n}'),
        ("Block Greet: pattern", "sequential", "parallel"),
    ]


def test_a_block_that_was_only_moved_is_a_matter_of_layout() -> None:
    def change(after: Any) -> None:
        after["blocks"][0]["position"] = {"x": 5, "y": 0}

    assert changed(change) == [Difference("Layout", "changed")]


def test_what_is_very_long_or_very_much_is_cut() -> None:
    def lengthen(after: Any) -> None:
        after["description"] = "x" * (SHOWN_CHARACTERS + 1)

    def multiply(after: Any) -> None:
        after["blocks"] += [{**after["blocks"][0], "id": f"b{number}"} for number in range(MAX_DIFFERENCES + 5)]

    assert changed(lengthen)[0].after == "x" * SHOWN_CHARACTERS + " …"
    assert len(changed(multiply)) == MAX_DIFFERENCES
