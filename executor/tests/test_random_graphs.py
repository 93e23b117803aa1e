"""Two thousand random designs with random failures, against a simulation that shares nothing with the engine."""

import asyncio
import heapq
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from executor.calls import AgentCall
from executor.deployment_executor import DeploymentExecutor
from executor.errors import InvalidDesign, ProviderFailed
from executor.journal import InMemoryJournal
from executor.results import ExecutionResult
from executor.spec import Block, Connection, Design
from executor.tests.builders import make_agent, make_block, make_connection, make_design
from executor.tests.clocks import LoopClock, run_in_virtual_time
from executor.tests.scripted import ScriptedCaller

BATCHES, DESIGNS_IN_A_BATCH = 20, 100


@dataclass
class Case:
    """A design, and how each of its calls will go: seconds by (block, agent), failing blocks, chosen specialists."""

    design: Design
    seconds: dict[tuple[str, str], float]
    failing: set[str]
    chosen: dict[str, str]


@dataclass
class Simulated:
    """What has to happen: when blocks start, how they end, and how many are at work at once."""

    started: dict[str, float] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    peak: int = 0
    failed_block: str | None = None


def random_case(random: Random) -> Case:
    size = random.randint(1, 12)
    # Blocks stand in the document in another order than the graph's.
    ids = [f"b{number}" for number in range(size)]
    random.shuffle(ids)
    blocks = {block_id: random_block(random, block_id) for block_id in ids}
    density = random.choice([0.1, 0.25, 0.5])
    connections = [
        random_connection(random, blocks[ids[i]], blocks[ids[j]])
        for j in range(size)
        for i in range(j)
        if random.random() < density
    ]
    random.shuffle(connections)
    documented = sorted(blocks.values(), key=lambda block: int(block.id[1:]))
    return Case(
        design=make_design(documented, connections),
        seconds={(block.id, agent.id): random.uniform(0.1, 10) for block in documented for agent in block.agents},
        failing={block_id for block_id in ids if random.random() < 0.15},
        chosen={b.id: random.choice(b.agents[1:]).name for b in documented if b.type == "routing"},
    )


def random_block(random: Random, block_id: str) -> Block:
    config: dict[str, Any] = {"on_error": random.choice(["fail", "continue", "continue", "skip", "skip"])}
    config["default_output"] = f"default of {block_id}"
    names = [f"{block_id}-{letter}" for letter in "abc"[: random.randint(1, 3)]]
    if random.random() < 0.35 and len(names) > 1:
        agents = [make_agent(name, "specialist" if index else "manager") for index, name in enumerate(names)]
        return make_block(block_id, "routing", agents=agents, config={**config, "default": names[1]})
    return make_block(block_id, agents=names, config=config)


def random_connection(random: Random, source: Block, target: Block) -> Connection:
    # A routing block's first agent is the router, whose output is a decision: specialists are what branches a graph.
    speakers = source.agents[1:] if source.type == "routing" else source.agents
    use_source = random.random() < (0.8 if source.type == "routing" else 0.2)
    return make_connection(
        source.id,
        target.id,
        source_agent=random.choice(speakers).id if use_source else None,
        target_agent=random.choice(target.agents).id if random.random() < 0.15 else None,
    )


# The simulation


def simulate(case: Case) -> Simulated:
    """Step from one block's end to the next, looking at the whole graph anew each time: slow, and plainly right."""
    seen, now = Simulated(), 0.0
    running: list[tuple[float, str]] = []
    by_id = {block.id: block for block in case.design.blocks}
    while True:
        for block_id in startable(case, seen):
            seen.started[block_id] = now
            seen.inputs[block_id] = inputs_of(case, seen, block_id)
            heapq.heappush(running, (now + duration(case, by_id[block_id]), block_id))
        seen.peak = max(seen.peak, len(running))
        if not running:
            return seen
        now, ended = heapq.heappop(running)
        seen.statuses[ended] = "failed" if ended in case.failing else "completed"
        if ended in case.failing and by_id[ended].data.config.on_error == "fail":
            seen.failed_block = ended
            return seen


def startable(case: Case, seen: Simulated) -> list[str]:
    """Marks what has to be skipped, again and again until nothing changes, then tells what has to start now."""
    while True:
        fresh = [block.id for block in case.design.blocks if block.id not in seen.started | seen.statuses]
        ready = [block_id for block_id in fresh if all(c.source in seen.statuses for c in into(case, block_id))]
        dead = [
            block_id
            for block_id in ready
            if into(case, block_id) and all(carried(case, seen, c) is None for c in into(case, block_id))
        ]
        if not dead:
            return ready
        seen.statuses.update(dict.fromkeys(dead, "skipped"))


def into(case: Case, block_id: str) -> list[Connection]:
    return [connection for connection in case.design.connections if connection.target == block_id]


def carried(case: Case, seen: Simulated, connection: Connection) -> str | None:
    block = next(block for block in case.design.blocks if block.id == connection.source)
    status = seen.statuses[block.id]
    if status == "failed":
        return f"default of {block.id}" if block.data.config.on_error == "continue" else None
    if status == "skipped":
        return None
    if block.type == "routing":
        ran = case.chosen[block.id]
        return spoken(ran) if connection.source_agent in (None, ran) else None
    return spoken(connection.source_agent or block.agents[-1].name)


def inputs_of(case: Case, seen: Simulated, block_id: str) -> list[tuple[str, str]]:
    """What the block's first agent is told: what comes for all of its agents, then what comes for it alone."""
    if not into(case, block_id):
        return [("Input", '{\n  "x": 1\n}')]
    first = f"{block_id}-a"
    ordered = [c for c in into(case, block_id) if c.target_agent is None]
    ordered += [c for c in into(case, block_id) if c.target_agent == first]
    values = [(c, carried(case, seen, c)) for c in ordered]
    return [(f"{c.source} / {c.source_agent}" if c.source_agent else c.source, value) for c, value in values if value]


def duration(case: Case, block: Block) -> float:
    """All of a block's calls stand one after another; a failing block fails at its last one."""
    if block.type == "routing":
        return case.seconds[block.id, block.agents[0].id] + case.seconds[block.id, case.chosen[block.id]]
    return sum(case.seconds[block.id, agent.id] for agent in block.agents)


def spoken(agent: str) -> str:
    return f"{agent} speaks"


# The engine


async def execute(case: Case) -> tuple[ExecutionResult, InMemoryJournal, ScriptedCaller]:
    last_callers = {block.id: case.chosen.get(block.id, block.agents[-1].name) for block in case.design.blocks}

    async def hold(call: AgentCall) -> None:
        await asyncio.sleep(case.seconds[call.block_id, call.agent.id])

    def answer(call: AgentCall) -> Any:
        if call.block_id in case.failing and call.agent.name == last_callers[call.block_id]:
            return ProviderFailed("No.", code="provider_error", block_id=call.block_id, agent=call.agent.name)
        if call.agent.role == "manager":
            route = {"specialist": case.chosen[call.block_id], "confidence": 1.0, "reason": "As scripted."}
            return {"routes": [route]}
        return spoken(call.agent.name)

    caller, journal = ScriptedCaller({}, default=answer, hold=hold), InMemoryJournal()
    executor = DeploymentExecutor(orchestrator=caller, journal=journal, clock=LoopClock())
    return await executor.execute_design(case.design, {"x": 1}), journal, caller


async def execute_and_compare(case: Case, seed: int) -> None:
    began = LoopClock().now()
    expected = simulate(case)
    result, journal, caller = await execute(case)
    events = [entry.event for entry in journal.events]
    started = [event for event in events if event.type == "block.started"]
    times = {str(event.block_id): (event.at - began).total_seconds() for event in started}
    assert times == pytest.approx(expected.started, abs=1e-3), seed
    assert max(Counter(event.block_id for event in started).values(), default=1) == 1, seed
    assert {block_id: block.status for block_id, block in result.blocks.items()} == expected.statuses, seed
    assert caller.peak == expected.peak, seed
    assert caller.running == 0, seed
    failure = result.failure
    assert (failure.block_id if failure else None) == expected.failed_block, seed
    ended = Counter(
        event.block_id for event in events if event.type in ("block.completed", "block.failed", "block.skipped")
    )
    assert ended == Counter(expected.statuses.keys()), seed
    for block in case.design.blocks:
        if block.id in expected.started:
            assert told(caller, block) == expected.inputs[block.id], seed


def told(caller: ScriptedCaller, block: Block) -> list[tuple[str, str]]:
    """The headings and texts in the prompt of the block's first agent."""
    prompt = next(call.prompt for call in caller.calls if call.block_id == block.id)
    return re.findall(r"^## (.+)\n((?:.|\n(?!\n))+)", prompt, flags=re.MULTILINE)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_designs_run_as_the_simulation_says(batch: int) -> None:
    async def run_batch() -> None:
        for number in range(DESIGNS_IN_A_BATCH):
            seed = batch * DESIGNS_IN_A_BATCH + number
            await execute_and_compare(random_case(Random(seed)), seed)

    run_in_virtual_time(run_batch())


def test_the_random_designs_hold_everything_that_is_to_be_tried() -> None:
    seen: Counter[str] = Counter()
    for seed in range(300):
        case = random_case(Random(seed))
        simulated = simulate(case)
        seen.update(set(simulated.statuses.values()))
        seen["stopped"] += simulated.failed_block is not None
        seen["parallel"] += simulated.peak > 2
        seen["default delivered"] += any(
            value.startswith("default") for values in simulated.inputs.values() for _, value in values
        )
        seen["one agent's output"] += any(" / " in label for values in simulated.inputs.values() for label, _ in values)
    kinds = ["completed", "failed", "skipped", "stopped", "parallel", "default delivered", "one agent's output"]
    assert all(seen[kind] >= 20 for kind in kinds), seen


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_cycles_are_refused_by_name(batch: int) -> None:
    refused = 0
    for number in range(DESIGNS_IN_A_BATCH):
        random = Random(batch * DESIGNS_IN_A_BATCH + number)
        design = random_case(random).design
        forward = [connection for connection in design.connections if connection.source != connection.target]
        if not forward:
            continue
        back = random.choice(forward)
        closing = make_connection(back.target, back.source, id="closing")
        cyclic = design.model_copy(update={"connections": (*design.connections, closing)})
        caller = ScriptedCaller({})
        executor = DeploymentExecutor(orchestrator=caller, journal=InMemoryJournal(), clock=LoopClock())
        with pytest.raises(InvalidDesign) as error:
            asyncio.run(executor.execute_design(cyclic, {}))
        [problem] = error.value.problems
        names = problem.message.partition(": ")[2].rstrip(".").split(" → ")
        assert problem.code == "cycle"
        assert names[0] == names[-1]
        assert len(names) == len(set(names)) + 1
        pairs = {(connection.source, connection.target) for connection in cyclic.connections}
        assert pairs.issuperset(pairwise(names))
        assert (back.target, back.source) in pairwise(names)
        assert caller.calls == []
        refused += 1
    assert refused > DESIGNS_IN_A_BATCH // 2
