"""The design document: what is read, what is refused and where, and that nothing is lost on the way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from executor.document import MAX_BYTES, content_hash, design_json_schema, parse_design, to_document
from executor.errors import MalformedDesign
from executor.json_schema import validate_instance
from executor.patterns import PATTERNS
from executor.spec import MAX_AGENTS, MAX_BLOCKS, MAX_CONNECTIONS
from executor.tests.builders import make_agent, make_block, make_connection, make_design

AGENT = {"id": "a", "name": "Ann"}


def block(block_id: str = "one", kind: str = "sequential", **data: Any) -> dict[str, Any]:
    return {"id": block_id, "type": kind, "data": {"label": block_id, "agents": [AGENT], **data}}


def document(*blocks: Any, connections: Any = (), **fields: Any) -> dict[str, Any]:
    return {"format": 1, "name": "Test", "blocks": list(blocks), "connections": list(connections), **fields}


def refused(value: Any) -> list[tuple[str, str]]:
    with pytest.raises(MalformedDesign) as caught:
        parse_design(value)
    assert all(problem.message.endswith((".", "$")) for problem in caught.value.problems)
    return [(problem.pointer, problem.code) for problem in caught.value.problems]


def test_the_smallest_document_gets_the_defaults() -> None:
    design = parse_design({"name": "Test"})
    assert (design.format, design.blocks, design.connections) == (1, (), ())
    [agent] = parse_design(document(block())).blocks[0].agents
    assert (agent.role, agent.settings.tries, agent.model) == ("worker", 3, None)


def test_every_pattern_reads_its_own_config() -> None:
    for name, pattern in PATTERNS.items():
        design = parse_design(document(block(kind=name)))
        assert type(design.blocks[0].data.config) is pattern.config


def test_all_structural_problems_come_at_once_each_with_its_place() -> None:
    bad_agents = [{**AGENT, "role": "boss"}, {"id": "b b", "name": "Bo", "extra~/": 1}, 7]
    found = refused(
        document(
            block(agents=bad_agents, config={"context": "none", "timeout_seconds": 0}),
            block("two", kind="guess"),
            {"id": "three", "data": {"label": "x"}},
            "four",
            connections=[{"id": "c", "source": 1, "target": "two", "weight": 1}],
            name="",
            extra=1,
        )
    )
    assert sorted(found) == sorted(
        [
            ("/name", "too_short"),
            ("/extra", "unknown_key"),
            ("/blocks/0/data/agents/0/role", "unknown_value"),
            ("/blocks/0/data/agents/1/id", "bad_format"),
            ("/blocks/0/data/agents/1/extra~0~1", "unknown_key"),
            ("/blocks/0/data/agents/2", "wrong_type"),
            ("/blocks/0/data/config/context", "unknown_value"),
            ("/blocks/0/data/config/timeout_seconds", "out_of_range"),
            ("/blocks/1/type", "unknown_pattern"),
            ("/blocks/2/type", "missing"),
            ("/blocks/3", "wrong_type"),
            ("/connections/0/source", "wrong_type"),
            ("/connections/0/weight", "unknown_key"),
        ]
    )


def test_a_problem_inside_one_form_of_a_value_has_no_name_of_a_form_in_its_pointer() -> None:
    found = refused(document(block(config={"context": ["Ann", 3]})))
    assert ("/blocks/0/data/config/context/1", "wrong_type") in found


def test_a_key_that_is_called_like_the_pattern_confuses_no_pointer() -> None:
    confusing = {"id": "a", "type": "debate", "debate": {"data": {}}, "data": {"agents": []}}
    assert sorted(refused(document(confusing))) == [
        ("/blocks/0/data/label", "missing"),
        ("/blocks/0/debate", "unknown_key"),
    ]


def test_an_unknown_key_is_named_in_the_sentence() -> None:
    with pytest.raises(MalformedDesign, match="Unknown key 'colour'"):
        parse_design(document(block(colour="red")))


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"timeout_seconds": "2"}, "timeout_seconds"),
        ({"timeout_seconds": True}, "timeout_seconds"),
        ({"on_error": 1}, "on_error"),
    ],
)
def test_a_value_is_never_turned_into_another_type(config: dict[str, Any], where: str) -> None:
    assert [pointer for pointer, _ in refused(document(block(config=config)))] == [f"/blocks/0/data/config/{where}"]


def test_a_whole_number_is_fine_where_a_number_is_wanted() -> None:
    design = parse_design(document(block(config={"timeout_seconds": 2})))
    assert design.blocks[0].data.config.timeout_seconds == 2.0


@pytest.mark.parametrize("number", [2, "1", True, 1.0, None])
def test_another_format_is_refused(number: Any) -> None:
    assert refused(document(format=number)) == [("/format", "unknown_format")]


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert refused(value) == [("", "wrong_type")]


# Spellings of other tools


def test_other_spellings_become_ours() -> None:
    design = parse_design(
        document(
            block("a"),
            block("b", kind="debate", rounds=4),
            connections=[
                {"id": "1", "source": "a", "target": "b", "sourceAgent": "x", "targetAgent": "y", "type": "agent"},
                {"id": "2", "source": {"blockId": "a"}, "target": {"blockId": "b", "agentId": "y"}, "type": "block"},
                {"id": "3", "source": {"blockId": "a", "agentId": None}, "target": "b", "source_agent": "x"},
            ],
        )
    )
    assert design.connections == (
        make_connection("a", "b", source_agent="x", target_agent="y", id="1"),
        make_connection("a", "b", target_agent="y", id="2"),
        make_connection("a", "b", source_agent="x", id="3"),
    )
    assert to_document(design)["blocks"][1]["data"]["config"] == {"rounds": 4}  # type: ignore[index,call-overload]  # Json


def test_a_problem_in_another_spelling_points_to_where_it_was_written() -> None:
    found = refused(
        document(
            block("a", kind="debate", rounds=99),
            block("b", rounds=2),
            connections=[
                {"id": "1", "source": "a", "target": "b", "sourceAgent": 1},
                {"id": "2", "source": {"blockId": 1}, "target": {"blockId": "b", "agentId": 2, "port": 3}},
                {"id": "3", "source": {}, "target": "b", "type": "wire"},
            ],
        )
    )
    assert sorted(found) == sorted(
        [
            ("/blocks/0/data/rounds", "out_of_range"),
            ("/blocks/1/data/rounds", "unknown_key"),
            ("/connections/0/sourceAgent", "wrong_type"),
            ("/connections/1/source/blockId", "wrong_type"),
            ("/connections/1/target/agentId", "wrong_type"),
            ("/connections/1/target/port", "unknown_key"),
            ("/connections/2/source/blockId", "missing"),
            ("/connections/2/type", "unknown_value"),
        ]
    )


def test_the_same_thing_said_in_two_spellings_is_refused() -> None:
    found = refused(
        document(
            block("a", kind="debate", rounds=1, config={"rounds": 2}),
            connections=[
                {"id": "1", "source": "a", "target": "a", "sourceAgent": "x", "source_agent": "y"},
                {"id": "2", "source": {"blockId": "a", "agentId": "x"}, "target": "a", "source_agent": "y"},
            ],
        )
    )
    assert sorted(found) == [
        ("/blocks/0/data/rounds", "said_twice"),
        ("/connections/0/sourceAgent", "said_twice"),
        ("/connections/1/source/agentId", "said_twice"),
    ]


def test_connections_without_an_id_get_the_same_one_each_time() -> None:
    ends = [("a", "b"), ("a", "b"), ("b", "c")]
    plain = [{"source": source, "target": target} for source, target in ends]
    written = document(connections=[*plain, {"id": "a-b-2", "source": "x", "target": "y"}])
    ids = [connection.id for connection in parse_design(written).connections]
    assert ids == ["a-b", "a-b-3", "b-c", "a-b-2"]
    assert ids == [connection.id for connection in parse_design(written).connections]
    assert "id" not in plain[0]


def test_generated_ids_of_long_names_fit_and_differ() -> None:
    long = [{"source": "s" * 100, "target": "t" * 99 + end} for end in "xyx"]
    ids = [connection.id for connection in parse_design(document(connections=long)).connections]
    assert len(set(ids)) == 3


# Hostile documents


def test_a_document_nested_without_end_is_refused_without_recursion() -> None:
    for container in (lambda inner: [inner], lambda inner: {"a": inner}):
        nested: Any = 1
        for _ in range(200_000):
            nested = container(nested)
        [(pointer, code)] = refused(document(input_schema=nested))
        assert code == "too_deep"
        assert pointer.count("/") == 100


def test_a_hundred_levels_are_read() -> None:
    nested: Any = {}
    for _ in range(98):
        nested = {"not": nested}
    assert parse_design(document(input_schema=nested)).input_schema == nested
    assert refused(document(input_schema={"not": nested}))[0][1] == "too_deep"


def test_a_value_that_holds_itself_is_refused() -> None:
    knot: dict[str, Any] = {}
    knot["a"] = knot["b"] = knot
    assert {code for _, code in refused(document(input_schema=knot))} == {"too_deep"}


def test_more_values_than_any_document_of_the_size_can_hold_are_not_walked_through() -> None:
    assert refused(document(input_schema={"x": [0] * 600_000})) == [("", "too_large")]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a\x00b", "bad_character"),
        ("a\ud800b", "bad_character"),
        ("\udfff", "bad_character"),
        (float("nan"), "not_finite"),
        (float("inf"), "not_finite"),
        (json.loads("-1e400"), "not_finite"),
        (10**400, "not_finite"),
        (b"x", "not_json"),
        ((1, 2), "not_json"),
        (Path("x"), "not_json"),
    ],
)
def test_what_json_or_a_database_cannot_hold_is_refused_where_it_stands(value: Any, code: str) -> None:
    assert refused(document(input_schema={"x": [{"a/b": value}]})) == [("/input_schema/x/0/a~1b", code)]


def test_bad_keys_are_refused_with_a_pointer_that_can_be_shown() -> None:
    found = refused(document(input_schema={"x\x00": 1, "\ud800": {"y": float("inf")}, 3.5: 1}))
    assert found == [
        ("/input_schema", "bad_character"),
        ("/input_schema", "bad_character"),
        ("/input_schema", "not_json"),
        ("/input_schema/\ufffd/y", "not_finite"),
    ]
    found[-1][0].encode()


def test_an_emoji_is_not_a_lone_surrogate() -> None:
    assert parse_design(document(description="\U0001f600")).description == "\U0001f600"


def test_size_is_counted_in_bytes_of_json() -> None:
    room = MAX_BYTES - len(json.dumps(document(input_schema={"description": ""}), separators=(",", ":")))
    parse_design(document(input_schema={"description": "é" * (room // 2)}))
    assert refused(document(input_schema={"description": "é" * (room // 2 + 1)})) == [("", "too_large")]


@pytest.mark.parametrize(
    ("make", "pointer"),
    [
        (lambda extra: document(*[block(f"b{i}") for i in range(MAX_BLOCKS + extra)]), "/blocks"),
        (
            lambda extra: document(connections=[{"source": "a", "target": "b"}] * (MAX_CONNECTIONS + extra)),
            "/connections",
        ),
        (lambda extra: document(block(agents=[AGENT] * (MAX_AGENTS + extra))), "/blocks/0/data/agents"),
    ],
)
def test_limits_on_numbers_hold_exactly(make: Callable[[int], Any], pointer: str) -> None:
    parse_design(make(0))
    assert refused(make(1)) == [(pointer, "too_long")]


# There and back


def test_a_document_comes_back_as_it_was_sent() -> None:
    sent = document(
        block("a", config={"on_error": "continue", "default_output": {"x": None, "y": [1.5, "é"]}, "context": ["Ann"]}),
        block("b", kind="debate", agents=[{**AGENT, "role": "worker", "output_schema": {"type": "object"}}]),
        connections=[{"id": "c", "source": "a", "target": "b", "source_agent": "a"}],
        description="x",
        input_schema={"type": "object", "default": None},
    )
    assert to_document(parse_design(sent)) == sent
    assert parse_design(to_document(parse_design(sent))) == parse_design(sent)


def test_a_document_at_the_limits_does_not_outgrow_them_by_being_stored() -> None:
    sent = document(
        *[
            {"id": f"b{i}", "type": "sequential", "data": {"label": f"{i}", "agents": [AGENT]}}
            for i in range(MAX_BLOCKS)
        ],
        connections=[
            {"id": f"{i}", "source": f"b{i % 999}", "target": f"b{1_000 + i % 1_000}"} for i in range(MAX_CONNECTIONS)
        ],
        description="x" * 200_000,
    )
    assert to_document(parse_design(sent)) == sent


def test_designs_built_in_python_can_be_written_and_read() -> None:
    built = make_design([make_block("a", agents=[make_agent("Ann", settings={"tries": 1})]), "b"], [("a", "b")])
    read = parse_design(to_document(built))
    assert to_document(read) == to_document(built)
    assert read.blocks[0].agents == built.blocks[0].agents


def test_the_hash_names_the_content_whatever_the_order_of_keys_or_the_spelling() -> None:
    ours = document(
        block("a"), block("b"), connections=[{"id": "c", "source": "a", "target": "b", "source_agent": "a"}]
    ) | {"input_schema": {"type": "object", "title": "x"}}
    theirs = dict(reversed(ours.items())) | {
        "input_schema": {"title": "x", "type": "object"},
        "connections": [{"type": "agent", "target": {"blockId": "b"}, "sourceAgent": "a", "source": "a", "id": "c"}],
    }
    moved = ours | {"blocks": [block("a"), {**block("b"), "position": {"x": 1, "y": 0}}]}
    assert content_hash(parse_design(ours)) == content_hash(parse_design(theirs))
    assert content_hash(parse_design(ours)) != content_hash(parse_design(moved))
    assert len(content_hash(parse_design(ours))) == 64


def test_the_json_schema_accepts_what_is_read_and_refuses_what_is_not() -> None:
    schema = design_json_schema()
    good = document(block("a"), block("b", kind="debate", config={"rounds": 3}))
    assert validate_instance(schema, good) == []
    for bad in (document(block(kind="guess")), document(block(config={"context": "none"})), document(extra=1), {}):
        assert validate_instance(schema, bad) != []


@pytest.mark.parametrize(("count", "more"), [(100, None), (101, "1 more"), (80_000, "79900 more")])
def test_of_many_unknown_keys_a_hundred_are_listed_and_the_others_counted(count: int, more: str | None) -> None:
    document = {"format": 1, "name": "x", "blocks": [], "connections": [], **{f"k{i}": 1 for i in range(count)}}
    with pytest.raises(MalformedDesign) as refused:
        parse_design(document)
    problems = refused.value.problems
    assert [problem.code for problem in problems[:100]] == ["unknown_key"] * 100
    rest = [(problem.code, problem.message) for problem in problems[100:]]
    assert rest == ([("more_errors", f"{more} errors are not listed.")] if more else [])
