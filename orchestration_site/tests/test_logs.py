"""What is logged says which request it belongs to, and holds no key and no body."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from orchestration_site.logs import HIDDEN, LOGGERS_OF_LONG_TRACEBACKS, logging_configuration
from rest.request_id import RequestIdMiddleware

OWN_KEY = "ok_0123456789ab_" + "S3cret-_" * 5


@pytest.fixture(params=["terminal", "file", "json"])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the site's logging writes."""
    yield from written_as(request.param)


@pytest.fixture
def written_as_json() -> Iterator[io.StringIO]:
    yield from written_as("json")


def written_as(form: str) -> Iterator[io.StringIO]:
    configuration = logging_configuration("INFO", terminal=form == "terminal", as_json=form == "json")
    formatter = configuration["formatters"]["line"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter.pop("()")(**formatter))
    log = logging.getLogger("test_logs")
    log.addHandler(handler)
    log.setLevel("DEBUG")
    yield stream
    log.removeHandler(handler)


log = logging.getLogger("test_logs")


@pytest.mark.parametrize(
    "text",
    [
        f"refused {OWN_KEY}",
        f"Authorization: Bearer {OWN_KEY}",
        "{'api_key': 'S3cret-value'}",
        "api_key=S3cret-value",
        "OpenAI said: incorrect key sk-proj-S3cret-value-0123",
        "connection to redis://user:S3cret@host:6379/0 failed",
        "Set-Cookie: sessionid=x; password=S3cret",
        "connection to redis://:S3cret@host:6379/0 failed",
        "signed with whsec_S3cret-value+0123456789/abc=",
        "Authorization: Basic S3cret0123456789",
        "GET /hook?token=S3cret",
    ],
)
def test_a_credential_within_a_text_is_hidden(written: io.StringIO, text: str) -> None:
    log.warning("It went wrong: %s", text)

    assert "S3cret" not in written.getvalue()
    assert HIDDEN in written.getvalue()
    assert "It went wrong" in written.getvalue()


@pytest.mark.parametrize("name", ["authorization", "api_key", "password", "body", "input_data", "request", "data"])
def test_an_extra_that_may_hold_a_body_or_a_key_is_not_written(written: io.StringIO, name: str) -> None:
    log.warning("It went wrong", extra={name: "S3cret"})

    assert "S3cret" not in written.getvalue()


def test_a_traceback_shows_neither_local_variables_nor_the_credential_in_its_message(written: io.StringIO) -> None:
    def call_provider(key: str) -> None:
        raise ValueError(f"refused Bearer {key}")

    secret = "".join(["S3", "cret"])  # a traceback shows the source's own lines
    try:
        call_provider(secret)
    except ValueError:
        log.exception("It went wrong")

    assert "call_provider" in written.getvalue()
    assert "ValueError" in written.getvalue()
    assert "S3cret" not in written.getvalue()


def test_what_others_wrote_commands_no_terminal_and_forges_no_line(written: io.StringIO) -> None:
    hostile = "gone\x1b[2J\x9b31m\r\x07\n2026-01-01 [error] It was somebody else"
    log.error("A model said: %s", hostile, extra={"agent": hostile}, exc_info=ValueError(hostile))

    text = written.getvalue()
    ours = "\x1b[0m" in text or "\x1b[1m" in text  # the colours of a terminal's lines
    assert "\x1b[2J" not in text
    assert not any(control in text for control in "\x9b\r\x07")
    assert text.count("\n2026-01-01") == (1 if ours else 0)  # in the traceback, of which a terminal shows the lines
    assert "It was somebody else" in text


def test_ordinary_words_are_written_as_they_are(written: io.StringIO) -> None:
    log.warning("%s is away for %d s: %s", "The broker", 3, "tokens are scarce", extra={"execution": "0192-ab"})

    line = written.getvalue()
    assert "The broker is away for 3 s: tokens are scarce" in line
    assert "0192-ab" in line
    assert HIDDEN not in line


async def test_a_line_names_the_request_and_the_execution_that_it_belongs_to(written: io.StringIO) -> None:
    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        with structlog.contextvars.bound_contextvars(execution_id="0192-ab"):
            log.info("inside")

    async def nothing(*_: Any) -> Any:
        return None

    scope: Any = {"type": "http", "headers": [(b"x-request-id", b"asked-42")]}
    await RequestIdMiddleware(application)(scope, nothing, nothing)
    log.info("outside")

    inside, outside = written.getvalue().splitlines()
    assert "asked-42" in inside
    assert "0192-ab" in inside
    assert "asked-42" not in outside
    assert "0192-ab" not in outside


def test_as_json_each_line_is_an_object_whatever_is_in_it(written_as_json: io.StringIO) -> None:
    extra, error = {"seen": {"path": Path("x"), "api_key": "S3cret"}}, ValueError("over\ntwo lines")
    with structlog.contextvars.bound_contextvars(execution_id="0192-ab", attempt=2):
        log.error('He said "%s"', "naïve\n", extra=extra, exc_info=error)

    [line] = written_as_json.getvalue().splitlines()
    document = json.loads(line)
    assert document["event"] == 'He said "naïve\n"'
    assert (document["level"], document["logger"], document["execution_id"]) == ("error", "test_logs", "0192-ab")
    assert document["attempt"] == 2
    assert document["seen"] == {"path": "x", "api_key": HIDDEN}
    assert "over\ntwo lines" in document["exception"]
    assert datetime.fromisoformat(document["timestamp"]).tzinfo is not None


def test_a_credential_deep_within_an_extra_is_hidden(written: io.StringIO) -> None:
    log.warning("It went wrong", extra={"tried": [{"password": "S3cret"}, (f"Bearer {OWN_KEY}", ValueError(OWN_KEY))]})

    assert "S3cret" not in written.getvalue()


def test_the_libraries_speak_at_debug_only() -> None:
    quiet = logging_configuration("INFO", terminal=False)["loggers"]
    loud = logging_configuration("DEBUG", terminal=False)["loggers"]

    assert {quiet[name]["level"] for name in ("celery", "kombu", "uvicorn.error")} == {"WARNING"}
    assert loud["celery"]["level"] == "DEBUG"


@pytest.mark.parametrize("logger", LOGGERS_OF_LONG_TRACEBACKS)
def test_a_server_that_is_away_is_one_line_each_time_and_no_traceback(logger: str) -> None:
    (name,) = logging_configuration("INFO", terminal=False)["loggers"][logger]["filters"]
    error = ConnectionError("refused %s")
    record = logging.LogRecord(logger, logging.ERROR, "pubsub.py", 1, "In %s", ("task",), (type(error), error, None))

    assert logging_configuration("INFO", terminal=False)["filters"][name]["()"]().filter(record)
    assert (record.getMessage(), record.exc_info) == ("In task: ConnectionError: refused %s", None)
