"""One agent call: replayed from the journal, or asked for, checked against its schema, repaired and recorded."""

from decimal import Decimal
from typing import Literal, cast

from executor.budget import Amount, Budget
from executor.calls import AgentCall, Step, ceiling_key
from executor.checkpoint import (
    Checkpoint,
    Outcome,
    Recorded,
    amount_used,
    completed_payload,
    failed_payload,
    failure,
    is_failure,
    make_checkpoint,
    make_step,
    read_failure,
    read_outcome,
    started_payload,
    usage_of_results,
)
from executor.clock import Clock
from executor.errors import AgentCallFailed, Ceiling, CeilingReached, RepeatedKey
from executor.events import REUSED, DeltaSink, Event, EventType, RecordedEvent
from executor.journal import Journal
from executor.json_types import Json, JsonObject
from executor.payload import Payload, parsed_size, text_size
from executor.providers.contract import Message, ModelProvider, TokenUsage
from executor.retries import Answered, GaveUp, Requests
from executor.structured_output import read_structured, repair_prompt
from executor.usage import Usage

MAX_REPAIRS = 2
NO_TEXT = "(The answer was empty.)"


class MultiAgentOrchestrator:
    """Makes the agent calls of one run of one execution: the `Caller` that patterns talk to.

    `deadline` is the execution's, by `clock.monotonic()`; `payload` counts what it holds. A run that resumes an
    execution calls `restore` first.
    """

    def __init__(
        self,
        *,
        models: ModelProvider,
        journal: Journal,
        budget: Budget,
        clock: Clock,
        on_delta: DeltaSink | None = None,
        deadline: float | None = None,
        payload: Payload | None = None,
    ) -> None:
        self._payload = payload or Payload()
        self._journal = journal
        self._budget = budget
        self._clock = clock
        self._deadline = deadline
        self._requests = Requests(
            models=models, journal=journal, budget=budget, clock=clock, on_delta=on_delta, payload=self._payload
        )
        # All that earlier attempts recorded: the calls of a block that has ended are never replayed one by one.
        self._earlier = usage_of_results(journal.earlier_calls())
        self._keys: set[str] = set()
        self._warned = False

    @property
    def usage(self) -> Usage:
        """What the calls of this run have used, those of earlier attempts and failed requests included."""
        return self._earlier.plus(self._requests.usage)

    async def restore(self) -> None:
        """Charge the budget with what earlier attempts have used; an outcome nobody knows counts as its reservation."""
        await self._budget.restore(amount_used(self._journal.earlier_calls()))

    async def call(self, call: AgentCall) -> Step:
        """Make the call, or return what is recorded of it.

        Raises `ProviderFailed` and `InvalidOutput` (both recorded), `CeilingReached` (not recorded: the block's run
        does that), `PayloadExceeded`, `RepeatedKey`, `JournalClosed`. A call that is cancelled or cut off leaves no
        result.
        """
        messages: tuple[Message, ...] = (Message("user", call.prompt),)
        recorded: list[Recorded] = []
        while True:
            checkpoint = make_checkpoint(call, len(recorded), messages)
            self._claim(checkpoint.key)
            recorded.append(self._replay(checkpoint) or await self._make(checkpoint))
            outcome = recorded[-1].outcome
            if outcome.error is None:
                return make_step(call, recorded)
            messages += _repair_turns(outcome.text, outcome.error)

    def record(self, event_type: Literal["decision"], *, block_id: str, key: str, payload: JsonObject) -> None:
        """Record a decision; it is durable before the next call goes out. Raises `RepeatedKey`."""
        self._journal.append(Event(event_type, self._clock.now(), block_id, None, key, payload))

    def recorded(self, key: str) -> Event | None:
        """The result that this or an earlier attempt recorded under this key."""
        entry = self._journal.result_of(key)
        return None if entry is None else entry.event

    def is_recorded(self, call: AgentCall) -> bool:
        """Whether making the call asks nobody: its end is known, with every repair that it took."""
        if self._journal.result_of(call.key) is None and self._journal.reusable(call.key) is None:
            return False  # so it is most often, and then nothing has to be hashed
        messages: tuple[Message, ...] = (Message("user", call.prompt),)
        for repair in range(MAX_REPAIRS + 1):
            checkpoint = make_checkpoint(call, repair, messages)
            entry = self._journal.result_of(checkpoint.key) or self._reusable(checkpoint)
            if entry is None:
                return False
            payload = entry.event.payload
            if payload.get("error") is None or is_failure(payload):
                break
            messages += _repair_turns(read_outcome(payload).text, str(payload["error"]))
        return True

    def _claim(self, key: str) -> None:
        if key in self._keys:
            raise RepeatedKey(f"The checkpoint {key!r} is used twice in one run; phase or round has to differ.")
        self._keys.add(key)

    def _replay(self, checkpoint: Checkpoint) -> Recorded | None:
        entry = self._journal.result_of(checkpoint.key) or self._reuse(checkpoint)
        if entry is None:
            return None
        if entry.event.type == "decision":
            raise RepeatedKey(f"The checkpoint {checkpoint.key!r} already holds a decision.")
        self._compare_prompts(checkpoint, entry)
        if entry.event.type == "agent.failed":
            raise read_failure(checkpoint.call, entry.event.payload)
        outcome = read_outcome(entry.event.payload)
        return Recorded(outcome, entry.position, replayed=True, reused=entry.event.is_reused)

    def _reuse(self, checkpoint: Checkpoint) -> RecordedEvent | None:
        """Record what another execution was answered as this checkpoint's result: nobody is asked, nothing charged."""
        if (found := self._reusable(checkpoint)) is None:
            return None
        payload = found.event.payload
        started = started_payload(checkpoint, str(payload["model"]), Amount()) | {REUSED: payload[REUSED]}
        self._append("agent.started", checkpoint, started)
        self._append("agent.failed" if is_failure(payload) else "agent.completed", checkpoint, payload)
        return self._journal.result_of(checkpoint.key)

    def _reusable(self, checkpoint: Checkpoint) -> RecordedEvent | None:
        """What another execution was answered, if it had asked the very same."""
        found = self._journal.reusable(checkpoint.key)
        if found is None or found.event.payload.get("prompt_hash") != checkpoint.prompt_hash:
            return None
        return found

    def _compare_prompts(self, checkpoint: Checkpoint, entry: RecordedEvent) -> None:
        """The recorded result wins over a prompt that has changed since; one warning a run says so."""
        if self._warned or entry.event.payload.get("prompt_hash") == checkpoint.prompt_hash:
            return
        self._warned = True
        message = "The prompt is no longer the one that this recorded result answered; the recorded result is used."
        self._append("execution.warning", checkpoint, {"code": "prompt_changed", "message": message})

    async def _make(self, checkpoint: Checkpoint) -> Recorded:
        self._refuse_after_ceiling(checkpoint.call.block_id)
        began = self._clock.monotonic()
        sent = text_size(checkpoint.request.system_prompt) + text_size(checkpoint.prompt)
        self._payload.hold(sent, f"the next prompt of {checkpoint.call.agent.name!r}")
        try:
            answered = await self._requests.send(checkpoint, self._deadline_of(checkpoint.call))
        except GaveUp as gave_up:
            nothing = self._without_answer(gave_up, began)
            message = _sentence(checkpoint, gave_up)
            error = failure(checkpoint.call, message, code=gave_up.code, retryable=gave_up.retryable)
            raise self._fail(checkpoint, nothing, error) from gave_up
        except BaseException:
            self._payload.release(sent)  # nothing is recorded of it, so a resumed run does not count it either
            raise
        outcome = self._outcome(checkpoint, answered, began)
        if outcome.error is not None and checkpoint.repair == MAX_REPAIRS:
            name = checkpoint.call.agent.name
            message = f"{name!r} gave no answer of the form asked for, after {MAX_REPAIRS} repairs.\n{outcome.error}"
            raise self._fail(checkpoint, outcome, failure(checkpoint.call, message, code="invalid_output"))
        position = self._append("agent.completed", checkpoint, completed_payload(checkpoint, outcome))
        return Recorded(outcome, position, replayed=False)

    def _outcome(self, checkpoint: Checkpoint, answered: Answered, began: float) -> Outcome:
        answer, schema = answered.answer, checkpoint.call.schema
        output: Json = answer.text
        error = None
        if schema is not None:
            parsed = parsed_size(answer.text)
            self._payload.hold(parsed, f"the value that {checkpoint.call.agent.name!r} answered")
            reading = read_structured(answer.text, schema, truncated=answer.truncated)
            if (error := reading.error) is not None:
                self._payload.release(parsed)
            output = answer.text if error is not None else reading.value
        return Outcome(
            output=output,
            text=answer.text,
            model=answered.model,
            usage=answered.usage,
            cost=answered.cost,
            duration_ms=self._since(began),
            tries=answered.tries,
            error=error,
            truncated=answer.truncated,
            unanswered=answered.unanswered,
        )

    def _without_answer(self, gave_up: GaveUp, began: float) -> Outcome:
        return Outcome(
            output=None,
            text="",
            model=gave_up.model,
            usage=TokenUsage(),
            cost=Decimal(0),
            duration_ms=self._since(began),
            tries=gave_up.tries,
            unanswered=gave_up.unanswered,
        )

    def _fail(self, checkpoint: Checkpoint, outcome: Outcome, error: AgentCallFailed) -> AgentCallFailed:
        """Record that the call has failed for good, and return the error that says so."""
        self._append("agent.failed", checkpoint, failed_payload(checkpoint, outcome, error))
        return error

    def _refuse_after_ceiling(self, block_id: str) -> None:
        """A block that met a ceiling makes no new request, no repair either: a resumed run has to end as it would."""
        reached = self.recorded(ceiling_key(block_id))
        if reached is not None:
            raise CeilingReached(str(reached.payload["message"]), reason=cast(Ceiling, reached.payload["reason"]))

    def _deadline_of(self, call: AgentCall) -> float | None:
        deadlines = [deadline for deadline in (call.deadline, self._deadline) if deadline is not None]
        return min(deadlines, default=None)

    def _since(self, began: float) -> int:
        return round((self._clock.monotonic() - began) * 1000)

    def _append(self, event_type: EventType, checkpoint: Checkpoint, payload: JsonObject) -> int:
        call = checkpoint.call
        event = Event(event_type, self._clock.now(), call.block_id, call.agent.name, checkpoint.key, payload)
        return self._journal.append(event)


def _repair_turns(text: str, error: str) -> tuple[Message, Message]:
    return Message("assistant", text or NO_TEXT), Message("user", repair_prompt(error))


def _sentence(checkpoint: Checkpoint, gave_up: GaveUp) -> str:
    tries = "1 try" if gave_up.tries == 1 else f"{gave_up.tries} tries"
    name = checkpoint.call.agent.name
    return f"{name!r} got no answer from {gave_up.model} after {tries}: {gave_up}"
