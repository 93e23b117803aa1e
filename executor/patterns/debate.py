"""Debate: everyone answers alone, then revises in the light of the others; a moderator or a vote concludes.

What counts as one answer: two answers are the same when they are equal after `normalise`. Code, not the model, sees
who has changed: a debater has changed when its normalised answer differs from its last one, whatever it claims.

Who debates: the first agent of role moderator, else the first of role manager, moderates; all others debate. A
debater's own `output_schema` is not used here: a statement's `answer` is text. A debater whose statement fails or is
invalid keeps its position; one that has none after round 0 takes no further part.

How it ends: `agreement`, `unchanged`, `no_statement` (nobody made a valid one in the round), `max_rounds`,
`one_position` (only one debater ever had one), or a ceiling. With a moderator the output is its synthesis (in its own
`output_schema`, if it has one); without, or when a ceiling forbids that call, the answer that won the vote.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from executor.errors import AgentCallFailed, BlockFailed, CeilingReached, Problem
from executor.json_types import Json, JsonObject
from executor.patterns.concurrency import run_at_once
from executor.patterns.contract import BlockOutcome, BlockRun, Pattern, first_with_role
from executor.prompts import Delivery
from executor.spec import Agent, Block, BlockConfig

OPENING = "Answer on your own. Others answer the same question; you will see their positions afterwards."
REVISION = (
    "Weigh the other positions, which may be wrong, and state your position again. Change your answer only if an"
    " argument convinces you, and say which; otherwise repeat it word for word."
)
SYNTHESIS = (
    "You moderate this debate and take no side of your own. Write its result from the final positions above, which"
    " may be wrong. List the dissent: each position that the result does not adopt, with its reason."
)
#: Quotes, brackets and emphasis around an answer, and marks that end a sentence, say nothing about which answer it is.
AROUND_ANSWER = " \t\r\n\"'`*“”‘’«»()[]{}"  # noqa: RUF001 - models write typographic quotes
ENDING_ANSWER = AROUND_ANSWER + ".,;:!?…"


class DebateConfig(BlockConfig):
    """How long the debaters may go on, and when they agree."""

    rounds: int = Field(
        default=2, ge=0, le=10, description="Rounds of revision after the independent answers. 0: none."
    )
    agreement: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Stop early when this fraction of the positions is the same answer. 1: all of them.",
    )


class Position(BaseModel):
    """Your position in this debate."""

    model_config = ConfigDict(extra="forbid")

    answer: Annotated[str, Field(min_length=1)] = Field(
        description="Your answer alone, as short as the task allows. Equal answers are counted as agreement."
    )
    confidence: Annotated[float, Field(ge=0, le=1)] = Field(
        description="How sure you are: 0 is a guess, 1 is certainty."
    )
    rationale: str = Field(description="Why, in a few sentences.")


class Revision(Position):
    """Your position in this debate, after you have read the others."""

    changed: bool = Field(description="Whether your answer differs from your last one.")


@dataclass
class Debate:
    """The state of one debate: the latest positions in listed order of the debaters, and all that was said."""

    debaters: Sequence[Agent]
    positions: dict[str, Position] = field(default_factory=dict)
    transcript: list[Json] = field(default_factory=list)
    failures: list[AgentCallFailed] = field(default_factory=list)
    ceiling: CeilingReached | None = None

    @property
    def taking_part(self) -> list[Agent]:
        return [agent for agent in self.debaters if agent.id in self.positions]


def check(block: Block, config: DebateConfig) -> list[Problem]:
    debaters, _ = _cast(block.agents)
    if len(debaters) >= 2:
        return []
    return [
        Problem(
            "/data/agents",
            "too_few_agents",
            "A debate needs at least two debaters, besides the moderator if it has one.",
        )
    ]


async def run(run: BlockRun[DebateConfig]) -> BlockOutcome:
    debaters, moderator = _cast(run.agents)
    debate = Debate(debaters)
    stopped_reason = await _hold(run, debate)
    if not debate.positions:
        raise _nothing_stated(debate)
    return await _conclude(run, debate, moderator, stopped_reason)


def normalise(answer: str) -> str:
    """An answer without what does not make it another one: case, spacing, quotes, emphasis, an ending mark."""
    folded = " ".join(answer.casefold().split())
    return folded.lstrip(AROUND_ANSWER).rstrip(ENDING_ANSWER) or folded


def _cast(agents: Sequence[Agent]) -> tuple[list[Agent], Agent | None]:
    moderator = first_with_role(agents, "moderator") or first_with_role(agents, "manager")
    return [agent for agent in agents if agent is not moderator], moderator


async def _hold(run: BlockRun[DebateConfig], debate: Debate) -> str:
    """All rounds. Returns why they ended."""
    for number in range(run.config.rounds + 1):
        before = {agent_id: normalise(position.answer) for agent_id, position in debate.positions.items()}
        stated = await _hold_round(run, debate, number)
        if debate.ceiling is not None:
            return debate.ceiling.reason
        if len(debate.positions) < 2:
            return "one_position"
        reason = _reason_to_stop(run.config, debate, before, stated)
        run.record(f"round/{number}", {"agreement": _agreement(debate), "stopped_reason": reason})
        if reason is not None:
            return reason
    return "max_rounds"


async def _hold_round(run: BlockRun[DebateConfig], debate: Debate, number: int) -> int:
    """Everyone speaks at once, each having seen what was said before this round. Returns how many did."""
    speakers = debate.taking_part if number else debate.debaters
    results = await run_at_once([_state(run, debate, agent, number) for agent in speakers])
    stated = 0
    for agent, result in zip(speakers, results, strict=True):
        if isinstance(result, Position):
            stated += 1
            _take(debate, agent, number, result)
        elif isinstance(result, CeilingReached):
            debate.ceiling = debate.ceiling or result
        else:
            _keep(run, debate, agent, number, result)
    return stated


async def _state(
    run: BlockRun[DebateConfig], debate: Debate, agent: Agent, number: int
) -> Position | AgentCallFailed | CeilingReached | None:
    """One statement, None when it is invalid; a failure is a result, so that the others are heard."""
    wanted, instruction = (Revision, REVISION) if number else (Position, OPENING)
    prompt = run.prompt(agent, material=_seen_by(debate, agent), instruction=instruction)
    try:
        return await run.decide(agent, prompt, wanted, phase="statement", round=number)
    except (AgentCallFailed, CeilingReached) as failed:
        return failed


def _seen_by(debate: Debate, agent: Agent) -> list[Delivery]:
    own = debate.positions.get(agent.id)
    if own is None:
        return []
    others = [other for other in debate.taking_part if other is not agent]
    return [
        Delivery("Your last position", _shown(own)),
        *(Delivery(_label(debate, other), _shown(debate.positions[other.id])) for other in others),
    ]


def _take(debate: Debate, agent: Agent, number: int, stated: Position) -> None:
    last = debate.positions.get(agent.id)
    changed = last is not None and normalise(last.answer) != normalise(stated.answer)
    entry: JsonObject = {"round": number, "agent": agent.name, "label": _label(debate, agent), **_shown(stated)}
    debate.transcript.append({**entry, "changed": changed})
    debate.positions[agent.id] = stated


def _keep(
    run: BlockRun[DebateConfig], debate: Debate, agent: Agent, number: int, failed: AgentCallFailed | None
) -> None:
    error = "The statement was invalid after every repair." if failed is None else str(failed)
    kept = agent.id in debate.positions
    run.record(f"kept/{number}/{agent.id}", {"agent": agent.name, "position_kept": kept, "error": error})
    debate.transcript.append(
        {"round": number, "agent": agent.name, "label": _label(debate, agent), "position_kept": kept, "error": error}
    )
    if failed is not None:
        debate.failures.append(failed)


def _reason_to_stop(config: DebateConfig, debate: Debate, before: dict[str, str], stated: int) -> str | None:
    if _agreement(debate) >= config.agreement:
        return "agreement"
    if not stated:
        return "no_statement"
    now = {agent_id: normalise(position.answer) for agent_id, position in debate.positions.items()}
    return "unchanged" if now == before else None


async def _conclude(
    run: BlockRun[DebateConfig], debate: Debate, moderator: Agent | None, stopped_reason: str
) -> BlockOutcome:
    answer, details = _vote(debate)
    outputs: dict[str, Json] = {agent.id: _shown(debate.positions[agent.id]) for agent in debate.taking_part}
    if moderator is None or debate.ceiling is not None:
        run.record("vote", {"answer": answer, **details})
        return BlockOutcome(answer, outputs, stopped_reason, {**details, "transcript": debate.transcript})
    positions = [Delivery(_label(debate, agent), _shown(debate.positions[agent.id])) for agent in debate.taking_part]
    prompt = run.prompt(moderator, material=positions, instruction=SYNTHESIS)
    try:
        step = await run.call(moderator, prompt, phase="synthesis")
    except CeilingReached as ceiling:
        debate.ceiling = ceiling
        return await _conclude(run, debate, None, ceiling.reason)
    outputs[moderator.id] = step.output
    return BlockOutcome(step.output, outputs, stopped_reason, {**details, "transcript": debate.transcript})


def _groups(debate: Debate) -> list[list[Agent]]:
    """The debaters by answer, the group with the earliest debater first."""
    groups: dict[str, list[Agent]] = {}
    for agent in debate.taking_part:
        groups.setdefault(normalise(debate.positions[agent.id].answer), []).append(agent)
    return list(groups.values())


def _agreement(debate: Debate) -> float:
    """The fraction of the positions held that are the most frequent answer."""
    return max(len(group) for group in _groups(debate)) / len(debate.positions)


def _vote(debate: Debate) -> tuple[str, JsonObject]:
    """The majority's answer in the words of its most confident debater, and the count.

    Ties go to the greater sum of confidences, then to the earlier debater.
    """
    groups = _groups(debate)
    ranked = sorted(groups, key=lambda group: (-len(group), -_confidence(debate, group)))
    chosen = ranked[0]
    spokesman = max(chosen, key=lambda agent: debate.positions[agent.id].confidence)
    votes: list[Json] = [_counted(debate, group) for group in ranked]
    details: JsonObject = {
        "votes": votes,
        "tie": len(ranked) > 1 and len(ranked[1]) == len(chosen),
        "agreement": _agreement(debate),
        "dissent": [vote for group in ranked[1:] for vote in _dissent(debate, group)],
    }
    return debate.positions[spokesman.id].answer, details


def _confidence(debate: Debate, group: list[Agent]) -> float:
    return math.fsum(debate.positions[agent.id].confidence for agent in group)


def _counted(debate: Debate, group: list[Agent]) -> JsonObject:
    return {
        "answer": debate.positions[group[0].id].answer,
        "agents": [agent.name for agent in group],
        "confidence": _confidence(debate, group),
    }


def _dissent(debate: Debate, group: list[Agent]) -> list[Json]:
    return [{"agent": agent.name, **_shown(debate.positions[agent.id])} for agent in group]


def _shown(position: Position) -> JsonObject:
    return {"answer": position.answer, "confidence": position.confidence, "rationale": position.rationale}


def _label(debate: Debate, agent: Agent) -> str:
    """`Position A` and so on by the order of the debaters, the same for every reader and in every round."""
    index = next(index for index, other in enumerate(debate.debaters) if other is agent)
    letter = ascii_uppercase[index % 26]
    return f"Position {letter * (index // 26 + 1)}"


def _nothing_stated(debate: Debate) -> Exception:
    if debate.ceiling is not None:
        return debate.ceiling
    if debate.failures:
        first = debate.failures[0]
        return BlockFailed(f"No debater stated a position. The first: {first}", code=first.code, agent=first.agent)
    return BlockFailed(
        "No debater's statement was valid, not even after the repairs.",
        code="invalid_output",
        agent=debate.debaters[0].name,
    )


PATTERN = Pattern(config=DebateConfig, check=check, run=run)
