"""A `ModelProvider` whose models answer from a script, for tests of what the engine makes of their answers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from executor.clock import Clock
from executor.errors import UnknownModel
from executor.providers.contract import (
    Message,
    ModelAnswer,
    ModelCallError,
    ModelRequest,
    Price,
    SizeSink,
    TextSink,
    TokenUsage,
)

PRICE = Price(input_per_million=Decimal(3), output_per_million=Decimal(15))
USAGE = TokenUsage(input_tokens=100, output_tokens=20)


@dataclass(frozen=True)
class Streamed:
    """Pieces that are streamed where streaming was asked for; then the answer is complete, or the error is raised."""

    pieces: tuple[str, ...]
    error: ModelCallError | None = None


@dataclass(frozen=True)
class Slow:
    """An answer that takes its time, by the clock of the test."""

    seconds: float
    text: str


@dataclass(frozen=True)
class Stalled:
    """No answer, ever. `reached` is set when the request has come."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)


Reply = str | ModelAnswer | Exception | Streamed | Slow | Stalled
Script = Callable[[str, ModelRequest], Reply] | Mapping[str, Sequence[Reply]]


class ScriptedModels:
    """Answers by a function of the model's name and the request, or with a model's replies in turn.

    `requests` lists what was asked, as `(model, request)`, by the start of the request. The account `gone` does not
    exist. Without `prices` every model is priced `PRICE`.
    """

    def __init__(
        self,
        script: Script,
        *,
        clock: Clock | None = None,
        prices: Mapping[str, Price] | None = None,
        default_model: str = "scripted:first",
    ) -> None:
        self.default_model = default_model
        self.requests: list[tuple[str, ModelRequest]] = []
        self.prices = prices
        self.clock = clock
        self._script = script
        self._turns = {name: iter(replies) for name, replies in script.items()} if isinstance(script, Mapping) else {}

    def model(self, name: str) -> "ScriptedModel":
        if name.startswith("gone:"):
            raise UnknownModel(f"There is no account for {name!r}; there is 'scripted'.")
        return ScriptedModel(name, self)

    def problem_with(self, name: str) -> str | None:
        return "The account 'gone' does not exist." if name.startswith("gone:") else None

    def price(self, name: str) -> Price | None:
        return PRICE if self.prices is None else self.prices.get(name)

    def reply_to(self, name: str, request: ModelRequest) -> Reply:
        self.requests.append((name, request))
        return next(self._turns[name]) if self._turns else self._script(name, request)  # type: ignore[operator] # a function where there are no turns

    @property
    def prompts(self) -> list[str]:
        """The latest turn of each request."""
        return [request.messages[-1].text for _, request in self.requests]

    @property
    def conversations(self) -> list[tuple[Message, ...]]:
        return [request.messages for _, request in self.requests]


@dataclass(frozen=True)
class ScriptedModel:
    """One model of `ScriptedModels`."""

    name: str
    provider: ScriptedModels

    async def complete(
        self, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        reply = self.provider.reply_to(self.name, request)
        await asyncio.sleep(0)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, ModelAnswer):
            return reply
        return ModelAnswer(await self._write(reply, on_text), USAGE)

    async def _write(self, reply: str | Streamed | Slow | Stalled, on_text: TextSink | None) -> str:
        if isinstance(reply, Stalled):
            reply.reached.set()
            await asyncio.Event().wait()
        if isinstance(reply, Slow):
            assert self.provider.clock is not None, "A slow reply needs a clock."
            await self.provider.clock.sleep(reply.seconds)
            return reply.text
        if isinstance(reply, Streamed):
            for piece in reply.pieces if on_text is not None else ():
                assert on_text is not None
                on_text(piece)
                await asyncio.sleep(0)
            if reply.error is not None:
                raise reply.error
            return "".join(reply.pieces)
        assert isinstance(reply, str)
        return reply


def busy(retry_after: float | None = None) -> ModelCallError:
    """A failure that is worth another try."""
    return ModelCallError(
        "The server is busy.", retryable=True, status=429, retry_after=retry_after, may_be_charged=False
    )


def broken_off() -> ModelCallError:
    """A failure after which the provider may have worked all the same, and charge for it."""
    return ModelCallError("The connection broke off.", retryable=True)


def refused() -> ModelCallError:
    """A failure that no other try will mend."""
    return ModelCallError("The key was refused.", retryable=False, status=401, may_be_charged=False)
