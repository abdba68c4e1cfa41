"""A process's clock beside the database's: by how much it is wrong, which way, and how sure that is."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
from prometheus_client import REGISTRY

from chassis import skew, telemetry
from chassis.clock import utc_now
from chassis.database import Database, Unavailable
from chassis.subscription import age_of

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)


class Answering:
    """A database with a clock of its own, or one that cannot be asked; whoever asks it is to stop then."""

    def __init__(self, ahead: float = 0.0, error: Exception | None = None) -> None:
        self.stopping = asyncio.Event()
        self._ahead, self._error = timedelta(seconds=ahead), error

    async def read(self, sql: str) -> list[dict[str, datetime]]:
        self.stopping.set()
        if self._error is not None:
            raise self._error
        return [{"now": utc_now() + self._ahead}]


@pytest.fixture(autouse=True)
def nothing_found_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skew, "_last", timedelta(0))


def told() -> float:
    value = REGISTRY.get_sample_value("clock_skew_seconds")
    assert value is not None
    return value


async def watched(database: Answering) -> None:
    runtime: Any = SimpleNamespace(database=database, stopping=database.stopping)
    await asyncio.wait_for(skew.run(runtime), 5)


@pytest.mark.parametrize(
    ("ours", "took", "ahead"),
    [
        (0.0, 0.0, 0.0),
        (3600.0, 0.0, 3600.0),
        (-3600.0, 0.0, -3600.0),
        (0.4, 0.8, 0.0),  # half-way through the answer it was noon at both
        (5.5, 1.0, 5.0),
        (0.0, 1.01, None),
    ],
)
def test_the_database_is_taken_to_have_said_its_time_half_way_and_is_not_believed_when_it_took_too_long(
    ours: float, took: float, ahead: float | None
) -> None:
    found = skew.ahead(NOON + timedelta(seconds=ours), NOON, took)
    assert found == (None if ahead is None else pytest.approx(ahead))


@pytest.mark.parametrize("wrong", [-3600.0, 0.0, 7.0])
async def test_what_is_found_is_told_as_long_as_the_process_runs(wrong: float) -> None:
    await watched(Answering(ahead=-wrong))
    assert told() == pytest.approx(wrong, abs=0.5)


@pytest.mark.parametrize("wrong", [-3600.0, 0.0, 3600.0])
async def test_what_is_heard_is_as_old_as_it_is_however_wrong_the_clock_of_its_reader(wrong: float) -> None:
    recorded = utc_now() - timedelta(seconds=wrong + 40)
    await skew.look(cast(Database, Answering(ahead=-wrong)))
    assert age_of(int(recorded.timestamp() * 1000)) == pytest.approx(40, abs=1)


@pytest.mark.parametrize("error", [Unavailable("away"), asyncpg.InvalidPasswordError("no")])
async def test_while_the_database_gives_no_answer_what_was_told_last_stands(error: Exception) -> None:
    telemetry.CLOCK_SKEW_SECONDS.set(7.0)
    await watched(Answering(error=error))
    assert told() == 7.0


@pytest.mark.servers
@pytest.mark.parametrize("hours", [-1, 0, 1])
async def test_the_databases_own_clock_is_asked(
    hours: int, fresh_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database((await fresh_database()).url)
    monkeypatch.setattr(skew, "utc_now", lambda: utc_now() + timedelta(hours=hours))
    try:
        await skew.look(database)
    finally:
        await database.close()
    assert told() == pytest.approx(hours * 3600, abs=0.6)
