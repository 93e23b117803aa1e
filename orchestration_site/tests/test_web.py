"""The role `web`: a process of its own, that is told to stop, or cannot start."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.tests.site_api import EVERYTHING, SiteApi
from orchestration_site.proving.processes import MANAGE
from orchestration_site.tests.sites import Site, run_distributed_site, site_environment


@pytest.fixture(scope="module")
def own_site(postgres_url: str, redis_url: str) -> Iterator[Site]:
    """A site whose web process may be stopped."""
    with run_distributed_site(postgres_url, redis_url) as site:
        yield site


@pytest.mark.distributed
def test_a_stop_lets_a_caller_have_its_result_and_takes_no_new_ones(own_site: Site) -> None:
    api = SiteApi(own_site, own_site.make_key(scopes=EVERYTHING))
    deployed = api.deploy("openai:latency-1500")
    answers: list[httpx.Response] = []
    caller = threading.Thread(target=lambda: answers.append(deployed.call()))
    caller.start()
    deployed.only_execution()
    assert own_site.processes["web"].stop() == 0
    caller.join(timeout=20)
    assert [answer.status_code for answer in answers] == [200]
    assert "Traceback" not in own_site.processes["web"].tail()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{own_site.base_url}/livez")


def test_a_taken_port_gets_one_sentence_that_says_what_to_type(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(  # noqa: S603 - our own words
            [*MANAGE, "web", "--port", str(port)],
            env=site_environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"CommandError: Port {port} is taken by another program. Type: PORT=")
    assert done.stderr.endswith(" make web\n")
