"""Everything the engine raises. The docstring of each says when; its message is for the person who reads the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: Problems that an error's message shows; its `problems` hold them all.
SUMMED_UP = 5

Ceiling = Literal["max_rounds", "max_calls", "budget", "daily_budget", "timeout"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a design: where (a JSON pointer), which rule (a stable code), and a sentence."""

    pointer: str
    code: str
    message: str


def sum_up(problems: Sequence[Problem]) -> str:
    """The first few problems in one line, and how many more there are."""
    shown = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in problems[:SUMMED_UP])
    more = len(problems) - SUMMED_UP
    return shown if more <= 0 else f"{shown}; and {more} more"


class ExecutorError(Exception):
    """The base of all errors of the engine."""


class MalformedDesign(ExecutorError):
    """The document does not have the structure of a design, so it cannot even be stored as a draft."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(sum_up(self.problems))


class InvalidDesign(ExecutorError):
    """The design has the right structure but cannot run; `problems` lists every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(sum_up(self.problems))


class InvalidInput(ExecutorError):
    """The input data does not satisfy the design's input schema; `problems` lists every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(sum_up(self.problems))


class UnknownModel(ExecutorError):
    """A model name whose account does not exist. The message says which names do."""


class CannotRerun(ExecutorError):
    """An execution cannot be run again from there; the message says from where it can. `code` is stable."""

    def __init__(self, message: str, *, code: str) -> None:
        self.code = code
        super().__init__(message)


class AgentCallFailed(ExecutorError):
    """One agent call has failed for good: retries, fallbacks and repairs are used up, or retrying cannot help.

    `retryable` says which: when it is False, the same call made again would be refused again (400, 401, 403, …).
    """

    def __init__(self, message: str, *, code: str, block_id: str, agent: str, retryable: bool = True) -> None:
        self.code = code
        self.retryable = retryable
        self.block_id = block_id
        self.agent = agent
        super().__init__(message)


class ProviderFailed(AgentCallFailed):
    """The model's provider refused, broke off or could not be reached (`provider_error`)."""


class InvalidOutput(AgentCallFailed):
    """The model's answer does not satisfy the schema, after every repair (`invalid_output`)."""


class CeilingReached(ExecutorError):
    """A limit of the block or the execution forbids the next call. A pattern answers with its best result so far."""

    def __init__(self, message: str, *, reason: Ceiling) -> None:
        self.reason: Ceiling = reason
        super().__init__(message)


class PayloadExceeded(ExecutorError):
    """The execution would hold more bytes than it may. It ends then, whatever a block's `on_error` says.

    Patterns let it through: to go on with the best result so far would take up more.
    """


class BlockFailed(ExecutorError):
    """A pattern cannot produce a result, for a reason of its own (too few branches succeeded, say)."""

    def __init__(self, message: str, *, code: str = "block_failed", agent: str | None = None) -> None:
        self.code = code
        self.agent = agent
        super().__init__(message)


class RepeatedKey(ExecutorError):
    """A pattern used one checkpoint key twice in a run. This is a mistake in the pattern, never in the design."""


class JournalClosed(ExecutorError):
    """The execution no longer belongs to this run (its lease was lost, or it has ended): nothing may be recorded."""
