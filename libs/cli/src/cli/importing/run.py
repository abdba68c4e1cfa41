"""One import from start to end."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.importing import log as logs
from cli.importing import mapping as mappings
from cli.importing import plan as plans
from cli.importing.exchange import Exchange, Target
from cli.importing.playing import Player
from cli.importing.report import report

Begin = Callable[[int], Callable[[int], None]]
"""Told how many commands there are; gives what is told of each that is done."""


def _unseen(total: int) -> Callable[[int], None]:
    return lambda n: None


async def run(
    log: Path, mapping: Path, target: Target, now: datetime, *, rate: float | None = None, begin: Begin = _unseen
) -> dict[str, Any]:
    """Play a log into an installation and account for it; repeated, it changes nothing twice.

    Raises WrongMapping, WrongLog or NotReady before anything is sent.
    """
    meaning = mappings.read(mapping)
    read = logs.read(log, meaning, now)
    read.need_rows()
    plan = plans.plan(read, meaning)
    exchange = Exchange(target)
    started = time.monotonic()
    try:
        await exchange.start()
        player = Player(plan, exchange, rate, begin(plan.commands))
        await player.play()
    finally:
        await exchange.close()
    return report(read, plan, player, time.monotonic() - started)
