"""Stopping and starting a service around its restore."""

from types import SimpleNamespace
from typing import Any

from testkit import restoring


async def test_nobody_else_starts_a_service_while_it_is_being_started() -> None:
    process, seen = SimpleNamespace(wanted=False), list[bool]()

    async def ready() -> None:
        seen.append(process.wanted)

    watch = SimpleNamespace(
        processes={"billing": process}, start=lambda started: seen.append(started.wanted), ready=ready
    )
    installation: Any = SimpleNamespace(watch=watch)
    await restoring.start(installation, "billing")
    assert seen == [False, True]
