"""ASGI applications without a server, asked by tests."""

from typing import Any

from asgiref.typing import ASGI3Application

Answer = tuple[int, dict[str, str], bytes]


async def application(_scope: Any, _receive: Any, send: Any) -> None:
    """The site behind what is tested."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(app: ASGI3Application, path: str, /, method: str = "GET", **scope: Any) -> Answer:
    """Status, headers and body of the answer; more of the scope by name."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    asked: Any = {"type": "http", "path": path, "method": method, "headers": [], **scope}
    await app(asked, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0].get("status", 101), headers, b"".join(message.get("body", b"") for message in sent[1:])
