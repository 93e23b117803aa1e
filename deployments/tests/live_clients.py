"""Clients of live progress for tests: sockets, and browsers that are signed in."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from orchestration_site.tests.sites import Site

PATIENCE_SECONDS = 30.0


@contextmanager
def open_socket(
    site: Site, path: str, *, origin: str | None = None, sock: socket.socket | None = None, **headers: str
) -> Iterator[ClientConnection]:
    """A socket at that path; header names with underscores for dashes. Raises what the client raises when refused."""
    url = site.base_url.replace("http", "ws", 1) + path
    named: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
    options: Any = {"compression": None, "proxy": None, "close_timeout": 5, "sock": sock}
    with connect(url, origin=cast("Any", origin), additional_headers=named, **options) as opened:
        yield opened


def bearer(key: str) -> str:
    return f"Bearer {key}"


def next_message(socket: ClientConnection) -> dict[str, Any]:
    """The next message that shows something. Raises `ConnectionClosed`."""
    message: dict[str, Any] = json.loads(socket.recv(PATIENCE_SECONDS))
    return next_message(socket) if message["type"] == "alive" else message


def all_messages(socket: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    """Every message until the server closes, and the code that it closes with."""
    messages: list[dict[str, Any]] = []
    try:
        while True:
            messages.append(next_message(socket))
    except ConnectionClosed:
        return messages, socket.close_code


def run_in_site(site: Site, code: str) -> str:
    """What Python prints that is run in the site's environment, with its models."""
    return site.run_manage("shell", "-v0", "-c", code).strip()


def make_user(site: Site, name: str, *, team: str = "default", verbs: tuple[str, ...] = ("view_objects",)) -> None:
    """A user of that team with these permissions, whose password is their name."""
    run_in_site(
        site,
        "from django.contrib.auth.models import Group, Permission, User\n"
        f"user = User.objects.create_user({name!r}, password={name!r}, is_staff=True)\n"
        f"user.groups.add(Group.objects.get_or_create(name={team!r})[0])\n"
        f"user.user_permissions.set(Permission.objects.filter(codename__in={verbs!r}))",
    )


def sign_in(site: Site, name: str, password: str) -> httpx.Client:
    """A browser with that user's session."""
    browser = httpx.Client(base_url=site.base_url, headers={"Origin": site.base_url}, timeout=30)
    browser.get("/admin/login/")
    form = {"username": name, "password": password, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    answer = browser.post("/admin/login/?next=/admin/", data=form)
    assert answer.status_code == 302, answer.text
    return browser


def sign_out(browser: httpx.Client) -> None:
    answer = browser.post("/admin/logout/", data={"csrfmiddlewaretoken": browser.cookies["csrftoken"]})
    assert answer.status_code in (200, 302), answer.text


def cookie_of(browser: httpx.Client) -> str:
    return f"sessionid={browser.cookies['sessionid']}"
