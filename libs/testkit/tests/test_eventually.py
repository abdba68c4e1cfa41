"""Polling instead of sleeping."""

import itertools

import pytest

from testkit import eventually


async def test_the_first_true_answer_is_returned() -> None:
    answers = itertools.count()
    assert await eventually(lambda: next(answers), every=0) == 1


async def test_a_probe_may_be_asynchronous() -> None:
    async def probe() -> str:
        return "here"

    assert await eventually(probe) == "here"


async def test_a_failed_assertion_means_not_yet() -> None:
    answers = itertools.count()

    def probe() -> bool:
        assert next(answers) >= 3
        return True

    assert await eventually(probe, every=0)


async def test_giving_up_tells_the_last_answer() -> None:
    with pytest.raises(AssertionError, match=r"the mail came within 0\.05 s; last answer: \[\]"):
        await eventually(list, within=0.05, every=0.01, message="the mail came")


async def test_giving_up_tells_the_last_failed_assertion() -> None:
    def probe() -> None:
        raise AssertionError("2 of 3 are there")

    with pytest.raises(AssertionError, match="last failure: 2 of 3 are there"):
        await eventually(probe, within=0.05, every=0.01)


async def test_any_other_error_fails_at_once() -> None:
    asked = itertools.count()

    def probe() -> None:
        next(asked)
        raise KeyError("typo")

    with pytest.raises(KeyError):
        await eventually(probe, within=5)
    assert next(asked) == 1
