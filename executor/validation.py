"""Every reason why a design cannot run, all at once: what its structure alone does not show."""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial

from executor.budget import Limits
from executor.errors import Problem
from executor.graph import Graph
from executor.model_names import check_models
from executor.patterns import PATTERNS
from executor.providers.contract import ModelProvider
from executor.schema_check import SchemaAllowance, check_schema
from executor.spec import Agent, Block, Connection, Design
from executor.template_names import check_template_names
from executor.templates import is_index


def validate_design(design: Design, *, models: ModelProvider, limits: Limits | None = None) -> list[Problem]:
    """All semantic problems, in the order in which the document has their places.

    Opens no connection. With a money ceiling in `limits`, a model whose price is not known is a problem too.
    """
    graph, allowance = Graph.of(design), SchemaAllowance()
    problems = [
        *_check_input_schema(design, allowance),
        *_check_blocks(design, allowance),
        *find_graph_problems(design, graph),
        *_check_agent_ends(design, graph),
        *check_template_names(design, graph),
        *check_models(design, models, limits or Limits()),
    ]
    return sorted(problems, key=_place)


def find_graph_problems(design: Design, graph: Graph) -> list[Problem]:
    """What makes the graph itself impossible to run: nothing in it, repeated ids, loose ends, cycles."""
    blocks, connections = design.blocks, design.connections
    empty = [] if blocks else [Problem("/blocks", "no_blocks", "The design needs at least one block.")]
    return [
        *empty,
        *_find_repeats([b.id for b in blocks], "/blocks/{}/id", "duplicate_block_id", "Another block has the id"),
        *_find_repeats(
            [c.id for c in connections],
            "/connections/{}/id",
            "duplicate_connection_id",
            "Another connection has the id",
        ),
        *_find_loose_ends(connections, {block.id for block in blocks}),
        *_find_cycles(design, graph),
    ]


def _check_input_schema(design: Design, allowance: SchemaAllowance) -> Iterator[Problem]:
    schema = design.input_schema
    if schema is None:
        return
    yield from _under("/input_schema", check_schema(schema, allowance))
    wanted = schema.get("type", "object")
    if wanted != "object" and not (isinstance(wanted, list) and "object" in wanted):
        message = "The input of an execution is a JSON object, so its schema has to allow type object."
        yield Problem("/input_schema/type", "input_not_object", message)


def _check_blocks(design: Design, allowance: SchemaAllowance) -> Iterator[Problem]:
    labels = [block.label.strip() for block in design.blocks]
    yield from _find_repeats(labels, "/blocks/{}/data/label", "duplicate_label", "Another block has the label")
    # Most agents share a few schemas, and checking one costs far more than comparing two.
    check_once = lru_cache(maxsize=None)(partial(_check_schema_text, allowance))
    for number, block in enumerate(design.blocks):
        place = f"/blocks/{number}"
        if not labels[number]:
            yield Problem(f"{place}/data/label", "empty_label", "A block needs a label.")
        yield from _check_agents(block, f"{place}/data/agents")
        yield from _check_pattern(block, place)
        for index, agent in enumerate(block.agents):
            if agent.output_schema is not None:
                found = check_once(json.dumps(agent.output_schema))
                yield from _under(f"{place}/data/agents/{index}/output_schema", found)


def _check_schema_text(allowance: SchemaAllowance, schema: str) -> tuple[Problem, ...]:
    return tuple(check_schema(json.loads(schema), allowance))


def _check_agents(block: Block, place: str) -> Iterator[Problem]:
    ids = [agent.id for agent in block.agents]
    names = [agent.name.strip() for agent in block.agents]
    yield from _find_repeats(ids, place + "/{}/id", "duplicate_agent_id", "Another agent of this block has the id")
    yield from _find_repeats(
        names, place + "/{}/name", "duplicate_agent_name", "Another agent of this block has the name"
    )
    for index, name in enumerate(names):
        if not name:
            yield Problem(f"{place}/{index}/name", "empty_agent_name", "An agent needs a name.")


def _check_pattern(block: Block, place: str) -> Iterator[Problem]:
    pattern = PATTERNS.get(block.type)
    if pattern is None:
        yield Problem(f"{place}/type", "unknown_pattern", f"There is no pattern {block.type!r}.")
        return
    yield from _under(place, pattern.check(block, block.data.config))


def _find_repeats(values: Iterable[str], place: str, code: str, sentence: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value and value in seen:
            yield Problem(place.replace("{}", str(number)), code, f"{sentence} {value!r}.")
        seen.add(value)


def _find_loose_ends(connections: Iterable[Connection], block_ids: set[str]) -> Iterator[Problem]:
    for number, connection in enumerate(connections):
        for end, block_id in (("source", connection.source), ("target", connection.target)):
            if block_id not in block_ids:
                message = f"The connection's {end} {block_id!r} is not a block of this design."
                yield Problem(f"/connections/{number}/{end}", "dangling_connection", message)
        if connection.source == connection.target:
            message = f"The connection leads from the block {connection.source!r} to itself."
            yield Problem(f"/connections/{number}", "self_connection", message)


def _find_cycles(design: Design, graph: Graph) -> Iterator[Problem]:
    for cycle in graph.cycles():
        closing = next(number for number in graph.outgoing[cycle[-1]] if graph.targets[number] == cycle[0])
        names = " → ".join(_name_of(design.blocks[place]) for place in (*cycle, cycle[0]))
        yield Problem(f"/connections/{closing}", "cycle", f"These blocks wait for each other: {names}.")


def _name_of(block: Block) -> str:
    return block.id if block.label in ("", block.id) else f"{block.label} ({block.id})"


def _check_agent_ends(design: Design, graph: Graph) -> Iterator[Problem]:
    for number, connection in enumerate(design.connections):
        ends = (
            ("source_agent", connection.source_agent, graph.sources[number]),
            ("target_agent", connection.target_agent, graph.targets[number]),
        )
        for field, agent_id, place in ends:
            if agent_id is None or place is None:
                continue
            block = design.blocks[place]
            if not _has_agent(block.agents, agent_id):
                message = f"The block {_name_of(block)} has no agent with the id {agent_id!r}."
                yield Problem(f"/connections/{number}/{field}", "unknown_agent", message)


def _has_agent(agents: Iterable[Agent], agent_id: str) -> bool:
    return any(agent.id == agent_id for agent in agents)


def _under(place: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    for problem in problems:
        yield Problem(place + problem.pointer, problem.code, problem.message)


_FIELD_ORDER = (
    "format",
    "id",
    "type",
    "name",
    "description",
    "input_schema",
    "position",
    "data",
    "label",
    "role",
    "system_prompt",
    "model",
    "task",
    "agents",
    "settings",
    "output_schema",
    "config",
    "blocks",
    "source",
    "target",
    "source_agent",
    "target_agent",
    "connections",
)
_RANKS = {name: rank for rank, name in enumerate(_FIELD_ORDER)}


def _place(problem: Problem) -> list[tuple[int, str]]:
    """Sorts pointers as a reader meets their places in a document of ours."""
    steps = problem.pointer.split("/")[1:]
    return [(int(step), "") if is_index(step) else (_RANKS.get(step, len(_RANKS)), step) for step in steps]
