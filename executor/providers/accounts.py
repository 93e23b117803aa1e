"""Accounts: where models are reached, with which key and under which limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from executor.providers.contract import Price


@dataclass(frozen=True)
class AccountKind:
    """A kind of providers: what it is called, and where and by which module it is reached.

    An environment with one of its `keys`, or its `base_url_variable`, has an account of it. `module` has to offer
    `connect` (`KindModule`).
    """

    title: str
    base_url: str
    module: str
    keys: tuple[str, ...]
    base_url_variable: str


#: Every kind there is, by the name that the public price list knows the provider by. `offline` is none: it is reached
#: without an account.
ACCOUNT_KINDS: Mapping[str, AccountKind] = {
    "openai": AccountKind(
        title="OpenAI, or any compatible server by its base URL",
        base_url="https://api.openai.com/v1",
        module="executor.providers.openai_chat",
        keys=("OPENAI_API_KEY",),
        base_url_variable="OPENAI_BASE_URL",
    ),
    "anthropic": AccountKind(
        title="Anthropic",
        base_url="https://api.anthropic.com",
        module="executor.providers.anthropic_messages",
        keys=("ANTHROPIC_API_KEY",),
        base_url_variable="ANTHROPIC_BASE_URL",
    ),
    "google": AccountKind(
        title="Google",
        base_url="https://generativelanguage.googleapis.com",
        module="executor.providers.google_gemini",
        keys=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        base_url_variable="GOOGLE_BASE_URL",
    ),
}
#: The variables that make accounts, in the order of the table.
ENVIRONMENT_VARIABLES = tuple(name for kind in ACCOUNT_KINDS.values() for name in (*kind.keys, kind.base_url_variable))
# Servers such as Ollama ask for no key, and the SDKs insist on one.
PLACEHOLDER_KEY = "no-key"


@dataclass(frozen=True)
class Account:
    """One account at a provider of models, of a kind in `ACCOUNT_KINDS`. Its name is the first half of a model's name.

    `prices` is by model (the second half of the name) and outranks the public price list. `max_concurrent_calls` holds
    per process; None is no limit. `allow_private` is the operator's consent that the host of `base_url` may have a
    private address.
    """

    name: str
    kind: str
    base_url: str | None = None
    api_key: SecretStr | None = None
    max_concurrent_calls: int | None = None
    prices: Mapping[str, Price] | None = None
    allow_private: bool = False

    @property
    def url(self) -> str:
        """Where requests go: the base URL, else the provider's own, whatever the SDKs' variables say."""
        return self.base_url or ACCOUNT_KINDS[self.kind].base_url

    @property
    def host(self) -> str:
        try:
            return urlsplit(self.url).hostname or ""
        except ValueError:
            return ""  # the connection says what is wrong with the URL

    @property
    def key(self) -> str:
        """The key in the clear, for the client alone."""
        return PLACEHOLDER_KEY if self.api_key is None else self.api_key.get_secret_value()


OFFLINE = Account("offline", "offline")


def accounts_from_environment(environ: Mapping[str, str]) -> list[Account]:
    """The accounts that the environment names, one of a kind at most, under the kind's name; and always `offline`.

    A key makes an account, and so does a base URL alone (Ollama needs no key). A base URL from the environment is the
    operator's consent to its host, a private one too.
    """
    accounts = [_from(name, kind, environ) for name, kind in ACCOUNT_KINDS.items()]
    return [*(account for account in accounts if account is not None), OFFLINE]


def _from(name: str, kind: AccountKind, environ: Mapping[str, str]) -> Account | None:
    key = next((value for variable in kind.keys if (value := environ.get(variable, "").strip())), None)
    base_url = environ.get(kind.base_url_variable, "").strip() or None
    if key is None and base_url is None:
        return None
    return Account(
        name=name,
        kind=name,
        base_url=base_url,
        api_key=None if key is None else SecretStr(key),
        allow_private=base_url is not None,
    )
