"""Limits and what a day has used of them, as people say it."""

from deployments.api.daily_use import UsedToday
from deployments.models import ApiKey
from deployments.money import money_text


def used_in_words(used: UsedToday) -> str:
    """What a day's budget has been used for so far; empty where there is none."""
    parts = []
    if used.tokens is not None:
        parts.append(f"{used.tokens:,} tokens")
    if used.cost_usd is not None:
        parts.append(f"{money_text(used.cost_usd)} USD")
    return " and ".join(parts)


def limits_in_words(key: ApiKey) -> list[str]:
    """What a key is limited to, one thing a line."""
    lines = []
    if key.rate_count is not None:
        lines.append(f"{key.rate_count:,} calls in {key.rate_seconds:,} s")
    if key.max_concurrent is not None:
        lines.append(f"{key.max_concurrent:,} at once")
    if key.daily_max_executions is not None:
        lines.append(f"{key.daily_max_executions:,} executions a day")
    if key.daily_max_tokens is not None:
        lines.append(f"{key.daily_max_tokens:,} tokens a day")
    if key.daily_max_cost_usd is not None:
        lines.append(f"{money_text(key.daily_max_cost_usd)} USD a day")
    return lines
