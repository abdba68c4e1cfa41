"""Fields: what is let in, at both sides of each bound."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts import billing, intake, workflow
from contracts.base import ActorRef, Money, Problem
from contracts.fields import CUSTOM_BYTES, Day
from contracts.money import exponent
from contracts.policy import Policy

CONTACT = UUID("0193b2c4-01a1-7a10-8c3e-5d2f9a0001a1")


def submit(**fields: Any) -> intake.Submit:
    return intake.Submit.model_validate({"contact_id": CONTACT, "queue": "support", "summary": "Printer"} | fields)


def refused(**fields: Any) -> bool:
    try:
        submit(**fields)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize(
    ("field", "most"), [("summary", 200), ("description", 32_768), ("external_reference", 200), ("category", 120)]
)
def test_a_text_of_the_allowed_length_passes_and_one_more_does_not(field: str, most: int) -> None:
    assert not refused(**{field: "é" * most})
    assert refused(**{field: "é" * (most + 1)})


@pytest.mark.parametrize("text", ["a\x00b", "\x00", "a\x1b[31m", "a\x7f", "a\x85", "a\x9f", "\x08"])
def test_NUL_and_control_characters_are_refused_everywhere(text: str) -> None:
    assert refused(summary=text)
    assert refused(description=text)
    assert refused(custom={"note": text})
    assert refused(custom={"deep": [{"er": text}]})
    assert refused(custom={"deep": {text: 1}})


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069"])
def test_signs_that_turn_or_end_a_line_are_refused_in_one_line_texts(sign: str) -> None:
    assert refused(summary=f"a{sign}b")
    assert not refused(description=f"a{sign}b")
    with pytest.raises(ValidationError):
        intake.RegisterContact(name=f"a{sign}b")


@pytest.mark.parametrize("sign", ["\u2027", "\u202f", "\u2065", "\u206a", "\u200f", "\u00a0"])
def test_their_neighbours_are_allowed(sign: str) -> None:
    assert not refused(summary=f"a{sign}b")


@pytest.mark.parametrize("text", ["line\nline", "tab\tstop", "dos\r\n", "line\n"])
def test_layout_is_allowed_in_long_texts_only(text: str) -> None:
    assert not refused(description=text)
    assert not refused(custom={"note": text})
    assert refused(summary=text)


@given(st.text(max_size=200))
def test_a_summary_passes_exactly_when_it_is_not_empty_and_holds_no_control_character(text: str) -> None:
    control = any(c < " " or "\x7f" <= c <= "\x9f" or c in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e" for c in text)
    control = control or any("\u2066" <= c <= "\u2069" for c in text)
    assert refused(summary=text) is (control or not text)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValidationError):
        intake.Submit.read(f'{{"contact_id": "{CONTACT}", "queue": "support", "summary": "\\ud800"}}')


def test_custom_fields_are_bounded_in_number() -> None:
    assert not refused(custom={f"k{i}": i for i in range(50)})
    assert refused(custom={f"k{i}": i for i in range(51)})


def test_custom_fields_are_bounded_in_bytes() -> None:
    frame = len(json.dumps({"k": ""}, separators=(",", ":")))
    assert not refused(custom={"k": "é" * ((CUSTOM_BYTES - frame) // 2)})
    assert refused(custom={"k": "é" * ((CUSTOM_BYTES - frame) // 2 + 1)})


def test_custom_fields_have_plain_names_and_finite_numbers() -> None:
    assert not refused(custom={"cpe.serial_no-2": None})
    assert refused(custom={"": 1})
    assert refused(custom={"two words": 1})
    assert refused(custom={"k": float("nan")})
    assert refused(custom={"k": float("inf")})


@pytest.mark.parametrize("sign", [1, -1])
def test_integers_in_custom_fields_are_ones_that_every_json_reader_holds(sign: int) -> None:
    assert not refused(custom={"k": [{"n": sign * (2**53 - 1)}]})
    assert refused(custom={"k": [{"n": sign * 2**53}]})
    assert refused(custom={"k": sign * 10**30})


_MARKS = st.characters(max_codepoint=0x2FF, exclude_categories=("Cs",))
_SCALARS = st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats() | st.text(_MARKS, max_size=6)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_MARKS, max_size=3), inner, max_size=3),
)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(each) for item in value.items() for each in item)
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return not any((c < " " and c not in "\t\n\r") or "\x7f" <= c <= "\x9f" for c in value)
    return not isinstance(value, int | float) or (abs(value) < 2**53 if isinstance(value, int) else isfinite(value))


@given(_VALUES)
def test_a_custom_value_passes_exactly_when_all_its_texts_and_numbers_are_plain(value: Any) -> None:
    assert refused(custom={"k": value}) is not _is_plain(value)


@pytest.mark.parametrize("word", ["high", "p1", "very-high", "1", "x" * 64])
def test_enumerations_are_open(word: str) -> None:
    assert submit(urgency=word).urgency == word


@pytest.mark.parametrize("word", ["", "High", "very high", "x" * 65, "ü", "high\n"])
def test_enumerations_are_lower_case_words(word: str) -> None:
    assert refused(urgency=word)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_a_time_is_the_same_moment_held_in_utc(naive: datetime, minutes: int) -> None:
    at = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    held = submit(received_at=at.isoformat()).received_at
    assert held == at
    assert held is not None
    assert held.tzinfo is UTC


@pytest.mark.parametrize(
    "at",
    ["2026-11-23T07:02:11", 1_790_000_000, "1790000000", "1790000000.5", 1.5, "yesterday", "", "2026-11-23", True],
)
def test_a_time_without_offset_or_as_a_number_is_refused(at: object) -> None:
    assert refused(received_at=at)


@pytest.mark.parametrize(
    ("at", "taken"),
    [
        ("1970-01-01T00:00:00Z", True),
        ("1970-01-01T01:00:00+01:00", True),
        ("1970-01-01T00:00:00+00:01", False),
        ("2199-12-31T23:59:59Z", True),
        ("2199-12-31T23:59:59-00:01", False),
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59-14:00", False),
    ],
)
def test_the_calendar_ends_in_utc_where_what_is_written_is_read_again(at: str, taken: bool) -> None:
    assert refused(received_at=at) is not taken


@pytest.mark.parametrize("at", ["2026-11-23T07:02:11Z", "2026-11-23t07:02:11.25z", "2026-11-23 07:02:11+01:00"])
def test_a_time_is_taken_as_rfc_3339_has_it(at: str) -> None:
    assert not refused(received_at=at)


@pytest.mark.parametrize(("day", "taken"), [("2026-11-23", True), ("1790035200", False), (1_790_035_200, False)])
def test_a_day_is_no_number_either(day: object, taken: bool) -> None:
    adapter: TypeAdapter[date] = TypeAdapter(Day)
    if taken:
        assert adapter.validate_python(day) == date(2026, 11, 23)
    else:
        with pytest.raises(ValidationError):
            adapter.validate_python(day)


@pytest.mark.parametrize("at", ["1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_times_beyond_the_calendar_are_refused(at: str) -> None:
    assert refused(received_at=at)


@pytest.mark.parametrize("id_", ["", "1", "R-000123", "0193b2c4-01a1-7a10-8c3e-5d2f9a0001a", 5, None])
def test_an_id_is_a_uuid(id_: object) -> None:
    assert refused(contact_id=id_)


@pytest.mark.parametrize("value", ["5", 5.0, True, -1, 2**53])
def test_counts_are_whole_numbers_and_nothing_that_looks_like_one(value: object) -> None:
    with pytest.raises(ValidationError):
        workflow.Close.model_validate({"outcome": "resolved", "charge_revision": value})


@pytest.mark.parametrize("value", [0, 2**53 - 1])
def test_counts_reach_from_zero_to_what_every_language_holds(value: int) -> None:
    assert workflow.Close(outcome="resolved", charge_revision=value).charge_revision == value


def drafted(minutes: object, days: object) -> workflow.DraftQueue:
    gate = {"policy": {"kind": "any"}, "approvers": [str(CONTACT)], "due_minutes": minutes}
    work = {"name": "Work", "state": "in-progress", "approval": gate}
    stages = [{"name": "New", "state": "new"}, work, {"name": "Closed", "state": "closed"}]
    times = {"completion_minutes": {"high": minutes}, "reopen_days": days}
    return workflow.DraftQueue.model_validate({"queue": "q", "name": "Q", "stages": stages, "matrix": {}} | times)


@pytest.mark.parametrize(("minutes", "days"), [(1, 0), (5_256_000, 3_650)])
def test_allowed_times_reach_from_a_minute_to_ten_years(minutes: int, days: int) -> None:
    queue = drafted(minutes, days)
    assert (queue.completion_minutes, queue.reopen_days) == ({"high": minutes}, days)


@pytest.mark.parametrize(("minutes", "days"), [(0, -1), (5_256_001, 3_651), (2**31 - 1, 2**53 - 1), ("5", "5")])
def test_allowed_times_that_would_leave_the_calendar_are_refused(minutes: object, days: object) -> None:
    with pytest.raises(ValidationError) as refused:
        drafted(minutes, days)
    places = {error["loc"] for error in refused.value.errors()}
    assert {("stages", 1, "approval", "due_minutes"), ("completion_minutes", "high"), ("reopen_days",)} <= places


@pytest.mark.parametrize("address", ["a@b", "renee@example.com", "o'hara+x@sub.example.org", "ü@example.com"])
def test_an_address_has_two_sides(address: str) -> None:
    assert intake.RegisterContact(name="R", email=address).email == address


@pytest.mark.parametrize("address", ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\nBcc: x@y", "a@b\r", f"{'a' * 319}@b"])
def test_an_address_that_could_end_a_mail_header_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        intake.RegisterContact(name="R", email=address)


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(submit(), "summary", "other")  # noqa: B010 — the type checker refuses it too


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_money_has_as_many_decimals_as_the_currency(currency: str, digits: int) -> None:
    assert exponent(currency) == digits
    fits = "1" if digits == 0 else f"1.{'5' * digits}"
    too_fine = f"{fits}5" if digits else "1.5"
    assert Money(amount=fits, currency=currency).amount == Decimal(fits)
    with pytest.raises(ValidationError):
        Money(amount=too_fine, currency=currency)


@pytest.mark.parametrize(
    "amount", [1, 1.5, "1e3", "1,50", "01.00", " 1", "1 ", "1\n", ".5", "1.", "+1", "NaN", "Infinity", "", "١"]
)
def test_an_amount_is_a_plain_decimal_string(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money(amount=amount, currency="EUR")


@pytest.mark.parametrize("currency", ["", "eur", "EU", "EURO", "€"])
def test_a_currency_is_three_capitals(currency: str) -> None:
    with pytest.raises(ValidationError):
        Money(amount="1.00", currency=currency)


@given(st.decimals(-(10**15) + 1, 10**15 - 1, places=2))
def test_money_travels_as_the_string_it_came_in(amount: Decimal) -> None:
    text = f"{amount:f}"
    assert json.loads(Money(amount=text, currency="EUR").model_dump_json())["amount"] == text


def test_a_large_decimal_is_written_without_exponent() -> None:
    assert '"100"' in Money(amount=Decimal("1E+2"), currency="EUR").model_dump_json()


@pytest.mark.parametrize("quantity", ["0", "1", "1.5", "999999999.999999"])
def test_quantities_are_decimal_strings(quantity: str) -> None:
    assert billing.LogCharge(sku="visit", quantity=quantity).quantity == quantity


@pytest.mark.parametrize("quantity", ["-1", "1e2", "1.1234567", "1000000000", "", "1.", 1])
def test_quantities_are_bounded_and_never_negative(quantity: object) -> None:
    with pytest.raises(ValidationError):
        billing.LogCharge.model_validate({"sku": "visit", "quantity": quantity})


@pytest.mark.parametrize(("kind", "k"), [("any", None), ("all", None), ("k", 1), ("later-idea", None)])
def test_a_policy_counts_exactly_when_it_says_k(kind: str, k: int | None) -> None:
    assert Policy(kind=kind, k=k).k == k


@pytest.mark.parametrize(("kind", "k"), [("any", 1), ("all", 2), ("k", None), ("k", 0), ("k", -1)])
def test_a_policy_that_can_never_be_met_or_means_nothing_is_refused(kind: str, k: int | None) -> None:
    with pytest.raises(ValidationError):
        Policy(kind=kind, k=k)


def test_a_problem_keeps_members_that_it_does_not_know() -> None:
    said = {"title": "Stale version", "status": 412, "edit_version": 7}
    assert json.loads(Problem.model_validate(said).model_dump_json(exclude_none=True))["edit_version"] == 7


@pytest.mark.parametrize("status", [399, 600, "404"])
def test_a_problem_is_an_error_status(status: object) -> None:
    with pytest.raises(ValidationError):
        Problem.model_validate({"title": "x", "status": status})


def test_personal_fields_are_known_and_marked_in_the_schema() -> None:
    assert intake.RequestSubmitted.personal_fields() == ("summary", "description", "custom")
    assert intake.Contact.personal_fields() == ("name", "email", "phone", "login")
    assert intake.Contact.model_json_schema()["properties"]["email"]["x-personal"] is True
    assert "x-personal" not in intake.Contact.model_json_schema()["properties"]["locale"]


def test_who_acted_may_be_without_id() -> None:
    assert ActorRef(kind="system").id is None
