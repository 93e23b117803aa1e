"""How a caller wants to be answered: `Prefer` (RFC 7240), `Idempotency-Key`, `Last-Event-ID`."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from rest_framework.request import Request

from access.permissions import caller_of
from access.principal import Principal
from deployments.executions.start import Idempotency
from executor.json_types import JsonObject
from rest.problems import ApiProblem

MAX_WAIT_SECONDS: Final = 300
MAX_IDEMPOTENCY_KEY: Final = 255
MAX_SEQ: Final = 2_147_483_647

_WAIT = re.compile(r"""wait\s*=\s*"?([0-9]{1,9})"?""", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*", re.ASCII)
_SEQ = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True)
class Waiting:
    """How many seconds the caller waits for the result, and what `Preference-Applied` says of it."""

    seconds: int
    applied: str | None = None


def read_waiting(request: Request) -> Waiting:
    """From `Prefer: wait=N` and `Prefer: respond-async`. What cannot be read is ignored, as the standard has it."""
    header = request.META.get("HTTP_PREFER")
    if header is None:
        return Waiting(settings.ENVIRONMENT.wait_seconds)
    preferences = [part.strip().lower() for part in header.split(",")]
    waits = [match for part in preferences if (match := _WAIT.fullmatch(part))]
    if waits:
        # Together with respond-async it means: asynchronously, if it takes longer than that.
        seconds = min(int(waits[0].group(1)), MAX_WAIT_SECONDS)
        return Waiting(seconds, f"wait={seconds}")
    if "respond-async" in preferences:
        return Waiting(0, "respond-async")
    return Waiting(settings.ENVIRONMENT.wait_seconds)


def read_idempotency(request: Request, input_data: JsonObject) -> Idempotency | None:
    """The caller's promise that equal requests are one. Raises the 400 for a key that cannot be used."""
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if len(key) > MAX_IDEMPOTENCY_KEY or not _PRINTABLE.fullmatch(key):
        raise ApiProblem(
            400,
            "bad-idempotency-key",
            f"An Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters, a UUID for example.",
        )
    canonical = json.dumps(input_data, sort_keys=True, separators=(",", ":"))
    return Idempotency(owner_of(caller_of(request)), key, hashlib.sha256(canonical.encode()).hexdigest())


def draft_has_no_keys() -> ApiProblem:
    """The 400 for an Idempotency-Key where there is no deployment that it could count in."""
    return ApiProblem(400, "bad-idempotency-key", "Idempotency-Key works for deployments only. Leave it out here.")


def owner_of(principal: Principal) -> str:
    """Whose idempotency keys these are: the API key's or the user's."""
    return f"key:{principal.key_id}" if principal.key_id is not None else f"user:{principal.user_id}"


def read_position(request: Request) -> int:
    """After which event a stream goes on: `Last-Event-ID`, else `?after=`, else the beginning. Raises the 400."""
    return parse_position(request.META.get("HTTP_LAST_EVENT_ID") or request.query_params.get("after"))


def parse_position(given: str | None) -> int:
    """The seq that a stream goes on after; the beginning when none is given. Raises the 400."""
    given = given or "0"
    if not _SEQ.fullmatch(given) or int(given) > MAX_SEQ:
        raise ApiProblem(400, "bad-position", "Last-Event-ID and after are the seq of the last event that was seen.")
    return int(given)
