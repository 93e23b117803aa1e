"""What the registry asks of an account's connection, whatever it rides on."""

from typing import Protocol

from executor.providers.accounts import Account
from executor.providers.contract import ModelAnswer, ModelRequest, SizeSink, TextSink


class Connection(Protocol):
    """Sends requests for one account on one event loop."""

    async def ask(
        self, model: str, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        """Ask once, streamed to `on_text` where that is given.

        Raises `ModelCallError`, with nothing chained to it that holds the key. A cancelled task closes the connection.
        What `on_text` and `on_size` raise goes through as it is.
        """

    async def aclose(self) -> None:
        """Close what is open. To be called on the loop that the requests ran on."""


class KindModule(Protocol):
    """The module of a kind of accounts. It is imported before the first call of such an account."""

    def connect(self, account: Account) -> Connection:
        """A connection that opens nothing yet. Called on a thread. Raises `EgressRefused` for a URL that is none."""
