"""Parallel: all branches get the same input, in isolation, at once; a join says how many have to succeed.

Branches: all agents, but for `aggregate: synthesize`, where the first agent of role manager or moderator is not a
branch but writes the result.

The join: its winners are the first successful branches in the journal's order. Once it is recorded, a resumed run uses
exactly those branches and calls nobody else. When too few branches succeed, the block fails and names them, unless a
ceiling kept enough of them from being called: then what there is, is the result.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from executor.calls import Step
from executor.errors import AgentCallFailed, BlockFailed, CeilingReached, Problem
from executor.json_types import Json, JsonObject
from executor.patterns.contract import BlockOutcome, BlockRun, BranchStatus, Pattern, first_with_role
from executor.prompts import Delivery
from executor.spec import MAX_AGENTS, Agent, Block, BlockConfig, Name

BRANCH = "branch"


class ParallelConfig(BlockConfig):
    """How many branches have to succeed, and what is made of their outputs."""

    join: Literal["all", "any"] | Annotated[int, Field(strict=True, ge=1, le=MAX_AGENTS)] = Field(
        default="all",
        description="How many branches have to succeed: all, any (the first), or a number. The others are cancelled.",
    )
    branch_retries: int = Field(
        default=1,
        ge=0,
        le=5,
        description="How often a branch that failed is run again, by itself. A refusal that would come again is not.",
    )
    aggregate: Literal["collect", "synthesize", "vote"] = Field(
        default="collect",
        description="collect: the outputs by agent. synthesize: a manager or moderator writes the result."
        " vote: the most frequent value of vote_field.",
    )
    vote_field: Name = Field(
        default="", description="For vote: the property of every branch's output schema that is voted on."
    )


@dataclass(eq=False)
class Branch:
    """How far one branch has come. `status` is what the trace shows; None while it is undecided."""

    agent: Agent
    prompt: str
    attempts: int = 0
    step: Step | None = None
    status: BranchStatus | None = None
    message: str | None = None
    ceiling: CeilingReached | None = None

    def report(self) -> JsonObject:
        return {"agent": self.agent.name, "status": self.status or "skipped", "message": self.message}


@dataclass(frozen=True)
class Joined:
    """The outcome of the join: the winners' steps in listed order, every branch's report, and what stopped it."""

    steps: tuple[Step, ...]
    reports: tuple[JsonObject, ...]
    stopped_reason: str = "done"


def check(block: Block, config: ParallelConfig) -> list[Problem]:
    branches, synthesizer = _roles(block.agents, config)
    problems = []
    if config.aggregate == "synthesize" and synthesizer is None:
        problems.append(
            Problem(
                "/data/agents",
                "missing_synthesizer",
                "To synthesize, a parallel block needs an agent of role manager or moderator beside its branches.",
            )
        )
    if not branches:
        problems.append(Problem("/data/agents", "too_few_agents", "A parallel block needs at least one branch."))
    elif not isinstance(config.join, str) and config.join > len(branches):
        problems.append(
            Problem(
                "/data/config/join",
                "too_few_agents",
                f"The join waits for {config.join} branches; this block has {len(branches)}.",
            )
        )
    return problems + (_check_vote(block, config) if config.aggregate == "vote" else [])


async def run(run: BlockRun[ParallelConfig]) -> BlockOutcome:
    agents, synthesizer = _roles(run.agents, run.config)
    joined = await _join(run, [Branch(agent, run.prompt(agent)) for agent in agents])
    if run.config.aggregate == "vote":
        return _vote(run, joined)
    if synthesizer is not None:
        return await _synthesize(run, synthesizer, joined)
    return _collect(joined)


def _roles(agents: Sequence[Agent], config: ParallelConfig) -> tuple[list[Agent], Agent | None]:
    """The branches, and the agent that synthesizes."""
    if config.aggregate != "synthesize":
        return list(agents), None
    synthesizer = first_with_role(agents, "manager", "moderator")
    return [agent for agent in agents if agent is not synthesizer], synthesizer


def _check_vote(block: Block, config: ParallelConfig) -> list[Problem]:
    if not config.vote_field:
        return [
            Problem("/data/config/vote_field", "missing_vote_field", "To vote, name the property that is voted on.")
        ]
    return [
        Problem(
            f"/data/agents/{index}/output_schema",
            "missing_vote_field",
            f"{agent.name!r} votes, so its output_schema needs the property {config.vote_field!r}.",
        )
        for index, agent in enumerate(block.agents)
        if not _has_property(agent.output_schema, config.vote_field)
    ]


def _has_property(schema: JsonObject | None, name: str) -> bool:
    properties = (schema or {}).get("properties")
    return isinstance(properties, dict) and name in properties


async def _join(run: BlockRun[ParallelConfig], branches: list[Branch]) -> Joined:
    if (recorded := run.recorded("join")) is not None:
        return await _recorded_join(run, branches, recorded)
    needed = _needed(run.config, len(branches))
    for branch in branches:
        await _work(run, branch, replay_only=True)
    if len(_succeeded(branches)) < needed:
        await _work_until(run, [branch for branch in branches if branch.status is None], branches, needed)
    winners = _succeeded(branches)[:needed]
    stopped_reason = "done" if len(winners) == needed else _reason_for_too_few(branches, needed)
    for branch in branches:
        if branch not in winners and branch.status in {None, "ok"}:
            branch.status, branch.message = "skipped", "The join was met without this branch."
    joined = _joined(branches, stopped_reason)
    run.record(
        "join",
        {"join": run.config.join, "branches": list(joined.reports), "stopped_reason": stopped_reason},
    )
    return joined


def _needed(config: ParallelConfig, branches: int) -> int:
    if config.join == "all":
        return branches
    return 1 if config.join == "any" else config.join


async def _recorded_join(run: BlockRun[ParallelConfig], branches: list[Branch], recorded: JsonObject) -> Joined:
    """Read the winners' outputs from the record; nobody else is called, and nobody new can win."""
    reports = cast(list[dict[str, Any]], recorded["branches"])
    for branch, report in zip(branches, reports, strict=True):
        if report["status"] == "ok":
            await _work(run, branch, replay_only=True)
        else:
            branch.status, branch.message = report["status"], report["message"]
    return _joined(branches, str(recorded["stopped_reason"]))


def _joined(branches: Sequence[Branch], stopped_reason: str) -> Joined:
    steps = tuple(branch.step for branch in branches if branch.step is not None and branch.status == "ok")
    return Joined(steps, tuple(branch.report() for branch in branches), stopped_reason)


def _succeeded(branches: Sequence[Branch]) -> list[Branch]:
    """The branches that are ok, in the order in which the journal recorded their results."""
    ok = [(branch.step.position, branch) for branch in branches if branch.step is not None]
    return [branch for _, branch in sorted(ok, key=lambda entry: entry[0])]


async def _work(run: BlockRun[ParallelConfig], branch: Branch, *, replay_only: bool = False) -> None:
    """Call the branch's agent until it succeeds or its tries are used up; a replay stops where the record ends."""
    while branch.status is None:
        number = branch.attempts
        if replay_only and not run.is_recorded(branch.agent, branch.prompt, phase=BRANCH, round=number):
            return
        branch.attempts += 1
        try:
            branch.step = await run.call(branch.agent, branch.prompt, phase=BRANCH, round=number)
            branch.status, branch.message = "ok", None
        except AgentCallFailed as failed:
            branch.message = str(failed)
            if branch.attempts > run.config.branch_retries or not failed.retryable:
                branch.status = "timeout" if failed.code == "timeout" else "error"
        except CeilingReached as ceiling:
            branch.ceiling, branch.message = ceiling, str(ceiling)
            branch.status = "timeout" if ceiling.reason == "timeout" else "skipped"


async def _work_until(
    run: BlockRun[ParallelConfig], pending: Sequence[Branch], branches: Sequence[Branch], needed: int
) -> None:
    """Let the pending branches work at once until enough of all have succeeded; then cancel the stragglers."""
    tasks = [asyncio.create_task(_work(run, branch)) for branch in pending]
    waiting = set(tasks)
    try:
        while waiting and (missing := needed - len(_succeeded(branches))) > 0:
            # Where all that work are needed, one more is no reason to look again; an exception always is.
            when = asyncio.FIRST_COMPLETED if missing < len(waiting) else asyncio.FIRST_EXCEPTION
            done, waiting = await asyncio.wait(waiting, return_when=when)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reason_for_too_few(branches: Sequence[Branch], needed: int) -> str:
    """The ceiling that kept the join from being met. Raises `BlockFailed` when failures alone would have, and the
    ceiling itself when no branch at all succeeded.
    """
    succeeded = len(_succeeded(branches))
    ceilings = [branch.ceiling for branch in branches if branch.ceiling is not None]
    if succeeded + len(ceilings) < needed:
        missing = [branch for branch in branches if branch.status != "ok"]
        named = "; ".join(f"{branch.agent.name!r}: {branch.status}, {branch.message}" for branch in missing)
        raise BlockFailed(
            f"{needed} of {len(branches)} branches had to succeed, {succeeded} did. {named}",
            agent=missing[0].agent.name,
        )
    if succeeded == 0:
        raise ceilings[0]
    return ceilings[0].reason


def _outcome(output: Json, joined: Joined, details: JsonObject | None = None) -> BlockOutcome:
    return BlockOutcome(
        output=output,
        agent_outputs={step.agent_id: step.output for step in joined.steps},
        stopped_reason=joined.stopped_reason,
        details={"branches": list(joined.reports), **(details or {})},
    )


def _collect(joined: Joined) -> BlockOutcome:
    return _outcome({step.agent: step.output for step in joined.steps}, joined)


async def _synthesize(run: BlockRun[ParallelConfig], synthesizer: Agent, joined: Joined) -> BlockOutcome:
    material = [Delivery(step.agent, step.output) for step in joined.steps]
    prompt = run.prompt(synthesizer, material=material, instruction=_synthesis_instruction(joined))
    try:
        step = await run.call(synthesizer, prompt, phase="synthesis")
    except CeilingReached as ceiling:
        return _collect(Joined(joined.steps, joined.reports, ceiling.reason))
    outcome = _outcome(step.output, joined)
    outcome.agent_outputs[synthesizer.id] = step.output
    return outcome


def _synthesis_instruction(joined: Joined) -> str:
    names = ", ".join(step.agent for step in joined.steps)
    lines = [
        f"Write one result for the task from the answers above, which were written independently by {names}.",
        "Any of them may be wrong: weigh them against each other, repeat no claim merely because one makes it,",
        "and say where they contradict each other.",
    ]
    missing = [f"- {report['agent']} ({report['status']})" for report in joined.reports if report["status"] != "ok"]
    if missing:
        lines += ["These answers are missing, so what they would have covered may be missing too:", *missing]
    return "\n".join(lines)


def _vote(run: BlockRun[ParallelConfig], joined: Joined) -> BlockOutcome:
    """The most frequent value. Among equally frequent ones, the value that the earliest listed agent voted for."""
    field = run.config.vote_field
    voters: dict[str, list[Json]] = {}
    values: dict[str, Json] = {}
    for step in joined.steps:
        if isinstance(step.output, dict) and field in step.output:
            key = _ballot(step.output[field])
            values.setdefault(key, step.output[field])
            voters.setdefault(key, []).append(step.agent)
    if not voters:
        raise BlockFailed(f"No branch's output has the property {field!r}, so there is nothing to count.")
    most = max(len(names) for names in voters.values())
    leading = [key for key, names in voters.items() if len(names) == most]
    vote: JsonObject = {
        "field": field,
        "value": values[leading[0]],
        "votes": [{"value": values[key], "agents": names} for key, names in voters.items()],
        "majority": 2 * most > sum(len(names) for names in voters.values()),
        "tie": len(leading) > 1,
        "tie_broken_by": voters[leading[0]][0] if len(leading) > 1 else None,
    }
    run.record("vote", vote)
    return _outcome(vote["value"], joined, {"vote": vote})


def _ballot(value: Json) -> str:
    """Equal values give equal ballots: 8 and 8.0 are one, true and 1 are not, the order of properties is nothing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


PATTERN = Pattern(config=ParallelConfig, check=check, run=run)
