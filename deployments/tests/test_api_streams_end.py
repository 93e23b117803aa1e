"""Streams end when the rights behind them do, when their reader does not read, and when the server stops."""

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import psutil
import pytest

from deployments.live.closing import Closing
from deployments.tests.live_clients import (
    PATIENCE_SECONDS,
    all_messages,
    bearer,
    cookie_of,
    make_user,
    next_message,
    open_socket,
    run_in_site,
    sign_in,
    sign_out,
)
from deployments.tests.site_api import EVERYTHING, SiteApi
from orchestration_site.proving.processes import Process, wait_until_ready
from orchestration_site.proving.servers import free_port
from orchestration_site.tests.sites import Site, run_distributed_site, run_embedded_site

pytestmark = pytest.mark.long

CHECK_SECONDS = 0.5
STALL_SECONDS = 1.0
MODES = [pytest.param(mode, marks=getattr(pytest.mark, mode)) for mode in ("embedded", "distributed")]


@dataclass
class Watching:
    """A site that looks at its streams often, an execution of it that goes on, and its deployment."""

    api: SiteApi
    deployment_id: str
    execution_id: str

    @property
    def site(self) -> Site:
        return self.api.site

    @property
    def web(self) -> Process:
        return self.site.processes.get("web") or self.site.processes["serve"]

    @property
    def path(self) -> str:
        return f"/ws/executions/{self.execution_id}"


@pytest.fixture(scope="module", params=MODES)
def watching(request: pytest.FixtureRequest) -> Iterator[Watching]:
    with ExitStack() as stack:
        settings: dict[str, Any] = {
            "live_check_seconds": CHECK_SECONDS,
            "live_stall_seconds": STALL_SECONDS,
            "drain_seconds": 1,
        }
        if request.param == "embedded":
            site = stack.enter_context(run_embedded_site(port=free_port(), **settings))
        else:
            urls = request.getfixturevalue("postgres_url"), request.getfixturevalue("redis_url")
            site = stack.enter_context(run_distributed_site(*urls, **settings))
        api = SiteApi(site, site.make_key(scopes=EVERYTHING))
        deployed = api.deploy("openai:stall")
        execution_id = stack.enter_context(deployed.running())
        yield Watching(api, deployed.id, execution_id)


# The rights


@dataclass
class Ending:
    """How three streams of one caller ended, and how long after the change of their rights."""

    codes: tuple[int | None, int | None]
    last_lines: list[str]
    seconds: float


@dataclass
class Case:
    """A caller, by their headers, and what is done to their rights."""

    headers: dict[str, Any]
    change: Callable[[], Any]


def users(watching: Watching) -> dict[str, Case]:
    """Changes of users. They run as Python in the site, where nothing tells the web process of them."""
    changes = {
        "a new password": "user.set_password('other'); user.save()",
        "a user who is deactivated": "user.is_active = False; user.save()",
        "a user who leaves the team": "user.groups.clear()",
        "a user who loses the permission": "user.user_permissions.clear()",
        "a session that is over": "from django.contrib.sessions.models import Session\n"
        "from django.utils import timezone\n"
        "Session.objects.filter(session_key={session!r}).update(expire_date=timezone.now())",
    }
    cases = {}
    for name, change in changes.items():
        username, browser = new_user(watching)
        code = f"from django.contrib.auth.models import User; user = User.objects.get(username={username!r})\n"
        code += change.replace("{session!r}", repr(browser.cookies["sessionid"]))
        cases[name] = Case({"cookie": cookie_of(browser)}, partial(run_in_site, watching.site, code))
    _, leaver = new_user(watching)
    return cases | {"a logout": Case({"cookie": cookie_of(leaver)}, lambda: sign_out(leaver))}


def new_user(watching: Watching) -> tuple[str, httpx.Client]:
    name = f"user-{secrets.token_hex(4)}"
    make_user(watching.site, name)
    return name, sign_in(watching.site, name, name)


def keys(watching: Watching) -> dict[str, Case]:
    """Changes of keys: one over REST, the others in the database."""
    revoked = new_key(watching)
    cases = {
        "a key that is revoked": Case(
            {"authorization": bearer(revoked["key"])},
            lambda: watching.api.http.delete(f"/api/keys/{revoked['id']}").raise_for_status(),
        )
    }
    changes = {
        "a key that expires": "from django.utils import timezone; keys.update(expires_at=timezone.now())",
        "a key that loses its scopes": "keys.update(scopes=[])",
    }
    for name, change in changes.items():
        made = new_key(watching)
        code = f"from deployments.models import ApiKey; keys = ApiKey.objects.filter(id={made['id']!r})\n{change}"
        cases[name] = Case({"authorization": bearer(made["key"])}, partial(run_in_site, watching.site, code))
    return cases


def new_key(watching: Watching, **fields: Any) -> dict[str, str]:
    made = watching.api.http.post("/api/keys", json={"name": "viewer", "scopes": ["read"]} | fields)
    assert made.status_code == 201, made.text
    shown: dict[str, str] = made.json()
    return shown


EXPECTED = {
    "a logout": Closing.SIGNED_OUT,
    "a new password": Closing.SIGNED_OUT,
    "a session that is over": Closing.SIGNED_OUT,
    "a user who is deactivated": Closing.SIGNED_OUT,
    "a user who leaves the team": Closing.NOT_ALLOWED,
    "a user who loses the permission": Closing.NOT_ALLOWED,
    "a key that is revoked": Closing.SIGNED_OUT,
    "a key that expires": Closing.SIGNED_OUT,
    "a key that loses its scopes": Closing.NOT_ALLOWED,
}


@pytest.fixture(scope="module")
def endings(watching: Watching) -> dict[str, Ending]:
    """Every case at once, because each takes a moment: all streams are open before anything changes."""
    cases = users(watching) | keys(watching)
    with ExitStack() as stack:
        streams = {name: [*open_all(stack, watching, case.headers)] for name, case in cases.items()}
        time.sleep(CHECK_SECONDS * 3)  # they are looked at, and let be
        reading = stack.enter_context(ThreadPoolExecutor(len(streams)))
        ends = {name: reading.submit(read_to_the_end, *each) for name, each in streams.items()}
        changed_at = {}
        for name, case in cases.items():
            changed_at[name] = time.monotonic()
            case.change()
        found = {name: end.result() for name, end in ends.items()}
        return {name: Ending(codes, last, at - changed_at[name]) for name, (codes, last, at) in found.items()}


def read_to_the_end(execution: Any, deployments: Any, lines: Iterator[str]) -> tuple[Any, list[str], float]:
    """The codes of the two sockets, the last lines of the event stream, and when the last of them had ended."""
    codes = all_messages(execution)[1], all_messages(deployments)[1]
    last_lines = list(lines)[-2:]
    return codes, last_lines, time.monotonic()


def open_all(stack: ExitStack, watching: Watching, headers: dict[str, Any]) -> Iterator[Any]:
    """Two sockets and an event stream, each of which has shown that it goes on."""
    origin = watching.site.base_url
    execution = stack.enter_context(open_socket(watching.site, watching.path, origin=origin, **headers))
    while next_message(execution)["type"] != "agent.started":
        pass
    yield execution
    deployments = stack.enter_context(open_socket(watching.site, "/ws/deployments", origin=origin, **headers))
    assert next_message(deployments)["type"] == "snapshot"
    yield deployments
    lines = stack.enter_context(event_lines(watching, headers))
    while next(lines) != "event: agent.started":
        pass
    yield lines


@contextmanager
def event_lines(watching: Watching, headers: dict[str, str]) -> Iterator[Iterator[str]]:
    url = f"{watching.site.base_url}/api/executions/{watching.execution_id}/events"
    with httpx.stream("GET", url, headers=headers, timeout=PATIENCE_SECONDS) as stream:
        assert stream.status_code == 200
        yield stream.iter_lines()


@pytest.mark.parametrize("name", EXPECTED)
def test_streams_end_within_ten_seconds_of(endings: dict[str, Ending], name: str) -> None:
    ending, expected = endings[name], EXPECTED[name]
    assert ending.codes == (expected.code, expected.code)
    assert ending.last_lines == [f": {expected.sentence}", ""]
    assert ending.seconds < 10


def test_a_key_that_is_narrowed_sees_what_is_left_to_it(watching: Watching) -> None:
    other = watching.api.deploy()
    made = new_key(watching, deployments=[watching.deployment_id, other.id])
    authorization = bearer(made["key"])
    narrow = f"ApiKey.objects.get(id={made['id']!r}).deployments.set([{other.id!r}])"
    with (
        open_socket(watching.site, watching.path, authorization=authorization) as execution,
        open_socket(watching.site, "/ws/deployments", authorization=authorization) as deployments,
    ):
        assert ids_of(next_message(deployments)) == {watching.deployment_id, other.id}
        run_in_site(watching.site, f"from deployments.models import ApiKey; {narrow}")
        assert all_messages(execution)[1] == Closing.NOT_ALLOWED.code
        shown = next_message(deployments)
        assert (shown["type"], ids_of(shown)) == ("snapshot", {other.id})


def ids_of(message: dict[str, Any]) -> set[str]:
    return {numbers["id"] for numbers in message["deployments"]}


# Readers that do not read

STALLED = 15
EVENTS = 1_500
EVENT_BYTES = 10_000
LONG_EXECUTION = f"""
from django.utils import timezone
from deployments.models import ExecutionEvent
from deployments.tests.builders import make_deployment, make_queued
import secrets
now, execution = timezone.now(), make_queued(make_deployment(secrets.token_hex(6)))
type(execution).objects.filter(id=execution.id).update(status="completed", completed_at=now, seq={EVENTS})
ExecutionEvent.objects.bulk_create(
    ExecutionEvent(execution=execution, seq=seq, type="note", payload={{"text": "x" * {EVENT_BYTES}}}, at=now)
    for seq in range(2, {EVENTS} + 1)
)
print(execution.id)
"""


@pytest.fixture(scope="module")
def long_execution(watching: Watching) -> str:
    """An ended execution whose journal is larger than what the kernel takes for a reader that does not read."""
    return run_in_site(watching.site, LONG_EXECUTION)


def small_connection(watching: Watching) -> socket.socket:
    """A connection that holds little that is not read."""
    host, port = watching.site.base_url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    connection.settimeout(PATIENCE_SECONDS)
    connection.connect((host, int(port)))
    return connection


def ask_for_events(watching: Watching, execution_id: str, after: int = 0) -> socket.socket:
    connection = small_connection(watching)
    request = f"GET /api/executions/{execution_id}/events?after={after} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    connection.sendall(f"{request}Authorization: {watching.api.http.headers['Authorization']}\r\n\r\n".encode())
    return connection


def clients_of(watching: Watching) -> int:
    """How many connections the web server's clients have; its own to database and channel layer are left out."""
    port = int(watching.site.base_url.rsplit(":", 1)[1])
    connections = psutil.Process(watching.web.running.pid).net_connections(kind="tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port for each in connections)


def eventually(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"It did not happen in {seconds} seconds."
        time.sleep(0.1)


def test_a_socket_that_is_not_read_is_closed_with_its_code(watching: Watching, long_execution: str) -> None:
    path, key = f"/ws/executions/{long_execution}", watching.api.http.headers["Authorization"]
    seconds = STALL_SECONDS + 1.5
    for _ in range(3):  # a machine that is busy may take longer to notice
        with open_socket(watching.site, path, sock=small_connection(watching), authorization=key) as viewer:
            time.sleep(seconds)
            messages, code = all_messages(viewer)
        if code != Closing.ENDED.code:
            break
        seconds *= 2
    assert code == Closing.TOO_SLOW.code
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
    with open_socket(watching.site, f"{path}?after={len(messages)}", authorization=key) as viewer:
        rest, code = all_messages(viewer)
    assert [message["seq"] for message in rest] == list(range(len(messages) + 1, EVENTS + 1))
    assert code == Closing.ENDED.code


def test_readers_that_do_not_read_hold_little_and_are_cut_off(watching: Watching, long_execution: str) -> None:
    process = psutil.Process(watching.web.running.pid)
    path, key = f"/ws/executions/{long_execution}", watching.api.http.headers["Authorization"]
    open_before, before = clients_of(watching), process.memory_info().rss
    with ExitStack() as stack:
        for _ in range(STALLED):
            stack.enter_context(ask_for_events(watching, long_execution))
            viewer = open_socket(watching.site, path, sock=small_connection(watching), authorization=key)
            stack.enter_context(viewer)
        peak = 0
        assert clients_of(watching) >= open_before + STALLED

        def all_are_cut_off() -> bool:
            nonlocal peak
            peak = max(peak, process.memory_info().rss)
            assert watching.api.http.get("/api/executions?limit=1").status_code == 200
            return clients_of(watching) <= open_before + 1

        eventually(all_are_cut_off, seconds=90)
    assert peak - before < STALLED * EVENTS * EVENT_BYTES / 4


def test_a_slow_reader_that_reads_is_shown_everything(watching: Watching, long_execution: str) -> None:
    with ask_for_events(watching, long_execution, after=EVENTS - 100) as connection:
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            time.sleep(0.02)
            received += connection.recv(20_000)
    ids = [int(line.removeprefix(b"id: ")) for line in received.split(b"\n") if line.startswith(b"id: ")]
    assert ids == list(range(EVENTS - 99, EVENTS + 1))


# The end of the server


def test_a_server_that_stops_sends_its_viewers_elsewhere(watching: Watching, long_execution: str) -> None:
    """The last test here: the process is stopped, and started again."""
    key = watching.api.http.headers["Authorization"]
    with ExitStack() as stack:
        execution, deployments, lines = open_all(stack, watching, {"authorization": key})
        stack.enter_context(ask_for_events(watching, long_execution))
        stalled = open_socket(
            watching.site,
            f"/ws/executions/{long_execution}",
            sock=small_connection(watching),
            authorization=key,
        )
        stack.enter_context(stalled)
        watching.web.running.terminate()
        assert all_messages(execution)[1] == 1012
        assert all_messages(deployments)[1] == 1012
        assert list(lines)[-2:] == [f": {Closing.RESTARTING.sentence}", ""]
        assert watching.web.running.wait(25) == 0
    assert "Traceback" not in watching.web.tail()
    watching.web.restart()
    wait_until_ready(watching.site.base_url, watching.web)
    with open_socket(watching.site, f"{watching.path}?after=2", authorization=key) as again:
        assert next_message(again)["seq"] == 3
