"""What a proxy says of its client (`X-Forwarded-…`) is believed only where the operator has named the proxy."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from websockets.exceptions import InvalidStatus

from deployments.tests.live_clients import cookie_of, next_message, open_socket, sign_in
from orchestration_site.tests.sites import Site, run_embedded_site
from orchestration_site.tests.test_serve import run_serve

pytestmark = pytest.mark.long

SAID = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}


@pytest.fixture(scope="module")
def site_behind_proxy() -> Iterator[Site]:
    with run_embedded_site(TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1") as site:
        yield site


def url_of_an_endpoint(site: Site, headers: dict[str, str]) -> str:
    """An absolute URL that the site tells; its scheme is what the site takes the client's to be."""
    key = site.make_key()
    answer = httpx.get(f"{site.base_url}/api/deployments", headers={"Authorization": f"Bearer {key}", **headers})
    return str(answer.raise_for_status().json()["results"][0]["url"])


def test_nobody_is_believed_by_default_not_even_this_machine(site: Site) -> None:
    assert url_of_an_endpoint(site, SAID).startswith("http://")


@pytest.mark.embedded
def test_a_proxy_that_the_operator_has_named_is_believed(site_behind_proxy: Site) -> None:
    assert url_of_an_endpoint(site_behind_proxy, SAID).startswith("https://")
    assert url_of_an_endpoint(site_behind_proxy, {}).startswith("http://")


@pytest.mark.embedded
def test_a_socket_is_opened_from_the_page_that_a_named_proxy_says_it_is(site_behind_proxy: Site) -> None:
    site = site_behind_proxy
    cookie = cookie_of(sign_in(site, "admin", site.admin_password))
    headers: dict[str, Any] = {"cookie": cookie, "x_forwarded_proto": "https"}
    with open_socket(site, "/ws/deployments", origin=site.base_url.replace("http", "https", 1), **headers) as socket:
        assert next_message(socket)["type"] == "snapshot"
    with pytest.raises(InvalidStatus), open_socket(site, "/ws/deployments", origin=site.base_url, **headers):
        pass


@pytest.mark.parametrize(
    ("trusted", "client"),
    [
        (["10.0.0.0/8"], "203.0.113.7"),
        (["192.0.2.1/32"], "10.1.2.3"),
        ([], "10.1.2.3"),
    ],
)
def test_who_the_client_is_comes_from_a_proxy_in_a_network_that_was_named(trusted: list[str], client: str) -> None:
    """The library's part of it, with networks in the form in which the environment hands them on."""
    seen: list[dict[str, Any]] = []

    async def application(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    headers = [(name.lower().encode(), value.encode()) for name, value in SAID.items()]
    scope: Any = {"type": "http", "client": ("10.1.2.3", 1), "scheme": "http", "headers": headers}
    asyncio.run(ProxyHeadersMiddleware(application, trusted_hosts=trusted)(scope, None, None))  # type: ignore[arg-type]  # neither is called
    assert seen[0]["client"][0] == client


@pytest.mark.parametrize("value", ["proxy.example.org", "*", "10.0.0.0/99"])
def test_what_is_no_address_and_no_network_stops_the_start_with_a_sentence(tmp_path: Path, value: str) -> None:
    done = run_serve(tmp_path, TRUSTED_PROXIES=value)
    assert done.returncode == 2
    assert done.stderr.startswith(f"TRUSTED_PROXIES={value!r} cannot be used")
