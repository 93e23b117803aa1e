"""Answers of servers that are only like OpenAI's: what they vary is understood, what is broken is refused."""

import gzip
import json
from typing import Any

import pytest

from executor.providers import openai_chat
from executor.providers.contract import TokenUsage
from executor.tests.raw_provider import DONE, KEY, Sent, ask, chunk, completion, failure_of, raw_provider, stream, whole

USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


async def text_of(sent: Sent) -> str:
    async with raw_provider(sent) as (_, registry):
        return (await ask(registry)).text


async def streamed(*sent: Sent) -> tuple[list[str], Any]:
    pieces: list[str] = []
    async with raw_provider(*sent) as (_, registry):
        return pieces, await ask(registry, pieces.append)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Hi", "Hi"),
        ([{"type": "text", "text": "H"}, {"type": "text", "text": "i"}], "Hi"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hi"}], "Hi"),
        (["H", "i"], "Hi"),
    ],
)
async def test_the_text_is_found_however_it_is_written(content: object, text: str) -> None:
    assert await text_of(whole(completion(content))) == text


async def test_an_answer_needs_no_ids_no_usage_and_no_finish_reason() -> None:
    async with raw_provider(whole({"choices": [{"message": {"content": "Hi"}}]})) as (_, registry):
        answer = await ask(registry)
    assert answer.text == "Hi"
    assert not answer.truncated
    assert answer.usage.estimated


async def test_thoughts_beside_an_empty_answer_are_not_the_answer() -> None:
    sent = completion(None, "length", reasoning_content="Let me think")
    async with raw_provider(whole(sent)) as (_, registry):
        answer = await ask(registry)
    assert (answer.text, answer.truncated) == ("", True)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        7,
        [],
        {},
        {"prompt_tokens": "3"},
        {"prompt_tokens": -3, "completion_tokens": None},
        {"prompt_tokens": True},
        {"prompt_tokens": 10**30, "completion_tokens": 10**9},
    ],
)
async def test_odd_usage_is_estimated(usage: object) -> None:
    async with raw_provider(whole(completion("words") | {"usage": usage})) as (_, registry):
        answer = await ask(registry)
    assert answer.usage == TokenUsage(5, 2, estimated=True)


@pytest.mark.parametrize("live", [False, True])
async def test_a_refusal_is_final_and_says_why(*, live: bool) -> None:
    sent = (
        stream(chunk(refusal="I can't "), chunk(refusal="do that."), chunk(None, "stop"), DONE)
        if live
        else whole(completion(None, refusal="I can't do that."))
    )
    error = await failure_of(sent, live=live)
    assert (error.retryable, error.cause) == (False, "declined")
    assert "I can't do that." in error.message


@pytest.mark.parametrize("live", [False, True])
async def test_a_content_filter_is_final_even_after_some_text(*, live: bool) -> None:
    sent = (
        stream(chunk("Half an"), chunk(None, "content_filter"), DONE)
        if live
        else whole(completion("Half an", "content_filter"))
    )
    error = await failure_of(sent, live=live)
    assert (error.retryable, error.cause) == (False, "declined")
    assert "content filter" in error.message


@pytest.mark.parametrize(
    "sent",
    [
        stream(chunk("", role="assistant"), chunk("Hel"), chunk("lo"), chunk(None, "stop"), USAGE, DONE),
        stream(chunk("Hel"), chunk("lo", "stop"), USAGE, DONE),
        stream(chunk("Hel"), chunk("lo"), chunk(None, "stop") | {"usage": USAGE["usage"]}, DONE),
        stream(b": comment\n\n", chunk("Hel"), b": ping\r\n\r\n", chunk("lo"), chunk(None, "stop"), USAGE, DONE),
        stream(chunk("Hel"), chunk("lo", "stop"), USAGE, chunked=True),
        stream(chunk("Hel"), chunk("lo"), USAGE, DONE),
        stream(chunk([{"type": "text", "text": "Hel"}]), chunk("lo", "stop"), USAGE, b"data:[DONE]\n\n"),
        stream(chunk("Hel"), chunk("lo", "stop"), USAGE, b"data: [DONE]"),
        stream({"choices": [{"index": 0}]}, {"object": "note"}, chunk("Hel"), chunk("lo", "stop"), USAGE, DONE),
        stream(chunk("Hel"), chunk("lo", "stop") | {"error": None}, USAGE, DONE, b"data: trailing\n\n"),
    ],
    ids=range(10),
)
async def test_a_stream_is_understood_however_it_is_written(sent: Sent) -> None:
    pieces, answer = await streamed(sent)
    assert "".join(pieces) == answer.text == "Hello"
    assert answer.usage == TokenUsage(3, 2)


async def test_a_stream_may_break_off_after_its_finish_reason() -> None:
    pieces, answer = await streamed(stream(chunk("Hello"), chunk(None, "stop"), cut=True))
    assert pieces == [answer.text] == ["Hello"]
    assert answer.usage.estimated


async def test_a_server_that_does_not_stream_is_understood() -> None:
    pieces, answer = await streamed(whole(completion("All at once")))
    assert pieces == [answer.text] == ["All at once"]
    assert answer.usage == TokenUsage(3, 2)


@pytest.mark.parametrize(
    "sent",
    [
        stream(),
        stream(DONE),
        stream(b": only a comment\n\n"),
        stream(chunk("Half")),
        stream(chunk("Half"), cut=True),
        stream(chunk("Half"), b'data: {"choices": [{"del'),
        stream(chunk("Half"), b"data: garbage\n\n", DONE),
        stream(chunk("Half"), b"data: [1]\n\n", DONE),
        stream(chunk(7), DONE),
        stream({"choices": [{"delta": "text"}]}, DONE),
        stream({"choices": {"0": 1}}, DONE),
        stream(b"data: " + b"[" * 100_000 + b"\n\n", DONE),
        stream(b"data: \xff\xfe\n\n", DONE),
        stream(b"<html>busy</html>"),
        stream(gzip.compress(stream(chunk("Hi", "stop")).pieces[0] + DONE), headers={"content-encoding": "gzip"}),
    ],
    ids=range(15),
)
async def test_a_stream_that_is_broken_can_be_tried_again(sent: Sent) -> None:
    error = await failure_of(sent, live=True)
    assert error.retryable
    assert error.status is None


@pytest.mark.parametrize(
    "sent",
    [
        whole(b""),
        whole(b"<html>"),
        whole(b"[" * 100_000),
        whole(b"\xff\xfe\x00"),
        whole(completion(7)),
        whole({"choices": [{"message": "text"}]}),
        whole({"choices": [{"message": {"content": None}}]}),
        whole(b"", cut=True),
        whole(b'{"choices": [', cut=True),
    ],
    ids=range(9),
)
async def test_an_answer_that_is_broken_can_be_tried_again(sent: Sent) -> None:
    error = await failure_of(sent)
    assert error.retryable
    assert error.status is None


async def test_an_answer_that_is_compressed_unasked_is_not_unpacked() -> None:
    packed = gzip.compress(json.dumps(completion()).encode())
    error = await failure_of(whole(packed, headers={"content-encoding": "gzip"}))
    assert error.retryable
    assert "compressed" in error.message


@pytest.mark.parametrize(
    ("error", "status", "retryable", "cause"),
    [
        ({"message": "slow down", "code": 429}, 429, True, "provider_error"),
        ({"message": "slow down", "code": "rate_limit_exceeded", "type": "invalid_request_error"}, 429, True, None),
        ({"message": "oops", "type": "server_error"}, 500, True, "provider_error"),
        ({"message": "too long", "code": "context_length_exceeded"}, 400, False, "provider_error"),
        ({"message": "pay", "code": "insufficient_quota"}, 429, False, "quota_exhausted"),
        ({"message": "pay", "code": 402}, 402, False, "quota_exhausted"),
        ({"message": "who knows"}, None, True, "provider_error"),
        ("who knows", None, True, "provider_error"),
    ],
)
@pytest.mark.parametrize("place", ["whole", "choice", "stream", "middle"])
async def test_an_error_told_of_inside_a_200_is_that_error(
    error: Any, status: int | None, retryable: bool, cause: str | None, place: str
) -> None:
    body = {"error": error}
    sent = {
        "whole": whole(body),
        "choice": whole({"choices": [body]}),
        "stream": stream(body, DONE),
        "middle": stream(chunk("Half"), b"event: error\n", body, DONE),
    }[place]
    failure = await failure_of(sent, live=place in ("stream", "middle"))
    assert (failure.status, failure.retryable) == (status, retryable)
    assert failure.cause == (cause or "provider_error")
    assert (error if isinstance(error, str) else error["message"]) in failure.message
    assert failure.may_be_charged == (place == "middle" or status is None), "what has begun to answer is on the bill"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "no such thing"}}, "no such thing"),
        ({"message": "no such thing"}, "no such thing"),
        ({"error": "no such thing"}, "no such thing"),
        ({"detail": "no such thing"}, "no such thing"),
        ({"error": {"message": f"your key {KEY} is odd"}}, "your key [key] is odd"),
        (b"<html>", ""),
        ([1], ""),
    ],
)
async def test_what_a_server_says_of_an_error_is_passed_on_without_the_key(body: object, said: str) -> None:
    error = await failure_of(whole(body, status=400))
    assert not error.retryable
    assert said in error.message


async def test_an_error_whose_body_is_cut_or_endless_is_still_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = await failure_of(whole(b"{", status=503, cut=True))
    monkeypatch.setattr(openai_chat, "LONGEST_ERROR", 1_000)
    long = await failure_of(whole(b"x" * 5_000, status=503))
    assert (cut.status, long.status) == (503, 503)
    assert cut.retryable
    assert long.retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
async def test_the_wait_that_a_server_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    error = await failure_of(whole({}, status=503, headers=headers))
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("limit", "sent", "live"),
    [
        ("LONGEST_ANSWER", whole(completion("x" * 5_000)), False),
        ("LONGEST_STREAM", stream(chunk("x" * 3_000), chunk("x" * 3_000, "stop"), DONE), True),
    ],
)
async def test_an_answer_without_end_is_not_read(
    monkeypatch: pytest.MonkeyPatch, limit: str, sent: Sent, *, live: bool
) -> None:
    monkeypatch.setattr(openai_chat, limit, 4_000)
    error = await failure_of(sent, live=live)
    assert "far too long" in error.message


async def test_text_without_end_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor.providers.openai_answer.LONGEST_TEXT", 4_000)
    error = await failure_of(stream(chunk("x" * 3_000), chunk("x" * 3_000, "stop"), DONE), live=True)
    assert "far too long" in error.message


async def test_a_line_without_end_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor.providers.event_stream.LONGEST_EVENT", 4_000)
    error = await failure_of(stream(b"data: " + b"x" * 3_000, b"x" * 3_000, DONE), live=True)
    assert error.retryable
