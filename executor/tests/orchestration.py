"""An orchestrator with everything it needs in memory, for the tests of one agent call."""

from collections.abc import Iterable
from typing import Any

from executor.budget import ExecutionBudget, Limits
from executor.calls import AgentCall
from executor.events import Delta, EventType, RecordedEvent
from executor.journal import InMemoryJournal, Journal
from executor.json_types import JsonObject
from executor.orchestrator import MultiAgentOrchestrator
from executor.spec import Agent, AgentSettings
from executor.tests.clocks import FakeClock
from executor.tests.models import Script, ScriptedModels

ANSWER_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0}},
    "required": ["score"],
    "additionalProperties": False,
}


class Rig:
    """One run with its models, journal, budget and clock. `deltas` is its live text where that is asked for."""

    def __init__(
        self,
        script: Script,
        *,
        recorded: Iterable[RecordedEvent] = (),
        journal: Journal | None = None,
        limits: Limits | None = None,
        live: bool = False,
        seconds: float | None = None,
        **models: Any,
    ) -> None:
        self.clock = FakeClock()
        self.models = ScriptedModels(script, clock=self.clock, **models)
        self.memory = InMemoryJournal(recorded)
        self.budget = ExecutionBudget(limits or Limits())
        self.deltas: list[Delta] = []
        self.orchestrator = MultiAgentOrchestrator(
            models=self.models,
            journal=journal or self.memory,
            budget=self.budget,
            clock=self.clock,
            on_delta=self.deltas.append if live else None,
            deadline=None if seconds is None else self.clock.monotonic() + seconds,
        )

    def events(self, *types: EventType) -> list[RecordedEvent]:
        """What is recorded of these types; of every type without one."""
        return [entry for entry in self.memory.events if not types or entry.event.type in types]

    def payloads(self, *types: EventType) -> list[JsonObject]:
        return [entry.event.payload for entry in self.events(*types)]

    def keys(self, *types: EventType) -> list[str | None]:
        return [entry.event.key for entry in self.events(*types)]


def make_call(
    prompt: str = "Summarise.",
    *,
    agent: str = "Ann",
    phase: str = "turn",
    number: int = 0,
    schema: JsonObject | None = None,
    deadline: float | None = None,
    **settings: Any,
) -> AgentCall:
    """A call of one agent; further keywords are its settings, but for `model` and `system_prompt`."""
    own = {name: settings.pop(name) for name in ("model", "system_prompt") if name in settings}
    made = Agent(id=agent.lower(), name=agent, settings=AgentSettings(**settings), **own)
    return AgentCall("b1", made, phase, number, prompt, schema, deadline)
