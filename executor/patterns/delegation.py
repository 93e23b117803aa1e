"""Assignments of a hierarchical block: what a manager decides about them, and how each is carried out.

An assignment's life: its worker is called once what it depends on has ended; the manager judges the result; a retry or
another worker may follow, until it is accepted. A worker that fails is a result to be judged, too.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from executor.errors import AgentCallFailed, CeilingReached
from executor.json_types import Json, JsonObject
from executor.patterns.concurrency import run_at_once
from executor.patterns.contract import BlockRun, agent_named
from executor.prompts import Delivery, write_prompt
from executor.spec import Agent

MAX_ASSIGNMENTS = 50

JUDGING = (
    "You are the manager, and the assignment above is one that you gave. Judge whether its result does what the"
    " instruction asks. Do not do the work yourself."
)


class PlannedAssignment(BaseModel):
    """A piece of work for one worker."""

    model_config = ConfigDict(extra="forbid")

    worker: str = Field(description="Who does it.")
    instruction: str = Field(
        min_length=1,
        description="All that the worker needs to know: it sees nothing but this and the results it depends on.",
    )
    depends_on: list[int] = Field(
        max_length=MAX_ASSIGNMENTS,
        description="The numbers of the assignments whose results this worker needs: only ones that stand earlier in"
        " this plan or belong to earlier rounds. Numbering goes on through all rounds, in listed order, from the"
        " number that you are told. Assignments that do not depend on each other run at once.",
    )


class Plan(BaseModel):
    """What the manager decides at the start of a round."""

    model_config = ConfigDict(extra="forbid")

    plan: str = Field(description="How the task is to be solved, in a few sentences.")
    done: bool = Field(description="True when no further round is needed after this plan's assignments, if any.")
    assignments: Sequence[PlannedAssignment] = Field(
        max_length=MAX_ASSIGNMENTS, description="What is to be done now, and by whom."
    )
    reason: str = Field(description="Why this plan, or why the work is done.")


class Judgement(BaseModel):
    """What the manager decides about one result."""

    model_config = ConfigDict(extra="forbid")

    verdict: str = Field(
        description="accept: the result is used as it is. retry: the same worker does it again with your feedback."
        " reassign: another worker does it instead."
    )
    feedback: str = Field(description="For retry: what has to change. Otherwise empty.")
    worker: str | None = Field(description="For reassign: who does it instead. Otherwise null.")
    reason: str = Field(description="Why, in a sentence.")

    @model_validator(mode="after")
    def name_a_worker_to_reassign(self) -> "Judgement":
        if self.verdict == "reassign" and self.worker is None:
            raise ValueError("reassign needs the name of a worker")
        return self


@lru_cache(maxsize=256)
def plan_decision(workers: tuple[str, ...]) -> type[Plan]:
    """`Plan` with the workers' names as an enum."""
    names: Any = Literal.__getitem__(workers)
    worker = PlannedAssignment.model_fields["worker"]
    assignment = create_model("Assignment", __base__=PlannedAssignment, worker=(names, worker))
    assignments: Any = list[assignment]
    return create_model("Plan", __base__=Plan, assignments=(assignments, Plan.model_fields["assignments"]))


@lru_cache(maxsize=1024)
def judgement_decision(verdicts: tuple[str, ...], workers: tuple[str, ...]) -> type[Judgement]:
    """`Judgement` with the verdicts that are still possible, and the workers who could take over, as enums."""
    verdict: Any = Literal.__getitem__(verdicts)
    worker: Any = Optional.__getitem__(Literal.__getitem__(workers)) if workers else None
    fields = Judgement.model_fields
    return create_model(
        "Judgement", __base__=Judgement, verdict=(verdict, fields["verdict"]), worker=(worker, fields["worker"])
    )


@dataclass
class Assignment:
    """One assignment. `worker` has it now; `tried` had it, try by try. `output` is the latest that was delivered.

    Its end: `accepted`; `failed` (nothing was delivered); `skipped` (something it depends on delivered nothing);
    `stopped` (a ceiling; with an output it delivered one that was not judged).
    """

    number: int
    round: int
    worker: Agent
    instruction: str
    depends_on: tuple[int, ...] = ()
    status: Literal["open", "accepted", "failed", "skipped", "stopped"] = "open"
    tried: list[str] = field(default_factory=list)
    retries: int = 0
    delivered_by: Agent | None = None
    output: Json = None
    message: str | None = None
    ceiling: CeilingReached | None = None

    def report(self) -> JsonObject:
        return {
            "number": self.number,
            "round": self.round,
            "worker": self.worker.name,
            "instruction": self.instruction,
            "depends_on": list(self.depends_on),
            "status": self.status,
            "tried": list(self.tried),
            "message": self.message,
        }


@dataclass
class Delegation:
    """All assignments of a block's run, in order of their numbers (from 1), and what the workers delivered."""

    run: BlockRun[Any]
    manager: Agent
    workers: Sequence[Agent]
    max_retries: int
    assignments: list[Assignment] = field(default_factory=list)
    _delivered: dict[tuple[int, int], tuple[Agent, Json]] = field(default_factory=dict)

    @property
    def next_number(self) -> int:
        return len(self.assignments) + 1

    def add(self, round_number: int, worker: Agent, instruction: str, depends_on: Sequence[int] = ()) -> Assignment:
        assignment = Assignment(self.next_number, round_number, worker, instruction, tuple(depends_on))
        self.assignments.append(assignment)
        return assignment

    def with_output(self) -> list[Assignment]:
        return [assignment for assignment in self.assignments if assignment.delivered_by is not None]

    def latest_outputs(self) -> list[tuple[Agent, Json]]:
        """What each worker that delivered anything delivered last: by assignment, then by try, never by the clock."""
        latest = {
            agent.name: output for _, (agent, output) in sorted(self._delivered.items(), key=lambda item: item[0])
        }
        return [(agent, latest[agent.name]) for agent in self.workers if agent.name in latest]

    def idle(self, names: Sequence[str]) -> list[Agent]:
        """The workers among these that have delivered nothing."""
        worked = {agent.name for agent, _ in self._delivered.values()}
        return [agent for agent in self.workers if agent.name in names and agent.name not in worked]

    async def carry_out(self, assignments: Sequence[Assignment]) -> None:
        """Run these, each as soon as what it depends on has ended. Raises `CeilingReached` once all have ended."""
        ended = {assignment.number: asyncio.Event() for assignment in assignments}
        await run_at_once(self._carry_out(assignment, ended) for assignment in assignments)
        for assignment in assignments:
            if assignment.ceiling is not None:
                raise assignment.ceiling

    async def _carry_out(self, assignment: Assignment, ended: dict[int, asyncio.Event]) -> None:
        for number in assignment.depends_on:
            if number in ended:
                await ended[number].wait()
        missing = [number for number in assignment.depends_on if self._numbered(number).delivered_by is None]
        if missing:
            assignment.status = "skipped"
            assignment.message = f"Assignment {missing[0]}, on which it depends, has no result."
        else:
            await self._work(assignment)
        ended[assignment.number].set()

    async def _work(self, assignment: Assignment) -> None:
        feedback = ""
        try:
            while True:
                await self._ask_worker(assignment, feedback)
                judgement = await self._judge(assignment)
                if judgement is None or judgement.verdict == "accept":
                    break
                feedback = _take(assignment, judgement, self.workers)
        except CeilingReached as ceiling:
            assignment.ceiling, assignment.status, assignment.message = ceiling, "stopped", str(ceiling)
            return
        assignment.status = "failed" if assignment.delivered_by is None else "accepted"

    async def _ask_worker(self, assignment: Assignment, feedback: str) -> None:
        worker, attempt = assignment.worker, len(assignment.tried)
        prompt = self._worker_prompt(assignment, feedback)
        assignment.tried.append(worker.name)
        try:
            step = await self.run.call(
                worker, prompt, phase=f"work-{assignment.number}-{attempt}", round=assignment.round
            )
        except AgentCallFailed as failed:
            assignment.message = str(failed)
            return
        assignment.output, assignment.delivered_by, assignment.message = step.output, worker, None
        self._delivered[assignment.number, attempt] = (worker, step.output)

    def _worker_prompt(self, assignment: Assignment, feedback: str) -> str:
        """The instruction, what a connection brings to this agent alone, and the results it depends on: no more."""
        worker = assignment.worker
        deliveries = list(self.run.input.for_agent.get(worker.id, ()))
        for number in assignment.depends_on:
            source = self._numbered(number)
            deliveries.append(Delivery(f"Result of assignment {number}", source.output))
        if feedback and assignment.delivered_by is worker:
            deliveries.append(Delivery("Your last result", assignment.output))
        if feedback:
            deliveries.append(Delivery("Feedback on it", feedback))
        return write_prompt(task=assignment.instruction, deliveries=deliveries)

    async def _judge(self, assignment: Assignment) -> Judgement | None:
        """The manager's judgement. None stands for accept: nothing else is possible any more, or it is invalid."""
        others = tuple(agent.name for agent in self.workers if agent.name not in assignment.tried)
        retry = ("retry",) if assignment.retries < self.max_retries else ()
        reassign = ("reassign",) if others else ()
        if not retry and not reassign:
            return None
        name = f"judge-{assignment.number}-{len(assignment.tried) - 1}"
        prompt = self._judging_prompt(assignment, others)
        decision = judgement_decision(("accept", *retry, *reassign), others)
        judgement = await self.run.decide(self.manager, prompt, decision, phase=name, round=assignment.round)
        made: JsonObject = {"verdict": "accept"} if judgement is None else judgement.model_dump(mode="json")
        about: JsonObject = {"assignment": assignment.number, "judged": assignment.worker.name}
        self.run.record(name, about | made | {"fallback": judgement is None})
        return judgement

    def _judging_prompt(self, assignment: Assignment, others: Sequence[str]) -> str:
        worker, about = assignment.worker.name, f"assignment {assignment.number}"
        material = [Delivery(f"Your {about}, for {worker}", assignment.instruction)]
        if assignment.delivered_by is not None:
            material.append(Delivery(f"Result of {about}, by {assignment.delivered_by.name}", assignment.output))
        if assignment.message is not None:
            material.append(Delivery(f"{worker} has failed", assignment.message))
        left = f"Retries left: {self.max_retries - assignment.retries}."
        take_over = f"Workers that could take it over: {', '.join(others) or 'none'}."
        return self.run.prompt(self.manager, material=material, instruction=f"{JUDGING}\n{left} {take_over}")

    def _numbered(self, number: int) -> Assignment:
        return self.assignments[number - 1]


def _take(assignment: Assignment, judgement: Judgement, workers: Sequence[Agent]) -> str:
    """Put a judgement that asks for more work into effect. Returns the feedback for the worker."""
    if judgement.verdict == "reassign" and judgement.worker is not None:
        assignment.worker = agent_named(workers, judgement.worker)
        return ""
    assignment.retries += 1
    return judgement.feedback.strip() or judgement.reason.strip() or "Do it again, better."
