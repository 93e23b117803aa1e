"""The models that a design can name, by account."""

import asyncio
import importlib
from collections.abc import Iterable
from decimal import Decimal
from types import ModuleType
from typing import Protocol, cast

from executor.clock import Clock
from executor.errors import ExecutorError, UnknownModel
from executor.providers.accounts import ACCOUNT_KINDS, Account
from executor.providers.connection import Connection, KindModule
from executor.providers.contract import Model, ModelAnswer, ModelCallError, ModelRequest, Price, SizeSink, TextSink
from executor.providers.failures import egress_refused
from executor.providers.gate import AccountGate
from executor.providers.offline.model import OfflineModel

DEFAULT_MODEL = "offline:demo"
FREE = Price(Decimal(0), Decimal(0))

_PRICES_MODULE = "executor.providers.prices"


class ProviderRegistry:
    """The models of some accounts: the engine's `ModelProvider`. Of two accounts with one name the later one counts."""

    def __init__(
        self, accounts: Iterable[Account], *, default_model: str = DEFAULT_MODEL, clock: Clock | None = None
    ) -> None:
        self._accounts = {account.name: _AccountLine(account, clock) for account in accounts}
        self._default_model = default_model
        self._models: dict[str, Model] = {}
        self._prices: dict[str, Price | None] = {}

    @property
    def default_model(self) -> str:
        return self._default_model

    @property
    def account_names(self) -> list[str]:
        """What may stand before the colon of a model's name, sorted."""
        return sorted(self._accounts)

    def model(self, name: str) -> Model:
        """The model of that name, always the same object. Raises `UnknownModel`. Opens no connection."""
        found = self._models.get(name)
        if found is None:
            found = self._models[name] = self._build(name)
        return found

    def problem_with(self, name: str) -> str | None:
        """A sentence when no account has the name before the colon."""
        account, colon, model = name.partition(":")
        if not (account and colon and model):
            return f"{name!r} is not a model's name: write account:model, for instance {DEFAULT_MODEL}."
        if account in self._accounts:
            return None
        known = ", ".join(self.account_names)
        return f"There is no account {account!r} for the model {name!r}. Known accounts: {known or 'none'}."

    def kind_of(self, name: str) -> str:
        """The kind of provider that the name leads to, `openai` or another of `ACCOUNT_KINDS`; empty for none."""
        line = self._accounts.get(name.partition(":")[0])
        return "" if line is None else line.account.kind

    def price(self, name: str) -> Price | None:
        """What the model costs: the account's own price, else the public list's; None when neither names it."""
        if self.problem_with(name) is not None:
            return None
        if name not in self._prices:
            self._prices[name] = self._find_price(name)
        return self._prices[name]

    async def aclose(self) -> None:
        """Close the connections of the running loop. They open again when they are needed."""
        for line in self._accounts.values():
            await line.aclose()

    def _build(self, name: str) -> Model:
        if (problem := self.problem_with(name)) is not None:
            raise UnknownModel(problem)
        account, _, model = name.partition(":")
        line = self._accounts[account]
        return OfflineModel(name) if line.account.kind == "offline" else _RemoteModel(name, model, line)

    def _find_price(self, name: str) -> Price | None:
        account_name, _, model = name.partition(":")
        account = self._accounts[account_name].account
        if account.prices is not None and model in account.prices:
            return account.prices[model]
        if account.kind == "offline":
            return FREE
        prices = cast("_PricesModule", _load(_PRICES_MODULE))
        return prices.list_price(account, model)


class _RemoteModel:
    """A model behind HTTP."""

    def __init__(self, name: str, model: str, line: "_AccountLine") -> None:
        self._name = name
        self._model = model
        self._line = line

    @property
    def name(self) -> str:
        return self._name

    async def complete(
        self, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        try:
            gated = await self._line.connection()
        except ExecutorError as error:
            message = f"Account {self._line.account.name!r} cannot be used: {error}"
            raise egress_refused(message) from error
        async with gated.gate.admission():
            try:
                return await gated.connection.ask(self._model, request, on_text, on_size)
            except ModelCallError as error:
                if error.status == 429 and error.retryable:
                    gated.gate.pause(error.retry_after)
                raise


class _AccountLine:
    """An account and its connections, one for each event loop: neither sockets nor locks can be shared by loops."""

    def __init__(self, account: Account, clock: Clock | None) -> None:
        self.account = account
        self._clock = clock
        self._connections: dict[asyncio.AbstractEventLoop, asyncio.Task[_GatedConnection]] = {}

    async def connection(self) -> "_GatedConnection":
        """The connection of the running loop. The first caller opens it, and all who come meanwhile wait."""
        loop = asyncio.get_running_loop()
        opening = self._connections.get(loop)
        if opening is None:
            for gone in [other for other in self._connections if other.is_closed()]:
                del self._connections[gone]
            opening = self._connections[loop] = loop.create_task(self._open())
        try:
            # Shielded: that the first caller gives up is no reason for the others to fail.
            return await asyncio.shield(opening)
        except Exception:
            self._connections.pop(loop, None)
            raise

    async def aclose(self) -> None:
        opening = self._connections.pop(asyncio.get_running_loop(), None)
        if opening is not None:
            await (await opening).connection.aclose()

    async def _open(self) -> "_GatedConnection":
        # On a thread: the first import takes a second or more, in which heartbeats and other calls go on.
        connection = await asyncio.to_thread(self._connect)
        gate = AccountGate(self.account.name, max_concurrent_calls=self.account.max_concurrent_calls, clock=self._clock)
        return _GatedConnection(connection, gate)

    def _connect(self) -> Connection:
        module = cast(KindModule, _load(ACCOUNT_KINDS[self.account.kind].module))
        return module.connect(self.account)


class _PricesModule(Protocol):
    def list_price(self, account: Account, model: str) -> Price | None: ...


class _GatedConnection:
    """An account's connection on one event loop, with the gate in front of it."""

    def __init__(self, connection: Connection, gate: AccountGate) -> None:
        self.connection = connection
        self.gate = gate


def _load(name: str) -> ModuleType:
    """Import a kind's module or the price list: the one place that imports by need.

    The clients, SDKs and the price list take 10 to 100 MB and up to three seconds; a process that runs only `offline:`
    models, or waits for its first execution, must not pay for them.
    """
    return importlib.import_module(name)
