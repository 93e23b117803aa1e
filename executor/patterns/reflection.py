"""Reflection: a draft is written, scored and written again, until code finds that it passes.

The generator is the first agent that is not a reflector. A draft's score is the mean of all criterion scores that its
reflectors gave; the best-scoring draft is the result, of equals the earlier. It passes when every reflector has
scored it and every criterion is at or above `threshold`. With `criteria` configured, one that a reflector leaves out
counts as 0; one scored twice counts as the lower. A reflector whose answer is invalid gives no score that iteration.
A reflector's own `output_schema` is not used here.

How it ends: `passed`, `unchanged` (the generator repeated its draft), `no_gain` (twice in a row no better than the
best so far), `unscored` (no reflector gave a valid score), `max_rounds`, or a ceiling.

With no generator in the block, every delivery from upstream is a draft under review, reviewed once by each reflector
that it reaches, and the output is data:

    {"passed": bool, "drafts": {label: value},
     "suggestions": {label: {"passed", "score", "reviews": {reflector: {"criteria": [{name, score}], "feedback": []}}}}}

where `label` is the delivery's (the upstream block or agent). It ends `done`, `unscored` or with a ceiling.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from executor.errors import AgentCallFailed, BlockFailed, CeilingReached, Problem
from executor.json_types import Json, JsonObject
from executor.patterns.concurrency import run_at_once
from executor.patterns.contract import BlockOutcome, BlockRun, Pattern
from executor.prompts import Delivery, write_prompt
from executor.spec import Agent, Block, BlockConfig

CriterionName = Annotated[str, Field(min_length=1, max_length=200)]

REVISE = (
    "Write the draft again, the whole of it, and address each point of the feedback. If there is nothing left to"
    " improve, repeat your last draft word for word."
)
REVIEW = (
    "Judge the draft above against the task. Score each criterion from 0 (not met) to 1 (fully met), and say for each"
    " one that is not fully met what exactly to change."
)


class ReflectionConfig(BlockConfig):
    """How often a draft may be rewritten, and when it is good enough."""

    max_rounds: int = Field(default=3, ge=1, le=10, description="Drafts at most.")
    threshold: float = Field(
        default=0.8, gt=0, le=1, description="A draft passes when every criterion's score is at least this."
    )
    criteria: tuple[CriterionName, ...] = Field(
        default=(),
        max_length=20,
        description="What every reflector has to score. Empty: each reflector chooses its own criteria.",
    )


class CriterionScore(BaseModel):
    """How well the draft meets one criterion."""

    model_config = ConfigDict(extra="forbid")

    name: CriterionName = Field(description="The criterion.")
    score: Annotated[float, Field(ge=0, le=1)] = Field(description="0 is not met, 1 is fully met.")


class Review(BaseModel):
    """Your judgement of the draft."""

    model_config = ConfigDict(extra="forbid")

    criteria: Annotated[list[CriterionScore], Field(min_length=1)] = Field(description="Each criterion's score.")
    feedback: list[str] = Field(description="What to change, one point an entry. Empty if nothing.")


@dataclass(frozen=True)
class Verdict:
    """What one reflector's valid review comes to: a score for each criterion, and its feedback."""

    reflector: Agent
    scores: dict[str, float]
    feedback: list[str]

    def as_json(self) -> JsonObject:
        criteria: list[Json] = [{"name": name, "score": score} for name, score in self.scores.items()]
        return {"criteria": criteria, "feedback": list(self.feedback)}


@dataclass
class Draft:
    """A draft, who is to review it, and what came of it. `round` is the reviews' place in their keys."""

    round: int
    label: str
    value: Json
    reflectors: list[Agent]
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def score(self) -> float | None:
        scores = [score for verdict in self.verdicts for score in verdict.scores.values()]
        return math.fsum(scores) / len(scores) if scores else None

    def passes(self, threshold: float) -> bool:
        if len(self.verdicts) < len(self.reflectors):
            return False
        return all(score >= threshold for verdict in self.verdicts for score in verdict.scores.values())

    def as_json(self, threshold: float) -> JsonObject:
        reviews: JsonObject = {verdict.reflector.name: verdict.as_json() for verdict in self.verdicts}
        return {"passed": self.passes(threshold), "score": self.score, "reviews": reviews}


def check(block: Block, config: ReflectionConfig) -> list[Problem]:
    problems: list[Problem] = []
    if not _reflectors(block.agents):
        problems.append(Problem("/data/agents", "missing_reflector", "A reflection needs an agent of role reflector."))
    writers = [index for index, agent in enumerate(block.agents) if agent.role != "reflector"]
    problems += [
        Problem(
            f"/data/agents/{index}",
            "unused_agent",
            f"{block.agents[index].name!r} would never run: the first agent that is not a reflector writes the"
            " drafts. Give it the role reflector, or remove it.",
        )
        for index in writers[1:]
    ]
    problems += [
        Problem(f"/data/config/criteria/{index}", "duplicate_criterion", f"{name!r} is named twice.")
        for index, name in enumerate(config.criteria)
        if name in config.criteria[:index]
    ]
    return problems


async def run(run: BlockRun[ReflectionConfig]) -> BlockOutcome:
    generator = next((agent for agent in run.agents if agent.role != "reflector"), None)
    if generator is None:
        return await _review_upstream(run)
    return await _improve(run, generator)


async def _improve(run: BlockRun[ReflectionConfig], generator: Agent) -> BlockOutcome:
    """Draft and review in turn. Returns the best draft."""
    drafts: list[Draft] = []
    try:
        stopped_reason = await _iterate(run, generator, drafts)
    except CeilingReached as ceiling:
        if not drafts:
            raise
        stopped_reason = ceiling.reason
    best = _best(drafts)
    threshold = run.config.threshold
    details: JsonObject = {
        "best_round": best.round,
        "score": best.score,
        "passed": best.passes(threshold),
        "rounds": [draft.as_json(threshold) for draft in drafts],
    }
    outputs: dict[str, Json] = {generator.id: best.value}
    for draft in (*drafts, best):
        outputs |= {verdict.reflector.id: verdict.as_json() for verdict in draft.verdicts}
    return BlockOutcome(best.value, outputs, stopped_reason, details)


async def _iterate(run: BlockRun[ReflectionConfig], generator: Agent, drafts: list[Draft]) -> str:
    """Add to `drafts` until it ends. Returns why."""
    threshold, without_gain = run.config.threshold, 0
    for number in range(run.config.max_rounds):
        value = await _write_draft(run, generator, drafts, number)
        if drafts and _is_same(value, drafts[-1].value):
            return "unchanged"
        best_before = _best(drafts).score if drafts else None
        draft = Draft(number, "Draft", value, _reflectors(run.agents))
        drafts.append(draft)
        await _review(run, [(draft, reflector, _prompt(run, draft, reflector)) for reflector in draft.reflectors])
        run.record(f"score/{number}", draft.as_json(threshold))
        if draft.passes(threshold):
            return "passed"
        if draft.score is None:
            return "unscored"
        without_gain = without_gain + 1 if best_before is not None and draft.score <= best_before else 0
        if without_gain == 2:
            return "no_gain"
    return "max_rounds"


async def _write_draft(run: BlockRun[ReflectionConfig], generator: Agent, drafts: list[Draft], number: int) -> Json:
    material: list[Delivery] = []
    if drafts:
        last = drafts[-1]
        material.append(Delivery("Your last draft", last.value))
        material += [Delivery(f"Feedback of {said.reflector.name}", said.as_json()) for said in last.verdicts]
    prompt = run.prompt(generator, material=material, instruction=REVISE if drafts else "")
    step = await run.call(generator, prompt, phase="draft", round=number)
    return step.output


def _prompt(run: BlockRun[ReflectionConfig], draft: Draft, reflector: Agent) -> str:
    return run.prompt(reflector, material=[Delivery(draft.label, draft.value)], instruction=REVIEW)


async def _review_upstream(run: BlockRun[ReflectionConfig]) -> BlockOutcome:
    """Review what upstream blocks and agents delivered. Returns the suggestions for each of them as data."""
    drafts = _delivered(run)
    if not drafts:
        raise BlockFailed("The block has no generator, and nothing from upstream to review.", code="nothing_to_review")
    asked = [(draft, reflector, _prompt_alone(run, draft)) for draft in drafts for reflector in draft.reflectors]
    stopped_reason = "done"
    try:
        await _review(run, asked)
    except CeilingReached as ceiling:
        if not any(draft.verdicts for draft in drafts):
            raise
        stopped_reason = ceiling.reason
    if not any(draft.verdicts for draft in drafts):
        stopped_reason = "unscored"
    return _suggest(run, drafts, stopped_reason)


def _prompt_alone(run: BlockRun[ReflectionConfig], draft: Draft) -> str:
    """With one draft in each prompt, what is said of it cannot be about another."""
    return write_prompt(task=run.task, deliveries=[Delivery(draft.label, draft.value)], instruction=REVIEW)


def _delivered(run: BlockRun[ReflectionConfig]) -> list[Draft]:
    """A draft for each delivery, reviewed by the reflectors it reaches. A second of one label is numbered."""
    drafts: dict[str, Draft] = {}
    for reflector in run.agents:
        for delivery in run.input.of(reflector):
            draft = _draft_of(drafts, delivery)
            if reflector not in draft.reflectors:
                draft.reflectors.append(reflector)
    return list(drafts.values())


def _draft_of(drafts: dict[str, Draft], delivery: Delivery) -> Draft:
    label, number = delivery.label, 1
    while (known := drafts.get(label)) is not None:
        if known.value == delivery.value:
            return known
        number += 1
        label = f"{delivery.label} ({number})"
    return drafts.setdefault(label, Draft(len(drafts), label, delivery.value, []))


def _suggest(run: BlockRun[ReflectionConfig], drafts: list[Draft], stopped_reason: str) -> BlockOutcome:
    threshold = run.config.threshold
    output: JsonObject = {
        "passed": all(draft.passes(threshold) for draft in drafts),
        "drafts": {draft.label: draft.value for draft in drafts},
        "suggestions": {draft.label: draft.as_json(threshold) for draft in drafts},
    }
    said: dict[str, Json] = {}
    for reflector in run.agents:
        by_label: JsonObject = {
            draft.label: verdict.as_json()
            for draft in drafts
            for verdict in draft.verdicts
            if verdict.reflector is reflector
        }
        if by_label:
            said[reflector.id] = by_label
    return BlockOutcome(output, said, stopped_reason)


async def _review(run: BlockRun[ReflectionConfig], asked: Sequence[tuple[Draft, Agent, str]]) -> None:
    """Ask all at once and add the verdicts to the drafts. What came is kept even when one call fails or may not go."""
    decision = review_model(run.config.criteria)
    results = await run_at_once([_ask(run, *question, decision) for question in asked])
    stopped: list[Exception] = []
    for (draft, reflector, _), result in zip(asked, results, strict=True):
        if isinstance(result, Review):
            draft.verdicts.append(Verdict(reflector, _scores(result, run.config.criteria), result.feedback))
        elif result is None:
            message = "The review was invalid after every repair, and counts as no score."
            run.record(f"invalid/{draft.round}/{reflector.id}", {"agent": reflector.name, "error": message})
        else:
            stopped.append(result)
    if stopped:
        raise stopped[0]


async def _ask(
    run: BlockRun[ReflectionConfig], draft: Draft, reflector: Agent, prompt: str, decision: type[Review]
) -> Review | AgentCallFailed | CeilingReached | None:
    try:
        return await run.decide(reflector, prompt, decision, phase="review", round=draft.round)
    except (AgentCallFailed, CeilingReached) as failed:
        return failed


@lru_cache(maxsize=256)
def review_model(criteria: tuple[str, ...]) -> type[Review]:
    """`Review`, with the names of its criteria restricted to these if there are any."""
    if not criteria:
        return Review
    names: Any = Literal[criteria]  # the names are known only at run time
    scored = create_model("CriterionScore", __base__=CriterionScore, name=(names, Field(description="The criterion.")))
    listed = Field(min_length=len(criteria), description="Each criterion's score, every one exactly once.")
    return create_model("Review", __base__=Review, criteria=(list[scored], listed))


def _scores(review: Review, criteria: tuple[str, ...]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for criterion in review.criteria:
        scores[criterion.name] = min(criterion.score, scores.get(criterion.name, 1.0))
    return {name: scores.get(name, 0.0) for name in criteria} if criteria else scores


def _best(drafts: Sequence[Draft]) -> Draft:
    """The best-scoring draft, of equals the earlier; one without a score comes last."""
    return max(drafts, key=lambda draft: -1.0 if draft.score is None else draft.score)


def _reflectors(agents: Sequence[Agent]) -> list[Agent]:
    return [agent for agent in agents if agent.role == "reflector"]


def _is_same(one: Json, other: Json) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.split() == other.split()
    return one == other


PATTERN = Pattern(config=ReflectionConfig, check=check, run=run)
