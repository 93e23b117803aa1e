"""What a model costs: the account's own price first, then the public list, else it is not known."""

from decimal import Decimal

from pydantic import SecretStr

from executor.providers.accounts import OFFLINE, Account
from executor.providers.contract import Price
from executor.providers.registry import ProviderRegistry

KEY = SecretStr("k")
OWN = Price(Decimal("0.01"), Decimal("0.02"))


def make_registry(*accounts: Account) -> ProviderRegistry:
    return ProviderRegistry([*accounts, OFFLINE])


def test_offline_models_cost_nothing() -> None:
    assert make_registry().price("offline:demo") == Price(Decimal(0), Decimal(0))


def test_the_public_list_prices_known_models_by_kind_and_not_by_the_accounts_name() -> None:
    registry = make_registry(
        Account("work", "openai", api_key=KEY),
        Account("a", "anthropic", api_key=KEY),
        Account("g", "google", api_key=KEY),
    )
    mini = registry.price("work:gpt-4o-mini")
    assert mini is not None
    assert (mini.input_per_million, mini.output_per_million) == (Decimal("0.15"), Decimal("0.6"))
    for name in ("a:claude-sonnet-4-5", "g:gemini-2.5-pro"):
        tiered = registry.price(name)
        assert tiered is not None
        assert 0 < tiered.input_per_million < tiered.output_per_million


def test_an_accounts_own_price_outranks_the_list() -> None:
    registry = make_registry(Account("work", "openai", api_key=KEY, prices={"gpt-4o-mini": OWN, "own": OWN}))
    assert registry.price("work:gpt-4o-mini") == OWN
    assert registry.price("work:own") == OWN
    assert registry.price("work:gpt-4o") != OWN


def test_a_price_that_is_not_known_is_none_and_not_zero() -> None:
    registry = make_registry(Account("work", "openai", api_key=KEY))
    assert registry.price("work:no-such-model") is None
    assert registry.price("nobody:gpt-4o") is None


def test_a_server_of_ones_own_does_not_cost_what_openai_does() -> None:
    registry = make_registry(Account("local", "openai", "http://localhost:11434/v1"))
    assert registry.price("local:gpt-4o-mini") is None


def test_a_well_known_compatible_service_has_its_own_list_price() -> None:
    registry = make_registry(Account("router", "openai", "https://openrouter.ai/api/v1", KEY))
    assert registry.price("router:openai/gpt-4o-mini") is not None
