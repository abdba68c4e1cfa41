"""A log moves into a whole installation: exactly, once, whatever is killed on the way."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.clients import Client, save
from chassis.clock import utc_now
from chassis.topics import Topics
from cli.importing import Target, run
from cli.importing.exchange import SCOPES
from cli.reconcile.report import settled
from cli.running.installation import PARTITIONS, Installation
from contracts import registry
from testkit import incidentlog
from testkit.eventually import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

EXAMPLE = Path(__file__).parents[4] / "examples" / "imports" / "vinst.yaml"
IMPORT = "import typer; from cli.importing.command import import_log; typer.run(import_log)"
WHOLE_LOG = os.environ.get("THROUGHLINE_VINST_LOG", "")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """All five services, and a client that may move things in."""
    installation = Installation(tmp_path_factory.mktemp("installation"), temporary=True)
    await installation.start(lambda step: None)
    for service in ("intake", "workflow"):
        connection = await asyncpg.connect(installation.admin_url)
        await connection.execute(f'SET search_path TO "{service}"')
        await save(connection, Client("importer", frozenset(SCOPES.split())))
        await connection.close()
    topics = Topics("", PARTITIONS, bootstrap_servers=installation.bootstrap)
    await topics.apply(registry.topics_of_client("importer", ("intake", "workflow")))
    yield installation
    await installation.stop()


def target(installation: Installation, client: str = "importer") -> Target:
    return Target(client, "", {"bootstrap_servers": installation.bootstrap})


async def facts_told(installation: Installation) -> int:
    """How many records there are on workflow's stream."""
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.bootstrap)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition("workflow.requests", n) for n in range(PARTITIONS)])
        return sum(ends.values())
    finally:
        await consumer.stop()


def written(tmp_path: Path, cases: int, seed: int) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(incidentlog.generate(cases, seed, broken=True), encoding="utf-8")
    return path


def check_exact(report: dict[str, Any], cases: int) -> None:
    assert report["unanswered"] == 0
    assert report["submissions"] == {"accepted": cases, "refused": {}}
    assert report["commands"]["refused"] == {}
    assert report["commands"]["applied"] == report["commands"]["planned"]
    assert (report["finals"]["exact"], report["finals"]["unexplained"]) == (cases, 0)


async def test_a_log_ends_here_as_it_ended_there_and_again_changes_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    log = written(tmp_path, 150, seed=7)
    first = await run(log, EXAMPLE, target(installation), utc_now())
    check_exact(first, 149)
    assert first["log"]["unreadable"] == len(incidentlog.BROKEN)
    assert first["breaches"] > 0
    assert set(first["hours_waited"]) == {"customer", "implementation", "unspecified", "user", "vendor"}
    told = await facts_told(installation)
    again = await run(log, EXAMPLE, target(installation), utc_now())
    assert await facts_told(installation) == told
    assert {key: again[key] for key in ("submissions", "commands", "finals", "breaches", "hours_waited")} == {
        key: first[key] for key in ("submissions", "commands", "finals", "breaches", "hours_waited")
    }


async def test_an_import_that_is_killed_at_any_point_is_finished_by_the_next(
    installation: Installation, tmp_path: Path
) -> None:
    log, report = written(tmp_path, 120, seed=8), tmp_path / "report.json"
    command = [sys.executable, "-c", IMPORT, str(log), "--mapping", str(EXAMPLE), "--kafka", installation.bootstrap]
    before = await facts_told(installation)

    def grown_by(facts: int) -> Callable[[], Any]:
        async def probe() -> bool:
            return await facts_told(installation) >= before + facts

        return probe

    for facts in (1, 150, 500):
        killed = await asyncio.create_subprocess_exec(*command, "--rate", "200", stdout=asyncio.subprocess.DEVNULL)
        try:
            await eventually(grown_by(facts), within=120, every=0.05)
        finally:
            killed.kill()
            await killed.wait()
    last = await asyncio.create_subprocess_exec(*command, "--report", str(report))
    assert await last.wait() == 0
    check_exact(json.loads(report.read_text()), 119)
    told = await facts_told(installation)
    await run(log, EXAMPLE, target(installation), utc_now())
    assert await facts_told(installation) == told


async def test_what_moved_in_is_in_balance_and_nobody_was_mailed(installation: Installation) -> None:
    ledger, orphans = await settled(installation.bootstrap, "", utc_now, within=60)
    assert orphans == []
    assert ledger.duplicates == 0
    assert ledger.invoices == {}
    assert not any(story.planned for story in ledger.stories.values())
    assert installation.sink.taken.mails == 0


@pytest.mark.skipif(not WHOLE_LOG, reason="THROUGHLINE_VINST_LOG names no file")
async def test_the_whole_log_of_a_real_system_moves_in_exactly(installation: Installation) -> None:
    report = await run(Path(WHOLE_LOG), EXAMPLE, target(installation), utc_now())
    assert (report["log"]["cases"], report["log"]["changes"]) == (7554, 65533)
    assert report["unanswered"] == report["finals"]["unexplained"] == 0
    assert report["finals"]["exact_share"] >= 0.97
