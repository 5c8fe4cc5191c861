"""Structured logs on standard output; whatever came from a person is dropped before it is written."""

import logging
import logging.config
import re
from typing import Any

import structlog

EventDict = structlog.typing.EventDict


def drop_personal(_: Any, __: str, event: EventDict) -> EventDict:
    """Remove every value whose key says `pii`: useful in a debugger, never in a file."""
    return {key: value for key, value in event.items() if "pii" not in key.split("_")}


_SECRET_PATHS = re.compile(r"(/invitations/|/confirm-email/|/reset/key/|/rating/)[^/\s]+")


def mask_secret_paths(_: Any, __: str, event: EventDict) -> EventDict:
    """Cut the secret out of the addresses that mails carry, which refusals are logged with."""
    event["event"] = _SECRET_PATHS.sub(r"\1…", str(event.get("event", "")))
    return event


def logging_config(log_format: str, level: str) -> None:
    """Send structlog's and the standard library's records through one formatter, `text` or `json`."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        drop_personal,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        mask_secret_paths,
                        structlog.processors.format_exc_info,
                        renderer,
                    ],
                    "foreign_pre_chain": shared,
                }
            },
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["out"], "level": level},
            "loggers": {
                # Their request lines hold paths and addresses, and say nothing that our own records do not.
                "daphne": {"level": "WARNING"},
                "django.channels.server": {"level": "WARNING"},
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},  # at DEBUG it writes headers, and they hold secrets
                "uvicorn.access": {"level": "WARNING"},
                # It warns that a queue on files names no host.
                "kombu.connection": {"level": "ERROR"},
            },
        }
    )
