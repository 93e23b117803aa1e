"""The channel layer of the embedded system: safe over threads and event loops, bounded, and woken at once."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest
from channels.exceptions import ChannelFull

from orchestration_site.inprocess_layer import InProcessChannelLayer


class LoopThread:
    """An event loop on a thread of its own, as the web server and the worker have one each."""

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # left behind on purpose
        self.loop.close()

    async def run(self, coroutine: Any) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.loop))


async def until(condition: Callable[[], Any], step: Callable[[], Awaitable[Any]] | None = None) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await (step() if step else asyncio.sleep(0))


async def test_a_message_wakes_a_receiver_that_sleeps_on_another_loop() -> None:
    layer = InProcessChannelLayer()
    channel = await layer.new_channel()
    with LoopThread() as other:
        receiving = asyncio.run_coroutine_threadsafe(layer.receive(channel), other.loop)
        await until(lambda: layer._mailboxes.get(channel) and layer._mailboxes[channel].receivers)

        await layer.send(channel, {"type": "nudge", "seq": 1})

        # Not awaited: that would wake the other loop by itself.
        assert await asyncio.to_thread(receiving.result, 10) == {"type": "nudge", "seq": 1}


async def test_a_thousand_messages_of_two_loops_arrive_once_and_in_each_senders_order() -> None:
    layer = InProcessChannelLayer(capacity=10_000)
    channel = await layer.new_channel()
    await layer.group_add("execution", channel)

    async def send(sender: int) -> None:
        for number in range(500):
            await layer.group_send("execution", {"type": "event", "sender": sender, "number": number})

    with LoopThread() as first, LoopThread() as second:
        sending = asyncio.gather(first.run(send(1)), second.run(send(2)))
        async with asyncio.timeout(30):
            received = [await layer.receive(channel) for _ in range(1_000)]
            await sending

    for sender in (1, 2):
        assert [message["number"] for message in received if message["sender"] == sender] == list(range(500))


async def test_receivers_on_different_loops_share_a_channel_without_losing_a_message() -> None:
    layer = InProcessChannelLayer()
    received: list[int] = []

    async def receive_many() -> None:
        while True:
            message = await layer.receive("shared")
            received.append(message["number"])
            if message["number"] < 0:
                return

    with LoopThread() as first, LoopThread() as second:
        both = asyncio.gather(first.run(receive_many()), second.run(receive_many()))
        for number in [*range(200), -1, -1]:
            await layer.send("shared", {"type": "event", "number": number})
        async with asyncio.timeout(30):
            await both

    assert sorted(received) == [-1, -1, *range(200)]


async def test_a_full_mailbox_refuses_more_and_a_group_goes_on_without_it() -> None:
    layer = InProcessChannelLayer(capacity=2)
    full, free = await layer.new_channel(), await layer.new_channel()
    for channel in (full, free):
        await layer.group_add("group", channel)
    for number in range(2):
        await layer.send(full, {"type": "event", "number": number})

    with pytest.raises(ChannelFull):
        await layer.send(full, {"type": "event", "number": 2})
    await layer.group_send("group", {"type": "event", "number": 3})

    assert (await layer.receive(free))["number"] == 3
    assert [(await layer.receive(full))["number"] for _ in range(2)] == [0, 1]


async def test_a_receiver_that_is_cancelled_when_woken_leaves_the_message_to_the_next() -> None:
    layer = InProcessChannelLayer()
    first, second = (asyncio.ensure_future(layer.receive("channel")) for _ in range(2))
    await until(lambda: "channel" in layer._mailboxes and len(layer._mailboxes["channel"].receivers) == 2)

    await layer.send("channel", {"type": "event"})
    first.cancel()

    async with asyncio.timeout(10):
        assert await second == {"type": "event"}
    assert first.cancelled()


async def test_a_receiver_whose_loop_has_ended_does_not_swallow_the_message() -> None:
    layer = InProcessChannelLayer()
    with LoopThread() as gone:
        abandoned = asyncio.run_coroutine_threadsafe(layer.receive("channel"), gone.loop)
        await until(lambda: "channel" in layer._mailboxes and layer._mailboxes["channel"].receivers)
    receiving = asyncio.ensure_future(layer.receive("channel"))
    await until(lambda: len(layer._mailboxes["channel"].receivers) == 2)

    await layer.send("channel", {"type": "event"})

    async with asyncio.timeout(10):
        assert await receiving == {"type": "event"}
    assert not abandoned.done()


async def test_each_member_gets_a_copy_of_its_own() -> None:
    layer = InProcessChannelLayer()
    one, other = await layer.new_channel(), await layer.new_channel()
    for channel in (one, other):
        await layer.group_add("group", channel)
    message = {"type": "event", "payload": {"text": "before"}}

    await layer.group_send("group", message)
    message["payload"] = {"text": "after"}
    received = await layer.receive(one)
    received["payload"]["text"] = "changed"

    assert (await layer.receive(other))["payload"] == {"text": "before"}


async def test_what_left_the_group_or_expired_is_not_delivered_and_not_kept() -> None:
    layer = InProcessChannelLayer(expiry=0)
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    await layer.send(channel, {"type": "event", "late": True})

    layer.expiry = 60
    await layer.group_discard("group", channel)
    await layer.group_send("group", {"type": "event", "number": 1})
    await layer.send(channel, {"type": "event", "number": 2})

    assert (await layer.receive(channel))["number"] == 2
    assert layer._groups == {}


class Time:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("first", ["group", "channel"])
async def test_a_channel_that_is_received_on_stays_in_its_group_for_days(first: str) -> None:
    time = Time()
    layer = InProcessChannelLayer(clock=time)
    await layer.group_add("workers", "worker")
    for day in range(1, 4):
        receiving = asyncio.ensure_future(layer.receive("worker"))
        await until(lambda: "worker" in layer._mailboxes and layer._mailboxes["worker"].receivers)
        time.seconds = day * 90_000.0
        if first == "channel":
            await layer.send("worker", {"type": "nudge"})
            assert await receiving == {"type": "nudge"}
            receiving = asyncio.ensure_future(layer.receive("worker"))
        await layer.group_send("workers", {"type": "cancel", "day": day})
        async with asyncio.timeout(10):
            assert await receiving == {"type": "cancel", "day": day}


async def test_a_channel_that_is_never_seen_waiting_but_received_on_stays_in_its_group() -> None:
    time = Time()
    layer = InProcessChannelLayer(clock=time)
    await layer.group_add("workers", "worker")
    for hour in range(1, 50):
        await layer.group_send("workers", {"type": "event", "hour": hour})
        assert await layer.receive("worker") == {"type": "event", "hour": hour}
        time.seconds = hour * 3_600.0


async def test_a_channel_that_nobody_receives_on_leaves_its_groups_after_a_day() -> None:
    time = Time()
    layer = InProcessChannelLayer(clock=time)
    await layer.group_add("workers", "gone")
    with LoopThread() as other:
        abandoned = asyncio.run_coroutine_threadsafe(layer.receive("gone"), other.loop)
        await until(lambda: "gone" in layer._mailboxes and layer._mailboxes["gone"].receivers)
    for hour in range(1, 27):
        time.seconds = hour * 3_600.0
        await layer.group_send("workers", {"type": "event"})
    assert layer._groups == {}
    assert not abandoned.done()


async def test_a_name_or_message_that_is_none_is_refused() -> None:
    layer = InProcessChannelLayer()

    with pytest.raises(TypeError):
        await layer.send("no spaces", {"type": "event"})
    with pytest.raises(TypeError):
        await layer.group_send("group", "text")  # type: ignore[arg-type]  # the mistake under test
