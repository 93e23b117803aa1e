"""A body that is too large is refused while it streams in, over a real socket."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rest.body_limit import BodyLimitMiddleware
from rest.request_id import RequestIdMiddleware, current_request_id
from rest.tests.asgi import serve

LIMIT = 64 * 1024
#: Of a test that does not wait for it.
SECONDS = 60
BRIEFLY = 0.3


class Recorder:
    """An application that answers what it was given, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        headers = dict(scope["headers"])
        answer = {
            "size": len(body),
            "content_length": headers.get(b"content-length", b"").decode(),
            "chunked": b"transfer-encoding" in headers,
            "request_id": current_request_id(),
        }
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@pytest.fixture(scope="module")
def app() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def port(app: Recorder) -> Iterator[int]:
    with serve(RequestIdMiddleware(BodyLimitMiddleware(app, max_bytes=LIMIT, max_seconds=SECONDS))) as port:
        yield port


def chunks(size: int) -> Iterator[bytes]:
    for start in range(0, size, 8_192):
        yield b"x" * min(8_192, size - start)


def exchange(port: int, request: bytes) -> bytes:
    """Everything that the server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while data := connection.recv(65_536):
            received += data
        return received


@pytest.mark.parametrize("size", [0, 1, LIMIT - 1, LIMIT])
def test_a_body_within_the_limit_arrives_whole(port: int, size: int) -> None:
    answer = httpx.post(f"http://127.0.0.1:{port}/", content=b"x" * size).json()
    assert answer["size"] == size


@pytest.mark.parametrize("size", [1, LIMIT])
def test_a_chunked_body_arrives_with_its_true_length(port: int, size: int) -> None:
    answer = httpx.post(f"http://127.0.0.1:{port}/", content=chunks(size)).json()
    assert answer == {**answer, "size": size, "content_length": str(size), "chunked": False}


@pytest.mark.parametrize("content", [b"x" * (LIMIT + 1), b"x" * (40 * LIMIT)], ids=["one byte more", "much more"])
def test_a_declared_body_over_the_limit_is_a_413(port: int, app: Recorder, content: bytes) -> None:
    before = app.calls
    answer = httpx.post(f"http://127.0.0.1:{port}/", content=content)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.json()["type"] == "/problems/body-too-large"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert app.calls == before


def test_a_chunked_body_over_the_limit_is_a_413_that_its_writer_sees(port: int, app: Recorder) -> None:
    before = app.calls
    answer = httpx.post(f"http://127.0.0.1:{port}/", content=chunks(200 * LIMIT))
    assert answer.status_code == 413
    assert app.calls == before


def test_who_writes_all_before_reading_sees_the_413_too(port: int) -> None:
    size = 200 * LIMIT
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    assert exchange(port, head + b"x" * size).startswith(b"HTTP/1.1 413 ")


def test_a_413_comes_before_the_body_has_ended(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % (LIMIT + 1) + b"x" * (LIMIT + 1) + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head + chunk)  # and never the last chunk
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_a_declared_413_needs_no_body_at_all(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_the_connection_is_closed_after_a_413(port: int) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT + 1}\r\n\r\n".encode()
    received = exchange(port, head + b"x" * (LIMIT + 1))
    assert received.startswith(b"HTTP/1.1 413 ")


async def test_a_content_length_that_lies_does_not_help() -> None:
    app = Recorder()
    messages = [{"type": "http.request", "body": b"x" * LIMIT, "more_body": True}] * 2
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "headers": [(b"content-length", b"10")]}
    await BodyLimitMiddleware(app, max_bytes=LIMIT, max_seconds=SECONDS)(scope, receive, send)
    assert sent[0]["status"] == 413
    assert app.calls == 0


async def test_who_goes_away_in_the_middle_of_a_body_reaches_no_application() -> None:
    app = Recorder()
    messages = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there to hear it")

    scope: Any = {"type": "http", "headers": []}
    await BodyLimitMiddleware(app, max_bytes=LIMIT, max_seconds=SECONDS)(scope, receive, send)
    assert app.calls == 0


@pytest.fixture(scope="module")
def impatient_port(app: Recorder) -> Iterator[int]:
    with serve(RequestIdMiddleware(BodyLimitMiddleware(app, max_bytes=LIMIT, max_seconds=BRIEFLY))) as port:
        yield port


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"],
    ids=["of a declared length", "chunked"],
)
def test_a_body_that_trickles_is_a_408_and_the_connection_is_closed(
    impatient_port: int, app: Recorder, head: bytes
) -> None:
    before = app.calls
    with socket.create_connection(("127.0.0.1", impatient_port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head)
        received = trickle(connection)
    answer, _, body = received.partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    assert json.loads(body)["type"] == "/problems/body-too-slow"
    assert app.calls == before


def test_a_body_that_never_begins_is_a_408(impatient_port: int) -> None:
    received = exchange(impatient_port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 408 ")


def test_an_answer_may_take_longer_than_a_body(app: Recorder) -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3 * BRIEFLY)
        await app(scope, receive, send)

    with serve(BodyLimitMiddleware(slow, max_bytes=LIMIT, max_seconds=BRIEFLY)) as port:
        assert httpx.post(f"http://127.0.0.1:{port}/", content=b"x").status_code == 200


def trickle(connection: socket.socket) -> bytes:
    """What the server sends, up to its end of the connection, to a client that goes on with a byte now and then."""
    received = b""
    connection.settimeout(BRIEFLY / 10)
    with contextlib.suppress(ConnectionError):
        while True:
            connection.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                if not (data := connection.recv(65_536)):
                    break
                received += data
    return received


def test_a_sane_request_id_is_kept(port: int) -> None:
    answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"X-Request-ID": "trace-1.a:b_c"})
    assert answer.headers["x-request-id"] == "trace-1.a:b_c"
    assert answer.json()["request_id"] == "trace-1.a:b_c"


@pytest.mark.parametrize("given", ["", "a b", "<script>", "x" * 129, "a,b"])
def test_any_other_request_id_is_replaced(port: int, given: str) -> None:
    answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] != given
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_two_requests_have_two_ids(port: int) -> None:
    first, second = (httpx.get(f"http://127.0.0.1:{port}/").headers["x-request-id"] for _ in range(2))
    assert first != second
    assert current_request_id() is None
