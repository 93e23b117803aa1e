"""Systems to be killed: one of each kind for a test module, with short leases and periods."""

from collections.abc import Iterator

import pytest

from orchestration_site.proving.provider import ScriptedProvider
from orchestration_site.proving.servers import ServerMissing
from orchestration_site.proving.stack import DISTRIBUTED, EMBEDDED, RABBITMQ, Stack, run_servers, run_stack

#: A lease is still many times what a worker that has hardly any of the machine needs between two heartbeats.
SHORT = {
    "LEASE_SECONDS": 4,
    "HEARTBEAT_SECONDS": 0.8,
    "SWEEP_SECONDS": 0.1,
    "REDISPATCH_SECONDS": 2,
    "DRAIN_SECONDS": 15,
    "PRIVATE_HOSTS": "127.0.0.1",
}


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    provider = ScriptedProvider()
    with provider.serving():
        yield provider


@pytest.fixture(scope="module")
def embedded(provider: ScriptedProvider) -> Iterator[Stack]:
    yield from _run(EMBEDDED, provider)


@pytest.fixture(scope="module")
def distributed(provider: ScriptedProvider) -> Iterator[Stack]:
    yield from _run(DISTRIBUTED, provider)


@pytest.fixture(scope="module")
def rabbitmq(provider: ScriptedProvider) -> Iterator[Stack]:
    try:
        yield from _run(RABBITMQ, provider)
    except ServerMissing as missing:
        pytest.skip(str(missing))


def _run(target: str, provider: ScriptedProvider) -> Iterator[Stack]:
    with run_servers(target, durable=False) as servers, run_stack(servers, provider.base_url, **SHORT) as stack:
        yield stack
