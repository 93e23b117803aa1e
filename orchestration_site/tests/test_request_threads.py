"""Requests take their threads from earlier requests, and never share one."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

from asgiref.sync import sync_to_async
from asgiref.typing import ASGI3Application

from orchestration_site.request_threads import RequestThreads


class Site:
    """An application whose synchronous part notes its thread, and what it does there."""

    def __init__(self, do: Callable[[], object] = lambda: None) -> None:
        self.seen: list[int] = []
        self._do = do

    async def __call__(self, *_: Any) -> None:
        await sync_to_async(self._work)()
        await sync_to_async(self._work)()

    def _work(self) -> None:
        self.seen.append(threading.get_ident())
        self._do()


async def ask(threads: RequestThreads) -> None:
    await threads(cast(Any, {"type": "http"}), cast(Any, None), cast(Any, None))


def wrap(site: Site, *, kept: int = 16) -> RequestThreads:
    return RequestThreads(cast(ASGI3Application, site), kept=kept)


async def test_the_parts_of_a_request_share_a_thread_which_the_next_request_takes_over() -> None:
    site = Site()
    threads = wrap(site)
    for _ in range(3):
        await ask(threads)
    assert len(site.seen) == 6
    assert len(set(site.seen)) == 1


async def test_requests_at_the_same_time_do_not_wait_for_each_other() -> None:
    all_there = threading.Barrier(5)
    site = Site(do=lambda: all_there.wait(timeout=10))
    threads = wrap(site)
    await asyncio.gather(*(ask(threads) for _ in range(5)))
    assert len(set(site.seen)) == 5


async def test_of_many_threads_some_are_kept() -> None:
    all_there = threading.Barrier(5)
    site = Site(do=lambda: all_there.wait(timeout=10))
    threads = wrap(site, kept=2)
    await asyncio.gather(*(ask(threads) for _ in range(5)))
    started = [thread for thread in threading.enumerate() if thread.ident in set(site.seen)]
    for thread in started:
        thread.join(timeout=0.5)
    assert sum(thread.is_alive() for thread in started) == 2


async def test_a_request_that_fails_gives_its_thread_back() -> None:
    def fail() -> None:
        raise RuntimeError

    site = Site(do=fail)
    threads = wrap(site)
    for _ in range(2):
        outcome = (await asyncio.gather(ask(threads), return_exceptions=True))[0]
        assert isinstance(outcome, RuntimeError)
    assert len(set(site.seen)) == 1
