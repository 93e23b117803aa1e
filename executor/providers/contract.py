"""What the engine asks of a model, and what any provider of models has to offer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

from executor.json_types import JsonObject
from executor.spec import AgentSettings

TextSink = Callable[[str], None]
#: Told how many bytes of an answer are held so far, while it comes. What it raises ends the call.
SizeSink = Callable[[int], None]


@dataclass(frozen=True)
class Message:
    """One turn of the conversation after the system prompt."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True)
class ModelRequest:
    """One request to a model. With an `output_schema` the answer's text has to be JSON that satisfies it."""

    system_prompt: str
    messages: tuple[Message, ...]
    settings: AgentSettings
    output_schema: JsonObject | None = None


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of one answer. `estimated` when the provider did not report them and they were counted from bytes."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True)
class ModelAnswer:
    """What a model answered. `text` has no NUL and no lone surrogate: providers clean it at their edge."""

    text: str
    usage: TokenUsage
    truncated: bool = False


@dataclass(frozen=True)
class Price:
    """USD for a million tokens."""

    input_per_million: Decimal
    output_per_million: Decimal


@dataclass
class ModelCallError(Exception):
    """A request that failed. `retryable` and `retry_after` (seconds) say what may be done about it.

    `may_be_charged` is False where the provider refused the request or never got it. A request that timed out or broke
    off may have been answered at the provider's end, and is then on its bill.
    """

    message: str
    retryable: bool
    status: int | None = None
    retry_after: float | None = None
    cause: str = field(default="provider_error")
    may_be_charged: bool = True

    def __str__(self) -> str:
        return self.message


class Model(Protocol):
    """One model, ready to be asked. One instance serves many executions at once."""

    @property
    def name(self) -> str:
        """`account:model`, as designs write it."""

    async def complete(
        self, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        """Ask once, without retries. With `on_text` the answer is streamed to it piece by piece as it comes.

        Raises `ModelCallError`, and what the sinks raise. A cancelled task closes the connection, and so does a sink
        that raises.
        """


class ModelProvider(Protocol):
    """Resolves the model names of a design."""

    @property
    def default_model(self) -> str:
        """The name used for an agent that names no model."""

    def model(self, name: str) -> Model:
        """The model of that name. Raises `UnknownModel`."""

    def problem_with(self, name: str) -> str | None:
        """A sentence when the name's account does not exist. Opens no connection."""

    def price(self, name: str) -> Price | None:
        """What the model costs, None when that is not known. `offline:` models cost nothing."""
