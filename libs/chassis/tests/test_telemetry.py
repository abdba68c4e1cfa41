"""Traces begin, go on and cost nothing when they are not sampled; logs carry their ids and never a secret."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from chassis import door, logs, telemetry, watching
from testkit import toy, toyservice

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CANARY = "c4nary-S3CRET"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Spans that are kept here instead of being sent."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(telemetry, "_exporting", False)
    monkeypatch.setattr(telemetry, "_ratio", 0.0)
    exporter = InMemorySpanExporter()
    provider = telemetry.setup("toy", "api", endpoint=None, ratio=0.25, exporter=exporter)
    assert provider is not None
    yield exporter
    provider.shutdown()


def finished(exporter: InMemorySpanExporter) -> list[Any]:
    provider: Any = trace.get_tracer_provider()
    provider.force_flush()
    return list(exporter.get_finished_spans())


def test_without_a_place_to_send_them_no_spans_are_made() -> None:
    assert telemetry.setup("toy", "api", endpoint=None, ratio=1.0) is None
    assert not telemetry.sampled(PARENT)
    assert not telemetry.begins("f" * 32)


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [
        (PARENT, True),
        (PARENT[:-1] + "0", False),
        (PARENT[:-1] + "3", True),
        (None, False),
        ("", False),
        ("nonsense", False),
        ("00-" + "0" * 32 + "-b7ad6b7169203331-01", False),
        ("ff" + PARENT[2:], False),
        (PARENT.replace("0af", "xyz"), False),
    ],
)
def test_only_well_formed_sampled_parents_are_followed(
    spans: InMemorySpanExporter, traceparent: str | None, sampled: bool
) -> None:
    assert telemetry.sampled(traceparent) == sampled


def test_a_message_goes_on_its_stored_trace_and_is_linked_to_its_batch(spans: InMemorySpanExporter) -> None:
    with telemetry.span("batch") as batch, telemetry.span("message", PARENT, links=(batch,)) as message:
        told = telemetry.traceparent_of(message)
    found = {span.name: span for span in finished(spans)}
    assert f"{found['message'].context.trace_id:032x}" == PARENT.split("-")[1]
    assert f"{found['message'].parent.span_id:016x}" == PARENT.split("-")[2]
    assert found["message"].links[0].context.span_id == found["batch"].context.span_id
    assert found["batch"].context.trace_id != found["message"].context.trace_id
    assert told == f"00-{PARENT.split('-')[1]}-{found['message'].context.span_id:016x}-01"


def test_the_ratio_decides_which_calls_begin_a_trace(spans: InMemorySpanExporter) -> None:
    assert telemetry.begins("00" * 13 + "3fffff")
    assert not telemetry.begins("00" * 13 + "400000")


@pytest.fixture
def written() -> Iterator[Any]:
    """What was logged, as text."""
    stream = io.StringIO()
    logs.setup("toy", "api", level="info", form="json", stream=stream)
    yield stream.getvalue
    logging.getLogger().handlers[:] = []
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_json_with_service_role_request_and_trace(written: Any, spans: InMemorySpanExporter) -> None:
    structlog.contextvars.bind_contextvars(request_id="r1")
    with telemetry.span("call", PARENT):
        structlog.get_logger("chassis.test").info("it_happened", number=7)
    line = json.loads(written())
    assert (line["event"], line["number"], line["level"], line["logger"]) == ("it_happened", 7, "info", "chassis.test")
    assert (line["service"], line["role"], line["request_id"]) == ("toy", "api", "r1")
    assert line["trace_id"] == PARENT.split("-")[1]
    assert line["timestamp"].endswith("Z")


def test_libraries_log_in_the_same_form(written: Any) -> None:
    logging.getLogger("some.library").warning("odd: %s", 3)
    assert json.loads(written())["event"] == "odd: 3"


@pytest.mark.parametrize(
    "said",
    [
        {"password": CANARY},
        {"Authorization": f"Bearer {CANARY}"},
        {"headers": {"authorization": CANARY, "cookie": CANARY}},
        {"url": f"postgresql://toy:{CANARY}@db/toy"},
        {"event": f"connecting to postgresql://toy:{CANARY}@db:5432/toy failed"},
        {"event": f"got Bearer {CANARY}abc"},
        {"event": f"password={CANARY} host=x"},
        {"event": f'{{"token": "{CANARY}"}}'},
        {"list": [{"api_key": CANARY}, (f"secret: {CANARY}",)]},
        {"event": "eyJhbGciOiJFUzI1NiJ9.c4nary-S3CRET.sig-c4nary-S3CRET"},
    ],
)
def test_a_secret_is_never_written(written: Any, said: dict[str, Any]) -> None:
    structlog.get_logger("x").error(**({"event": "e"} | said))
    logging.getLogger("y").error("%s", json.dumps(said))
    text = written()
    assert text.count("\n") == 2
    assert CANARY not in text


def test_a_traceback_shows_no_secret_either(written: Any) -> None:
    password = CANARY
    try:
        raise RuntimeError(f"postgresql://toy:{password}@db/toy")
    except RuntimeError as error:
        structlog.get_logger("x").error("failed", exc_info=error)
        logging.getLogger("y").exception("failed")
    text = written()
    assert "RuntimeError" in text
    assert CANARY not in text


@pytest.mark.servers
async def test_a_call_and_what_it_causes_are_one_trace(
    spans: InMemorySpanExporter, fresh_database: Any, tmp_path: Path
) -> None:
    url = (await fresh_database.template("toy", toy.create)).url
    await toyservice.employ(url, "ann")
    token = toyservice.issuer(tmp_path).token("ann", "tills:write")
    runtime = toyservice.runtime(url, tmp_path / "jwks.json")
    headers = {"authorization": f"Bearer {token}", "idempotency-key": "k", "traceparent": PARENT}
    transport = httpx2.ASGITransport(door.build(runtime)[1])
    async with httpx2.AsyncClient(transport=transport, base_url="http://toy", headers=headers) as client:
        till = (await client.post("/toy/v1/tills", json={"amount": 3})).json()["id"]
    (stored,) = await runtime.database.read("SELECT traceparent FROM journal")
    heard = toy.heard(UUID(till), toy.Add(1), 1, traceparent=stored["traceparent"])
    unsampled = toy.heard(UUID(till), toy.Add(1), 2, traceparent=PARENT[:-1] + "0")
    await runtime.deciders["tills"].handle_batch([heard, unsampled])
    await runtime.database.close()
    found = finished(spans)
    traced = [span for span in found if f"{span.context.trace_id:032x}" == PARENT.split("-")[1]]
    assert [span.name for span in traced] == ["decide Add", "POST /toy/v1/tills", "decide Add"]
    decided, call, next_decided = traced
    assert decided.parent.span_id == call.context.span_id
    assert next_decided.parent.span_id == decided.context.span_id
    batches = {span.context.span_id for span in found if span.name == "batch tills"}
    assert {next_decided.links[0].context.span_id, decided.links[0].context.span_id} == batches


@pytest.mark.servers
async def test_ages_of_what_is_unsent_and_waits_are_measured(fresh_database: Any, tmp_path: Path) -> None:
    url = (await fresh_database.template("toy", toy.create)).url
    toyservice.issuer(tmp_path)
    runtime = toyservice.runtime(url, tmp_path / "jwks.json")
    till = uuid4()
    await watching.look(runtime)
    assert telemetry.RELAY_OLDEST_UNSENT_SECONDS._value.get() == 0
    await runtime.deciders["tills"].handle_batch([toy.asked(till, toy.Add(1)), toy.heard(uuid4(), toy.Take(1), 1)])
    await runtime.database.execute("INSERT INTO relay_cursor (grp) SELECT generate_series(0, 3)")
    await runtime.database.execute("UPDATE journal SET recorded_at = recorded_at - interval '9 s'")
    await watching.look(runtime)
    await runtime.database.close()
    assert 9 <= telemetry.RELAY_OLDEST_UNSENT_SECONDS._value.get() < 60
    assert telemetry.WAITING_MESSAGES.labels("unknown")._value.get() == 1
