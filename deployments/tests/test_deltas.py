"""The models' text on its way to viewers: together, whole now and then, and before the result that it became."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from deployments.live import deltas
from deployments.live.deltas import DeltaStream
from executor.events import Delta

LATER = 30.0


class Sent(list[dict[str, Any]]):
    """What is announced, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def add(self, _execution_id: UUID, delta: dict[str, Any]) -> None:
        self.append(delta)
        self.came.set()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    sent = Sent()
    monkeypatch.setattr(deltas, "announce_delta", sent.add)
    return sent


def write(stream: DeltaStream, text: str, *, key: str = "k", offset: int = 0) -> None:
    stream(Delta("b", "Writer", key, offset, text))


async def test_pieces_that_come_together_are_one_message(sent: Sent) -> None:
    stream = DeltaStream(uuid4())
    for number in range(10):
        write(stream, "x", offset=number)
    assert sent == []
    async with asyncio.timeout(20):
        await sent.came.wait()
    assert sent == [{"block_id": "b", "agent": "Writer", "key": "k", "offset": 0, "text": "x" * 10}]


async def test_the_rest_of_a_text_is_sent_before_its_result_is_recorded(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deltas, "COALESCE_SECONDS", LATER)
    stream = DeltaStream(uuid4())
    write(stream, "one ")
    write(stream, "other", key="other")
    write(stream, "two", offset=4)
    stream.finish("k")
    assert [(delta["key"], delta["text"]) for delta in sent] == [("k", "one two")]
    stream.finish("k")
    stream.finish("nothing was written")
    stream.close()
    assert [delta["text"] for delta in sent] == ["one two", "other"]


async def test_what_comes_late_gets_the_whole_text(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltas, "COALESCE_SECONDS", 0)
    monkeypatch.setattr(deltas, "SNAPSHOT_SECONDS", 0)
    stream = DeltaStream(uuid4())
    for offset, text in ((0, "one "), (4, "two")):
        write(stream, text, offset=offset)
        await asyncio.sleep(0.01)
    assert [(delta["offset"], delta["text"]) for delta in sent] == [(0, "one "), (0, "one two")]
