"""The socket that the site listens on, bound before anything else is done."""

import errno
import socket


class CannotListen(Exception):
    """The address cannot be listened on; the message says what to type."""


def bind_listener(host: str, port: int, *, command: str = "make run") -> socket.socket:
    """A bound TCP socket. Port 0 takes a free one. Raises `CannotListen`, which names the command to be typed again."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        _require_unused(listener)
    except OSError as error:
        listener.close()
        raise CannotListen(_sentence(host, port, error, command)) from None
    return listener


def abort_unread(listener: socket.socket, seconds: float) -> None:
    """Have the kernel end connections whose peer takes nothing of what it was sent for that long.

    Event streams end by it; a socket is closed before, with its code. Connections inherit it from the listener. Linux
    alone can do it: elsewhere they stay, with what little they hold.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1_000))


def base_url(host: str, listener: socket.socket) -> str:
    """Where a browser on this machine finds the site."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def _require_unused(listener: socket.socket) -> None:
    # With SO_REUSEADDR two sockets may be bound to one port; only one of them may listen.
    listener.listen(1)


def _sentence(host: str, port: int, error: OSError, command: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken by another program. Type: PORT={_free_port_after(host, port)} {command}"
    if error.errno == errno.EACCES:
        return f"Port {port} may only be used by root. Type: PORT=8000 {command}"
    return f"{host} is not an address of this machine ({error.strerror}). Type: HOST=127.0.0.1 {command}"


def _free_port_after(host: str, port: int) -> int:
    for candidate in range(port + 1, min(port + 50, 65_536)):
        try:
            with socket.create_server((host, candidate)):
                return candidate
        except OSError:
            continue
    return 0
