"""Random designs over all patterns, random failures and cuts: a re-run is a fresh run without what it reuses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from executor.errors import CannotRerun
from executor.events import RecordedEvent
from executor.json_types import JsonObject
from executor.reuse import Reuse, select_reuse
from executor.spec import Agent, Block, Connection, Design
from executor.tests.builders import make_block, make_connection, make_design
from executor.tests.reruns import Execution, agent, taken_over

SEEDS, IN_A_BATCH = 400, 40
SCHEMA = {"type": "object", "properties": {"grade": {"enum": ["a", "b", "c"]}}, "required": ["grade"]}


@dataclass(frozen=True)
class Case:
    """An execution that ended somehow, and from where it is run again."""

    parent: Execution
    recorded: Sequence[RecordedEvent]
    start_from: str
    reuse: Reuse
    cut: float


def random_design(random: Random) -> Design:
    ids = [f"b{number}" for number in range(random.randint(1, 8))]
    blocks: list[Block] = []
    connections: list[Connection] = []
    for number, block_id in enumerate(ids):
        sources = [source for source in blocks if random.random() < 0.4]
        blocks.append(random_block(random, block_id, [source.id for source in sources]))
        connections += [random_connection(random, source, blocks[number]) for source in sources]
    random.shuffle(blocks)
    random.shuffle(connections)
    return make_design(blocks, connections)


def random_block(random: Random, block_id: str, before: list[str]) -> Block:
    pattern = random.choice(["sequential", "parallel", "routing", "debate", "reflection", "hierarchical"])
    names = [f"{block_id}-{letter}" for letter in "abcd"[: random.randint(2, 4)]]
    config: dict[str, Any] = {
        "on_error": random.choice(["fail", "fail", "continue", "skip"]),
        "default_output": f"default of {block_id}",
    }
    agents = [agent(name) for name in names]
    match pattern:
        case "parallel" if random.random() < 0.3:
            agents[0] = agent(names[0], "moderator")
            config["aggregate"] = "synthesize"
        case "parallel" if random.random() < 0.3:
            agents = [agent(name, output_schema=SCHEMA) for name in names]
            config |= {"aggregate": "vote", "vote_field": "grade"}
        case "routing":
            config |= {"default": names[1], "top_k": random.randint(1, len(names) - 1)}
        case "debate" if random.random() < 0.5 and len(names) > 2:
            agents[0] = agent(names[0], "moderator")
        case "reflection":
            agents = [agents[0], *(agent(name, "reflector") for name in names[1:3])]
        case "hierarchical":
            config |= {"max_rounds": 2, "max_retries": 1}
        case _:
            pass
    named = [f"{{{{blocks.{source}.output}}}}" for source in before if random.random() < 0.5]
    task = " ".join(["Work.", *named, *(["{{input.q}}"] if random.random() < 0.2 else [])])
    return make_block(block_id, pattern, agents=agents, config=config, task=task)


def random_connection(random: Random, source: Block, target: Block) -> Connection:
    def pick(agents: Sequence[Agent]) -> str:
        return random.choice(agents).id

    return make_connection(
        source.id,
        target.id,
        source_agent=pick(source.agents) if random.random() < 0.4 else None,
        target_agent=pick(target.agents) if random.random() < 0.15 else None,
    )


def random_case(seed: int) -> Case:
    """A run with random failures, which may have been cancelled, and may be a re-run itself."""
    random = Random(seed)
    design, share = random_design(random), random.choice([0.0, 0.05, 0.1, 0.25])

    def fails(key: str) -> bool:
        often = 4 if "/branch/0/" in key else 1  # so that branches are retried
        return int(sha256(f"{seed} {key}".encode()).hexdigest(), 16) % 1000 < often * share * 1000

    parent = Execution(design, failing=fails)
    recorded = cut_off(random, parent.events) if random.random() < 0.4 else parent.events
    if random.random() < 0.3:
        between = parent.again("failed", events=recorded, failing=fails) if can_rerun(design, recorded) else parent
        recorded = cut_off(random, between.events) if random.random() < 0.5 else between.events
    choices = ["start", *["failed"] * 6, *(block.id for block in design.blocks)]
    random.shuffle(choices)
    for start_from in choices:
        try:
            reuse = select_reuse(design, recorded, start_from)
        except CannotRerun:
            continue
        return Case(parent, recorded, start_from, reuse, random.random())
    raise AssertionError("From the start it can always be run again.")


def can_rerun(design: Design, recorded: Sequence[RecordedEvent]) -> bool:
    try:
        select_reuse(design, recorded, "failed")
    except CannotRerun:
        return False
    return True


def cut_off(random: Random, events: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
    return events[: random.choice([random.randint(1, len(events)), len(events) - 1])]


def prompts(execution: Execution, blocks: frozenset[str]) -> dict[str | None, Any]:
    """The prompts and answers of every checkpoint of these blocks."""
    events = [entry.event for entry in execution.events if entry.event.type in ("agent.completed", "agent.failed")]
    return {
        event.key: (event.payload["prompt"], event.payload["output"]) for event in events if event.block_id in blocks
    }


def check(case: Case, seed: int) -> None:
    design, reuse = case.parent.design, case.reuse
    assert reuse.blocks | reuse.run_again == {block.id for block in design.blocks}, seed
    assert not reuse.blocks & reuse.run_again, seed
    rerun = case.parent.again(case.start_from, events=case.recorded)
    reused = set(rerun.keys("agent.completed", "agent.failed", reused=True))
    assert len(rerun.requests) == len(set(rerun.requests)), seed
    assert not reused & set(rerun.requests), seed
    assert not {key.split("/")[0] for key in rerun.requests} & reuse.blocks, seed
    # A failure comes along where it is a part of what is reused; the fresh run has it, too, and no other.
    fresh = Execution(design, failing=set(rerun.keys("agent.failed", reused=True)))
    assert rerun.outputs() == fresh.outputs(), seed
    assert prompts(rerun, reuse.run_again) == prompts(fresh, reuse.run_again), seed
    assert reused | set(rerun.requests) == set(fresh.requests), seed
    check_charges(case, rerun, seed)
    check_resumes(case, rerun, seed)


def check_charges(case: Case, rerun: Execution, seed: int) -> None:
    assert rerun.result is not None
    used = rerun.result.usage
    assert (used.calls, rerun.budget.used.calls) == (len(rerun.requests), len(rerun.requests)), seed
    of_blocks = [event.event for event in rerun.events if event.event.type == "block.completed"]
    counts: list[Any] = [event.payload["usage"] for event in of_blocks if not event.is_reused]
    failed = set(rerun.keys("agent.failed", reused=False))
    assert sum(usage["calls"] for usage in counts) <= used.calls, seed
    if not failed:
        blocks = {event.block_id for event in of_blocks if not event.is_reused}
        asked = [key for key in rerun.requests if key.split("/")[0] in blocks]
        assert sum(usage["calls"] for usage in counts) == len(asked), seed
    if case.start_from == "start":
        assert case.reuse.usage.calls == 0, seed


def check_resumes(case: Case, rerun: Execution, seed: int) -> None:
    """The re-run's worker is killed somewhere: what was recorded by then is not asked again, the end is the same."""
    accepted = len(taken_over(case.reuse, case.recorded))
    length = accepted + round(case.cut * (len(rerun.events) - 1 - accepted))
    prefix = rerun.events[:length]
    resumed = Execution(case.parent.design, recorded=prefix)
    ended = {entry.event.key for entry in prefix if entry.event.type in ("agent.completed", "agent.failed")}
    assert resumed.outputs() == rerun.outputs(), seed
    assert not ended & set(resumed.requests), seed
    assert "prompt_changed" not in {entry.event.payload.get("code") for entry in resumed.events[length:]}, seed


@pytest.mark.parametrize("batch", range(SEEDS // IN_A_BATCH))
def test_a_rerun_is_a_fresh_run_without_what_it_reuses(batch: int) -> None:
    for number in range(IN_A_BATCH):
        seed = batch * IN_A_BATCH + number
        check(random_case(seed), seed)


@pytest.mark.parametrize("batch", range(4))
def test_with_another_input_what_runs_again_comes_out_as_if_no_answer_had_come_along(batch: int) -> None:
    """An answer that came along is used where the very same is asked, so it changes nothing but the bill."""
    for number in range(IN_A_BATCH):
        seed = batch * IN_A_BATCH + number
        case = random_case(seed)
        edited: JsonObject = {"q": "why not"}
        rerun = case.parent.again(case.start_from, events=case.recorded, input_data=edited)
        without = taken_over(replace(case.reuse, offered=frozenset()), case.recorded)
        history = set(rerun.keys("agent.failed", reused=True))
        plain = Execution(case.parent.design, input_data=edited, recorded=without, failing=history)
        assert rerun.outputs() == plain.outputs(), seed
        assert prompts(rerun, case.reuse.run_again) == prompts(plain, case.reuse.run_again), seed
        assert len(rerun.requests) <= len(plain.requests), seed


def test_the_random_cases_hold_everything_that_is_to_be_tried() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        seen.update(kinds_of(random_case(seed)))
    assert set(seen) == KINDS, KINDS - set(seen)
    assert min(seen.values()) >= 8, seen


KINDS = {
    "from start",
    "from failed",
    "from a block",
    "blocks reused",
    "everything reused",
    "answers used",
    "answers left lying",
    "failures that are history",
    "failed blocks reused",
    "skipped blocks reused",
    "repairs",
    "rerun of a rerun",
}


def kinds_of(case: Case) -> Iterator[str]:
    rerun = case.parent.again(case.start_from, events=case.recorded)
    reusable = set(rerun.keys("agent.reusable"))
    answered = reusable & set(rerun.keys("agent.completed", reused=True))
    failed = reusable & set(rerun.keys("agent.failed", reused=True))
    reused = {entry.event.type for entry in rerun.events if entry.event.is_reused}
    found = {
        f"from {case.start_from}": case.start_from in ("start", "failed"),
        "from a block": case.start_from.startswith("b"),
        "blocks reused": bool(case.reuse.blocks),
        "everything reused": not case.reuse.run_again,
        "answers used": bool(answered),
        "answers left lying": bool(reusable - answered - failed),
        "failures that are history": bool(failed),
        "failed blocks reused": "block.failed" in reused,
        "skipped blocks reused": "block.skipped" in reused,
        "repairs": any(entry.event.payload.get("repair") for entry in case.recorded),
        "rerun of a rerun": any(entry.event.is_reused for entry in case.recorded),
    }
    yield from (kind for kind, is_so in found.items() if is_so)
