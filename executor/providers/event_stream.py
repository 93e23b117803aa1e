"""Server-sent events, as the specification reads them and as servers write them."""

LONGEST_EVENT = 4 * 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """More bytes without the end of an event than any answer has."""


class EventStream:
    """Takes the bytes of a stream as they come and gives the data of each event that is complete.

    Lines end with LF, CR LF or CR. Comments, names and ids of events are passed over.
    """

    def __init__(self) -> None:
        self._started: list[bytes] = []
        self._data: list[bytes] = []
        self._waiting = 0
        self._begun = False

    @property
    def waiting(self) -> int:
        """The bytes that are held because their event is not complete."""
        return self._waiting

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that these bytes complete. Raises `EventTooLong`."""
        if not self._begun:
            self._begun = True
            chunk = chunk.removeprefix(BYTE_ORDER_MARK)
        self._waiting += len(chunk)
        if self._waiting > LONGEST_EVENT:
            raise EventTooLong
        self._started.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            return []
        block = b"".join(self._started)
        # The LF of a CR LF may be in the next chunk.
        held = b"\r" if block.endswith(b"\r") else b""
        if b"\r" in block:
            block = block.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = block.split(b"\n")
        self._started = [rest + held]
        return self._read(lines, len(rest) + len(held))

    def end(self) -> list[bytes]:
        """The data of an event that the end of the stream has cut off before its empty line."""
        lines = b"".join(self._started).rstrip(b"\r").split(b"\n")
        self._started = []
        return self._read([*lines, b""], 0)

    def _read(self, lines: list[bytes], left: int) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                    self._data = []
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        self._waiting = left + sum(map(len, self._data))
        return events
