"""Each service in turn loses what it did after a backup, and has it again from its own topics."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chassis.clock import utc_now
from cli.demo.scenes import play_scenario
from cli.reconcile.report import settled, summary
from cli.running.installation import Installation
from contracts.registry import SERVICES
from testkit import orphans, restoring

BEFORE, AFTER, LATER = 30, 120, 10
"""Requests that are played before the backup, between backup and loss, and after each recovery."""
LOST = 1_000
"""Rows of the journal that each service loses at least."""
SETTLED_WITHIN = 150.0

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("restores") / "home", temporary=True)
    try:
        await installation.start(print)
        yield installation
    finally:
        await installation.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backups(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A backup of each schema, and much that happened after it."""
    home = tmp_path_factory.mktemp("backups")
    await play_scenario(installation, BEFORE, 5)
    found = {}
    for service in SERVICES:
        found[service] = home / service
        await restoring.back_up(installation, service, found[service])
    await play_scenario(installation, AFTER, 6)
    return found


async def journal(installation: Installation, service: str) -> Counter[str]:
    """Told facts, as the journal has them: each by what a reader knows it by, and what it says."""
    query = (
        "SELECT topic, key, sequence, event_id, type, data::jsonb || coalesce(personal::jsonb, '{}') AS body "
        f"FROM {service}.journal WHERE sequence IS NOT NULL"
    )
    return Counter(str(tuple(row)) for row in await restoring.rows(installation, query))


async def told_twice(installation: Installation) -> list[str]:
    """Facts with one number and two ids: what readers would have dropped as heard."""
    ledger, left = await settled(installation.bootstrap, "", utc_now, within=SETTLED_WITHIN)
    assert [f"{orphan.slug} {orphan.number} {orphan.cause}" for orphan in left[:5]] == []
    print(summary(ledger, left))
    return []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_restored_service_knows_again_what_it_published(
    installation: Installation, backups: dict[str, Path], service: str
) -> None:
    await told_twice(installation)
    await restoring.stop(installation, service)
    before = await journal(installation, service)
    await restoring.put_back(installation, service, backups[service])
    after = await journal(installation, service)
    lost = sum((before - after).values())
    print(service, "lost", lost)
    assert lost > 0
    status, said = await orphans.throughline(installation, "recover", service)
    print(said)
    assert status == 0, said
    again = await journal(installation, service)
    assert sorted((before - again).elements())[:3] == []
    print("more", sorted((again - before).elements())[:3])
    await restoring.start(installation, service)
    await play_scenario(installation, LATER, 100 + SERVICES.index(service))
    await told_twice(installation)
    assert installation.sink.taken.repeated == 0
