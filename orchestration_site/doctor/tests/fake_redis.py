"""A Redis whose clock is wrong: the one thing of a real one that a test cannot set."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def run_redis_with_clock(ahead_seconds: float) -> Iterator[str]:
    """The URL of a server that answers `TIME`, and as little as will do to what a client greets it with."""

    class Answering(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while head := self.rfile.readline():
                words = []
                for _ in range(int(head[1:])):
                    length = int(self.rfile.readline()[1:])
                    words.append(self.rfile.read(length + 2)[:-2])
                self.wfile.write(self.answer(words))

        def answer(self, words: list[bytes]) -> bytes:
            if words[0].upper() == b"HELLO":
                return b"%1\r\n+proto\r\n:3\r\n"
            if words[0].upper() != b"TIME":
                return b"+OK\r\n"
            told = time.time() + ahead_seconds
            parts = [str(int(told)), str(int(told % 1 * 1_000_000))]
            return b"*2\r\n" + "".join(f"${len(part)}\r\n{part}\r\n" for part in parts).encode()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()
