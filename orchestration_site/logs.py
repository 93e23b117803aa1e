"""How the site logs: one line an event, coloured on a terminal, `key='value'` or JSON elsewhere; never a body or a key.

Code logs with the standard library. What structlog's context variables hold (an execution's id, its deployment, its
trace) and the request's id stand on every line of that request or execution.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from executor.terminal_text import printable
from rest.request_id import current_request_id

#: Extras of libraries that carry whole requests, or a task's arguments.
DROPPED = frozenset({"request", "response", "websocket", "data", "color_message", "taskName", "sock"})
SECRET_NAME = re.compile(
    r"authorization|cookie|password|secret|api_?key|token|body|input_data|result_data", re.IGNORECASE
)
SECRET_TEXTS = (
    re.compile(r"()\b(?:ok_[0-9a-f]{6,}_|sk-|AIza|whsec_)[\w+/-]{8,}"),  # ours, and the usual ones of providers
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[^\s\"',;]+"),
    re.compile(r"(?i)(\b(?:cookie|password|secret|token|api[_-]?key)\b[\"']?\s*[=:]\s*[\"']?)[^\s\"',;]+"),
    re.compile(r"(\w://[^\s/:@]*:)[^\s/@]+(?=@)"),  # the password within a URL
)
HIDDEN = "[hidden]"
#: Those that JSON does not escape, and what some readers take for the end of a line.
LATE_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")
#: What has several lines.
OF_LINES = frozenset({"exception", "stack"})
LEVEL_OF_LOUD_LOGGERS = "WARNING"
LOUD_LOGGERS = (
    "celery",
    "kombu",
    "amqp",
    "asyncio",
    "httpx",
    "httpx2",
    "httpcore",
    "uvicorn",
    "aiohttp",
    "anthropic",
)
#: Each logs a traceback again and again for as long as its server is away.
LOGGERS_OF_LONG_TRACEBACKS = (
    "channels_redis.pubsub",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)


class InOneLine(logging.Filter):
    """For a library that logs a traceback each second for as long as its server is away: the cause, in one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and (error := record.exc_info[1]) is not None:
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}: {error}", ()
            record.exc_info = None
        return True


def logging_configuration(level: str, *, terminal: bool, as_json: bool = False) -> dict[str, Any]:
    """The value of Django's `LOGGING`. At DEBUG the libraries speak too, below that only of trouble."""
    library_level = level if level in ("DEBUG", "ERROR") else LEVEL_OF_LOUD_LOGGERS
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _processors(),
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_renderers(terminal, as_json),
                ],
            }
        },
        "filters": {"in_one_line": {"()": InOneLine}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        # Emptied, because uvicorn and Django hang handlers of their own on these.
        "loggers": {
            name: {"handlers": [], "level": library_level, "propagate": True}
            for name in (*LOUD_LOGGERS, "uvicorn.error", "uvicorn.access")
        }
        | {
            "django": {"handlers": [], "level": "INFO", "propagate": True},
        }
        | {
            name: {"handlers": [], "filters": ["in_one_line"], "propagate": True} for name in LOGGERS_OF_LONG_TRACEBACKS
        },
    }


def _processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_request_id,
    ]


def _renderers(terminal: bool, as_json: bool) -> list[Processor]:  # noqa: FBT001 - private, and named where it is called
    if as_json:
        return [
            structlog.processors.ExceptionRenderer(_plain_text),
            hide_secrets,
            structlog.processors.JSONRenderer(_write_json, default=str, ensure_ascii=False),
        ]
    if terminal:
        # Plain tracebacks: the pretty ones print local variables, which hold bodies and keys.
        plain = structlog.dev.plain_traceback
        return [
            structlog.processors.ExceptionRenderer(_plain_text),
            hide_secrets,
            show_controls,
            structlog.dev.ConsoleRenderer(exception_formatter=plain),
        ]
    return [
        structlog.processors.ExceptionRenderer(_plain_text),
        hide_secrets,
        structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "logger", "event"]),
    ]


def _write_json(event: EventDict, **options: Any) -> str:
    """JSON that commands no terminal either: it leaves some controls as they are."""
    return LATE_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(event, **options))


def _plain_text(exc_info: Any) -> str:
    return logging.Formatter().formatException(exc_info)


def add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The id of the request that is being answered, if there is one."""
    if (request_id := current_request_id()) is not None:
        event["request_id"] = request_id
    return event


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop what may hold a body, and hide what looks like a credential, also within texts and tracebacks."""
    return {name: _hidden(name, value) for name, value in event.items() if name not in DROPPED}


def show_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For a terminal: what others wrote commands it nothing, and makes no second line but in a traceback."""
    return {name: _shown(name, value) if isinstance(value, str) else value for name, value in event.items()}


def _shown(name: str, value: str) -> str:
    text = printable(value)
    return text if name in OF_LINES else text.replace("\n", "\\n")


def _hidden(name: str, value: Any) -> Any:
    if SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        return hide_in_text(value)
    if isinstance(value, Mapping):
        return {inner: _hidden(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden("", each) for each in value]
    # Any other object is written as its text, which may say what a text may not.
    return value if value is None or isinstance(value, int | float) else hide_in_text(str(value))


def hide_in_text(text: str) -> str:
    """The text without what looks like a credential."""
    for secret in SECRET_TEXTS:
        text = secret.sub(rf"\1{HIDDEN}", text)
    return text
