"""OpenAI, and every server that speaks its Chat Completions (Ollama, vLLM, LiteLLM, OpenRouter, …), over aiohttp alone.

The road that most calls take: a call costs little more than its HTTP request. OpenAI's own models go over Chat
Completions too, not Responses: what is tested against a compatible server then holds for OpenAI, and no agent here
uses what only Responses offers (stored state, hosted tools).
"""

import asyncio
import io
import json
from collections.abc import AsyncGenerator

import aiohttp
from yarl import URL

from executor.egress import EgressRefused, refused_redirect
from executor.egress_aiohttp import checked_session, parse_url
from executor.providers.accounts import Account
from executor.providers.contract import ModelAnswer, ModelCallError, ModelRequest, SizeSink, TextSink
from executor.providers.event_stream import EventStream
from executor.providers.failures import (
    broken_off,
    egress_refused,
    http_failure,
    not_as_promised,
    not_in_time,
    read_retry_after,
    unreachable,
    untrusted,
)
from executor.providers.openai_answer import Answer
from executor.providers.openai_request import write_body
from executor.providers.turns import Turns
from executor.providers.watched_sinks import WatchedSinks

ENDPOINT = "/chat/completions"
DONE = b"[DONE]"
LONGEST_ANSWER = 32 * 1024 * 1024
LONGEST_ERROR = 64 * 1024
# A streamed answer comes in many small events, each with an envelope around its few letters.
LONGEST_STREAM = 256 * 1024 * 1024
#: aiohttp warns of larger bodies that are given as bytes.
LARGE_BODY = 1024 * 1024
# A server that has said [DONE] has nothing more to say; its connection is kept if it ends the body soon.
END_SECONDS = 0.5
#: For bodies of errors, of which little is read and nothing kept.
UNWATCHED = WatchedSinks(None, None)


def connect(account: Account) -> "ChatConnection":
    """A connection for the account. Opens nothing yet. Raises `EgressRefused` when its URL or key cannot be used."""
    url = parse_url(account.url)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
    if account.api_key is not None:
        if not (account.key.isascii() and account.key.isprintable()):
            raise EgressRefused("Its key holds characters that no key has, such as a line break. Enter it again.")
        headers["Authorization"] = f"Bearer {account.key}"
    return ChatConnection(account, url, headers)


class _BodyRefused(ValueError):
    """A body that is not read on. Its text says why, to stand in brackets."""


class ChatConnection:
    """Sends Chat Completions requests for one account, over one session, on the event loop of the first of them."""

    def __init__(self, account: Account, url: URL, headers: dict[str, str]) -> None:
        self._account = account
        self._host = url.raw_host or ""
        self._url = url.with_path(url.raw_path.rstrip("/") + ENDPOINT, encoded=True, keep_query=True)
        self._headers = headers
        self._turns = Turns()
        self._session: aiohttp.ClientSession | None = None
        self._opened: AsyncGenerator[aiohttp.ClientSession, None] | None = None

    def __repr__(self) -> str:
        return f"ChatConnection({self._account!r})"

    async def ask(
        self, model: str, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        """Ask once. Raises `ModelCallError`, with nothing chained to it: aiohttp's errors may hold the key."""
        sinks = WatchedSinks(on_text, on_size)
        try:
            return await self._ask(model, request, sinks)
        except Exception as error:
            if sinks.failure is error:
                raise
            failure = self._describe(error)
        raise failure

    async def aclose(self) -> None:
        opened, self._opened, self._session = self._opened, None, None
        if opened is not None:
            await opened.aclose()

    async def _ask(self, model: str, request: ModelRequest, sinks: WatchedSinks) -> ModelAnswer:
        await self._turns.take()
        body = write_body(model, request, host=self._host, streamed=sinks.streams)
        session = self._session or await self._open()
        data = body if len(body) < LARGE_BODY else io.BytesIO(body)
        response = await session.post(self._url, data=data, allow_redirects=False)
        try:
            if response.status >= 300:
                raise await self._refused(model, response)
            answer = Answer(self._account, model)
            if not sinks.streams or response.content_type == "application/json":
                # Where it was to be streamed, the server does not stream and says so.
                sinks.take(answer.take_whole(await _read(response, LONGEST_ANSWER, sinks)))
            else:
                await self._follow(response, answer, sinks)
            return answer.finish(request)
        finally:
            # Back to the pool if it was read to its end; closed if not, by a cancellation for instance.
            response.release()

    async def _follow(self, response: aiohttp.ClientResponse, answer: Answer, sinks: WatchedSinks) -> None:
        """Read the stream, handing text on as it comes. It is complete with [DONE], or with a finish reason alone."""
        events = EventStream()
        size = 0
        try:
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > LONGEST_STREAM:
                    raise _BodyRefused("far too long")
                if _take(events.feed(chunk), answer, sinks):
                    return await _read_end(response)
                sinks.hold(answer.size + events.waiting)
        except aiohttp.ClientPayloadError:
            if answer.finish_reason is None:
                raise
        if not _take(events.end(), answer, sinks) and answer.finish_reason is None:
            raise broken_off(self._account)
        return None

    async def _refused(self, model: str, response: aiohttp.ClientResponse) -> Exception:
        """The error that a status stands for."""
        if response.status < 400:
            return refused_redirect(self._host, response.status)
        try:
            body = json.loads(await _read(response, LONGEST_ERROR, UNWATCHED))
        except (aiohttp.ClientError, ValueError, RecursionError):
            body = None
        return http_failure(self._account, model, response.status, body, read_retry_after(response.headers))

    async def _open(self) -> aiohttp.ClientSession:
        # An unfinished generator is closed by its loop's shutdown: a session that nobody closed is closed there.
        # Nothing is waited for before its yield, so that two first requests cannot both come here.
        self._opened = self._hold_session()
        self._session = await anext(self._opened)
        return self._session

    async def _hold_session(self) -> AsyncGenerator[aiohttp.ClientSession, None]:
        private_hosts = [self._host] if self._account.allow_private else []
        session = checked_session(private_hosts=private_hosts, origin=self._url.origin(), headers=self._headers)
        try:
            yield session
        finally:
            await session.close()

    def _describe(self, error: Exception) -> ModelCallError:
        if isinstance(error, ModelCallError):
            return error
        if isinstance(error, EgressRefused):
            return egress_refused(str(error))
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return untrusted(self._account)
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return unreachable(self._account)
        if isinstance(error, TimeoutError):
            return not_in_time(self._account)
        if isinstance(error, aiohttp.ClientError | OSError):
            return broken_off(self._account)
        return not_as_promised(self._account, str(error) if isinstance(error, _BodyRefused) else type(error).__name__)


def _take(events: list[bytes], answer: Answer, sinks: WatchedSinks) -> bool:
    """Whether these events end the answer."""
    for data in events:
        if data.strip() == DONE:
            return True
        if text := answer.take_chunk(data):
            sinks.take(text)
    return False


async def _read(response: aiohttp.ClientResponse, longest: int, sinks: WatchedSinks) -> bytes:
    """The whole body, unless it is longer, or compressed although that was not asked for."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _BodyRefused("compressed")
    chunks: list[bytes] = []
    left = longest
    async for chunk in response.content.iter_any():
        left -= len(chunk)
        if left < 0:
            raise _BodyRefused("far too long")
        sinks.hold(longest - left)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _read_end(response: aiohttp.ClientResponse) -> None:
    if response.content.at_eof():
        return
    try:
        async with asyncio.timeout(END_SECONDS):
            await response.content.readany()
    except (TimeoutError, aiohttp.ClientError):
        response.close()
