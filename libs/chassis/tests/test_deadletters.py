"""A dead letter keeps every byte of its record, so that what is decided after all is what came."""

import base64
import json

import pytest

from chassis.deadletters import Letter, Original, event_id, kept_headers, told_row
from chassis.hearing import Dead
from contracts.registry import TOPICS

ONE = "0190d3a0-0000-7000-8000-000000000001"


def text(value: str | None) -> str | None:
    return None if value is None else base64.b64encode(value.encode()).decode()


@pytest.mark.parametrize("as_pairs", [True, False])
def test_headers_come_back_as_they_were_one_without_value_included(as_pairs: bool) -> None:
    came = [("ce_id", ONE), ("ce_id", None), ("x", "")]
    kept = [[n, text(v)] if as_pairs else {"name": n, "value": text(v)} for n, v in came]
    again = kept_headers(json.dumps(kept))
    assert again == [(name, None if value is None else value.encode()) for name, value in came]
    assert str(event_id(json.dumps(kept))) == ONE


@pytest.mark.parametrize("kept", [None, [["ce_id", None]], [["ce_id", text("no id")]]])
def test_a_letter_without_a_readable_id_has_none(kept: object) -> None:
    assert event_id(None if kept is None else json.dumps(kept)) is None


@pytest.mark.parametrize("large", ["key", "value", "headers"])
def test_what_is_told_of_a_letter_fits_into_its_topic(large: str) -> None:
    most = 3 << 20
    key, value = (b"k" * most if large == "key" else b"k"), (b"v" * most if large == "value" else b"v")
    headers = [(f"x-{n}", b"h" * 4096) for n in range(768)] if large == "headers" else [("x", b"h")]
    row = told_row("toy", 12, Letter(Dead("error", "d" * most), "toy.tills", Original(0, 1, key, headers, value)))
    (body,) = [each for each in row if isinstance(each, str) and each.startswith('{"reason"')]
    told = json.loads(body)
    (room,) = {topic.max_message_bytes for topic in TOPICS if topic.kind == "dead-letters"}
    assert len(body) + 4096 < room
    assert (told["original_key"], told["original_value"]) == (
        None if large == "key" else text("k"), None if large == "value" else text("v"),
    )  # fmt: skip
    assert len(told["original_headers"]) == (0 if large == "headers" else 1)
