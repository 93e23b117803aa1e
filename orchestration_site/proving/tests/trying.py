"""Trying a scenario in a test."""

import asyncio

from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.runner import try_on
from orchestration_site.proving.scenarios import Scenario
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
