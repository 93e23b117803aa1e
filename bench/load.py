"""Callers of an endpoint, over HTTP, and what they saw."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp


@dataclass(frozen=True)
class Target:
    """An endpoint to be called."""

    url: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """The latencies (s) of the calls that got a 200, how long all took, and the other answers by status."""

    latencies: list[float]
    seconds: float
    errors: Counter[str]

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


async def call(target: Target, *, calls: int, callers: int) -> Seen:
    """So many calls in all, by so many callers that each wait for their answer before they call again."""
    left = iter(range(calls))
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    connector = aiohttp.TCPConnector(limit=callers)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def caller() -> None:
            for _ in left:
                began = time.perf_counter()
                status = await _post(session, target)
                if status == "200":
                    latencies.append(time.perf_counter() - began)
                else:
                    errors[status] += 1

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        seconds = time.perf_counter() - began
    return Seen(latencies, seconds, errors)


async def offer(target: Target, *, per_second: float, seconds: float, seen: Seen) -> None:
    """Call so many times a second for so long, whatever becomes of the calls; what is seen is added to `seen`."""
    connector = aiohttp.TCPConnector(limit=0)
    began = time.perf_counter()
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as calls:

        async def one() -> None:
            asked = time.perf_counter()
            status = await _post(session, target)
            if status == "200":
                seen.latencies.append(time.perf_counter() - asked)
            else:
                seen.errors[status] += 1

        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            calls.create_task(one())
    seen.seconds = time.perf_counter() - began


async def _post(session: aiohttp.ClientSession, target: Target) -> str:
    try:
        async with session.post(target.url, json=target.body, headers=target.headers) as answer:
            await answer.read()
            return str(answer.status)
    except aiohttp.ClientError as error:
        return type(error).__name__
