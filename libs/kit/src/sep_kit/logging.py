"""Structured logging: one event per line with its component, as JSON or for reading."""

import logging
import sys
from enum import StrEnum
from typing import cast

from sep_kit.optional_imports import without

with without("rich"):
    import structlog
    from structlog.processors import ExceptionRenderer
    from structlog.tracebacks import ExceptionDictTransformer
    from structlog.typing import FilteringBoundLogger, Processor


class LogFormat(StrEnum):
    """Format of log lines: JSON, or text for a terminal."""

    JSON = "json"
    CONSOLE = "console"


def configure_logging(service: str, log_format: LogFormat, level: str) -> None:
    """Log everything of this process to stderr in one format.

    Args:
        service: name of the service, added to every line.
        level: DEBUG, INFO, WARNING or ERROR.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if log_format is LogFormat.JSON:
        render: list[Processor] = [
            # Local variables may hold secrets.
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    else:
        render = [
            structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Libraries log through the standard module.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(message)s")


def add_to_log(**values: str) -> None:
    """Add values to every line that the current task and tasks that it starts log from now on."""
    structlog.contextvars.bind_contextvars(**values)


def get_logger(component: str) -> FilteringBoundLogger:
    """A logger that adds the component, such as ``GuardEvaluator``, to each line."""
    return cast(FilteringBoundLogger, structlog.get_logger(component=component))
