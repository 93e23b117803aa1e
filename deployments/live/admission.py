"""Who may go on watching: every stream that is open is looked at again every few seconds.

One check a process, for all its streams together, by polling: a logout, a revoked key, a user who leaves a team or a
key that is narrowed cut the stream off within 10 s, whichever process made the change and however it was made.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.conf import settings

from access.principal import Principal
from access.principal_of import principals_of
from access.rights import RIGHTS
from access.sessions import users_of_sessions
from deployments.executions.database_threads import in_database_thread
from deployments.keys import KeyPrincipal, KeySecret, principals_of_secrets
from deployments.live.closing import Closing
from deployments.models import ExecutionLog

log = logging.getLogger(__name__)

#: The right to follow an execution, whichever way: any of these suffices, in its team.
FOLLOW_VERBS: Final = RIGHTS["execution"]["events"]
#: Streams are ended when the rights behind them could not be looked at for so many periods.
PERIODS_OF_PATIENCE = 2


@dataclass(frozen=True)
class Credential:
    """What a stream was opened with: an API key, by the secret that it had then, or a session."""

    key: KeySecret | None = None
    session_key: str | None = None

    @classmethod
    def of(cls, request: Any, principal: Principal) -> "Credential":
        """That of a request which this principal has made."""
        if isinstance(principal, KeyPrincipal):
            return cls(key=principal.secret)
        return cls(session_key=request.session.session_key)


def may_follow(execution: ExecutionLog) -> Callable[[Principal], bool]:
    """Whether somebody may follow this execution."""
    return lambda principal: execution.is_visible_to(principal, *FOLLOW_VERBS)


class Admission:
    """One open stream. `principal` is what its caller is allowed as of the last check."""

    def __init__(self, credential: Credential, principal: Principal, may_stay: Callable[[Principal], bool]) -> None:
        self.credential = credential
        self.principal = principal
        self.closing: Closing | None = None
        #: Called when the stream is over, so that who sleeps finds out.
        self.wake: Callable[[], None] = lambda: None
        self._may_stay = may_stay

    @property
    def is_over(self) -> bool:
        return self.closing is not None

    def end(self, closing: Closing) -> None:
        """The stream is to end, for the first reason that is given."""
        self.closing = self.closing or closing
        self.wake()

    def look_again(self, principal: Principal | None) -> None:
        """End it when its caller is nobody any more, or may not see this."""
        if principal is None:
            self.end(Closing.SIGNED_OUT)
        elif not self._may_stay(principal):
            self.end(Closing.NOT_ALLOWED)
        elif principal != self.principal:
            self.principal = principal
            self.wake()


class Admissions:
    """The open streams of one event loop, and the check that they share."""

    def __init__(self) -> None:
        self._open: set[Admission] = set()
        self._checking: asyncio.Task[None] | None = None

    @contextmanager
    def admit(
        self, credential: Credential, principal: Principal, may_stay: Callable[[Principal], bool]
    ) -> Iterator[Admission]:
        """An admission that is looked at for as long as the block lasts."""
        admission = Admission(credential, principal, may_stay)
        self._open.add(admission)
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        try:
            yield admission
        finally:
            self._open.discard(admission)

    def end_all(self, closing: Closing) -> None:
        """End every stream that is open."""
        for admission in list(self._open):
            admission.end(closing)

    async def _check(self) -> None:
        period = settings.ENVIRONMENT.live_check_seconds
        checked_at = time.monotonic()
        while self._open:
            await asyncio.sleep(period)
            admissions = list(self._open)
            try:
                async with asyncio.timeout(period):
                    principals = await in_database_thread(principals_by, {each.credential for each in admissions})
            except Exception as error:  # noqa: BLE001 - whatever the database's driver raises: it is away
                log.warning("The rights of %d viewers cannot be looked at: %s", len(admissions), error)
                if time.monotonic() - checked_at >= period * PERIODS_OF_PATIENCE:
                    self.end_all(Closing.UNCHECKED)
                continue
            checked_at = time.monotonic()
            for admission in admissions:
                admission.look_again(principals.get(admission.credential))


def principals_by(credentials: Collection[Credential]) -> dict[Credential, Principal]:
    """What each credential allows now; left out are those that allow nothing any more. A few queries for all."""
    keys = [credential.key for credential in credentials if credential.key is not None]
    by_key = principals_of_secrets(keys) if keys else {}
    session_keys = [credential.session_key for credential in credentials if credential.session_key is not None]
    users = users_of_sessions(session_keys) if session_keys else {}
    by_user = principals_of({user.pk: user for user in users.values()}.values())
    found: dict[Credential, Principal] = {Credential(key=key): principal for key, principal in by_key.items()}
    return found | {Credential(session_key=key): by_user[user.pk] for key, user in users.items()}


_admissions: "WeakKeyDictionary[asyncio.AbstractEventLoop, Admissions]" = WeakKeyDictionary()


def current_admissions() -> Admissions:
    """Those of the running event loop."""
    return _admissions.setdefault(asyncio.get_running_loop(), Admissions())
