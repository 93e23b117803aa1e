"""A connection that says nothing, or too slowly, or too much, is closed; over real sockets."""

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orchestration_site.http_protocol import BoundedHeadProtocol
from rest.tests.asgi import serve

PATIENCE = 20.0
BRIEFLY = 0.3
#: More than the buffers of two sockets take.
MUCH = 64 * 1024 * 1024


class Impatient(BoundedHeadProtocol):
    head_seconds = BRIEFLY
    head_bytes = 4 * 1024


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/waiting":  # an answer that takes as long as its caller stays
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serve(application, http=Impatient) as port:
        yield port


@pytest.fixture
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    received = b""
    while data := connection.recv(65_536):
        received += data
    return received


def trickle(connection: socket.socket, byte: bytes) -> bytes:
    """The same, for a client that goes on sending."""
    received = b""
    connection.settimeout(BRIEFLY / 10)
    with contextlib.suppress(ConnectionError):
        while True:
            connection.sendall(byte)
            with contextlib.suppress(TimeoutError):
                if not (data := connection.recv(65_536)):
                    break
                received += data
    return received


def flood(connection: socket.socket, data: bytes) -> int:
    """How much the server takes of what is sent again and again, before it closes the connection."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < MUCH:
            connection.sendall(data)
            sent += len(data)
    return sent


def problem_of(received: bytes, status: int) -> str:
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), received
    assert b"application/problem+json" in head
    return str(json.loads(body)["type"])


def test_who_says_nothing_is_not_kept(connection: socket.socket) -> None:
    assert read_all(connection) == b""


def test_a_head_that_stops_is_a_408(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert problem_of(read_all(connection), 408) == "/problems/head-too-slow"


def test_a_head_that_trickles_is_a_408(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
    assert problem_of(trickle(connection, b"x"), 408) == "/problems/head-too-slow"


def test_empty_lines_before_a_head_are_no_way_around_it(connection: socket.socket) -> None:
    assert problem_of(trickle(connection, b"\r\n"), 408) == "/problems/head-too-slow"


def test_the_second_request_of_a_connection_is_bounded_too(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    connection.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
    assert problem_of(trickle(connection, b"x"), 408) == "/problems/head-too-slow"


def test_a_head_that_is_too_large_is_a_431(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 5_000)
    assert problem_of(read_all(connection), 431) == "/problems/head-too-large"


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"GET /waiting HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n", id="the next head"),
        pytest.param(
            b"POST /waiting HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
            id="behind the body",
        ),
    ],
)
@pytest.mark.parametrize("data", [b"X-Long: " + b"x" * 500 + b"\r\n", b"x" * 500])
def test_headers_without_end_beside_an_answer_end_the_connection(
    connection: socket.socket, begin: bytes, data: bytes
) -> None:
    connection.sendall(begin)
    assert flood(connection, data) < MUCH


def test_a_large_body_is_none_of_its_business(port: int) -> None:
    assert httpx.post(f"http://127.0.0.1:{port}/", content=b"x" * 100_000).status_code == 200


def test_many_requests_in_a_row_are_answered_on_one_connection(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert {client.get("/").status_code for _ in range(50)} == {200}
