"""One execution of a design in virtual time, with everything it needs in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

from executor.calls import AgentCall
from executor.deployment_executor import DeploymentExecutor
from executor.errors import ProviderFailed
from executor.events import Event, RecordedEvent
from executor.journal import InMemoryJournal
from executor.json_types import Json, JsonObject
from executor.results import ExecutionResult
from executor.spec import Design
from executor.tests.clocks import START, LoopClock, run_in_virtual_time
from executor.tests.scripted import ScriptedCaller


class Run:
    """One execution in virtual time: its result, journal and caller, and when each block started and ended."""

    def __init__(
        self,
        design: Design,
        script: Any = None,
        *,
        input_data: JsonObject | None = None,
        seconds: Callable[[AgentCall], float] = lambda call: 1.0,
        recorded: list[RecordedEvent] | None = None,
        caller: ScriptedCaller | None = None,
    ) -> None:
        async def hold(call: AgentCall) -> None:
            await asyncio.sleep(seconds(call))

        self.caller = caller or play(script, hold=hold)
        self.journal = InMemoryJournal(recorded or [])
        self.result: ExecutionResult = run_in_virtual_time(self._execute(design, input_data or {}))

    async def _execute(self, design: Design, input_data: JsonObject) -> ExecutionResult:
        executor = DeploymentExecutor(orchestrator=self.caller, journal=self.journal, clock=LoopClock())
        return await executor.execute_design(design, input_data)

    def events(self, *types: str) -> list[Event]:
        return [entry.event for entry in self.journal.events if not types or entry.event.type in types]

    def times(self, event_type: str) -> dict[str | None, float]:
        return {event.block_id: (event.at - START).total_seconds() for event in self.events(event_type)}

    @property
    def statuses(self) -> dict[str, str]:
        return {block_id: block.status for block_id, block in self.result.blocks.items()}


def play(script: Any = None, **fields: Any) -> ScriptedCaller:
    """A caller whose agents say who they are where the script, a mapping or a function of the call, has no answer."""
    if callable(script):
        return ScriptedCaller({}, default=script, **fields)
    return ScriptedCaller(script or {}, default=lambda call: f"{call.agent.name} of {call.block_id}", **fields)


def in_turn(*answers: Json) -> Callable[[AgentCall], Json]:
    """An entry of a script that gives these answers, one a call."""
    left = iter(answers)
    return lambda call: next(left)


def failing(code: str = "provider_error") -> ProviderFailed:
    return ProviderFailed("The provider said no.", code=code, block_id="b", agent="worker")


def seconds_by_block(**seconds: float) -> Callable[[AgentCall], float]:
    return lambda call: seconds.get(call.block_id, 1.0)
