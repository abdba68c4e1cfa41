"""How much may be sent, on both sides of every bound."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.domain import limits

LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def problems(value: dict[str, Any]) -> list[str]:
    return [pointer for pointer, _ in limits.custom("/custom", value)]


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    assert isinstance(value, dict)
    return value


def sized(total: int) -> dict[str, Any]:
    return {"a": "x" * (total - len('{"a":""}'))}


def test_S69_the_number_of_custom_fields_is_bounded() -> None:
    fields = {f"f{n}": n for n in range(limits.CUSTOM_FIELDS)}
    assert problems(fields) == []
    assert problems({**fields, "one more": 1}) == ["/custom"]


def test_S69_the_depth_of_custom_data_is_bounded() -> None:
    assert problems(nested(limits.CUSTOM_DEPTH)) == []
    assert problems(nested(limits.CUSTOM_DEPTH + 1)) == ["/custom"]
    assert problems({"a": [[[1]]]}) == ["/custom"]


def test_S69_the_size_of_custom_data_is_bounded_in_bytes() -> None:
    assert problems(sized(limits.CUSTOM_BYTES)) == []
    assert problems(sized(limits.CUSTOM_BYTES + 1)) == ["/custom"]
    assert problems({"a": "é" * (limits.CUSTOM_BYTES // 2)}) == ["/custom"]


def test_S69_the_names_of_custom_fields_are_bounded() -> None:
    assert problems({"x" * limits.CUSTOM_KEY: 1}) == []
    assert problems({"x" * (limits.CUSTOM_KEY + 1): 1}) == ["/custom/" + "x" * limits.CUSTOM_KEY]
    assert problems({" ": 1}) == ["/custom/ "]


def test_pointers_are_escaped() -> None:
    assert limits.escape("a/b~c") == "a~1b~0c"


@given(st.dictionaries(st.text(min_size=1, max_size=10), JSON, max_size=5))
def test_S69_what_is_taken_is_small_enough_to_keep(value: dict[str, Any]) -> None:
    if problems(value):
        return
    assert len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) <= limits.CUSTOM_BYTES


@pytest.mark.parametrize("word", ["high", "in-2-days", "p1", "a" * limits.WORD])
def test_words_that_are_taken(word: str) -> None:
    assert list(limits.word("/impact", word)) == []


@pytest.mark.parametrize("word", ["", "High", "very high", "very_high", "a" * (limits.WORD + 1), "high\n"])
def test_words_that_are_refused(word: str) -> None:
    assert len(list(limits.word("/impact", word))) == 1


@pytest.mark.parametrize("address", ["a@b.example", "x" * (limits.EMAIL - len("@b.example")) + "@b.example"])
def test_addresses_that_are_taken(address: str) -> None:
    assert list(limits.email("/email", address)) == []


@pytest.mark.parametrize("address", ["a", "a@b@c", "@b.example", "a b@c.example", "x" * limits.EMAIL + "@b.example"])
def test_addresses_that_are_refused(address: str) -> None:
    assert len(list(limits.email("/email", address))) == 1


@pytest.mark.parametrize("tag", ["en", "pt-BR", "zh-Hant"])
def test_languages_that_are_taken(tag: str) -> None:
    assert list(limits.locale("/locale", tag)) == []


@pytest.mark.parametrize("tag", [None, "", "e", "english!", "en-", "zh_Hant"])
def test_languages_that_are_refused(tag: str | None) -> None:
    assert len(list(limits.locale("/locale", tag))) == 1
