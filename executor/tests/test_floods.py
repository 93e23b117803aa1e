"""Servers that never stop sending: cut off at what the execution may hold, whatever they send and however."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from executor.budget import Limits
from executor.events import EventType
from executor.journal import InMemoryJournal
from executor.json_types import JsonObject
from executor.providers.accounts import Account
from executor.providers.registry import ProviderRegistry
from executor.results import ExecutionFailure
from executor.run import run_design
from executor.tests.builders import make_agent, make_block, make_design

BOUND = 300_000
KEY = "the-secret-key-1234567890"
TEXT = "x" * 1_000


@dataclass(frozen=True)
class Flood:
    """An answer: its beginning, and what comes after it for ever."""

    head: bytes
    more: bytes
    is_stream: bool = True
    encoding: str = ""


def event(data: object, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


def openai(**delta: str) -> bytes:
    return event({"choices": [{"delta": delta, "finish_reason": None}]})


def claude(kind: str, text: str, delta: str) -> Flood:
    message: JsonObject = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": []}
    message["usage"] = {"input_tokens": 1, "output_tokens": 1}
    message |= {"stop_reason": None, "stop_sequence": None}
    block = {"type": kind, text: "", **({"signature": ""} if kind == "thinking" else {})}
    head = event({"type": "message_start", "message": message}, "message_start")
    head += event({"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start")
    piece = {"type": "content_block_delta", "index": 0, "delta": {"type": delta, text: TEXT}}
    return Flood(head, event(piece, "content_block_delta"))


def gemini(text: str) -> bytes:
    return event({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}]})


WHOLE = Flood(b'{"choices": [{"message": {"content": "', TEXT.encode(), is_stream=False)
UNENDING_EVENT = Flood(b"data: ", TEXT.encode())
FLOODS: dict[str, tuple[str, Flood]] = {
    "openai: text": ("openai", Flood(b"", openai(content=TEXT))),
    "openai: refusals": ("openai", Flood(b"", openai(refusal=TEXT))),
    "openai: an event without an end": ("openai", UNENDING_EVENT),
    "openai: an answer that is not streamed": ("openai", WHOLE),
    "anthropic: text": ("anthropic", claude("text", "text", "text_delta")),
    "anthropic: thoughts": ("anthropic", claude("thinking", "thinking", "thinking_delta")),
    "anthropic: an event without an end": ("anthropic", UNENDING_EVENT),
    "anthropic: an answer that is not streamed": ("anthropic", WHOLE),
    "google: text": ("google", Flood(b"", gemini(TEXT))),
    "google: an answer that is not streamed": ("google", WHOLE),
}
MODELS: dict[str, str] = {"openai": "mock", "anthropic": "claude-sonnet-4-6", "google": "gemini-2.5-flash"}


class Server:
    """Sends until its client leaves, or until far more was sent than anybody may hold."""

    ENOUGH = 8_000_000

    def __init__(self, flood: Flood) -> None:
        self.flood = flood
        self.sent = 0
        self.left = asyncio.Event()
        self.requests = 0
        self.heads: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            self.heads.append(head)
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            kind = b"text/event-stream" if self.flood.is_stream else b"application/json"
            packed = f"content-encoding: {self.flood.encoding}\r\n".encode() if self.flood.encoding else b""
            kind += b"\r\n" + packed
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"transfer-encoding: chunked\r\n\r\n")
            await self._send(writer, self.flood.head)
            while self.sent < self.ENOUGH:
                await self._send(writer, self.flood.more)
        except ConnectionError:
            self.left.set()
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if data:
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.sent += len(data)
            await writer.drain()
            await asyncio.sleep(0)


@asynccontextmanager
async def flooding(kind: str, flood: Flood) -> AsyncIterator[tuple[Server, ProviderRegistry]]:
    server = Server(flood)
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}" + ("/v1" if kind == "openai" else "")
    registry = ProviderRegistry([Account("local", kind, url, SecretStr(KEY), allow_private=True)])
    try:
        yield server, registry
    finally:
        await registry.aclose()
        listening.close()


@pytest.mark.parametrize(("kind", "flood"), FLOODS.values(), ids=FLOODS)
async def test_a_server_that_never_stops_sending_is_cut_off_at_the_bound(kind: str, flood: Flood) -> None:
    agent = make_agent("Ann", model=f"local:{MODELS[kind]}", settings={"tries": 3})
    design = make_design([make_block("a", agents=[agent], config={"on_error": "continue"})])
    journal, seen = InMemoryJournal(), list[int]()
    async with flooding(kind, flood) as (server, registry):
        result = await run_design(
            design,
            {},
            models=registry,
            limits=Limits(max_payload_bytes=BOUND),
            journal=journal,
            on_delta=(lambda delta: seen.append(len(delta.text))) if flood.is_stream else None,
        )
        async with asyncio.timeout(10):
            await server.left.wait()
    failure = result.failure
    assert isinstance(failure, ExecutionFailure)
    assert (failure.code, failure.block_id) == ("payload_exceeded", "a")
    assert "the answer of 'Ann'" in failure.message
    assert f"{BOUND:,}" in failure.message
    assert KEY not in failure.message
    assert server.requests == 1, "nothing is asked again"
    assert sum(seen) <= BOUND
    types: list[EventType] = [entry.event.type for entry in journal.events]
    assert types[-2:] == ["block.failed", "execution.failed"]


@pytest.mark.parametrize("kind", MODELS)
async def test_an_answer_that_comes_packed_is_refused_unread(kind: str) -> None:
    """What is counted comes over the wire: a megabyte of it would be a gigabyte here."""
    flood = Flood(b"", gzip.compress(b" " * 1_000_000), is_stream=False, encoding="gzip")
    agent = make_agent("Ann", model=f"local:{MODELS[kind]}", settings={"tries": 1})
    async with flooding(kind, flood) as (server, registry):
        result = await run_design(make_design([make_block("a", agents=[agent])]), {}, models=registry)
        async with asyncio.timeout(10):
            await server.left.wait()
    assert result.failure is not None
    assert "gzip" in result.failure.message or "compressed" in result.failure.message
    assert b"accept-encoding: identity" in server.heads[0].lower()
