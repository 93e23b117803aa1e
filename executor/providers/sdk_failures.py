"""What pydantic-ai and the SDKs raise, as the errors of this system."""

import httpx2
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
    ModelTimeoutError,
    UserError,
)

from executor.egress import EgressRefused
from executor.providers.accounts import Account
from executor.providers.contract import ModelCallError
from executor.providers.failures import (
    broken_off,
    egress_refused,
    http_failure,
    not_as_promised,
    not_in_time,
    quota_exhausted,
    quote,
    rejected,
    unreachable,
    unreadable,
)


def describe_failure(error: Exception, account: Account, model: str) -> ModelCallError:
    """The error to raise instead of what an SDK raised. The original must not be chained: it holds the headers."""
    if isinstance(error, ModelCallError):
        return error
    if (refused := _refusal_behind(error)) is not None:
        return egress_refused(str(refused))
    if isinstance(error, ModelQuotaExceededError):
        status = error.status_code if isinstance(error, ModelHTTPError) else None
        return quota_exhausted(account, status, error.body)
    if isinstance(error, ModelHTTPError):
        return http_failure(account, model, error.status_code, error.body, _wait(error))
    if isinstance(error, ModelTimeoutError | httpx2.TimeoutException):
        return not_in_time(account)
    if isinstance(error, ModelConnectionError | httpx2.HTTPError):
        return _connection_error(error, account)
    if isinstance(error, UserError):
        return ModelCallError(
            f"Model {model!r} of account {account.name!r} cannot be asked for this: {quote(str(error), account)}",
            retryable=False,
            may_be_charged=False,
        )
    if isinstance(error, ModelRequestRejectedError):
        return rejected(account, error.body)
    if isinstance(error, ModelAPIError):
        return unreadable(account, error.body, retry_after=_wait(error))
    return not_as_promised(account, type(error).__name__)


def _connection_error(error: Exception, account: Account) -> ModelCallError:
    never_connected = isinstance(error, httpx2.ConnectError) or getattr(error, "phase", None) == "connect"
    return unreachable(account) if never_connected else broken_off(account)


def _refusal_behind(error: BaseException | None) -> EgressRefused | None:
    while error is not None:
        if isinstance(error, EgressRefused):
            return error
        error = error.__cause__ or error.__context__
    return None


def _wait(error: ModelAPIError) -> float | None:
    return None if error.retry_after is None else max(0.0, error.retry_after)
