"""Logs: JSON lines on standard output with trace and request ids, and nothing secret in them."""

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import structlog
from opentelemetry import trace

_SECRET_NAMES = re.compile(
    r"(?i)password|secret|authorization|cookie|token|api[-_]?key|private[-_]?key|credential|dsn$"
)
_SECRET_TEXT = (
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), "[token]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 [secret]"),
    (re.compile(r"(\w+://[^:/@\s]+):[^@/\s]+@"), r"\1:[secret]@"),
    (
        re.compile(
            r"(?i)(password|secret|token|authorization|cookie|api[-_]?key)([\\\"']*\s*[=:]\s*[\\\"']*)[^\s\\\"',}&]+"
        ),
        r"\1\2[secret]",
    ),
)

_SPARED_SECONDS = 10.0

Processor = Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]


def redact(text: str) -> str:
    """The text without tokens, passwords in addresses and values of secret names."""
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _without_secrets(value: Any, name: str = "") -> Any:
    if name and _SECRET_NAMES.search(name):
        return "[secret]"
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _without_secrets(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(each) for each in value]
    return value


def _redacted(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in list(event):
        event[name] = _without_secrets(event[name], name)
    return event


def _traced(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event.setdefault("trace_id", f"{context.trace_id:032x}")
        event.setdefault("span_id", f"{context.span_id:016x}")
    return event


class Sparing(logging.Filter):
    """Of what a library repeats while its server is away, one line in ten seconds, with the number left out."""

    def __init__(self, library: str) -> None:
        super().__init__()
        self._library = library
        self._until: dict[tuple[str, str], float] = {}
        self._left_out: Counter[tuple[str, str]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.name.partition(".")[0] != self._library:
            return True
        said = (record.name, str(record.msg))
        if self._until.get(said, 0.0) > time.monotonic():
            self._left_out[said] += 1
            return False
        if left_out := self._left_out.pop(said, 0):
            record.msg = f"{record.msg} (and {left_out} more like it)"
        if len(self._until) > 1000:
            self._until.clear()
        self._until[said] = time.monotonic() + _SPARED_SECONDS
        return True


def setup(service: str, role: str, *, level: str = "info", form: str = "json", stream: TextIO | None = None) -> None:
    """Send this process's logs, and those of the libraries below it, to a stream (standard output)."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _traced,
        structlog.processors.format_exc_info,
        _redacted,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    last: Any = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    handler.addFilter(Sparing("aiokafka"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiokafka", "uvicorn.access", "uvicorn.error", "httpx2", "httpcore2"):
        logging.getLogger(noisy).setLevel("WARNING")
    structlog.contextvars.bind_contextvars(service=service, role=role)
