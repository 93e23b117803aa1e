"""WebSockets: an execution's stream, and the numbers of the list of deployments.

These are plain ASGI applications below Channels' router. Channels' own consumers would each subscribe to the channel
layer, where one listener serves a whole process here, and could open no socket while the layer is away.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404

from access.principal import Principal
from deployments.api.preferences import parse_position
from deployments.executions.database_threads import in_database_thread
from deployments.live.admission import FOLLOW_VERBS, Admission, Credential, current_admissions, may_follow
from deployments.live.board import LIST_VERBS, follow_deployments
from deployments.live.closing import Closing
from deployments.live.feed import follow
from deployments.live.messages import Message
from deployments.live.opening import SocketRequest
from deployments.models import ExecutionLog
from rest.problems import ApiProblem, problem_for
from rest.sockets import refuse_socket

log = logging.getLogger(__name__)

#: What a client may send, to keep the connection alive for instance, though nobody reads it.
IGNORED_MESSAGES = 20
IGNORED_SECONDS = 10.0
CLOSE_SECONDS = 0.5
#: What is sent when there is nothing to show: a client cannot tell a silent execution from a dead connection.
ALIVE = '{"type": "alive"}'


@dataclass(frozen=True)
class Opened:
    """A socket that may be opened: by whom, for as long as what holds, and what it shows."""

    credential: Credential
    principal: Principal
    may_stay: Callable[[Principal], bool]
    batches: Callable[[Admission], AsyncIterator[list[Message]]]


class LiveSocket(ABC):
    """One socket. It only sends; a reader that does not keep up is closed, and so is one that has lost its rights."""

    @classmethod
    def as_asgi(cls) -> Any:
        """The application, which makes one of these for each socket."""

        async def application(scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            await cls().serve(scope, receive, send)

        return application

    @abstractmethod
    def open(self, request: SocketRequest, **named: Any) -> Opened:
        """Check who asks for what the address names. Raises what stands for a problem. Uses the database."""

    async def serve(self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """From the handshake to the close."""
        await receive()  # websocket.connect
        request = SocketRequest(scope)
        try:
            opened = await in_database_thread(self.open, request, **scope["url_route"]["kwargs"])
        except Exception as error:  # noqa: BLE001 - what is no problem of the client's is logged as ours
            await refuse_socket(scope, send, _problem_of(error), by_code=request.is_from_our_pages)
            return
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        with current_admissions().admit(opened.credential, opened.principal, opened.may_stay) as admission:
            closing = await _first_of(_show(opened.batches(admission), admission, send), _ignore(receive))
        if closing is not None:
            await _close(send, closing)


class ExecutionSocket(LiveSocket):
    """`/ws/executions/{execution_id}?after=<seq>`: the messages of its Server-Sent Events."""

    def open(self, request: SocketRequest, **named: Any) -> Opened:
        credential, principal = request.identify()
        known = ExecutionLog.objects.known_to(principal).only("id", "team_id", "deployment_id")
        execution: ExecutionLog | None = known.filter(id=UUID(named["execution_id"])).first()
        if execution is None:
            raise Http404
        if not principal.may_in(execution.team_id, *FOLLOW_VERBS):
            raise PermissionDenied
        after = parse_position(request.query.get("after"))
        return Opened(
            credential,
            principal,
            may_follow(execution),
            lambda admission: follow(execution.id, after=after, admission=admission),
        )


class DeploymentsSocket(LiveSocket):
    """`/ws/deployments`: the numbers of the deployments that the caller may see, and their changes."""

    def open(self, request: SocketRequest, **named: Any) -> Opened:
        credential, principal = request.identify()
        if not principal.may(*LIST_VERBS):
            raise PermissionDenied
        return Opened(credential, principal, lambda now: now.may(*LIST_VERBS), follow_deployments)


class NoSocket(LiveSocket):
    """Every other address: nothing is there, whoever asks."""

    def open(self, request: SocketRequest, **named: Any) -> Opened:
        raise Http404


async def _show(batches: AsyncIterator[list[Message]], admission: Admission, send: ASGISendCallable) -> Closing | None:
    """Send everything; why the socket is to be closed, None when it is closed already."""
    try:
        async with aclosing(cast("AsyncGenerator[list[Message], None]", batches)):
            async for batch in batches:
                for text in [message.text for message in batch] or [ALIVE]:
                    if admission.is_over:
                        break
                    async with asyncio.timeout(settings.ENVIRONMENT.live_stall_seconds):
                        await send({"type": "websocket.send", "text": text, "bytes": None})
    except TimeoutError:
        return Closing.TOO_SLOW
    except OSError:  # what a server raises when the client has gone
        return None
    except Exception:
        log.exception("A socket failed")
        return Closing.FAILED
    return admission.closing or Closing.ENDED


async def _close(send: ASGISendCallable, closing: Closing) -> None:
    with suppress(TimeoutError, OSError):  # a server may wait for a client that does not read even now
        async with asyncio.timeout(CLOSE_SECONDS):
            await send({"type": "websocket.close", "code": closing.code, "reason": closing.sentence})


async def _ignore(receive: ASGIReceiveCallable) -> Closing | None:
    """Read away what the client sends, a bounded lot of it, until it has gone."""
    loop = asyncio.get_running_loop()
    began, count = loop.time(), 0
    while (await receive())["type"] != "websocket.disconnect":
        if loop.time() - began > IGNORED_SECONDS:
            began, count = loop.time(), 0
        count += 1
        if count > IGNORED_MESSAGES:
            return Closing.TALKATIVE
    return None


async def _first_of(*endings: Any) -> Closing | None:
    """What the first of them ends with; the others are cancelled."""
    tasks = [asyncio.ensure_future(ending) for ending in endings]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        result: Closing | None = next(iter(done)).result()
        return result
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _problem_of(error: Exception) -> ApiProblem:
    problem = problem_for(error)
    if problem is None:
        log.error("A socket could not be opened", exc_info=error)
        return ApiProblem(500, "internal-error", "The server failed; its log has the details. Try again later.")
    return problem
