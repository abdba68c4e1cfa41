"""The envelope: CloudEvents 1.0 over Kafka, told to the letter and read with patience."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import MAX_HOP, BadEnvelope, Envelope, from_headers, read, split_type, timestamp, to_headers

ID = UUID("0193b2c4-01b3-7a10-8c3e-5d2f9a0001b3")
REQUEST = UUID("0193b2c4-01a3-7a10-8c3e-5d2f9a0001a3")
AT = datetime(2026, 11, 23, 7, 2, 11, 482913, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LEAST = Envelope(id=ID, source="/tl/workflow", type="workflow.stage-changed", version=1, time=AT)

names = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
printable = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=60)
envelopes = st.builds(
    Envelope,
    id=st.uuids(),
    source=printable.map(lambda text: f"/{text}"),
    type=st.tuples(names, names).map(".".join),
    version=st.integers(1, 9999),
    time=st.datetimes(datetime(1990, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    subject=st.none() | printable,
    sequence=st.none() | st.integers(0, 2**63 - 1),
    correlation_id=st.none() | st.uuids(),
    causation_id=st.none() | st.uuids(),
    hop=st.integers(0, MAX_HOP),
    rulepath=st.lists(names, max_size=5).map(tuple),
    actor_kind=st.just("person"),
    actor_id=st.none() | st.uuids(),
    traceparent=st.none() | st.just(TRACE),
)


def plain(headers: list[tuple[str, bytes]], **change: str | None) -> list[tuple[str, bytes]]:
    """The headers with some replaced; None takes one out."""
    kept = {name: value for name, value in headers if name.removeprefix("ce_") not in change}
    new = {f"ce_{name}": text.encode() for name, text in change.items() if text is not None}
    return list((kept | new).items())


@given(envelopes, st.none() | st.binary(max_size=50))
def test_N4_an_envelope_is_read_as_it_was_told(envelope: Envelope, value: bytes | None) -> None:
    assert read(to_headers(envelope), value) == (envelope, value)


@given(envelopes)
def test_N4_another_librarys_reader_understands_ours(envelope: Envelope) -> None:
    message = kafka.KafkaMessage(headers=dict(to_headers(envelope)), key=None, value=b'{"stage": "New"}')
    event = kafka.from_binary(message, JSONFormat(), CloudEvent)
    assert event.get_id() == str(envelope.id)
    assert event.get_source() == envelope.source
    assert event.get_type() == f"{envelope.type}.v{envelope.version}"
    assert event.get_subject() == envelope.subject
    assert event.get_time() == envelope.time
    assert event.get_dataschema() == envelope.dataschema
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == {"stage": "New"}
    assert event.get_extension("sequence") == (None if envelope.sequence is None else str(envelope.sequence))


def foreign(envelope: Envelope) -> CloudEvent:
    """The same envelope, made by the other library as a client would."""
    attributes: dict[str, Any] = {
        "id": str(envelope.id), "source": envelope.source, "type": f"{envelope.type}.v{envelope.version}",
        "time": envelope.time, "datacontenttype": "application/json", "specversion": "1.0",
        "subject": envelope.subject, "sequence": envelope.sequence,
        "correlationid": envelope.correlation_id and str(envelope.correlation_id),
        "actor": f"person:{envelope.actor_id}" if envelope.actor_id else "person",
    }  # fmt: skip
    return CloudEvent({k: v for k, v in attributes.items() if v is not None}, {"stage": "Nüw"})


@given(envelopes)
def test_N4_another_librarys_events_are_read_in_both_modes(envelope: Envelope) -> None:
    for message in (
        kafka.to_binary(foreign(envelope), JSONFormat()),
        kafka.to_structured(foreign(envelope), JSONFormat()),
    ):
        got, data = read([(name, bytes(value)) for name, value in message.headers.items()], bytes(message.value))
        assert data is not None
        assert json.loads(data) == {"stage": "Nüw"}
        assert (got.id, got.source, got.type, got.version) == (
            envelope.id, envelope.source, envelope.type, envelope.version,
        )  # fmt: skip
        assert (got.subject, got.sequence, got.time) == (envelope.subject, envelope.sequence, envelope.time)
        assert (got.correlation_id, got.actor_id) == (envelope.correlation_id, envelope.actor_id)


def test_absent_attributes_are_absent_headers() -> None:
    names = {name for name, _ in to_headers(LEAST)}
    assert names == {
        "content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_dataschema",
    }  # fmt: skip


def test_times_are_told_in_utc_with_z() -> None:
    assert timestamp(AT.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2026-11-23T07:02:11.482913Z"
    assert timestamp(AT.replace(microsecond=0)) == "2026-11-23T07:02:11Z"


def test_the_origins_trace_context_comes_along() -> None:
    assert from_headers([*to_headers(LEAST), ("traceparent", TRACE.encode())]).traceparent == TRACE


def test_a_structured_event_keeps_the_trace_context_of_its_record() -> None:
    event = {"specversion": "1.0", "id": str(ID), "source": "/erp", "type": "intake.submit.v1", "time": timestamp(AT)}
    headers = [("content-type", b"application/cloudevents+json; charset=utf-8"), ("traceparent", TRACE.encode())]
    got, data = read(headers, json.dumps(event).encode())
    assert (got.traceparent, data) == (TRACE, None)


def test_foreign_headers_are_passed_over() -> None:
    odd: list[tuple[str, bytes | None]] = [("x-app", b"\xff\xfe"), ("ce_partitionkey", b"k"), ("ce_hop", None)]
    assert from_headers([*to_headers(LEAST), *odd]) == LEAST


@pytest.mark.parametrize("name", ["id", "source", "type", "time"])
def test_a_missing_attribute_is_named(name: str) -> None:
    with pytest.raises(BadEnvelope, match=f"ce_{name} is missing") as caught:
        from_headers(plain(to_headers(LEAST), **{name: None}))
    assert caught.value.slug == "header-missing"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("id", "7"), ("time", "yesterday"), ("time", "2026-11-23T07:02:11"),
        ("time", "0001-01-01T00:00:00+14:00"), ("sequence", "-1"), ("sequence", "1.5"),
        ("sequence", "٣"), ("sequence", str(2**63)), ("hop", str(MAX_HOP + 1)), ("hop", "x"), ("correlationid", "x"),
        ("causationid", "x"), ("actor", "person:x"), ("subject", "a\x00b"), ("subject", "a" * 257), ("source", "a\nb"),
        ("correlationid", "-" * 300 + "0" * 32),
    ],
)  # fmt: skip
def test_an_attribute_of_the_wrong_form_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadEnvelope) as caught:
        from_headers(plain(to_headers(LEAST), **{name: text}))
    assert caught.value.slug == "attribute-malformed"


@pytest.mark.parametrize(
    ("name", "text"), [("sequence", str(2**63 - 1)), ("hop", str(MAX_HOP)), ("subject", "a" * 256)]
)
def test_an_attribute_at_its_bound_is_read(name: str, text: str) -> None:
    assert str(getattr(from_headers(plain(to_headers(LEAST), **{name: text})), name)) == text


@pytest.mark.parametrize("wire", ["", "v1", ".v1", "a.b", "a.b.v", "a.b.vx", "a.b.v-1", "a.b.v12345", "a.b.v²"])
def test_a_type_needs_a_name_and_a_version(wire: str) -> None:
    with pytest.raises(BadEnvelope):
        split_type(wire)


def test_a_type_may_hold_v_itself() -> None:
    assert split_type("workflow.v.visit.v12") == ("workflow.v.visit", 12)


@pytest.mark.parametrize(
    ("headers", "value", "slug"),
    [
        ([], b"{}", "not-a-cloudevent"),
        ([("ce_id", b"\xff")], b"{}", "header-not-text"),
        ([("ce_specversion", b"0.3")], b"{}", "not-a-cloudevent"),
        ([("content-type", b"application/cloudevents+json")], b"<xml/>", "not-json"),
        ([("content-type", b"application/cloudevents+json")], None, "not-json"),
        ([("content-type", b"application/cloudevents+json")], b"[]", "not-json"),
        ([("content-type", b"application/cloudevents+json")], b'{"data": NaN}', "not-json"),
        ([("content-type", b"application/cloudevents+json")], b"\xff\xfe\x00", "not-json"),
        ([("content-type", b"application/cloudevents+json")], b"[" * 100_000, "not-json"),
        ([("content-type", b"application/cloudevents+json")], b'{"data_base64": "AA=="}', "data-not-json"),
        ([("content-type", b"application/cloudevents+json")], b'{"id": {}}', "attribute-malformed"),
        ([("content-type", b"application/cloudevents+avro")], b"", "content-type-unknown"),
        ([("content-type", b"application/cloudevents-batch+json")], b"[]", "content-type-unknown"),
    ],
)
def test_what_is_no_envelope_is_refused_by_name(headers: list[tuple[str, bytes]], value: bytes, slug: str) -> None:
    with pytest.raises(BadEnvelope) as caught:
        read(headers, value)
    assert caught.value.slug == slug


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00+00:01", "2199-12-31T23:59:59-00:01"])
def test_a_time_out_of_all_bounds_in_utc_is_refused(at: str) -> None:
    with pytest.raises(BadEnvelope, match="ce_time"):
        from_headers(plain(to_headers(LEAST), time=at))


@given(st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_time", "ce_hop", "content-type"]), st.binary())))
def test_no_headers_at_all_can_do_more_than_be_refused(headers: list[tuple[str, bytes]]) -> None:
    with pytest.raises(BadEnvelope):
        read(headers, b"{}")
