"""Trying a scenario in a test."""

import asyncio
import time
from uuid import uuid4

from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.runner import try_on
from orchestration_site.proving.scenarios import Scenario
from orchestration_site.proving.scenarios.messages_repeated import publish
from orchestration_site.proving.stack import Stack
from orchestration_site.proving.table import table_of
from orchestration_site.proving.verdict import Verdict


def expect_kept(scenario: Scenario, stack: Stack, provider: ScriptedProvider) -> Verdict:
    """The verdict, when every promise was kept; else the test fails with the table and what the system logged."""
    said: list[str] = []
    verdict = asyncio.run(try_on(scenario, stack, provider, seed=1, say=said.append))
    if verdict.broken:
        raise AssertionError("\n".join([*said, table_of([verdict]), f"Logs: {stack.keep_logs()}"]))
    return verdict


def expect_few_messages_behind_a_worker_that_stands_still(stack: Stack) -> None:
    """The others have to wait in the broker, where every worker can get them."""
    worker = stack.add_worker()
    stack.wait_for(worker)
    worker.suspend()
    published = 50
    publish(stack.servers.broker_url, [(str(uuid4()), 0) for _ in range(published)])
    looks_until = time.monotonic() + 3
    while time.monotonic() < looks_until:
        assert stack.servers.broker.waiting() > published - 10
        time.sleep(0.1)
    stack.end_workers()
    stack.servers.broker.empty()
