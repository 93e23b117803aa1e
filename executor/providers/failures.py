"""What went wrong with a request, in a sentence that a person can act on and without any secret."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from executor.providers.accounts import PLACEHOLDER_KEY, Account
from executor.providers.contract import ModelCallError
from executor.providers.text import clean_text

RETRYABLE_STATUSES = frozenset({408, 409, 425, 429})
#: What waiting does not mend, though it may come with a 429.
QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "exceeded_current_quota_error",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
LONGEST_QUOTE = 300


def http_failure(
    account: Account, model: str, status: int, body: object, retry_after: float | None = None
) -> ModelCallError:
    """A status that is no success. `body` is the error's, parsed, whatever it is."""
    if status == 402 or not QUOTA_CODES.isdisjoint(codes_in(body)):
        return quota_exhausted(account, status, body)
    said, retryable = what_it_says(account, body), is_retryable(status)
    if status in (401, 403):
        message = (
            f"{name_provider(account)} refused the key of this account ({status}). Check the key, and that it may use"
            f" model {model!r}."
        )
    elif status == 404:
        message = (
            f"{name_provider(account)} knows no model {model!r} (404). Check the model's name, and the base URL"
            f" of the account.{said}"
        )
    elif status == 429:
        message = f"{name_provider(account)} limits the rate of requests (429).{said}"
    elif retryable:
        message = f"{name_provider(account)} failed with status {status}.{said}"
    else:
        message = f"{name_provider(account)} rejected the request ({status}).{said}"
    return ModelCallError(message, retryable=retryable, status=status, retry_after=retry_after, may_be_charged=False)


def is_retryable(status: int) -> bool:
    return status in RETRYABLE_STATUSES or status >= 500


def quota_exhausted(account: Account, status: int | None, body: object) -> ModelCallError:
    return ModelCallError(
        f"The quota or credit of account {account.name!r} is used up. Raise it with the provider, or use another"
        f" account.{what_it_says(account, body)}",
        retryable=False,
        status=status,
        cause="quota_exhausted",
        may_be_charged=False,
    )


def rejected(account: Account, body: object) -> ModelCallError:
    return ModelCallError(
        f"{name_provider(account)} rejected the request.{what_it_says(account, body)}",
        retryable=False,
        may_be_charged=False,
    )


def unreadable(account: Account, body: object = None, *, retry_after: float | None = None) -> ModelCallError:
    return ModelCallError(
        f"{name_provider(account)} sent an answer that could not be read.{what_it_says(account, body)}",
        retryable=True,
        retry_after=retry_after,
    )


def unreachable(account: Account) -> ModelCallError:
    message = f"{name_provider(account)} could not be reached. Check the base URL and the network."
    return ModelCallError(message, retryable=True, may_be_charged=False)


def untrusted(account: Account) -> ModelCallError:
    message = (
        f"The certificate of {name_provider(account, start=False)} is not trusted. Check the base URL; for an authority"
        " of your own, name its file in SSL_CERT_FILE."
    )
    return ModelCallError(message, retryable=False, may_be_charged=False)


def broken_off(account: Account) -> ModelCallError:
    message = f"The connection to {name_provider(account, start=False)} broke off before the answer was complete."
    return ModelCallError(message, retryable=True)


def not_in_time(account: Account) -> ModelCallError:
    return ModelCallError(f"{name_provider(account)} did not answer in time.", retryable=True)


def not_as_promised(account: Account, what: str) -> ModelCallError:
    return ModelCallError(
        f"{name_provider(account)} sent an answer that is not what its API promises ({what}).", retryable=True
    )


def said_nothing() -> ModelCallError:
    return ModelCallError("The provider's answer ended before it had said anything.", retryable=True)


def declined(why: str) -> ModelCallError:
    return ModelCallError(
        f"The provider declined to answer this prompt ({why}). Change the prompt or the model.",
        retryable=False,
        cause="declined",
    )


def egress_refused(reason: str) -> ModelCallError:
    return ModelCallError(reason, retryable=False, cause="egress_refused", may_be_charged=False)


def name_provider(account: Account, *, start: bool = True) -> str:
    return f"{'The' if start else 'the'} provider of account {account.name!r} at {account.host}"


def codes_in(body: object) -> set[str]:
    """The words by which an error body says of what kind it is."""
    error = error_in(body)
    return {value for name in ("code", "type", "status") if isinstance(value := error.get(name), str)}


def error_in(body: object) -> dict[str, Any]:
    """The error that a body tells of, in the usual place or directly; empty for anything else."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    return body if isinstance(body, dict) else {}


def what_it_says(account: Account, body: object) -> str:
    """What the provider says of it, when it says it in a usual place."""
    message = error_in(body).get("message")
    if not isinstance(message, str) and isinstance(body, dict):
        # FastAPI's servers answer with `detail`, some others with a text as the error.
        message = body.get("error") or body.get("detail")
    return f" It says: {quote(message, account)}" if isinstance(message, str) and message else ""


def quote(text: str, account: Account) -> str:
    """A text of the provider's, on one line, bounded, and without the key."""
    text = " ".join(clean_text(text).split())
    if account.key and account.key != PLACEHOLDER_KEY:
        # Before it is cut, so that no half of a key is left at the end.
        text = text.replace(account.key, "[key]")
    return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms`, or `retry-after` as seconds or a date. None where neither makes sense."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
