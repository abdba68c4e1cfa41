"""Each service in turn loses what it did after a backup, and has it again from its own topics."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from chassis.clock import utc_now
from cli.demo.scenes import play_scenario
from cli.reconcile.reading import facts
from cli.reconcile.report import settled, summary
from cli.running.installation import Installation
from contracts.registry import SERVICES, TOPICS
from testkit import orphans, restoring
from testkit.eventually import eventually

BEFORE, AFTER, LATER = 30, 150, 10
"""Requests that are played before the backup, between backup and loss, and after each recovery."""
AT_ONCE = 24
"""Requests under way at a time between backup and loss; one by one, more would wait too long for each other."""
LOST = 1_000
"""Transactions that each service loses at least."""
SETTLED_WITHIN = 150.0
NUMBERED = ("intake.request-submitted", "billing.invoice-issued", "billing.credit-note-issued")
SETTLING = ("billing.invoice-issued", "billing.invoice-drafted", "billing.nothing-to-bill")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]


class OneByOne(Installation):
    """What comes over Kafka is decided one by one, each in a transaction of its own, so that they can be counted.

    Its workers leave their groups when they stop: a member with a name stays for 20 s more.
    """

    def _common_settings(self) -> dict[str, str]:
        return {**super()._common_settings(), "THROUGHLINE_INSTANCE": "", "THROUGHLINE_BATCH_RECORDS": "1"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    installation = OneByOne(tmp_path_factory.mktemp("restores") / "home", temporary=True)
    try:
        await installation.start(print)
        yield installation
    finally:
        await installation.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backups(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A backup of each schema, made while requests are played, and much that happened after it."""
    home = tmp_path_factory.mktemp("backups")
    play = asyncio.create_task(play_scenario(installation, BEFORE, 5))
    await eventually(lambda: installation.sink.taken.mails > BEFORE // 3, within=60)
    for service in SERVICES:
        await restoring.back_up(installation, service, home / service)
    assert (await play).unanswered == []
    assert (await play_scenario(installation, AFTER, 6, AT_ONCE)).unanswered == []
    return {service: home / service for service in SERVICES}


async def balance(installation: Installation) -> None:
    """Return once every fact has had its effect, each once; fails when one does not come."""
    ledger, left = await settled(installation.bootstrap, "", utc_now, within=SETTLED_WITHIN)
    assert [f"{orphan.slug} {orphan.number} {orphan.cause}" for orphan in left[:5]] == []
    print(f"balanced: {summary(ledger, left)}")


async def transactions(installation: Installation, service: str) -> tuple[int, dict[UUID, str]]:
    """(facts heard, by each that nothing heard caused the transaction that stated it), as far as a schema knows."""
    streams = [topic.name for topic in TOPICS if topic.kind == "stream"]
    heard = f"SELECT coalesce(sum(value::bigint), 0) FROM {service}.{restoring.TABLES[service]}, json_each_text(heard)"
    [(count,)] = await restoring.rows(installation, f"{heard} WHERE key = ANY($1::text[])", streams)
    stated = await restoring.rows(installation, f"SELECT event_id, xmin::text FROM {service}.journal WHERE hop = 0")
    return int(count), dict(map(tuple, stated))


async def lost_since(installation: Installation, service: str, before: tuple[int, dict[UUID, str]]) -> int:
    """Transactions that a schema knows of no more: one for each fact heard, and those that stated something else."""
    (heard, stated), (still_heard, left) = before, await transactions(installation, service)
    return heard - still_heard + len({stated[fact] for fact in stated.keys() - left.keys()})


async def facts_of(installation: Installation, service: str) -> int:
    [(count,)] = await restoring.rows(installation, f"SELECT count(*) FROM {service}.journal")
    return int(count)


async def told(installation: Installation, service: str) -> Counter[str]:
    """What a service told, as its journal has it: each fact by its id, its place and what it says."""
    query = (
        "SELECT topic, key, sequence, event_id, type, data::jsonb || coalesce(personal::jsonb, '{}') AS body "
        f"FROM {service}.journal WHERE sequence IS NOT NULL"
    )
    return Counter(str(tuple(row)) for row in await restoring.rows(installation, query))


async def as_it_was(installation: Installation, service: str, states: restoring.Contents) -> bool:
    """Whether the service knows of every request what it knew: state, columns, lines, mails."""
    assert restoring.differing(states, await restoring.contents(installation, service)) == {}
    return True


async def test_recovery_is_refused_while_the_service_runs(installation: Installation) -> None:
    status, said = await orphans.throughline(installation, "recover", "billing")
    assert status == 1
    assert "billing is up" in said
    assert (await play_scenario(installation, 3, 4)).unanswered == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_restored_service_has_again_what_it_published_and_goes_on(
    installation: Installation, backups: dict[str, Path], service: str
) -> None:
    await balance(installation)
    await restoring.stop(installation, service)
    before = await told(installation, service)
    states = await restoring.contents(installation, service)
    at_loss = await transactions(installation, service)
    await restoring.put_back(installation, service, backups[service])
    lost = await lost_since(installation, service, at_loss)
    print(f"{service} lost {lost} transactions")
    assert lost >= LOST
    if service == "workflow":
        await killed_in_the_middle(installation, service)
    status, said = await orphans.throughline(installation, "recover", service)
    print(said)
    assert status == 0, said
    assert sorted((before - await told(installation, service)).elements()) == []
    status, again = await orphans.throughline(installation, "recover", service)
    assert (status, "       0  facts read back" in again) == (0, True), again
    await restoring.start(installation, service)
    await balance(installation)
    await eventually(lambda: as_it_was(installation, service, states), within=30, every=0.5)
    assert (await play_scenario(installation, LATER, 100 + SERVICES.index(service))).unanswered == []
    await balance(installation)
    assert installation.sink.taken.repeated == 0
    await nothing_twice(installation)


async def test_a_service_whose_schema_is_empty_has_again_all_that_its_topics_hold(
    installation: Installation, backups: dict[str, Path]
) -> None:
    service = "approvals"
    await balance(installation)
    await restoring.stop(installation, service)
    before, states = await told(installation, service), await restoring.contents(installation, service)
    await restoring.empty(installation, service)
    assert await facts_of(installation, service) == 0
    status, said = await orphans.throughline(installation, "recover", service)
    assert status == 0, said
    assert sorted((before - await told(installation, service)).elements()) == []
    await restoring.start(installation, service)
    await eventually(lambda: as_it_was(installation, service, states), within=30, every=0.5)
    await balance(installation)
    await nothing_twice(installation)


async def killed_in_the_middle(installation: Installation, service: str) -> None:
    """`kill -9` of a recovery that has written a part; the service cannot start on it."""
    before = await facts_of(installation, service)

    async def begun() -> bool:
        return await facts_of(installation, service) > before

    await restoring.killed(installation, service, begun)
    [(may_enter,)] = await restoring.rows(
        installation, "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", f"{service}_app"
    )
    assert not may_enter


async def nothing_twice(installation: Installation) -> None:
    """Over everything ever published: one fact a place, one request or invoice a number, one invoice a close."""
    places: dict[tuple[Any, ...], set[Any]] = defaultdict(set)
    async for fact in facts(installation.bootstrap, ""):
        place = fact.topic, fact.subject, fact.sequence
        places[place].add((fact.id, repr(fact.data)))
        if "number" in fact.data and fact.type in NUMBERED:
            places[fact.type, fact.data["number"]].add(fact.id)
        if fact.type in SETTLING:
            places["close", fact.subject, fact.data["close_no"]].add(fact.id)
    assert {place: several for place, several in places.items() if len(several) > 1} == {}
