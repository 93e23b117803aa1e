"""Visits of pages, as a browser makes them that has everything but the page."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from bench.measurement import percentile
from orchestration_site.tests.sites import Site

#: The first ones compile templates.
WARM_UP = 3


@contextmanager
def signed_in(site: Site, name: str = "admin", password: str | None = None) -> Iterator[httpx.Client]:
    """A client with a session of that user; by default the administrator."""
    with httpx.Client(base_url=site.base_url, timeout=60) as client:
        client.get("/sign-in")
        form = {
            "username": name,
            "password": password or site.admin_password,
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
        }
        if client.post("/sign-in", data=form).status_code != 302:
            raise RuntimeError(f"{name} could not sign in.")
        yield client


def p95_ms(client: httpx.Client, address: str, *, visits: int) -> float:
    """Milliseconds that 95 of 100 visits do not exceed. Raises `RuntimeError` where one is not answered with 200."""
    taken = []
    for _ in range(WARM_UP + visits):
        began = time.perf_counter()
        answer = client.get(address)
        taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}")
    return percentile(taken[WARM_UP:], 95)
