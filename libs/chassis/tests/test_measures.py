"""What is measured beside the ways of messages: facts, ages, calls in hand, and the lines that follow a request."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from chassis import door, telemetry, watching
from chassis.agenda import Agenda
from chassis.clock import utc_now
from chassis.service import Runtime
from chassis.subscription import oldest_of
from testkit import toy, toyservice
from testkit.eventually import eventually
from testkit.scraping import measured

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_exporting", True)


@pytest_asyncio.fixture
async def runtime(fresh_database: Any, tmp_path: Path) -> AsyncIterator[Runtime]:
    url = (await fresh_database.template("toy", toy.create)).url
    toyservice.issuer(tmp_path)
    await toyservice.employ(url, "ann")
    runtime = toyservice.runtime(url, tmp_path / "jwks.json")
    yield runtime
    await runtime.database.close()


def labels() -> list[dict[str, str]]:
    """Every set of labels that calls have been counted under."""
    return [sample.labels for sample in telemetry.HTTP_REQUEST_SECONDS.collect()[0].samples]


def record(topic: str, at: int) -> Any:
    return SimpleNamespace(topic=topic, timestamp=at)


def test_lag_is_that_of_the_oldest_record_and_what_is_sent_again_is_no_lag() -> None:
    new, old = record("workflow.requests", 2_000), record("intake.requests", 1_000)
    again = record("acme.billing.resent", 1)
    assert oldest_of([new, old, again]) == 1_000
    assert oldest_of([again]) is None


def messages() -> Iterator[Any]:
    yield toy.asked(uuid4(), toy.Add(1), traceparent=SAMPLED)
    yield toy.asked(uuid4(), toy.Add(1), traceparent=SAMPLED[:-1] + "0")
    yield toy.asked(uuid4(), toy.Take(1), traceparent=SAMPLED)


OUTCOMES = [
    SimpleNamespace(refused=None, duplicate=False, waiting=False, error=None),
    SimpleNamespace(refused=None, duplicate=False, waiting=False, error=None),
    SimpleNamespace(refused=toy.NotEnough(0), duplicate=False, waiting=False, error=None),
]


def test_every_decision_of_a_sampled_request_is_a_line_with_its_subject_and_trace(exporting: None) -> None:
    batch = list(messages())
    with capture_logs() as lines:
        telemetry.decided("tills", batch, OUTCOMES)
    first, last = (each for each in lines if each["event"] == "decided")
    assert first["subject"] == str(batch[0].subject)
    assert (first["trace_id"], first["log_level"], first["outcome"]) == (SAMPLED.split("-")[1], "info", "applied")
    assert (last["message"], last["outcome"], last["refused"]) == ("Take", "refused", "not-enough")


def test_without_anywhere_to_send_spans_no_decision_is_a_line() -> None:
    with capture_logs() as lines:
        telemetry.decided("tills", list(messages()), OUTCOMES)
    assert lines == []


def test_at_level_debug_every_decision_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry._level, "isEnabledFor", lambda _: True)
    with capture_logs() as lines:
        telemetry.decided("tills", list(messages()), OUTCOMES)
    assert len(lines) == 3


@pytest.mark.servers
async def test_facts_are_counted_by_type_once_they_are_written(runtime: Runtime) -> None:
    labels = {"aggregate": "tills", "fact": "toy.till-changed"}
    before = measured("decider_facts_total", **labels)
    await runtime.deciders["tills"].handle_batch([toy.asked(uuid4(), toy.Add(1)), toy.asked(uuid4(), toy.Take(1))])
    assert measured("decider_facts_total", **labels) == before + 1


@pytest.mark.servers
async def test_what_cannot_be_decided_is_logged_under_its_subject(runtime: Runtime) -> None:
    till = uuid4()
    with capture_logs() as lines:
        await runtime.deciders["tills"].handle_batch([toy.asked(till, toy.Add(1)), toy.asked(till, toy.Explode())])
    (line,) = (each for each in lines if each["event"] == "message_not_decided")
    assert (line["subject"], line["message"]) == (str(till), "Explode")


@pytest.mark.servers
async def test_a_timer_that_fires_is_a_line_too_where_every_decision_is(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = uuid4()
    await runtime.deciders["tills"].handle_batch([toy.asked(till, toy.Add(1)), toy.asked(till, toy.CountAt(utc_now()))])
    monkeypatch.setattr(telemetry._level, "isEnabledFor", lambda _: True)
    agenda = Agenda(runtime.database, runtime.deciders, toy.asked)
    with capture_logs() as lines:
        await agenda.sweep()
    (line,) = (each for each in lines if each["event"] == "decided")
    assert (line["subject"], line["message"], line["outcome"]) == (str(till), "TimerDue", "applied")


@pytest.mark.servers
async def test_what_is_overdue_and_which_dead_letters_are_open_is_measured(runtime: Runtime) -> None:
    await watching.look(runtime)
    assert (measured("agenda_overdue_seconds"), measured("dead_letters_open")) == (0, 0)
    wake = "INSERT INTO wake (subject, aggregate, at) VALUES (gen_random_uuid(), 'tills', clock_timestamp() + $1)"
    await runtime.database.execute(wake.replace("$1", "interval '1 h'"))
    await watching.look(runtime)
    assert measured("agenda_overdue_seconds") == 0
    await runtime.database.execute(wake.replace("$1", "interval '-9 s'"))
    await runtime.database.execute(
        "INSERT INTO dead_letters (reason, detail) SELECT 'x', '' FROM generate_series(1, 3)"
    )
    await runtime.database.execute("UPDATE dead_letters SET resolved_at = now() WHERE id = 1")
    await watching.look(runtime)
    assert 9 <= measured("agenda_overdue_seconds") < 60
    assert measured("dead_letters_open") == 2


@pytest.mark.servers
async def test_what_was_read_and_is_not_acknowledged_has_an_age_and_is_no_hole(runtime: Runtime) -> None:
    await runtime.deciders["tills"].handle(toy.asked(uuid4(), toy.Add(1)))
    await runtime.database.execute("UPDATE journal SET recorded_at = recorded_at - interval '9 s'")
    read = "INSERT INTO relay_cursor (grp, high, holes, hole_xmax) SELECT grp, seq, ARRAY[seq], '{0}' FROM journal"
    await runtime.database.execute(read)
    await watching.look(runtime)
    assert 9 <= measured("relay_oldest_unsent_seconds") < 60
    assert measured("relay_holes") == 0
    await runtime.database.execute(
        "UPDATE relay_cursor SET high = high + 2, holes = holes || high + 1, hole_xmax = hole_xmax || '77'::text"
    )
    await watching.look(runtime)
    assert measured("relay_holes") == 1
    await runtime.database.execute("UPDATE relay_cursor SET holes = '{}', hole_xmax = '{}'")
    await watching.look(runtime)
    assert (measured("relay_oldest_unsent_seconds"), measured("relay_holes")) == (0, 0)


@pytest.mark.servers
async def test_a_call_is_in_hand_while_it_lasts_and_what_it_asks_to_wait_for_does_not_make_it_slow(
    runtime: Runtime, tmp_path: Path
) -> None:
    token = toyservice.issuer(tmp_path).token("ann", "tills:read")
    route = {"route": "/toy/v1/tills/{till_id}", "method": "GET", "status": "404"}
    within, all_of_them = (measured("http_request_seconds_bucket", le=le, **route) for le in ("0.5", "+Inf"))
    headers = {"authorization": f"Bearer {token}", "prefer": "wait=1"}
    transport = httpx2.ASGITransport(door.build(runtime)[1])
    async with httpx2.AsyncClient(transport=transport, base_url="http://toy", headers=headers) as client:
        call = asyncio.create_task(client.get(f"/toy/v1/tills/{uuid4()}"))
        await eventually(lambda: measured("http_requests_in_hand") == 1, every=0.01)
        answer = await call
    assert answer.status_code == 404
    assert answer.elapsed.total_seconds() >= 1
    assert measured("http_request_seconds_bucket", le="0.5", **route) == within + 1
    assert measured("http_request_seconds_bucket", le="+Inf", **route) == all_of_them + 1
    assert measured("http_requests_in_hand") == 0


@pytest.mark.servers
async def test_what_callers_made_up_never_becomes_a_label(runtime: Runtime) -> None:
    transport = httpx2.ASGITransport(door.build(runtime)[1])
    made_up = {"route": "none", "method": "other", "status": "404"}
    before = measured("http_request_seconds_count", **made_up)
    known = {(one["route"], one["method"]) for one in labels()}
    async with httpx2.AsyncClient(transport=transport, base_url="http://toy") as client:
        for method, path in (("GET", "/wp-admin"), ("BREW", "/toy/v1/pots"), ("GET", f"/{uuid4()}")):
            await client.request(method, path)
        await client.request("BREW", "/toy/v1/tills")
    assert measured("http_request_seconds_count", **made_up) == before + 3
    seen = {(one["route"], one["method"]) for one in labels()} - known
    assert seen <= {("none", "other"), ("/toy/v1/tills", "other")}
