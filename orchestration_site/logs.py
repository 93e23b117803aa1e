"""How the site logs: one line an event, coloured on a terminal, `key='value'` elsewhere; never a body, never a key.

Code logs with the standard library. What structlog's context variables hold (an execution's id) and the request's id
stand on every line of that request or execution.
"""

import logging
import re
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
    re.compile(r"()\b(?:ok_[0-9a-f]{6,}_|sk-|AIza)[\w-]{8,}"),  # keys of ours, and the usual ones of model providers
    re.compile(r"(?i)(\bbearer\s+)[^\s\"',;]+"),
    re.compile(r"(?i)(\b(?:cookie|password|secret|api[_-]?key)\b[\"']?\s*[=:]\s*[\"']?)[^\s\"',;]+"),
    re.compile(r"(\w://[^\s/:@]+:)[^\s/@]+(?=@)"),  # the password within a URL
)
HIDDEN = "[hidden]"
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


class InOneLine(logging.Filter):
    """For a library that logs a traceback each second for as long as its server is away: the cause, in one line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and (error := record.exc_info[1]) is not None:
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}: {error}", ()
            record.exc_info = None
        return True


def logging_configuration(level: str, *, terminal: bool) -> dict[str, Any]:
    """The value of Django's `LOGGING`. At DEBUG the libraries speak too, below that only of trouble."""
    library_level = level if level in ("DEBUG", "ERROR") else LEVEL_OF_LOUD_LOGGERS
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _processors(),
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(terminal)],
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
            "channels_redis.pubsub": {"handlers": [], "filters": ["in_one_line"], "propagate": True},
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


def _renderers(terminal: bool) -> list[Processor]:  # noqa: FBT001 - private, and named where it is called
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
    if not isinstance(value, str):
        return value
    for secret in SECRET_TEXTS:
        value = secret.sub(rf"\1{HIDDEN}", value)
    return value
