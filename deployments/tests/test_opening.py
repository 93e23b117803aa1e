"""Which pages are ours: a socket's Origin by its scheme, host and port."""

from typing import Any

import pytest

from deployments.live.opening import SocketRequest


def asked_from(origin: str | None, *, scheme: str = "ws", host: str = "site.example") -> SocketRequest:
    headers = [(b"host", host.encode())] + ([] if origin is None else [(b"origin", origin.encode())])
    scope = {"type": "websocket", "path": "/ws/deployments", "query_string": b"", "scheme": scheme, "headers": headers}
    return SocketRequest(scope)


class TestOrigins:
    @pytest.fixture(autouse=True)
    def hosts(self, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["site.example"]
        settings.CSRF_TRUSTED_ORIGINS = ["https://front.example", "https://*.pages.example:8443"]

    @pytest.mark.parametrize(
        ("origin", "scheme", "host"),
        [
            ("http://site.example", "ws", "site.example"),
            ("http://site.example", "ws", "site.example:80"),
            ("https://site.example", "wss", "site.example"),
            ("https://SITE.example:443", "wss", "site.example"),
            ("http://site.example:8000", "ws", "site.example:8000"),
            ("https://front.example", "ws", "site.example"),
            ("https://a.b.pages.example:8443", "ws", "site.example"),
        ],
    )
    def test_ours(self, origin: str, scheme: str, host: str) -> None:
        assert asked_from(origin, scheme=scheme, host=host).is_from_our_pages

    @pytest.mark.parametrize(
        ("origin", "scheme", "host"),
        [
            (None, "ws", "site.example"),
            ("", "ws", "site.example"),
            ("null", "ws", "site.example"),
            ("https://site.example", "ws", "site.example"),
            ("http://site.example", "wss", "site.example"),
            ("http://site.example:8001", "ws", "site.example:8000"),
            ("http://site.example.evil.example", "ws", "site.example"),
            ("http://evil.example", "ws", "evil.example"),
            ("http://front.example", "ws", "site.example"),
            ("https://front.example:444", "ws", "site.example"),
            ("https://x.front.example", "ws", "site.example"),
            ("https://evilpages.example:8443", "ws", "site.example"),
            ("https://a.pages.example", "ws", "site.example"),
            ("file://site.example", "ws", "site.example"),
            ("http://[site.example", "ws", "site.example"),
        ],
    )
    def test_others(self, origin: str | None, scheme: str, host: str) -> None:
        assert not asked_from(origin, scheme=scheme, host=host).is_from_our_pages
