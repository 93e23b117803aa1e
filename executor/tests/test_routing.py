"""What the routing pattern promises, beside what `test_pattern_contract` shows of every pattern."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from executor.errors import AgentCallFailed, CeilingReached, ProviderFailed
from executor.json_types import Json, JsonObject
from executor.patterns.contract import BlockInput, BlockOutcome
from executor.patterns.routing import PATTERN, RoutingConfig, routing_decision
from executor.prompts import Delivery
from executor.providers.contract import ModelRequest
from executor.spec import Agent
from executor.tests.builders import make_agent
from executor.tests.models import Reply, Slow
from executor.tests.resuming import check_resumes_from_every_prefix, with_own_models
from executor.tests.scripted import Script, ScriptedCaller, failed, invalid, make_pattern_block, make_run

DESK = (
    make_agent("Router", "manager"),
    make_agent("Billing", "specialist"),
    make_agent("Tech", "specialist"),
    make_agent("Sales", "specialist"),
)
SPECIALISTS: dict[Any, Any] = {"Billing": "refunded", "Tech": "rebooted", "Sales": "sold"}
TICKET: JsonObject = {
    "subject": "Refund, please",
    "customer": {"tier": "gold", "seats": 12, "trial": True},
    "tags": ["urgent", 1],
    "since": "2024-05-01",
}


def routes(*chosen: tuple[str, float]) -> JsonObject:
    return {
        "routes": [
            {"specialist": name, "confidence": confidence, "reason": f"It is {name}."} for name, confidence in chosen
        ]
    }


async def route(
    decision: Any,
    script: Script = SPECIALISTS,
    *,
    agents: Sequence[Agent] = DESK,
    caller: ScriptedCaller | None = None,
    block_input: BlockInput | None = None,
    **config: object,
) -> tuple[BlockOutcome, ScriptedCaller]:
    caller = caller or ScriptedCaller({**SPECIALISTS, **script, "Router": decision})
    run: Any = make_run(
        make_pattern_block("routing", agents, {"default": "Sales", **config}),
        caller,
        block_input or BlockInput(shared=(Delivery("Input", TICKET),)),
    )
    return await PATTERN.run(run), caller


def called(caller: ScriptedCaller) -> list[str]:
    return [name for name, _, _ in caller.made()]


# The router


async def test_the_chosen_specialist_gets_the_original_input_and_none_of_the_routers_words() -> None:
    outcome, caller = await route(routes(("Tech", 0.9)))
    assert outcome.output == "rebooted"
    assert caller.made() == [("Router", "route", 0), ("Tech", "specialist", 0)]
    assert caller.prompts("Tech") == [f"The task.\n\n## Input\n{json.dumps(TICKET, indent=2)}"]


async def test_the_router_sees_the_input_and_who_there_is_and_must_name_one_of_them() -> None:
    agents = [DESK[0], DESK[1].model_copy(update={"system_prompt": "Invoices\nand refunds."}), *DESK[2:]]
    _, caller = await route(routes(("Tech", 0.9)), agents=agents)
    prompt, schema = caller.calls[0].prompt, json.dumps(caller.calls[0].schema)
    assert "Refund, please" in prompt
    assert "- Billing: Invoices and refunds.\n- Tech" in prompt
    assert '"enum": ["Billing", "Tech", "Sales"]' in schema


@pytest.mark.parametrize(
    ("agents", "router"),
    [
        ((make_agent("A"), make_agent("B"), make_agent("M", "moderator")), "M"),
        ((make_agent("A"), make_agent("M", "manager"), make_agent("N", "moderator")), "M"),
        ((make_agent("A"), make_agent("B")), "A"),
    ],
)
async def test_the_router_is_the_moderator_or_manager_else_the_first_agent(
    agents: Sequence[Agent], router: str
) -> None:
    script: dict[Any, Any] = {agent.name: "done" for agent in agents}
    caller = ScriptedCaller(script | {router: routes(("B", 1), ("N", 1))})
    default = next(agent.name for agent in reversed(agents) if agent.name != router)
    await route(None, caller=caller, agents=agents, default=default)
    assert called(caller)[0] == router


async def test_only_the_router_and_the_chosen_have_live_connections() -> None:
    outcome, _ = await route(routes(("Tech", 0.9), ("Billing", 0.4)))
    assert outcome.agent_outputs == {"router": routes(("Tech", 0.9), ("Billing", 0.4)), "tech": "rebooted"}


async def test_the_others_are_recorded_as_not_chosen_with_their_scores() -> None:
    outcome, caller = await route(routes(("Billing", 0.6), ("Tech", 0.9)))
    decision = caller.decisions()["block/route"]
    assert decision["chosen"] == ["Tech"]
    assert decision["not_chosen"] == [{"agent": "Billing", "confidence": 0.6}, {"agent": "Sales", "confidence": None}]
    assert (decision["by"], decision["reason"], decision["fallback"]) == ("router", "It is Tech.", False)
    assert outcome.details == {**decision, "failed": {}}


async def test_top_k_runs_several_at_once_and_answers_by_name_the_most_confident_first() -> None:
    caller = ScriptedCaller({**SPECIALISTS, "Router": routes(("Billing", 0.6), ("Tech", 0.9), ("Sales", 0.5))})
    gates = [caller.gate("Billing"), caller.gate("Tech")]
    running = asyncio.create_task(route(None, caller=caller, top_k=2))
    await asyncio.gather(caller.arrival("Billing"), caller.arrival("Tech"))
    for gate in gates:
        gate.set()
    outcome, _ = await running
    assert isinstance(outcome.output, dict)
    assert list(outcome.output.items()) == [("Tech", "rebooted"), ("Billing", "refunded")]
    assert "Sales" not in called(caller)


async def test_the_shape_of_the_output_follows_from_top_k_not_from_the_choice() -> None:
    outcome, _ = await route(routes(("Tech", 0.9)), top_k=2)
    assert outcome.output == {"Tech": "rebooted"}


async def test_a_specialist_that_is_named_twice_runs_once() -> None:
    outcome, caller = await route(routes(("Tech", 0.9), ("Tech", 0.8), ("Billing", 0.7)), top_k=2)
    assert called(caller) == ["Router", "Tech", "Billing"]
    assert outcome.output == {"Tech": "rebooted", "Billing": "refunded"}


# The default


@pytest.mark.parametrize(
    ("decision", "fallback", "carried"),
    [
        (routes(("Tech", 0.49)), False, routes(("Tech", 0.49))),
        (routes(), False, routes()),
        (invalid("Router"), True, routes()),
        (routes(("Nobody", 0.9)), True, routes()),
        ("Tech, I think. STOP.", True, routes()),
    ],
)
async def test_without_a_confident_and_valid_route_the_default_runs(
    decision: Any, fallback: bool, carried: Json
) -> None:
    outcome, caller = await route(decision)
    assert outcome.output == "sold"
    assert outcome.agent_outputs == {"router": carried, "sales": "sold"}
    recorded = caller.decisions()["block/route"]
    assert (recorded["by"], recorded["chosen"], recorded["fallback"]) == ("default", ["Sales"], fallback)


async def test_the_least_confidence_is_configured_and_included() -> None:
    assert (await route(routes(("Tech", 0.8)), min_confidence=0.8))[0].output == "rebooted"
    assert (await route(routes(("Tech", 0.79)), min_confidence=0.8))[0].output == "sold"


async def test_a_router_whose_provider_fails_fails_the_block() -> None:
    with pytest.raises(ProviderFailed, match="away"):
        await route(failed("Router"))


# Rules


def rule(field: str, op: str, value: Json, specialist: str = "Tech") -> JsonObject:
    return {"field": field, "op": op, "value": value, "specialist": specialist}


@pytest.mark.parametrize(
    ("field", "op", "value", "matches"),
    [
        ("customer.tier", "equals", "gold", True),
        ("customer.tier", "equals", "Gold", False),
        ("customer.seats", "equals", 12.0, True),
        ("customer.trial", "equals", 1, False),
        ("customer", "equals", {"tier": "gold", "seats": 12, "trial": True}, True),
        ("customer", "equals", {"tier": "gold", "seats": 12, "trial": 1}, False),
        ("subject", "contains", "refund", True),
        ("subject", "contains", "invoice", False),
        ("subject", "contains", 1, False),
        ("tags", "contains", "urgent", True),
        ("tags", "contains", True, False),
        ("tags.0", "equals", "urgent", True),
        ("tags.7", "equals", "urgent", False),
        ("customer.seats", "contains", 1, False),
        ("customer.tier", "in", ["silver", "gold"], True),
        ("customer.trial", "in", [1], False),
        ("customer.seats", "between", [12, 20], True),
        ("customer.seats", "between", [1, 11.9], False),
        ("customer.trial", "between", [0, 2], False),
        ("since", "between", ["2024-01-01", "2024-12-31"], True),
        ("since", "between", [0, 9999], False),
        ("customer.name", "equals", None, False),
        ("customer.tier.x", "equals", "gold", False),
        ("", "equals", TICKET, True),
    ],
)
async def test_a_rule_decides_without_a_call_and_only_if_it_matches(
    field: str, op: str, value: Json, matches: bool
) -> None:
    outcome, caller = await route(routes(("Billing", 1)), rules=[rule(field, op, value)])
    assert called(caller) == (["Tech"] if matches else ["Router", "Billing"])
    assert ("router" in outcome.agent_outputs) is not matches
    assert caller.decisions()["block/route"]["by"] == ("rule" if matches else "router")


async def test_the_first_rules_that_match_win_up_to_top_k() -> None:
    rules = [
        rule("subject", "contains", "invoice", "Sales"),
        rule("customer.tier", "equals", "gold", "Billing"),
        rule("customer.seats", "between", [1, 99], "Billing"),
        rule("customer.trial", "equals", True, "Tech"),
    ]
    assert (await route(None, rules=rules))[0].output == "refunded"
    both, _ = await route(None, rules=rules, top_k=2)
    assert both.output == {"Billing": "refunded", "Tech": "rebooted"}


async def test_with_several_upstream_blocks_a_rule_s_field_starts_with_a_label() -> None:
    block_input = BlockInput(
        shared=(Delivery("v1.2 notes", "all well"), Delivery("Ticket", TICKET)),
        for_agent={"router": (Delivery("Hint", {"team": "tech"}),), "tech": (Delivery("Secret", "for Tech"),)},
    )
    for field, op, value, expected in [
        ("Ticket.customer.tier", "equals", "gold", "rebooted"),
        ("v1.2 notes", "contains", "well", "rebooted"),
        ("Hint.team", "equals", "tech", "rebooted"),
        ("Secret", "equals", "for Tech", "sold"),
        ("customer.tier", "equals", "gold", "sold"),
    ]:
        outcome, _ = await route(routes(), rules=[rule(field, op, value)], block_input=block_input)
        assert outcome.output == expected, field


async def test_without_any_input_no_rule_matches() -> None:
    outcome, _ = await route(routes(), rules=[rule("a", "equals", None)], block_input=BlockInput())
    assert outcome.output == "sold"


# Failures and ceilings


async def test_what_the_other_chosen_ones_did_is_delivered_when_one_fails() -> None:
    decision = routes(("Tech", 0.9), ("Billing", 0.8))
    outcome, _ = await route(decision, {"Tech": failed("Tech")}, top_k=2)
    assert outcome.output == {"Billing": "refunded"}
    assert set(outcome.agent_outputs) == {"router", "billing"}
    assert outcome.details["failed"] == {"Tech": "The provider is away."}
    assert outcome.stopped_reason == "done"


async def test_when_all_chosen_fail_the_first_failure_is_the_block_s_and_the_default_does_not_step_in() -> None:
    decision = routes(("Tech", 0.9), ("Billing", 0.8))
    caller = ScriptedCaller(
        {"Router": decision, "Tech": failed("Tech", "Tech is away."), "Billing": invalid("Billing"), "Sales": "sold"}
    )
    with pytest.raises(AgentCallFailed, match=r"Tech is away\."):
        await route(None, caller=caller, top_k=2)
    assert "Sales" not in called(caller)


async def test_a_ceiling_leaves_what_the_others_did() -> None:
    caller = ScriptedCaller({**SPECIALISTS, "Router": routes(("Tech", 0.9), ("Billing", 0.8))}, max_calls=2)
    outcome, _ = await route(None, caller=caller, top_k=2)
    assert (outcome.output, outcome.stopped_reason) == ({"Tech": "rebooted"}, "max_calls")


@pytest.mark.parametrize("calls", [0, 1])
async def test_a_ceiling_before_anything_exists_is_raised(calls: int) -> None:
    caller = ScriptedCaller({**SPECIALISTS, "Router": routes(("Tech", 0.9))}, max_calls=calls)
    with pytest.raises(CeilingReached, match="calls"):
        await route(None, caller=caller)


async def test_a_cancelled_block_leaves_no_specialist_running() -> None:
    caller = ScriptedCaller({**SPECIALISTS, "Router": routes(("Tech", 0.9), ("Billing", 0.8))})
    caller.gate("Tech")
    caller.gate("Billing")
    running = asyncio.create_task(route(None, caller=caller, top_k=2))
    await asyncio.gather(caller.arrival("Billing"), caller.arrival("Tech"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(caller.cancelled) == ["Billing", "Tech"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Resuming


@pytest.mark.parametrize("decision", [json.dumps(routes(("Tech", 0.9), ("Billing", 0.8))), "no JSON at all"])
async def test_a_run_resumes_from_every_prefix_of_its_record(decision: str) -> None:
    def answers(name: str, request: ModelRequest) -> Reply:
        return Slow(1 if name == "Billing" else 2, decision if name == "Router" else f"{name} was here")

    block = make_pattern_block("routing", with_own_models(DESK), {"default": "Sales", "top_k": 2})
    first = await check_resumes_from_every_prefix(block, answers)
    assert isinstance(first.outcome, BlockOutcome)


# Checks


def codes(agents: Sequence[Agent] = DESK, **config: object) -> list[tuple[str, str]]:
    block = make_pattern_block("routing", agents, config)
    settings: Any = block.data.config
    return [(problem.pointer, problem.code) for problem in PATTERN.check(block, settings)]


def test_a_default_specialist_is_mandatory_and_is_never_the_router() -> None:
    assert codes(default="Sales") == []
    assert codes() == [("/data/config/default", "missing_default")]
    assert codes(default="Nobody") == [("/data/config/default", "unknown_agent")]
    assert codes(default="Router") == [("/data/config/default", "not_a_specialist")]
    assert codes(DESK[:1], default="Router") == [("/data/agents", "too_few_agents")]


def test_rules_name_specialists_and_values_that_their_operation_can_use() -> None:
    rules = [
        rule("a", "in", "gold"),
        rule("a", "between", [2, 1]),
        rule("a", "between", [1, "b"]),
        rule("a", "between", [1]),
        rule("a", "equals", 1, "Nobody"),
        rule("a", "equals", 1, "Router"),
        rule("a", "between", ["a", "b"]),
    ]
    assert codes(default="Sales", rules=rules) == [
        ("/data/config/rules/0/value", "invalid_rule"),
        ("/data/config/rules/1/value", "invalid_rule"),
        ("/data/config/rules/2/value", "invalid_rule"),
        ("/data/config/rules/3/value", "invalid_rule"),
        ("/data/config/rules/4/specialist", "unknown_agent"),
        ("/data/config/rules/5/specialist", "not_a_specialist"),
    ]


def test_top_k_is_no_more_than_there_are_specialists() -> None:
    assert codes(default="Sales", top_k=3) == []
    assert codes(default="Sales", top_k=4) == [("/data/config/top_k", "too_few_agents")]


@pytest.mark.parametrize(
    "config", [{"top_k": 0}, {"min_confidence": 1.1}, {"rules": [rule("a", "matches", ".*")]}, {"k": 1}]
)
def test_a_config_out_of_range_is_refused(config: JsonObject) -> None:
    with pytest.raises(ValueError, match="validation error"):
        RoutingConfig.model_validate(config)


def test_a_decision_is_made_once_for_the_same_names() -> None:
    assert routing_decision(("A", "B")) is routing_decision(("A", "B"))
