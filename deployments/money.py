"""Money as text."""

from decimal import Decimal


def money_text(amount: Decimal) -> str:
    """USD as a plain decimal without trailing zeros: `0.0012`, never `1.2E-3` or `0.001200000`."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
