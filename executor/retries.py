"""Getting one answer out of models that fail: tries, waits, fallbacks, and the budget of every request."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256

from executor.budget import Amount, Budget
from executor.checkpoint import Checkpoint, cost_of, retrying_payload, started_payload
from executor.clock import Clock
from executor.errors import CeilingReached, JournalClosed, UnknownModel
from executor.events import Delta, DeltaSink, Event, EventType
from executor.journal import Journal
from executor.json_types import JsonObject
from executor.payload import Incoming, Payload, text_size
from executor.providers.contract import (
    Model,
    ModelAnswer,
    ModelCallError,
    ModelProvider,
    Price,
    TextSink,
    TokenUsage,
)
from executor.usage import Usage

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_RETRY_AFTER = 60.0


@dataclass(frozen=True)
class Answered:
    """An answer, the model that gave it, what it used, and the requests that were sent to get it.

    `unanswered` are the tokens and the money that requests before it stay counted for.
    """

    answer: ModelAnswer
    model: str
    usage: TokenUsage
    cost: Decimal | None
    tries: int
    unanswered: Amount


class GaveUp(Exception):
    """No request of a checkpoint got an answer, and none is left that could. `model` was asked last."""

    def __init__(self, message: str, *, code: str, model: str, tries: int, retryable: bool, unanswered: Amount) -> None:
        self.code = code
        self.retryable = retryable
        self.model = model
        self.tries = tries
        self.unanswered = unanswered
        super().__init__(message)


@dataclass
class _Series:
    """Where the requests of one checkpoint stand. `wait` is in seconds, before the next request.

    `streamed` says that the latest request's answer has begun to come. `unanswered` adds up the reservations that are
    kept for failed requests, without their calls.
    """

    checkpoint: Checkpoint
    deadline: float | None
    model: str
    tries: int = 0
    wait: float = 0.0
    failure: ModelCallError | None = None
    streamed: bool = False
    unanswered: Amount = field(default_factory=lambda: Amount(cost=None))


class Requests:
    """Sends what checkpoints ask for. `usage` adds up all that was sent, the failed requests included."""

    def __init__(
        self,
        *,
        models: ModelProvider,
        journal: Journal,
        budget: Budget,
        clock: Clock,
        on_delta: DeltaSink | None,
        payload: Payload,
    ) -> None:
        self.usage = Usage()
        self._models = models
        self._journal = journal
        self._budget = budget
        self._clock = clock
        self._on_delta = on_delta
        self._payload = payload

    async def send(self, checkpoint: Checkpoint, deadline: float | None) -> Answered:
        """Ask the agent's model, then its fallbacks, each as often as the settings allow.

        The event of every request is durable before it goes out. Raises `GaveUp`, `CeilingReached`, `PayloadExceeded`.
        A request that is cancelled, meets the deadline or is cut off keeps its whole reservation: what it used is not
        known.
        """
        agent = checkpoint.call.agent
        primary = agent.model or self._models.default_model
        series = _Series(checkpoint, deadline, primary)
        for model in (primary, *agent.settings.fallbacks):
            series.model, series.wait = model, 0.0
            answered = await self._ask_repeatedly(series)
            if answered is not None:
                return answered
        raise _gave_up(series)

    async def _ask_repeatedly(self, series: _Series) -> Answered | None:
        """Every try of one model; None when a fallback may do better."""
        model, price = self._resolve(series)
        for number in range(1, series.checkpoint.request.settings.tries + 1):
            reserved = await self._reserve(series, price)
            try:
                answer = await self._ask(series, model)
            except ModelCallError as error:
                await self._settle_failure(series, reserved, error)
                series.failure = error
                if not error.retryable:
                    raise _gave_up(series) from error
                if not self._plan_wait(series, error, number):
                    return None
            else:
                return await self._settle(series, reserved, price, answer)
        return None

    def _resolve(self, series: _Series) -> tuple[Model, Price | None]:
        try:
            return self._models.model(series.model), self._models.price(series.model)
        except UnknownModel as error:
            series.failure = ModelCallError(str(error), retryable=False, may_be_charged=False)
            raise _gave_up(series) from error

    async def _reserve(self, series: _Series, price: Price | None) -> Amount:
        """Set the next request's use aside, announce it, and wait until its turn has come and its event is durable."""
        self._check_deadline(series)
        reserved = await self._budget.reserve(series.checkpoint.reservation(price))
        if series.failure is None:
            self._append("agent.started", series, started_payload(series.checkpoint, series.model, reserved))
        else:
            self._append("agent.retrying", series, _retrying(series, series.failure, reserved))
            await self._wait(series, reserved)
        try:
            await self._journal.flush()
        except JournalClosed:
            await self._budget.settle(reserved, Amount())  # others share the budget, and this request never went out
            raise
        return reserved

    async def _wait(self, series: _Series, reserved: Amount) -> None:
        try:
            async with self._clock.timeout_at(series.deadline):
                await self._clock.sleep(series.wait)
        except BaseException as stopped:
            await self._budget.settle(reserved, Amount())  # this request never went out
            if isinstance(stopped, TimeoutError):
                raise _deadline_reached(series) from stopped
            raise

    async def _ask(self, series: _Series, model: Model) -> ModelAnswer:
        settings = series.checkpoint.request.settings
        limit = self._clock.monotonic() + settings.timeout_seconds
        deadline_first = series.deadline is not None and series.deadline <= limit
        series.tries += 1
        series.streamed = False
        self.usage = self.usage.plus(Usage(calls=1))
        try:
            async with self._clock.timeout_at(series.deadline if deadline_first else limit):
                return await self._receive(series, model)
        except TimeoutError as error:
            if deadline_first:
                raise _deadline_reached(series) from error
            message = f"{series.model} did not answer within {settings.timeout_seconds:g} s."
            raise ModelCallError(message, retryable=True, cause="timeout") from error

    async def _receive(self, series: _Series, model: Model) -> ModelAnswer:
        with self._payload.receiving(f"the answer of {series.checkpoint.call.agent.name!r}") as incoming:
            answer = await model.complete(
                series.checkpoint.request, self._text_sink(series, incoming), incoming.grow_to
            )
            incoming.come_to(text_size(answer.text))
            return answer

    async def _settle_failure(self, series: _Series, reserved: Amount, error: ModelCallError) -> None:
        """Give back what is sure not to be charged: all but the call after a refusal, nothing once it may be."""
        if not (error.may_be_charged or series.streamed):
            await self._budget.settle(reserved, Amount(calls=1))
            return
        await self._budget.settle(reserved, reserved)
        series.unanswered = series.unanswered.plus(replace(reserved, calls=0))

    async def _settle(self, series: _Series, reserved: Amount, price: Price | None, answer: ModelAnswer) -> Answered:
        usage = series.checkpoint.usage_of(answer)
        cost = cost_of(price, usage)
        self.usage = self.usage.plus_call(usage, cost, calls=0)
        await self._budget.settle(reserved, Amount(1, usage.input_tokens + usage.output_tokens, cost))
        return Answered(answer, series.model, usage, cost, series.tries, series.unanswered)

    def _plan_wait(self, series: _Series, error: ModelCallError, number: int) -> bool:
        """Set the wait before this model's next try. False when that would come too late to be of use."""
        series.wait = _backoff(series.checkpoint.key, number)
        if error.retry_after is None:
            return True
        asked = min(error.retry_after, LONGEST_RETRY_AFTER)
        series.wait = max(series.wait, asked)
        if series.deadline is None or self._clock.monotonic() + asked < series.deadline:
            return True
        left = max(0.0, series.deadline - self._clock.monotonic())
        too_late = f"{error.message} It asked to wait {asked:g} s, and only {left:.3g} s are left."
        series.failure = replace(error, message=too_late)
        return False

    def _check_deadline(self, series: _Series) -> None:
        if series.deadline is not None and series.deadline <= self._clock.monotonic():
            raise _deadline_reached(series)

    def _append(self, event_type: EventType, series: _Series, payload: JsonObject) -> None:
        call = series.checkpoint.call
        key = series.checkpoint.key
        self._journal.append(Event(event_type, self._clock.now(), call.block_id, call.agent.name, key, payload))

    def _text_sink(self, series: _Series, incoming: Incoming) -> TextSink | None:
        on_delta = self._on_delta
        if on_delta is None:
            return None
        call, key, offset, size = series.checkpoint.call, series.checkpoint.key, 0, 0

        def pass_on(text: str) -> None:
            nonlocal offset, size
            series.streamed = True
            size += text_size(text)
            incoming.grow_to(size)
            on_delta(Delta(call.block_id, call.agent.name, key, offset, text))
            offset += len(text)

        return pass_on


def _backoff(key: str, number: int) -> float:
    """The wait after a model's failure of that number: doubling, with up to half of it taken off.

    The jitter is drawn from the key, so that parallel calls spread out and a run's waits can be foretold.
    """
    longest = min(LONGEST_WAIT, FIRST_WAIT * float(1 << (number - 1)))
    draw = int.from_bytes(sha256(f"{key}#{number}".encode()).digest()[:4]) / 0x1_0000_0000
    return longest * (1 - draw / 2)


def _retrying(series: _Series, failure: ModelCallError, reserved: Amount) -> JsonObject:
    counted = replace(series.unanswered.plus(reserved), calls=series.tries + 1)
    cause = failure.cause
    return retrying_payload(reason=failure.message, cause=cause, wait=series.wait, model=series.model, reserved=counted)


def _gave_up(series: _Series) -> GaveUp:
    failure = series.failure or ModelCallError("No request was sent.", retryable=False)
    return GaveUp(
        failure.message,
        code=failure.cause,
        model=series.model,
        tries=series.tries,
        retryable=failure.retryable,
        unanswered=series.unanswered,
    )


def _deadline_reached(series: _Series) -> CeilingReached:
    return CeilingReached(
        f"The time limit was reached while {series.checkpoint.call.agent.name!r} was at work.", reason="timeout"
    )
