"""A server that sends the bytes a test gives it, whatever they are, in place of Chat Completions."""

import asyncio
import json
import ssl
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from executor.json_types import JsonObject
from executor.providers.accounts import Account
from executor.providers.contract import Message, ModelAnswer, ModelCallError, ModelRequest
from executor.providers.registry import ProviderRegistry
from executor.spec import AgentSettings

KEY = "sk-the-secret-key-1234567890"
DONE = b"data: [DONE]\n\n"
Body = dict[str, Any]


@dataclass
class Sent:
    """What to send: a head, then the body's pieces, each on its own. `cut` leaves before the end, `hold` stays.

    `pause` is in seconds, before the end of a chunked body.
    """

    pieces: Sequence[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    cut: bool = False
    pause: float = 0
    hold: bool = False

    def head(self) -> bytes:
        headers = dict(self.headers)
        if self.chunked:
            headers["transfer-encoding"] = "chunked"
        elif not self.hold and "content-length" not in headers:
            headers["content-length"] = str(sum(map(len, self.pieces)) + (9 if self.cut else 0))
        lines = [f"HTTP/1.1 {self.status} Raw", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()


def whole(body: object, **fields: Any) -> Sent:
    """A JSON body, or these bytes for one."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Sent([data], headers={"content-type": "application/json", **fields.pop("headers", {})}, **fields)


def stream(*pieces: bytes | Body, **fields: Any) -> Sent:
    """Events: an object is one event, bytes go out as they are."""
    data = [piece if isinstance(piece, bytes) else b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces]
    headers = {"content-type": "text/event-stream", **fields.pop("headers", {})}
    return Sent(data, headers=headers, chunked=fields.pop("chunked", True), **fields)


def completion(content: object = "Hi", finish_reason: str | None = "stop", **message: Any) -> Body:
    choice: Body = {"message": {"role": "assistant", "content": content, **message}}
    return {
        "choices": [{**choice, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }


def chunk(content: object = None, finish_reason: str | None = None, **delta: Any) -> Body:
    piece: Body = {"content": content, **delta}
    return {"choices": [{"delta": piece, "finish_reason": finish_reason}]}


@dataclass
class RawProvider:
    """The server: one answer for each request in turn, the last one again and again."""

    answers: list[Sent]
    url: str = ""
    heads: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length:")[2].partition("\r\n")[0])
                self.heads.append(head)
                self.bodies.append(json.loads(await reader.readexactly(length)))
                if not await self._answer(self.answers[min(len(self.bodies), len(self.answers)) - 1], writer):
                    break
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.left.set()
            writer.close()

    async def _answer(self, sent: Sent, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        writer.write(sent.head())
        for piece in sent.pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if sent.chunked else piece)
            await writer.drain()
            await asyncio.sleep(0)
        if sent.cut:
            writer.close()
        elif sent.chunked and not sent.hold:
            await asyncio.sleep(sent.pause)
            writer.write(b"0\r\n\r\n")
        return not (sent.cut or sent.hold)


@asynccontextmanager
async def raw_provider(
    *answers: Sent, tls: ssl.SSLContext | None = None, **account: Any
) -> AsyncIterator[tuple[RawProvider, ProviderRegistry]]:
    """The server, and a registry whose account `local` is there."""
    server = RawProvider(list(answers))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    fields = {"base_url": server.url, "api_key": SecretStr(KEY), "allow_private": True, **account}
    registry = ProviderRegistry([Account("local", "openai", **fields)])
    try:
        yield server, registry
    finally:
        await registry.aclose()
        listening.close()


async def ask(
    registry: ProviderRegistry,
    on_text: Callable[[str], None] | None = None,
    *,
    schema: JsonObject | None = None,
    text: str = "Hello",
    **settings: Any,
) -> ModelAnswer:
    request = ModelRequest("Be brief.", (Message("user", text),), AgentSettings(**settings), schema)
    return await registry.model("local:some-model").complete(request, on_text)


async def failure_of(sent: Sent, *, live: bool = False) -> ModelCallError:
    """The error that this answer makes of a call. Checks that it was asked for once, and that the key is nowhere."""
    async with raw_provider(sent) as (server, registry):
        with pytest.raises(ModelCallError) as caught:
            await ask(registry, list[str]().append if live else None)
        assert len(server.bodies) == 1, "asked once"
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert KEY not in shown
    assert caught.value.__context__ is None
    return caught.value
