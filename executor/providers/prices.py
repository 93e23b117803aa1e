"""List prices, from the `genai-prices` data that is installed; nothing is fetched."""

from datetime import UTC, datetime
from decimal import Decimal

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices

from executor.providers.accounts import Account
from executor.providers.contract import Price


def list_price(account: Account, model: str) -> Price | None:
    """What the provider's public list says the model costs; None for what it does not name.

    An account with a base URL is looked up by that URL: the name of a model says nothing of what a server of one's
    own costs. Where the price rises with the prompt's length, this is the lowest tier.
    """
    provider = account.kind if account.base_url is None else None
    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, account.base_url)
    except LookupError:
        return None
    prices = found.get_prices(datetime.now(UTC))
    tokens_in, tokens_out = _lowest(prices.input_mtok), _lowest(prices.output_mtok)
    if tokens_in is None or tokens_out is None:
        return None
    return Price(tokens_in, tokens_out)


def _lowest(price: Decimal | TieredPrices | None) -> Decimal | None:
    return price.base if isinstance(price, TieredPrices) else price
