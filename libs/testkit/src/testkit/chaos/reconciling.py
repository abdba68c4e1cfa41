"""No fault of anything: operators reconcile an installation in the middle of its load, and again when it is quiet."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from cli import reconcile_command, site
from cli.reconcile.walking import Outcome
from testkit.chaos.faults import Fault
from testkit.chaos.operations import Operations, percentile
from testkit.chaos.site import Site

ON_ITS_WAY: Final = timedelta(seconds=15)
"""What is younger is not judged under load: a quarter of what operators are given without saying anything."""
_MOST: Final = 500

Look = Callable[[timedelta], Awaitable[Outcome]]


async def look(running: Site, older_than: timedelta) -> Outcome:
    """What `throughline reconcile` does, by the doors of an installation."""
    told = running.running()
    where = site.Site(
        prefix=told.prefix,
        partitions=0,
        kafka={"bootstrap_servers": told.kafka},
        database=told.database,
        services=told.services,
        issuer=Path(told.issuer),
    )
    return await reconcile_command.look(where, None, older_than, _MOST)


class Reconciled(Fault):
    """Nothing may be missed, not even under load; what submissions took meanwhile is told."""

    longer = ON_ITS_WAY.total_seconds() + 10.0

    def __init__(self, operations: Operations, looking: Look, old: timedelta = ON_ITS_WAY) -> None:
        self.name = "reconcile under load"
        self._operations = operations
        self._look = looking
        self._old = old
        self._under_load = ""

    @classmethod
    def of(cls, running: Site) -> "Reconciled":
        """That of an installation."""
        return cls(running.operations, partial(look, running))

    async def strike(self) -> None:
        """Return when it has been reconciled while requests were accepted; first, some must be old enough."""
        await asyncio.sleep(self._old.total_seconds())
        began, asked = time.monotonic(), len(self._operations.all)
        outcome = await self._look(self._old)
        self._missed(outcome, "under load")
        took = sorted(each.seconds for each in Operations(self._operations.all[asked:]).submissions("ok"))
        if took and outcome.facts:
            seconds = " ".join(f"p{part * 100:.0f} {percentile(took, part):.2f} s" for part in (0.5, 0.99))
            self._under_load = (
                f"{outcome.facts} facts in {time.monotonic() - began:.0f} s under load, "
                f"{len(took)} submissions meanwhile {seconds}"
            )

    async def look_again(self) -> None:
        """When it is quiet, nothing is on its way any more, however young it is."""
        outcome = await self._look(timedelta(0))
        self._missed(outcome, "after quiet")
        if self._under_load and outcome.facts:
            self.proof = f"{self._under_load}; {outcome.facts} after quiet"

    def _missed(self, outcome: Outcome, when: str) -> None:
        told = [f"{each.slug} {each.subject} {when}: {each.cause}, {each.why}" for each in outcome.orphans]
        left = [f"{outcome.unexamined} requests {when} not looked at again"] if outcome.unexamined else []
        self.orphans = [*self.orphans, *told, *left]
