"""Waiting for what must come true soon, instead of sleeping for as long as it usually takes."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]], *, within: float = ..., every: float = ..., message: str = ...
) -> T: ...
@overload
async def eventually(probe: Callable[[], T], *, within: float = ..., every: float = ..., message: str = ...) -> T: ...
async def eventually(probe: Callable[[], Any], *, within: float = 15.0, every: float = 0.02, message: str = "") -> Any:
    """Ask `probe` until its answer is true, and return that answer.

    A failed assertion inside the probe is an answer too: not yet. After `within` seconds the test fails with the last
    answer, or with the last failed assertion. Any other error fails it at once.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        failed: AssertionError | None = None
        answer: Any = None
        try:
            asked = probe()
            answer = await asked if inspect.isawaitable(asked) else asked
            if answer:
                return answer
        except AssertionError as not_yet:
            failed = not_yet
        if loop.time() >= deadline:
            told = message or f"{getattr(probe, '__qualname__', probe)} did not come true"
            last = f"last failure: {failed}" if failed else f"last answer: {answer!r}"
            raise AssertionError(f"{told} within {within:g} s; {last}") from failed
        await asyncio.sleep(every)
