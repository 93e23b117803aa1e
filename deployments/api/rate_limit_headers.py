"""`RateLimit-Policy` and `RateLimit`: what limits let in, and what is left of it, for programs.

As draft-ietf-httpapi-ratelimit-headers has them since its 08: a list of policies by their names, with the quota `q` and
the window `w` in seconds; and for each that was counted what is left of it, `r`, and for how many seconds, `t`.
"""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter

from deployments.executions.admission import LimitReached, Quota, QuotaPolicy

POLICY: Final = "RateLimit-Policy"
LIMIT: Final = "RateLimit"

POLICY_WORDS: Final = (
    'The quotas that the call came by, as `"deployment-rate";q=100;w=60, "key-day";q=1000;w=86400`: q calls in w'
    " seconds. Left out where no limit is set, and where an Idempotency-Key only repeats a call."
)
LIMIT_WORDS: Final = (
    'What is left of them, as `"deployment-rate";r=99;t=42`: r calls in the t seconds until the quota counts from'
    " nothing again. In a 429 the one that is used up alone."
)
#: For OpenAPI documents, by header.
WORDS: Final = {POLICY: POLICY_WORDS, LIMIT: LIMIT_WORDS}


def headers_of(quotas: tuple[Quota, ...]) -> dict[str, str]:
    """Those of a call that was let in. Empty without a limit."""
    if not quotas:
        return {}
    left = ", ".join(f'"{quota.policy.name}";r={quota.left};t={quota.opens_in}' for quota in quotas)
    return {POLICY: _policies(tuple(quota.policy for quota in quotas)), LIMIT: left}


def headers_of_refusal(reached: LimitReached) -> dict[str, str]:
    """Those of a call that a limit refused. Executions at once have no window, and so no quota."""
    headers = {POLICY: _policies(reached.policies)} if reached.policies else {}
    if reached.used_up is not None:
        headers[LIMIT] = f'"{reached.used_up.name}";r=0;t={reached.retry_after}'
    return headers


def headers_in(response: Any) -> dict[str, str]:
    """Those that this response bears, for another that takes its place."""
    return {name: response[name] for name in WORDS if name in response}


def documented(statuses: list[int]) -> list[OpenApiParameter]:
    """The headers of answers with these statuses, for drf-spectacular."""
    return [
        OpenApiParameter(name, str, OpenApiParameter.HEADER, response=statuses, description=words)
        for name, words in WORDS.items()
    ]


def _policies(policies: tuple[QuotaPolicy, ...]) -> str:
    return ", ".join(f'"{policy.name}";q={policy.limit};w={policy.seconds}' for policy in policies)
