"""Accounts: where models are reached, with which key and under which limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from executor.providers.contract import Price

AccountKind = Literal["openai", "anthropic", "google", "offline"]

DEFAULT_BASE_URLS: Mapping[AccountKind, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}
# Servers such as Ollama ask for no key, and the SDKs insist on one.
PLACEHOLDER_KEY = "no-key"


@dataclass(frozen=True)
class Account:
    """One account at a provider of models. Its name is the first half of a model's name.

    `prices` is by model (the second half of the name) and outranks the public price list. `max_concurrent_calls` holds
    per process; None is no limit. `allow_private` is the operator's consent that the host of `base_url` may have a
    private address.
    """

    name: str
    kind: AccountKind
    base_url: str | None = None
    api_key: SecretStr | None = None
    max_concurrent_calls: int | None = None
    prices: Mapping[str, Price] | None = None
    allow_private: bool = False

    @property
    def url(self) -> str:
        """Where requests go: the base URL, else the provider's own, whatever the SDKs' variables say."""
        return self.base_url or DEFAULT_BASE_URLS[self.kind]

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


@dataclass(frozen=True)
class _Variables:
    kind: AccountKind
    keys: tuple[str, ...]
    base_url: str


_ENVIRONMENT = (
    _Variables("openai", ("OPENAI_API_KEY",), "OPENAI_BASE_URL"),
    _Variables("anthropic", ("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL"),
    _Variables("google", ("GOOGLE_API_KEY", "GEMINI_API_KEY"), "GOOGLE_BASE_URL"),
)

#: The variables that make accounts, in the order of the table.
ENVIRONMENT_VARIABLES = tuple(name for row in _ENVIRONMENT for name in (*row.keys, row.base_url))

OFFLINE = Account("offline", "offline")


def accounts_from_environment(environ: Mapping[str, str]) -> list[Account]:
    """The accounts that the environment names: `openai`, `anthropic`, `google`, and always `offline`.

    A key makes an account, and so does a base URL alone (Ollama needs no key). A base URL from the environment is the
    operator's consent to its host, a private one too.
    """
    accounts = [_from(variables, environ) for variables in _ENVIRONMENT]
    return [*(account for account in accounts if account is not None), OFFLINE]


def _from(variables: _Variables, environ: Mapping[str, str]) -> Account | None:
    key = next((value for name in variables.keys if (value := environ.get(name, "").strip())), None)
    base_url = environ.get(variables.base_url, "").strip() or None
    if key is None and base_url is None:
        return None
    return Account(
        name=variables.kind,
        kind=variables.kind,
        base_url=base_url,
        api_key=None if key is None else SecretStr(key),
        allow_private=base_url is not None,
    )
