"""The dataflow over a design's blocks: a block starts the moment its last live incoming connection has delivered."""

import asyncio
from typing import Protocol, cast

from executor.block_execution import BlockEnd, BlockExecutor
from executor.clock import Clock
from executor.errors import InvalidDesign, JournalClosed, PayloadExceeded
from executor.events import LAST_EVENT_TYPES, Event
from executor.graph import Graph
from executor.journal import Journal
from executor.json_types import Json, JsonObject
from executor.patterns.contract import BlockInput, Caller
from executor.payload import Payload, size_of
from executor.prompts import Delivery
from executor.results import PAYLOAD_EXCEEDED, BlockResult, ExecutionFailure, ExecutionResult
from executor.spec import Connection, Design
from executor.usage import Usage
from executor.validation import find_graph_problems


class CountingCaller(Caller, Protocol):
    """A `Caller` that adds up what its calls use, failed ones included. `MultiAgentOrchestrator` is one."""

    @property
    def usage(self) -> Usage:
        """What the execution's calls have used so far."""


class DeploymentExecutor:
    """Executes designs: one instance for one run of one execution, with that execution's journal.

    `payload` is the one that the orchestrator counts in.
    """

    def __init__(
        self, *, orchestrator: CountingCaller, journal: Journal, clock: Clock, payload: Payload | None = None
    ) -> None:
        self._payload = payload or Payload()
        self._orchestrator = orchestrator
        self._journal = journal
        self._clock = clock

    async def execute_design(self, design: Design, input_data: JsonObject) -> ExecutionResult:
        """Run every block that something reaches, each as early as it can, and return how it all ended.

        The design is one that `validate_design` has nothing against. With a journal that holds an earlier attempt,
        only what has not ended runs. A block's failure is a result, not an exception. A cancelled call cancels all
        blocks and returns when they have ended. The last event of the execution is the caller's to record.
        Raises `InvalidDesign` when the graph cannot be followed at all, and `JournalClosed`.
        """
        graph = Graph.of(design)
        if problems := find_graph_problems(design, graph):
            raise InvalidDesign(problems)
        self._record_begin()
        blocks = BlockExecutor(
            caller=self._orchestrator,
            journal=self._journal,
            clock=self._clock,
            input_data=input_data,
            payload=self._payload,
        )
        flow = _Dataflow(design, graph, blocks, input_data)
        failure = self._hold_what_is_given(input_data) or await flow.run()
        return ExecutionResult(
            status="completed" if failure is None else "failed",
            output=_output_of(design, graph, flow.results) if failure is None else None,
            blocks={block.id: flow.results[block.id] for block in design.blocks if block.id in flow.results},
            usage=self._orchestrator.usage,
            failure=failure,
        )

    def _hold_what_is_given(self, input_data: JsonObject) -> ExecutionFailure | None:
        """Count what is there before anything runs. A failure where that is too much already: of no block."""
        try:
            self._payload.hold(size_of(input_data), "its input")
            self._payload.hold(self._journal.held_bytes(), "what is recorded of it")
        except PayloadExceeded as error:
            return ExecutionFailure(PAYLOAD_EXCEEDED, str(error), "")
        return None

    def _record_begin(self) -> None:
        """That it starts; or that it is resumed, with the calls whose outcome nobody knows: they may be paid twice."""
        if self._journal.event_of("execution.started") is None:
            self._journal.append(Event("execution.started", self._clock.now()))
            return
        if any(self._journal.event_of(last) for last in LAST_EVENT_TYPES):
            return  # it has ended, and somebody asks for its result again
        unknown: list[Json] = [
            {
                "block_id": call.event.block_id,
                "agent": call.event.agent,
                "key": call.event.key,
                "reserved": call.event.payload["reserved"],
            }
            for call in self._journal.calls_without_result()
        ]
        self._journal.append(Event("execution.resumed", self._clock.now(), payload={"unknown": unknown}))


class _Stopped(Exception):
    """Raised where a block has failed the execution, so that all other blocks are cancelled."""


_DEAD = object()


class _Dataflow:
    """One pass over the graph. Blocks and connections are named by their places in the design."""

    def __init__(self, design: Design, graph: Graph, blocks: BlockExecutor, input_data: JsonObject) -> None:
        self.results: dict[str, BlockResult] = {}
        self._design = design
        self._graph = graph
        self._blocks = blocks
        self._input = BlockInput(shared=(Delivery("Input", input_data),))
        self._agent_names = [{agent.id: agent.name for agent in block.agents} for block in design.blocks]
        self._waiting_for = [len(numbers) for numbers in graph.incoming]
        self._carried: list[object] = [_DEAD] * len(design.connections)
        self._outputs: dict[str, Json] = {}
        self._failure: ExecutionFailure | None = None

    async def run(self) -> ExecutionFailure | None:
        """Run until nothing is left to run. Returns the failure that ended it, if one did."""
        try:
            async with asyncio.TaskGroup() as group:
                self._start(group, [place for place, count in enumerate(self._waiting_for) if count == 0])
        except BaseExceptionGroup as ended:
            errors = [error for error in ended.exceptions if not isinstance(error, _Stopped)]
            if errors:
                raise next((error for error in errors if isinstance(error, JournalClosed)), errors[0]) from None
        return self._failure

    def _start(self, group: asyncio.TaskGroup, ready: list[int]) -> None:
        """Start blocks that all of their connections have reached, and what follows from those that need not run."""
        ready.reverse()
        while ready:
            place = ready.pop()
            block = self._design.blocks[place]
            end = self._blocks.recorded_end(block)
            if end is None and not self._is_reached(place):
                end = self._blocks.skip(block)
            if end is None:
                group.create_task(self._run_block(group, place), name=f"block {block.id}")
            else:
                ready += reversed(self._settle(place, end))

    async def _run_block(self, group: asyncio.TaskGroup, place: int) -> None:
        block = self._design.blocks[place]
        end = await self._blocks.execute(block, self._input_of(place), self._outputs)
        if self._failure is not None:
            # Another block has failed the execution while this one was being cancelled.
            return
        if end.failure is not None:
            self._blocks.record_failure(block, end.failure)
        self._start(group, self._settle(place, end))

    def _settle(self, place: int, end: BlockEnd) -> list[int]:
        """Take note of how the block ended, hand on what it delivers, and return the blocks that wait no longer."""
        block = self._design.blocks[place]
        self.results[block.id] = end.result
        if end.failure is not None and (end.failure.ends_execution or block.data.config.on_error == "fail"):
            self._failure = end.failure
            raise _Stopped
        if end.result.delivered:
            self._outputs[block.id] = end.result.output
        freed: list[int] = []
        for number, target in zip(self._graph.outgoing[place], self._graph.successors(place), strict=True):
            self._carried[number] = _carried_by(self._design.connections[number], end)
            self._waiting_for[target] -= 1
            if self._waiting_for[target] == 0:
                freed.append(target)
        return freed

    def _is_reached(self, place: int) -> bool:
        incoming = self._graph.incoming[place]
        return not incoming or any(self._carried[number] is not _DEAD for number in incoming)

    def _input_of(self, place: int) -> BlockInput:
        """What has reached the block, in the order of its connections whenever it came."""
        if not self._graph.incoming[place]:
            return self._input
        shared: list[Delivery] = []
        for_agent: dict[str, tuple[Delivery, ...]] = {}
        for number in self._graph.incoming[place]:
            if (value := self._carried[number]) is _DEAD:
                continue
            connection = self._design.connections[number]
            delivery = Delivery(self._label_of(number), cast(Json, value))
            if connection.target_agent is None:
                shared.append(delivery)
            else:
                for_agent[connection.target_agent] = (*for_agent.get(connection.target_agent, ()), delivery)
        return BlockInput(tuple(shared), for_agent)

    def _label_of(self, number: int) -> str:
        source = cast(int, self._graph.sources[number])
        label, agent_id = self._design.blocks[source].label, self._design.connections[number].source_agent
        return label if agent_id is None else f"{label} / {self._agent_names[source][agent_id]}"


def _carried_by(connection: Connection, end: BlockEnd) -> object:
    """What the connection carries from a block that has ended so."""
    if not end.result.delivered:
        return _DEAD
    if connection.source_agent is None or end.failure is not None:
        return end.result.output
    return end.agent_outputs.get(connection.source_agent, _DEAD)


def _output_of(design: Design, graph: Graph, results: dict[str, BlockResult]) -> Json:
    terminal = [block for place, block in enumerate(design.blocks) if not graph.outgoing[place]]
    delivered = {block.label: results[block.id].output for block in terminal if results[block.id].delivered}
    if not delivered:
        return None
    return delivered[terminal[0].label] if len(terminal) == 1 else delivered
