"""Traces and metrics: every span and metric name of the house stands here.

A trace begins at the HTTP call, is stored with the fact, and goes on in whoever hears it. Nothing of it costs anything
on the way of a message that is not sampled: its `traceparent` is handed on as text.
"""

import logging
import time
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = structlog.get_logger(__name__)
_level = logging.getLogger(__name__)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LATENESS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)

HTTP_REQUEST_SECONDS = Histogram(
    "http_request_seconds",
    "Time to answer a request, without what the caller asked to wait for.",
    ["route", "method", "status"],
    buckets=_SECONDS,
)
HTTP_REQUESTS_IN_HAND = Gauge("http_requests_in_hand", "Requests being worked on.")
DECIDER_BATCH_MESSAGES = Histogram(
    "decider_batch_messages",
    "Messages decided in one batch.",
    ["aggregate"],
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500),
)
DECIDER_BATCH_SECONDS = Histogram(
    "decider_batch_seconds", "Time to read, decide and write a batch.", ["aggregate"], buckets=_SECONDS
)
DECIDER_LOST_RACES_TOTAL = Counter("decider_lost_races_total", "Batches decided again.", ["aggregate", "gate"])
DECIDER_REFUSALS_TOTAL = Counter("decider_refusals_total", "Messages refused.", ["aggregate", "slug"])
DECIDER_FACTS_TOTAL = Counter("decider_facts_total", "Facts stated, told and noted ones.", ["aggregate", "fact"])
RELAY_FACTS_TOTAL = Counter("relay_facts_total", "Facts acknowledged by Kafka.", ["topic"])
RELAY_OLDEST_UNSENT_SECONDS = Gauge("relay_oldest_unsent_seconds", "Age of the oldest fact not yet published.")
RELAY_HOLES = Gauge("relay_holes", "Numbers of the journal that may still appear.")
RELAY_FAILURES_TOTAL = Counter("relay_failures_total", "Sends that failed, and rows that cannot be read.")
RELAY_RESENT_TOTAL = Counter("relay_resent_total", "Facts sent again because somebody asked.", ["asker"])
STREAM_RECORDS_TOTAL = Counter("stream_records_total", "Records read, by what became of them.", ["topic", "outcome"])
STREAM_LAG_SECONDS = Gauge(
    "stream_lag_seconds", "Age of the oldest fact in hand, from its being recorded to its being applied here."
)
STREAM_LAST_POLL_SECONDS = Gauge(
    "stream_last_poll_seconds", "Age of the consumer's last good poll, or of a broker's last answer to it if older."
)
WAITING_MESSAGES = Gauge("waiting_messages", "Messages that wait.", ["reason"])
WAITING_OLDEST_SECONDS = Gauge("waiting_oldest_seconds", "Age of the oldest waiting message.")
AGENDA_LATENESS_SECONDS = Histogram(
    "agenda_lateness_seconds", "How late a due entry was decided.", ["aggregate"], buckets=_LATENESS
)
AGENDA_OVERDUE_SECONDS = Gauge("agenda_overdue_seconds", "Age of the oldest due entry not decided yet.")
DEAD_LETTERS_OPEN = Gauge("dead_letters_open", "Dead letters that nobody has resolved, up to 1,000.")
DEAD_LETTERS_TOTAL = Counter("dead_letters_total", "Records that nobody can read.", ["topic", "reason"])
CLOCK_SKEW_SECONDS = Gauge(
    "clock_skew_seconds", "This process's clock minus the database's, to half a second; 0 until they were compared."
)

_WAITED = "throughline.waited"

_exporting = False
_ratio = 0.0


def setup(
    service: str, role: str, *, endpoint: str | None, ratio: float, exporter: "SpanExporter | None" = None
) -> "TracerProvider | None":
    """Begin to make spans, if there is somewhere to send them; the caller shuts the provider down at the end."""
    global _exporting, _ratio
    if endpoint is None and exporter is None:
        return None
    # Costly to load, and seldom needed.
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.instance.role": role}))
    exporter = exporter or _otlp(endpoint or "")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=8192, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)
    _exporting, _ratio = True, ratio
    return provider


def _otlp(endpoint: str) -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)


def sampled(traceparent: str | None) -> bool:
    """Whether spans are made below this parent."""
    return _exporting and traceparent is not None and _flags(traceparent) & 1 == 1


def begins(request_id: str) -> bool:
    """Whether to begin a trace for a call that brought no parent: the same for the same id (hex, random at its end)."""
    return _exporting and int(request_id[-6:], 16) < _ratio * (1 << 24)


def context_of(traceparent: str | None) -> SpanContext | None:
    """The remote span that a `traceparent` names, or None when it is not well-formed."""
    parts = (traceparent or "").split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2] or parts[0] == "ff":
        return None
    try:
        found = SpanContext(int(parts[1], 16), int(parts[2], 16), True, TraceFlags(int(parts[3], 16)))
    except ValueError:
        return None
    return found if found.is_valid else None


def traceparent_of(span: Span) -> str:
    """The `traceparent` that makes a span the parent of what follows."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


@contextmanager
def span(
    name: str,
    parent: str | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: tuple[Span, ...] = (),
    attributes: Mapping[str, str | int] | None = None,
) -> Iterator[Span]:
    """A span below the span that `parent` (a traceparent) names, else below none; linked to a batch's span."""
    context = context_of(parent)
    above = trace.set_span_in_context(NonRecordingSpan(context)) if context else None
    with trace.get_tracer("throughline").start_as_current_span(
        name,
        above,
        kind=kind,
        links=[Link(each.get_span_context()) for each in links],
        attributes=dict(attributes or {}),
    ) as found:
        yield found


class Message(Protocol):
    """What is decided: it is found and left under its `traceparent`."""

    subject: Any
    message: Any
    stream: str | None
    traceparent: str | None


class Decided(Protocol):
    """What became of a message."""

    refused: Any
    duplicate: bool
    waiting: bool
    error: Any


D = TypeVar("D", bound=Decided)


@contextmanager
def deciding(aggregate: str, batch: Sequence[Message]) -> Iterator[None]:
    """Measure a batch; a span of its own for each sampled message, under its stored parent and linked to the batch's.

    Facts that a message causes go on under its span, because its `traceparent` becomes the span's.
    """
    started = time.perf_counter()
    followed = [each for each in batch if sampled(each.traceparent)] if _exporting else []
    with _spans(aggregate, len(batch), followed) if followed else nullcontext():
        yield
    DECIDER_BATCH_MESSAGES.labels(aggregate).observe(len(batch))
    DECIDER_BATCH_SECONDS.labels(aggregate).observe(time.perf_counter() - started)


@contextmanager
def _spans(aggregate: str, size: int, followed: Sequence[Message]) -> Iterator[None]:
    tracer = trace.get_tracer("throughline")
    attributes: dict[str, str | int] = {"throughline.aggregate": aggregate, "messaging.batch.message_count": size}
    with (
        tracer.start_as_current_span(f"batch {aggregate}", Context(), attributes=attributes) as batch,
        ExitStack() as ends,
    ):
        for each in followed:
            context = context_of(each.traceparent)
            above = trace.set_span_in_context(NonRecordingSpan(context)) if context else None
            found = tracer.start_span(
                f"decide {type(each.message).__name__}",
                above,
                kind=SpanKind.INTERNAL if each.stream is None else SpanKind.CONSUMER,
                links=[Link(batch.get_span_context())],
                attributes={"throughline.aggregate": aggregate, "throughline.subject": str(each.subject)},
            )
            ends.callback(found.end)
            each.traceparent = traceparent_of(found)
        yield


def heard(batch: Sequence[Message], outcomes: Sequence[Decided]) -> None:
    """Count the records of a batch by what became of them."""
    found: dict[tuple[str, str], int] = {}
    for each, outcome in zip(batch, outcomes, strict=True):
        key = each.stream or "", _became(outcome)
        found[key] = found.get(key, 0) + 1
    for (topic, became), count in found.items():
        STREAM_RECORDS_TOTAL.labels(topic, became).inc(count)


def _became(outcome: Decided) -> str:
    if outcome.duplicate:
        return "duplicate"
    if outcome.waiting:
        return "waiting"
    if outcome.error is not None:
        return "failed"
    return "applied" if outcome.refused is None else "refused"


def decided(aggregate: str, batch: Sequence[Message], outcomes: list[D]) -> list[D]:
    """Count what was refused; the same outcomes come back.

    Each message that is sampled leaves a line in the log, under its subject and trace; at level debug every one does.
    """
    everything = _level.isEnabledFor(logging.DEBUG)
    if everything or _exporting:
        for each, outcome in zip(batch, outcomes, strict=True):
            if everything or sampled(each.traceparent):
                _say(aggregate, each, outcome)
    for outcome in outcomes:
        if outcome.refused is not None:
            DECIDER_REFUSALS_TOTAL.labels(aggregate, outcome.refused.slug).inc()
    return outcomes


def _say(aggregate: str, each: Message, outcome: Decided) -> None:
    context = context_of(each.traceparent)
    ids = {} if context is None else {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    log.log(
        logging.INFO if sampled(each.traceparent) else logging.DEBUG,
        "decided",
        aggregate=aggregate,
        subject=str(each.subject),
        message=type(each.message).__name__,
        outcome=_became(outcome),
        refused=None if outcome.refused is None else outcome.refused.slug,
        **ids,
    )


def stated(aggregate: str, facts: Sequence[str]) -> None:
    """Count facts, by their names, that have been written."""
    for name, count in Tally(facts).items():
        DECIDER_FACTS_TOTAL.labels(aggregate, name).inc(count)


@contextmanager
def waited_for(scope: MutableMapping[str, Any]) -> Iterator[None]:
    """What a caller asks to wait for is no part of the time that its answer takes."""
    started = time.perf_counter()
    try:
        yield
    finally:
        scope[_WAITED] = scope.get(_WAITED, 0.0) + time.perf_counter() - started


def waited(scope: MutableMapping[str, Any]) -> float:
    """Seconds that a call has spent on what its caller asked to wait for."""
    seconds: float = scope.get(_WAITED, 0.0)
    return seconds


def _flags(traceparent: str) -> int:
    context = context_of(traceparent)
    return int(context.trace_flags) if context else 0
