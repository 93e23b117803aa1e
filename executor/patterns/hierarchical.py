"""Hierarchical: a manager plans and assigns in rounds, workers work, the manager judges and writes the result.

The manager is the first agent of role manager, else the first agent; all others are workers. It ends when the manager
says so (`done`), after `max_rounds` or `no_progress`, or at a ceiling. A round makes progress when it accepts an output
that none of the earlier ones had. At the first two ends, and when the manager insists on being done, code gives the
`must_consult` workers that have delivered nothing the block's task; then the manager writes the result. At a ceiling
the result is what each worker delivered last, by name.

The fallback of an invalid plan: every worker that has delivered nothing gets the block's task once, and with that the
work is done. The fallback of an invalid judgement: the result is accepted. An instruction written by code holds the
block's task and its input, since a worker sees nothing but its instruction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import Field

from executor.errors import BlockFailed, CeilingReached, Problem
from executor.json_types import Json, JsonObject
from executor.patterns.contract import BlockOutcome, BlockRun, Pattern, first_with_role
from executor.patterns.delegation import Assignment, Delegation, Plan, plan_decision
from executor.prompts import Delivery, as_text, write_prompt
from executor.spec import MAX_AGENTS, Agent, Block, BlockConfig, Name


class HierarchicalConfig(BlockConfig):
    """How long the manager may go on, and what it has to do before it may finish."""

    max_rounds: int = Field(default=5, ge=1, le=20, description="Rounds of planning, at most.")
    max_stalled_rounds: int = Field(
        default=3, ge=1, le=20, description="The work ends after so many rounds in a row without a new result."
    )
    max_retries: int = Field(
        default=2, ge=0, le=5, description="How often the manager may send one assignment back to its worker."
    )
    must_consult: tuple[Name, ...] = Field(
        default=(), max_length=MAX_AGENTS, description="Names of workers that have to work before the manager finishes."
    )


@dataclass
class Work:
    """Where the work of the block stands."""

    run: BlockRun[HierarchicalConfig]
    delegation: Delegation
    rounds: int = 0
    plans: list[Json] = field(default_factory=list)
    outputs: set[str] = field(default_factory=set)
    was_told: bool = False

    def missing(self) -> list[Agent]:
        """The workers that have to be consulted and have delivered nothing."""
        return self.delegation.idle(self.run.config.must_consult)

    def details(self) -> JsonObject:
        return {
            "rounds": self.rounds,
            "plans": list(self.plans),
            "assignments": [assignment.report() for assignment in self.delegation.assignments],
            "not_consulted": [agent.name for agent in self.missing()],
        }


def check(block: Block, config: HierarchicalConfig) -> list[Problem]:
    if len(block.agents) < 2:
        return [
            Problem("/data/agents", "too_few_agents", "A hierarchical block needs a manager and at least one worker.")
        ]
    manager, workers = _roles(block.agents)
    names = [agent.name for agent in workers]
    return [
        Problem(
            f"/data/config/must_consult/{index}",
            "unknown_agent",
            f"{name!r} is the manager itself."
            if name == manager.name
            else f"No worker of this block is named {name!r}.",
        )
        for index, name in enumerate(config.must_consult)
        if name not in names
    ]


async def run(run: BlockRun[HierarchicalConfig]) -> BlockOutcome:
    manager, workers = _roles(run.agents)
    work = Work(run, Delegation(run, manager, workers, run.config.max_retries))
    try:
        stopped_reason = await _work_in_rounds(work)
        _check_not_all_failed(work.delegation)
        output = await _synthesize(work, stopped_reason)
    except CeilingReached as ceiling:
        latest = work.delegation.latest_outputs()
        if not latest:
            raise
        return _outcome(work, {agent.name: result for agent, result in latest}, ceiling.reason)
    return _outcome(work, output, stopped_reason)


def _roles(agents: Sequence[Agent]) -> tuple[Agent, list[Agent]]:
    """The manager, and the workers."""
    manager = first_with_role(agents, "manager") or agents[0]
    return manager, [agent for agent in agents if agent is not manager]


async def _work_in_rounds(work: Work) -> str:
    """All rounds, and what `must_consult` demands after them. Returns why they ended."""
    stopped_reason = await _hold_rounds(work)
    if missing := work.missing():
        names: list[Json] = [agent.name for agent in missing]
        work.run.record(
            "must-consult", {"assigned": names, "reason": f"The work ended ({stopped_reason}) without them."}
        )
        await _assign_task_to(work, missing)
    return stopped_reason


async def _hold_rounds(work: Work) -> str:
    stalled = 0
    for number in range(1, work.run.config.max_rounds + 1):
        work.rounds = number
        plan = await _plan(work)
        if plan is None:
            await _assign_task_to(work, work.delegation.idle([agent.name for agent in work.delegation.workers]))
            return "done"
        assignments = _take(work, plan)
        await work.delegation.carry_out(assignments)
        if plan.done and _may_finish(work, assignments):
            return "done"
        stalled = 0 if _made_progress(work, assignments) else stalled + 1
        if stalled == work.run.config.max_stalled_rounds:
            return "no_progress"
    return "max_rounds"


def _may_finish(work: Work, assignments: Sequence[Assignment]) -> bool:
    """Whether the manager's `done` holds: not when an assignment of this plan has come to nothing, and not before
    every `must_consult` worker has worked, unless the manager was told so once and insists.
    """
    if any(assignment.status != "accepted" for assignment in assignments):
        return False
    if not work.missing() or work.was_told:
        return True
    work.was_told = True
    return False


def _made_progress(work: Work, assignments: Sequence[Assignment]) -> bool:
    """Whether an output was accepted that no earlier one equals; remembers those that were."""
    accepted = {as_text(assignment.output) for assignment in assignments if assignment.status == "accepted"}
    new = accepted - work.outputs
    work.outputs |= new
    return bool(new)


async def _plan(work: Work) -> Plan | None:
    """The manager's plan for this round, recorded. None when it is invalid: the fallback is recorded instead."""
    delegation, number = work.delegation, work.rounds
    prompt = work.run.prompt(
        delegation.manager, material=_results_so_far(delegation.assignments), instruction=_planning_instruction(work)
    )
    decision = plan_decision(tuple(agent.name for agent in delegation.workers))
    plan = await work.run.decide(delegation.manager, prompt, decision, phase="plan", round=number)
    if plan is not None and not _refers_to_earlier_ones(plan, delegation.next_number):
        plan = None
    made: JsonObject = {"round": number, "fallback": plan is None}
    made |= {"plan": None} if plan is None else plan.model_dump(mode="json")
    work.plans.append(made)
    work.run.record(f"plan-{number}", made)
    return plan


def _refers_to_earlier_ones(plan: Plan, first_number: int) -> bool:
    """Whether every dependency has a lower number than what depends on it: so there is no cycle and none is unknown."""
    return all(
        1 <= needed < number
        for number, assignment in enumerate(plan.assignments, first_number)
        for needed in assignment.depends_on
    )


def _take(work: Work, plan: Plan) -> list[Assignment]:
    workers = {agent.name: agent for agent in work.delegation.workers}
    return [
        work.delegation.add(work.rounds, workers[planned.worker], planned.instruction, planned.depends_on)
        for planned in plan.assignments
    ]


async def _assign_task_to(work: Work, workers: Sequence[Agent]) -> None:
    """Code assigns these workers the block's task."""
    instruction = write_prompt(task=work.run.task, deliveries=work.run.input.shared)
    await work.delegation.carry_out([work.delegation.add(work.rounds, agent, instruction) for agent in workers])


def _results_so_far(assignments: Sequence[Assignment]) -> list[Delivery]:
    return [
        Delivery(
            f"Assignment {assignment.number}, for {assignment.worker.name}: {assignment.status}",
            write_prompt(
                task=f"Instruction: {assignment.instruction}",
                deliveries=(),
                instruction=f"No result: {assignment.message}"
                if assignment.delivered_by is None
                else f"Result: {as_text(assignment.output)}",
            ),
        )
        for assignment in assignments
    ]


def _planning_instruction(work: Work) -> str:
    config, delegation = work.run.config, work.delegation
    lines = [
        "You are the manager. Plan the work and give it to your workers; do none of it yourself.",
        "A worker sees only its instruction and the results that its assignment depends on, so put all it needs to",
        "know into the instruction. At the end you will write the result from theirs.",
        f"This is round {work.rounds} of {config.max_rounds}. In the numbering of assignments, the first one of this",
        f"plan is number {delegation.next_number}, the next one {delegation.next_number + 1}, and so on.",
        "Your workers:",
        *(_about(agent) for agent in delegation.workers),
    ]
    if missing := ", ".join(agent.name for agent in work.missing()):
        lines.append(f"Before you may finish, these have to have worked: {missing}.")
        if work.was_told:
            lines.append("You said that the work is done, but it is not before they have. Assign them their part now.")
    return "\n".join(lines)


def _about(agent: Agent) -> str:
    about = " ".join(agent.system_prompt.split())[:300]
    return f"- {agent.name}: {about}" if about else f"- {agent.name}"


def _check_not_all_failed(delegation: Delegation) -> None:
    if not delegation.assignments or delegation.with_output():
        return
    failures = "; ".join(f"{assignment.worker.name!r}: {assignment.message}" for assignment in delegation.assignments)
    first = delegation.assignments[0].worker.name
    raise BlockFailed(f"Every worker has failed, so there is no result. {failures}", agent=first)


async def _synthesize(work: Work, stopped_reason: str) -> Json:
    delegation = work.delegation
    lines = ["You are the manager. Write the result of the task from the results of your workers, which may be wrong."]
    if stopped_reason != "done":
        lines.append(f"The work was ended before you said that it is done ({stopped_reason}).")
    if any(assignment.delivered_by is None for assignment in delegation.assignments):
        lines.append("Some assignments have no result. Say what is missing for that reason.")
    prompt = work.run.prompt(
        delegation.manager, material=_results_so_far(delegation.assignments), instruction="\n".join(lines)
    )
    return (await work.run.call(delegation.manager, prompt, phase="synthesis", round=work.rounds)).output


def _outcome(work: Work, output: Json, stopped_reason: str) -> BlockOutcome:
    """The manager's own output is the block's, whoever had to put it together."""
    outputs = {agent.id: result for agent, result in work.delegation.latest_outputs()}
    outputs[work.delegation.manager.id] = output
    return BlockOutcome(output, outputs, stopped_reason, work.details())


PATTERN = Pattern(config=HierarchicalConfig, check=check, run=run)
