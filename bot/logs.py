"""Logging: constant events with fields, to stderr or to a file; never the text of a message, never a secret."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

PRIVATE = frozenset({"text", "question", "quote", "body", "password", "token", "secret"})


def _redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Fields that could carry somebody's words are cut, whoever logged them."""
    return {key: "…" if key in PRIVATE else value for key, value in event.items()}


def set_up(*, level: str, file: Path | None = None, json: bool = False, stream: TextIO | None = None) -> TextIO:
    """Sends all logs (ours and the libraries') to ``file``, else to ``stream``, else to stderr; returns the sink.

    The console room writes to a file so that the screen stays clean; ``--json`` gives one JSON object a line.
    """
    sink = file.open("a", encoding="utf-8", buffering=1) if file else stream or sys.stderr
    if file:
        file.chmod(0o600)
    number = logging.getLevelNamesMapping()[level.upper()]
    render: Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sink.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            _redact,
            *([structlog.processors.format_exc_info] if json else []),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sink),
        cache_logger_on_first_use=False,
    )
    # A library speaks when something is wrong; its chatter (model loading, job ticks) stays out.
    logging.basicConfig(stream=sink, level=max(number, logging.WARNING), force=True, format="%(levelname)s %(name)s")
    return sink
