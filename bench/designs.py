"""The design of thirty blocks that the bench and its tests run, and how long it has to take."""

from executor.document import parse_design
from executor.graph import Graph
from executor.json_types import Json, JsonObject
from executor.spec import Block

#: One block of each in every layer, shifted by one from layer to layer.
PATTERNS = ("sequential", "parallel", "hierarchical", "debate", "routing", "reflection")
LAYERS = 5

#: Long enough that the mock server's answer, which repeats the first 200 characters, is the same for every draft.
TASK = (
    "Read what reaches you, name the three points in it that matter most to somebody who has to decide today, say for"
    " each of them what speaks for it and what speaks against it, and end with one recommendation that can be carried"
    " out within a week by the people who are already there. Be brief, and leave out what does not change the decision."
)


def thirty_blocks(model: str) -> JsonObject:
    """A design of 30 blocks in 5 layers with all six patterns in each; every agent is on that `account:model`.

    Each block but the first layer's gets the outputs of two blocks of the layer above.
    """
    blocks: list[Json] = []
    connections: list[Json] = []
    columns = len(PATTERNS)
    for layer in range(LAYERS):
        for column in range(columns):
            pattern = PATTERNS[(layer + column) % columns]
            block = f"b{layer}{column}"
            blocks.append(_block(block, pattern, model, layer, column))
            connections += [
                {"id": f"{block}-{source}", "source": f"b{layer - 1}{source}", "target": block}
                for source in ((column, (column + 1) % columns) if layer else ())
            ]
    return {"format": 1, "name": "Thirty blocks", "blocks": blocks, "connections": connections}


def calls_at_once_at_first(document: JsonObject) -> int:
    """How many agent calls the blocks without incoming connections make together when the design starts."""
    design = parse_design(document)
    graph = Graph.of(design)
    return sum(
        len(block.agents) if block.type in {"parallel", "debate"} else 1
        for place, block in enumerate(design.blocks)
        if not graph.incoming[place]
    )


def critical_path_calls(document: JsonObject) -> int:
    """Agent calls on the longest path of the design, given the mock provider's default answers.

    At a latency of 0.2 s the ideal wall time is 0.2 s times this.
    """
    design = parse_design(document)
    graph = Graph.of(design)
    waiting = [len(numbers) for numbers in graph.incoming]
    ready = [place for place, count in enumerate(waiting) if count == 0]
    before, longest = [0] * len(waiting), 0
    while ready:
        place = ready.pop()
        ended = before[place] + _calls_in_a_row(design.blocks[place])
        longest = max(longest, ended)
        for target in graph.successors(place):
            before[target] = max(before[target], ended)
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    return longest


def _block(block: str, pattern: str, model: str, layer: int, column: int) -> JsonObject:
    agents, config = _agents_and_config(pattern)
    return {
        "id": block,
        "type": pattern,
        "position": {"x": 280.0 * column, "y": 200.0 * layer},
        "data": {
            "label": f"{pattern.capitalize()} {layer + 1}.{column + 1}",
            "task": TASK,
            "agents": [{"id": name.lower(), "name": name, "role": role, "model": model} for name, role in agents],
            "config": config,
        },
    }


def _agents_and_config(pattern: str) -> tuple[list[tuple[str, str]], JsonObject]:
    match pattern:
        case "sequential":
            return [("Writer", "worker"), ("Editor", "worker")], {}
        case "parallel":
            return [("Finance", "specialist"), ("Law", "specialist"), ("Press", "specialist")], {}
        case "hierarchical":
            agents = [("Lead", "manager"), ("Ann", "worker"), ("Bob", "worker")]
            return agents, {"max_rounds": 1, "must_consult": ["Ann", "Bob"]}
        case "debate":
            return [("Ann", "worker"), ("Bob", "worker"), ("Cyd", "worker")], {}
        case "routing":
            return [("Router", "moderator"), ("Sales", "specialist"), ("Support", "specialist")], {"default": "Support"}
        case _:
            return [("Writer", "worker"), ("Critic", "reflector")], {"max_rounds": 2}


def _calls_in_a_row(block: Block) -> int:
    """The default answer to a decision is its schema's smallest instance: nothing planned, nobody chosen, score 0."""
    match block.type:
        case "sequential":
            return len(block.agents)
        case "parallel":
            return 1
        case "hierarchical":
            return 4  # a plan of nothing, then the workers that must be consulted at once, a judgement each, the result
        case "debate":
            return 1  # all say the same
        case "routing":
            return 2  # no route, so the default specialist
        case _:
            return 3  # a draft, a review, and the same draft again
