"""Runs scenarios one after the other, each on a system of its own, or on one that is somebody else's."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence

from orchestration_site.proving.client import SiteClient
from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.scenarios import Scenario
from orchestration_site.proving.stack import Servers, Stack, run_servers, run_stack
from orchestration_site.proving.trial import Say, Trial
from orchestration_site.proving.verdict import Promise, Verdict

#: The provider's account in the environment of a private system.
MODEL = "openai:proof"


def prove(
    target: str, scenarios: Sequence[Scenario], *, seed: int, say: Say, variables: Mapping[str, object]
) -> Iterator[Verdict]:
    """A verdict for each scenario on a private system. Raises `ServerMissing`, `ServerFailed`, `ProcessFailed`."""
    with run_servers(target) as servers:
        for scenario in scenarios:
            say(f"── {scenario.name} on {target}: {scenario.shows}")
            yield prove_alone(scenario, servers, seed=seed, say=say, variables=variables)


def prove_alone(
    scenario: Scenario, servers: Servers | None, *, seed: int, say: Say, variables: Mapping[str, object]
) -> Verdict:
    """The verdict on a new system on these servers; embedded when there are none."""
    provider = ScriptedProvider()
    with provider.serving(), run_stack(servers, provider.base_url, **variables) as stack:
        verdict = asyncio.run(try_on(scenario, stack, provider, seed=seed, say=say))
        if verdict.broken:
            say(f"   What its processes logged is kept in {stack.keep_logs()}")
        return verdict


async def try_on(scenario: Scenario, stack: Stack, provider: ScriptedProvider, *, seed: int, say: Say) -> Verdict:
    """The verdict on that system. Its workers are ended before and after."""
    provider.calm()
    # Embedded, there is nothing that could make a key or be called before the first worker is there.
    key = await asyncio.to_thread(stack.make_key)
    async with SiteClient(stack.base_url, key) as client:
        trial = Trial(
            client,
            target=stack.target,
            rng=random.Random(f"{seed}/{scenario.name}"),  # noqa: S311 - to be repeated, not to be secret
            say=say,
            model=MODEL,
            stack=stack,
            provider=provider,
        )
        try:
            return await _judge(scenario, trial)
        finally:
            await asyncio.to_thread(stack.end_workers)


async def try_remotely(
    scenario: Scenario, base_url: str, key: str, *, model: str, kill_command: str | None, seed: int, say: Say
) -> Verdict:
    """The verdict on somebody else's system: it is killed only by that command, if there is one."""
    say(f"── {scenario.name} on {base_url}: {scenario.shows}")
    async with SiteClient(base_url, key) as client:
        trial = Trial(
            client,
            target=base_url,
            rng=random.Random(f"{seed}/{scenario.name}"),  # noqa: S311 - to be repeated, not to be secret
            say=say,
            model=model,
            kill_command=kill_command,
        )
        try:
            return await _judge(scenario, trial)
        finally:
            if trial.deployment_id:
                await client.undeploy(trial.deployment_id)


async def _judge(scenario: Scenario, trial: Trial) -> Verdict:
    try:
        return await scenario.run(trial)
    except TimeoutError as what_did_not_come:
        findings = await trial.find()
        return scenario.verdict(trial, findings, [Promise("it goes on", kept=False, seen=str(what_did_not_come))])
