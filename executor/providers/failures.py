"""What went wrong with a request, in a sentence that a person can act on and without any secret."""

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
from executor.providers.accounts import PLACEHOLDER_KEY, Account
from executor.providers.contract import ModelCallError
from executor.providers.text import clean_text

RETRYABLE_STATUSES = frozenset({408, 409, 425, 429})
LONGEST_QUOTE = 300


def describe_failure(error: Exception, account: Account, model: str) -> ModelCallError:
    """The error to raise instead of what an SDK raised. The original must not be chained: it holds the headers."""
    if isinstance(error, ModelCallError):
        return error
    if (refused := _refusal_behind(error)) is not None:
        return ModelCallError(str(refused), retryable=False, cause="egress_refused")
    if isinstance(error, ModelQuotaExceededError):
        return _quota_exhausted(error, account)
    if isinstance(error, ModelHTTPError):
        return _http_error(error, account, model)
    if isinstance(error, ModelTimeoutError | httpx2.TimeoutException):
        return ModelCallError(f"{_provider(account)} did not answer in time.", retryable=True)
    if isinstance(error, ModelConnectionError | httpx2.HTTPError):
        return _connection_error(error, account)
    if isinstance(error, UserError):
        return ModelCallError(
            f"Model {model!r} of account {account.name!r} cannot be asked for this: {_quote(str(error), account)}",
            retryable=False,
        )
    if isinstance(error, ModelAPIError):
        return _api_error(error, account)
    return ModelCallError(
        f"{_provider(account)} sent an answer that is not what its API promises ({type(error).__name__}).",
        retryable=True,
    )


def _http_error(error: ModelHTTPError, account: Account, model: str) -> ModelCallError:
    status, said = error.status_code, _said(error, account)
    retryable = status in RETRYABLE_STATUSES or status >= 500
    if status in (401, 403):
        message = (
            f"{_provider(account)} refused the key of this account ({status}). Check the key, and that it may use"
            f" model {model!r}."
        )
    elif status == 404:
        message = (
            f"{_provider(account)} knows no model {model!r} (404). Check the model's name, and the base URL"
            f" of the account.{said}"
        )
    elif status == 429:
        message = f"{_provider(account)} limits the rate of requests (429).{said}"
    elif retryable:
        message = f"{_provider(account)} failed with status {status}.{said}"
    else:
        message = f"{_provider(account)} rejected the request ({status}).{said}"
    return ModelCallError(message, retryable=retryable, status=status, retry_after=_wait(error))


def _quota_exhausted(error: ModelQuotaExceededError, account: Account) -> ModelCallError:
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    return ModelCallError(
        f"The quota or credit of account {account.name!r} is used up. Raise it with the provider, or use another"
        f" account.{_said(error, account)}",
        retryable=False,
        status=status,
        cause="quota_exhausted",
    )


def _connection_error(error: Exception, account: Account) -> ModelCallError:
    if isinstance(error, httpx2.ConnectError) or getattr(error, "phase", None) == "connect":
        message = f"{_provider(account)} could not be reached. Check the base URL and the network."
    else:
        message = f"The connection to {_provider(account, start=False)} broke off before the answer was complete."
    return ModelCallError(message, retryable=True)


def _api_error(error: ModelAPIError, account: Account) -> ModelCallError:
    if isinstance(error, ModelRequestRejectedError):
        return ModelCallError(f"{_provider(account)} rejected the request.{_said(error, account)}", retryable=False)
    return ModelCallError(
        f"{_provider(account)} sent an answer that could not be read.{_said(error, account)}",
        retryable=True,
        retry_after=_wait(error),
    )


def _refusal_behind(error: BaseException | None) -> EgressRefused | None:
    while error is not None:
        if isinstance(error, EgressRefused):
            return error
        error = error.__cause__ or error.__context__
    return None


def _provider(account: Account, *, start: bool = True) -> str:
    return f"{'The' if start else 'the'} provider of account {account.name!r} at {account.host}"


def _wait(error: ModelAPIError) -> float | None:
    return None if error.retry_after is None else max(0.0, error.retry_after)


def _said(error: ModelAPIError, account: Account) -> str:
    """What the provider says of it, when it says it in the usual place."""
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    message = body.get("message") if isinstance(body, dict) else None
    return f" It says: {_quote(message, account)}" if isinstance(message, str) and message else ""


def _quote(text: str, account: Account) -> str:
    text = " ".join(clean_text(text).split())
    if account.key != PLACEHOLDER_KEY:
        # Before it is cut, so that no half of a key is left at the end.
        text = text.replace(account.key, "[key]")
    return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"
