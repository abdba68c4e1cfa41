"""Many experiments: which faults share an installation, and what becomes of the rest when one of them fails.

What cannot be carried out is told as a run that failed; an error of the harness itself ends the session after that.
"""

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
from aiokafka.errors import KafkaError

from cli.door import Refused, Unanswered
from cli.running.installation import AS_IT_IS
from embedded.errors import NotStarted
from testkit.chaos.case import keep
from testkit.chaos.catalogue import needs_disks, needs_links
from testkit.chaos.experiment import Result, Shape, experiment, furnish
from testkit.chaos.site import Site
from testkit.chaos.witness import Witness

Tell = Callable[[Result], None]
Say = Callable[[str], None]

_RUN_WITHIN: Final = 510.0
"""Seconds that one experiment may take, its audit included."""
_HINDERS = (AssertionError, KafkaError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, NotStarted)


class Round(NamedTuple):
    """Faults that are carried out one after the other on one installation."""

    seed: int
    faults: tuple[str, ...]
    code: Mapping[str, str] = AS_IT_IS
    """The environment in which Python imports what the installation runs."""


def rounds(
    faults: Sequence[str], seeds: Iterable[int], per_site: int, done: Collection[tuple[str, int]] = ()
) -> list[Round]:
    """Every fault with every seed that is not done, `per_site` at the most together, in an order of the seed's. Pure.

    Faults that need links or disks are kept together, so that the others are not slowed down by proxies.
    """
    found: list[Round] = []
    for seed in seeds:
        order = random.Random(seed).sample(faults, len(faults))
        for apart in (False, True):
            left = [name for name in order if _apart(name) == apart and (name, seed) not in done]
            found += [Round(seed, tuple(left[n : n + per_site])) for n in range(0, len(left), per_site)]
    return found


def _apart(name: str) -> bool:
    return needs_links([name]) or needs_disks([name])


async def session(planned: Sequence[Round], shape: Shape, tell: Tell, say: Say, kept: Path | None = None) -> None:
    """All rounds. After a run that failed, the rest of its round goes on with a new installation.

    What failed is kept in the folder `kept`.
    """
    for one in planned:
        left = one
        while left.faults:
            left = left._replace(faults=left.faults[await _on_a_site(left, shape, tell, say, kept) :])


async def _on_a_site(planned: Round, shape: Shape, tell: Tell, say: Say, kept: Path | None) -> int:
    """Faults one after the other on an installation of their own, until one fails; how many were carried out."""
    seed, faults, code = planned
    home = Path(tempfile.mkdtemp(prefix="throughline-chaos-"))
    site = Site(home, proxied=needs_links(faults), disks=needs_disks(faults), code=code)
    try:
        try:
            await site.start(say)
            await furnish(site)
        except (*_HINDERS, Refused, Unanswered) as hindered:
            tell(Result(faults[0], seed, undone=f"no installation: {hindered!r}"))
            return 1
        except Exception as error:
            tell(Result(faults[0], seed, undone=f"no installation: {error!r}"))
            raise
        witness = Witness(site)
        witness.start()
        try:
            return await _until_one_fails(site, witness, seed, faults, shape, tell, kept)
        finally:
            await witness.stop()
    finally:
        await site.stop()
        shutil.rmtree(home, ignore_errors=True)


async def _until_one_fails(
    site: Site, witness: Witness, seed: int, faults: Sequence[str], shape: Shape, tell: Tell, kept: Path | None
) -> int:
    for n, name in enumerate(faults, 1):
        try:
            async with asyncio.timeout(_RUN_WITHIN):
                result = await experiment(site, witness, name, seed, shape, whole=n == len(faults))
        except _HINDERS as hindered:
            result = Result(name, seed, undone=f"not carried out: {hindered!r}")
        except Exception as error:
            tell(Result(name, seed, undone=f"not carried out: {error!r}"))
            raise
        tell(result)
        if result.failed:
            if kept is not None:
                with contextlib.suppress(*_HINDERS):  # its database may be what failed
                    await keep(kept / f"{name}-{seed}", result, site, witness)
            return n
    return len(faults)
