"""Server-sent events are read as the specification says, wherever the network cuts them."""

import pytest

from executor.providers import event_stream
from executor.providers.event_stream import EventStream, EventTooLong

STREAM = (
    b": a comment\n\n"
    b"data: one\n\n"
    b"event: named\ndata:two\nid: 7\n\n"
    b"data: three\ndata:  3\n\n\n"
    b"data\n\nnothing: here\n\n"
    b"data: f\xc3\xb6ur\n\n"
)
EVENTS = [b"one", b"two", b"three\n 3", b"f\xc3\xb6ur"]


def read(*chunks: bytes) -> list[bytes]:
    stream = EventStream()
    return [event for chunk in chunks for event in stream.feed(chunk)] + stream.end()


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_three_ways(ending: bytes) -> None:
    assert read(STREAM.replace(b"\n", ending)) == EVENTS


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_stream_reads_the_same_wherever_it_is_cut(ending: bytes) -> None:
    data = STREAM.replace(b"\n", ending)
    for place in range(len(data)):
        assert read(data[:place], data[place:]) == EVENTS
    assert read(*(data[place : place + 1] for place in range(len(data)))) == EVENTS


def test_events_are_given_as_soon_as_they_are_complete() -> None:
    stream = EventStream()
    assert [stream.feed(chunk) for chunk in (b"data: a", b"\n", b"\ndata: b\n\n")] == [[], [], [b"a", b"b"]]


def test_an_end_without_an_empty_line_is_an_end_too() -> None:
    assert read(b"data: a\n\ndata: b") == [b"a", b"b"]
    assert read(b"data: a\n\ndata: b\r") == [b"a", b"b"]
    assert read() == []


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert read(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


def test_what_has_no_end_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LONGEST_EVENT", 100)
    assert read(*[b"data: %090d\n\n" % 1] * 50) == [b"%090d" % 1] * 50
    for endless in (b"data: 0123456789", b"data: 0123456789\n"):
        with pytest.raises(EventTooLong):
            read(*[endless] * 50)
