"""Routing: rules first, else a router, choose the specialists that get the block's input.

The router is the first agent of role moderator or manager, else the first agent; all others are specialists. What a
rule's `field` is looked up in is the input that reaches the router: the value itself where one thing reaches it, else a
map by the upstream blocks' labels.

What the connection from the router carries is its decision, `{"routes": [...]}`; when a rule chose, the router did not
run. Connections from specialists that were not chosen are dead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from executor.calls import Step
from executor.errors import AgentCallFailed, CeilingReached, Problem
from executor.json_types import Json, JsonObject
from executor.patterns.concurrency import run_at_once
from executor.patterns.contract import BlockOutcome, BlockRun, Pattern, agent_named, first_with_role
from executor.prompts import Delivery
from executor.spec import MAX_AGENTS, Agent, Block, BlockConfig, Frozen, Name

MISSING = object()


class Rule(Frozen):
    """A choice that needs no model: when the field of the input compares so with the value, the specialist runs."""

    field: Annotated[str, Field(max_length=500)] = Field(
        description="Where in the input, as a.b.0.c; with several upstream blocks the first part is a label."
        " Empty: the whole input."
    )
    op: Literal["equals", "contains", "in", "between"] = Field(
        description="equals: the same JSON value. contains: text that holds the value (case does not matter), or a list"
        " that has it. in: one of the values listed. between: from the first value to the second, both included."
    )
    value: Any = Field(description="What it is compared with: a list for in, two numbers or two texts for between.")
    specialist: Name = Field(description="The name of the agent that runs.")


class RoutingConfig(BlockConfig):
    """Which specialists may run, and when."""

    default: Name = Field(
        default="", description="Required: the specialist that runs when nothing else is chosen with confidence."
    )
    top_k: int = Field(default=1, ge=1, le=MAX_AGENTS, description="How many specialists run at most.")
    min_confidence: float = Field(
        default=0.5, ge=0, le=1, description="The router's routes below this confidence are not followed."
    )
    rules: tuple[Rule, ...] = Field(
        default=(),
        max_length=200,
        description="Tried in order before the router, up to top_k specialists. They cost no call.",
    )


class Route(BaseModel):
    """One specialist that the router proposes."""

    model_config = ConfigDict(extra="forbid")

    specialist: str = Field(description="The name of a specialist that can handle this input.")
    confidence: float = Field(ge=0, le=1, description="How sure you are that it can: 0 is a guess, 1 is certainty.")
    reason: str = Field(description="Why, in one sentence.")


class RoutingDecision(BaseModel):
    """What the router decides."""

    model_config = ConfigDict(extra="forbid")

    routes: Sequence[Route] = Field(
        max_length=MAX_AGENTS, description="The specialists that fit, the best first. Empty when none fits."
    )


@dataclass(frozen=True)
class Choice:
    """Who runs, who decided it (`rule`, `router` or `default`), why, and what was proposed."""

    by: Literal["rule", "router", "default"]
    agents: tuple[Agent, ...]
    reason: str
    routes: Sequence[Route] = ()
    fallback: bool = False

    def payload(self, specialists: Sequence[Agent]) -> JsonObject:
        """What is recorded of it: the specialists that were not chosen, too, with their scores."""
        scores = {route.specialist: route.confidence for route in reversed(self.routes)}
        chosen = [agent.name for agent in self.agents]
        return {
            "by": self.by,
            "chosen": list(chosen),
            "not_chosen": [
                {"agent": agent.name, "confidence": scores.get(agent.name)}
                for agent in specialists
                if agent.name not in chosen
            ],
            "routes": _as_json(self.routes),
            "reason": self.reason,
            "fallback": self.fallback,
        }


def check(block: Block, config: RoutingConfig) -> list[Problem]:
    if len(block.agents) < 2:
        return [
            Problem("/data/agents", "too_few_agents", "A routing block needs a router and at least one specialist.")
        ]
    router, specialists = _roles(block.agents)
    names = [agent.name for agent in specialists]
    problems = []
    if not config.default:
        problems.append(Problem("/data/config/default", "missing_default", "Name the specialist that runs by default."))
    elif config.default not in names:
        problems.append(_unknown_specialist("/data/config/default", config.default, router))
    if config.top_k > len(names):
        problems.append(
            Problem(
                "/data/config/top_k",
                "too_few_agents",
                f"top_k is {config.top_k}, and this block has {len(names)} specialists.",
            )
        )
    for index, rule in enumerate(config.rules):
        pointer = f"/data/config/rules/{index}"
        if rule.specialist not in names:
            problems.append(_unknown_specialist(f"{pointer}/specialist", rule.specialist, router))
        if (complaint := _complaint_about_value(rule)) is not None:
            problems.append(Problem(f"{pointer}/value", "invalid_rule", complaint))
    return problems


def _unknown_specialist(pointer: str, name: str, router: Agent) -> Problem:
    if name == router.name:
        return Problem(pointer, "not_a_specialist", f"{name!r} is the router of this block, so it cannot be chosen.")
    return Problem(pointer, "unknown_agent", f"No specialist of this block is named {name!r}.")


def _complaint_about_value(rule: Rule) -> str | None:
    if rule.op == "in" and not isinstance(rule.value, list):
        return "in compares with a list of values."
    if rule.op == "between" and not _is_range(rule.value):
        return "between compares with two numbers, or two texts, of which the second is not the smaller."
    return None


async def run(run: BlockRun[RoutingConfig]) -> BlockOutcome:
    router, specialists = _roles(run.agents)
    agent_outputs: dict[str, Json] = {}
    choice = _choose_by_rules(run, router, specialists)
    if choice is None:
        decision = await _ask_router(run, router, specialists)
        agent_outputs[router.id] = {"routes": [] if decision is None else _as_json(decision.routes)}
        choice = _choose(run, decision)
    details = choice.payload(specialists)
    run.record("route", details)
    return await _run_specialists(run, choice, agent_outputs, details)


def _roles(agents: Sequence[Agent]) -> tuple[Agent, list[Agent]]:
    """The router, and the specialists."""
    router = first_with_role(agents, "moderator", "manager") or agents[0]
    return router, [agent for agent in agents if agent is not router]


def _choose_by_rules(run: BlockRun[RoutingConfig], router: Agent, specialists: Sequence[Agent]) -> Choice | None:
    """The specialists of the first rules that match; None when none does."""
    deliveries = run.input.of(router)
    matching = [rule for rule in run.config.rules if _matches(rule, _look_up(deliveries, rule.field))]
    names = list(dict.fromkeys(rule.specialist for rule in matching))[: run.config.top_k]
    if not names:
        return None
    reason = "; ".join(f"{rule.field or 'input'} {rule.op} {rule.value!r}" for rule in matching)
    return Choice("rule", tuple(agent_named(specialists, name) for name in names), reason)


def _look_up(deliveries: Sequence[Delivery], path: str) -> object:
    """The value at that path of the input, `MISSING` when there is none. A label may itself hold dots."""
    if len(deliveries) == 1:
        return _follow(deliveries[0].value, path)
    if not path:
        return {delivery.label: delivery.value for delivery in deliveries}
    for delivery in deliveries:
        if path == delivery.label:
            return delivery.value
        if path.startswith(f"{delivery.label}."):
            return _follow(delivery.value, path.removeprefix(f"{delivery.label}."))
    return MISSING


def _follow(value: Json, path: str) -> object:
    for part in path.split(".") if path else ():
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and part.isascii() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def _matches(rule: Rule, found: object) -> bool:
    return found is not MISSING and OPERATIONS[rule.op](found, rule.value)


def _equals(found: Any, value: Any) -> bool:
    """Equal as JSON: true is not 1, but 1.0 is; the same for what lists and objects hold."""
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(found, list) and isinstance(value, list):
        return len(found) == len(value) and all(map(_equals, found, value))
    if isinstance(found, dict) and isinstance(value, dict):
        return found.keys() == value.keys() and all(_equals(found[key], value[key]) for key in found)
    return bool(found == value)


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value.casefold() in found.casefold()
    return isinstance(found, list) and any(_equals(item, value) for item in found)


def _is_in(found: Any, value: Any) -> bool:
    return isinstance(value, list) and any(_equals(found, item) for item in value)


def _is_between(found: Any, value: Any) -> bool:
    if not _is_range(value):
        return False
    low, high = value
    return _are_comparable(found, low) and bool(low <= found <= high)


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and _are_comparable(value[0], value[1])
        and bool(value[0] <= value[1])
    )


def _are_comparable(a: object, b: object) -> bool:
    return (isinstance(a, str) and isinstance(b, str)) or (_is_number(a) and _is_number(b))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _equals,
    "contains": _contains,
    "in": _is_in,
    "between": _is_between,
}


async def _ask_router(
    run: BlockRun[RoutingConfig], router: Agent, specialists: Sequence[Agent]
) -> RoutingDecision | None:
    prompt = run.prompt(router, instruction=_instruction(run.config, specialists))
    decision = routing_decision(tuple(agent.name for agent in specialists))
    return await run.decide(router, prompt, decision, phase="route")


def _instruction(config: RoutingConfig, specialists: Sequence[Agent]) -> str:
    lines = [
        "You are the router: do not carry out the task yourself, but choose who is to handle the input above.",
        f"Whoever you choose gets the input as it is. At most {config.top_k} will run. The specialists:",
    ]
    for agent in specialists:
        about = " ".join(agent.system_prompt.split())[:300]
        lines.append(f"- {agent.name}: {about}" if about else f"- {agent.name}")
    return "\n".join(lines)


@lru_cache(maxsize=256)
def routing_decision(specialists: tuple[str, ...]) -> type[RoutingDecision]:
    """`RoutingDecision` with the specialists' names as an enum."""
    enum: Any = Literal.__getitem__(specialists)
    route = create_model("Route", __base__=Route, specialist=(enum, Route.model_fields["specialist"]))
    routes: Any = list[route]
    field = RoutingDecision.model_fields["routes"]
    return create_model("RoutingDecision", __base__=RoutingDecision, routes=(routes, field))


def _choose(run: BlockRun[RoutingConfig], decision: RoutingDecision | None) -> Choice:
    """The most confident routes; the default specialist when there is none, or none is confident enough."""
    config = run.config
    default = agent_named(run.agents, config.default)
    if decision is None:
        return Choice("default", (default,), "The router gave no valid decision.", fallback=True)
    routes = sorted(decision.routes, key=lambda route: -route.confidence)
    confident = [route for route in routes if route.confidence >= config.min_confidence]
    names = list(dict.fromkeys(route.specialist for route in confident))[: config.top_k]
    if not names:
        reason = f"No route has a confidence of at least {config.min_confidence:g}."
        return Choice("default", (default,), reason, routes)
    reason = "; ".join(next(route.reason for route in confident if route.specialist == name) for name in names)
    return Choice("router", tuple(agent_named(run.agents, name) for name in names), reason, routes)


def _as_json(routes: Sequence[Route]) -> list[Json]:
    return [route.model_dump(mode="json") for route in routes]


async def _run_specialists(
    run: BlockRun[RoutingConfig], choice: Choice, agent_outputs: dict[str, Json], details: JsonObject
) -> BlockOutcome:
    results = await run_at_once(_ask_specialist(run, agent) for agent in choice.agents)
    steps = [result for result in results if isinstance(result, Step)]
    failures = [result for result in results if isinstance(result, Exception)]
    if not steps:
        raise failures[0]
    ceilings = [failure for failure in failures if isinstance(failure, CeilingReached)]
    failed: JsonObject = {
        agent.name: str(result)
        for agent, result in zip(choice.agents, results, strict=True)
        if isinstance(result, Exception)
    }
    return BlockOutcome(
        output=steps[0].output if run.config.top_k == 1 else {step.agent: step.output for step in steps},
        agent_outputs=agent_outputs | {step.agent_id: step.output for step in steps},
        stopped_reason=ceilings[0].reason if ceilings else "done",
        details=details | {"failed": failed},
    )


async def _ask_specialist(run: BlockRun[RoutingConfig], agent: Agent) -> Step | AgentCallFailed | CeilingReached:
    """A failure is a result here: the other specialists' work is still delivered."""
    try:
        return await run.call(agent, run.prompt(agent), phase="specialist")
    except (AgentCallFailed, CeilingReached) as failure:
        return failure


PATTERN = Pattern(config=RoutingConfig, check=check, run=run)
