"""A service far behind at its backup, brought up to what it published, on real Kafka and PostgreSQL."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from chassis import rewinding, unheard
from chassis.clock import utc_now
from chassis.ids import new_id
from chassis.recovering import Recovery, Report
from chassis.rereading import rereading
from chassis.service import Runtime
from chassis.stream import Worker
from contracts import workflow
from contracts.billing import RemoveCharge
from testkit import toyhearing
from testkit.streams import Wire, headers
from testkit.toy import Add, asked, create
from testkit.toybilling import COMMANDS, GOOD, STREAM, answers, becomes, billing, length, url, wire
from testkit.toyservice import register

__all__ = ["url", "wire"]

LONG_AGO = timedelta(hours=2)
"""More than what a recovery reads back from by itself."""
Tills = dict[UUID, tuple[int | None, dict[str, int]]]


@pytest.fixture
def earlier() -> datetime:
    return utc_now() - LONG_AGO


class Restored:
    """The schema of the toy as a backup has it, and its processes, none of which runs."""

    def __init__(self, runtime: Runtime, kafka: str) -> None:
        self.runtime = runtime
        self.url = runtime.settings.database_url.get_secret_value()
        self._kafka = {"bootstrap_servers": kafka}

    async def recover(self) -> Report:
        async with self.runtime.database.begin() as connection:
            moment = await rewinding.restored_to(connection)
        async with rereading(self.runtime.prefix, self._kafka) as reader:
            recovery = Recovery(self.runtime, reader, moment)
            await recovery.run(self._kafka)
            return recovery.report

    async def first_unheard(self, since: datetime) -> dict[int, int]:
        """By partition of the stream."""
        async with rereading(self.runtime.prefix, self._kafka) as reader:
            found = await unheard.first_unheard(self.runtime, reader, since)
        return {place.partition: offset for place, offset in found.items() if place.topic.endswith(STREAM)}


@pytest.fixture
async def restored(fresh_database: Any, kafka: Any, prefix: str) -> Any:
    """One fact of its own is the last that it knows of."""
    found = str((await fresh_database.template("toy", create)).url)
    await register(found, "erp", "tills:write")
    runtime = toyhearing.runtime(toyhearing.BILLING, found, kafka.bootstrap, prefix, "recover")
    await runtime.deciders["tills"].handle(asked(uuid4(), Add(1)))
    yield Restored(runtime, kafka.bootstrap)
    await runtime.wakeup.close()
    await runtime.database.close()


def note(number: int) -> workflow.NoteAdded:
    return workflow.NoteAdded(note_id=uuid4(), note_no=number)


async def tills(runtime: Runtime, *some: UUID) -> Tills:
    """(total, positions) of these."""
    rows = await runtime.database.read("SELECT id, total, heard::text AS heard FROM tills WHERE id = ANY($1)", some)
    return {row["id"]: (row["total"], orjson.loads(row["heard"])) for row in rows}


async def test_what_was_heard_hours_after_it_was_told_is_heard_again(
    url: str, kafka: Any, prefix: str, wire: Wire, restored: Restored, earlier: datetime
) -> None:
    telling, silent = uuid4(), uuid4()
    await wire.tell(telling, 1, note(5), earlier, time=earlier)
    await wire.tell(silent, 1, note(7), earlier, time=earlier)
    known = {telling: (5, {STREAM: 1}), silent: (None, {STREAM: 1})}
    async with billing(url, kafka, prefix) as process:
        await becomes(lambda: tills(process, telling, silent), known)
        await becomes(lambda: length(wire.read("toy.tills")), 1)
    assert await wire.committed("billing", STREAM) == 2
    await restored.recover()
    assert await tills(restored.runtime, telling, silent) == {telling: known[telling]}
    assert await wire.committed("billing", STREAM) == 0
    async with billing(restored.url, kafka, prefix) as process:
        await becomes(lambda: tills(process, telling, silent), known)
    assert len(await wire.read("toy.tills")) == 2, "the one that was never published, and no fact twice"


async def test_a_command_that_was_answered_hours_after_it_was_sent_is_known(
    url: str, kafka: Any, prefix: str, wire: Wire, restored: Restored, earlier: datetime
) -> None:
    till, identifier = uuid4(), new_id()
    said = headers("", RemoveCharge, till, 1, id=identifier, source="/elsewhere")  # type: ignore[arg-type]
    await wire.tell(till, 1, note(5))
    async with billing(url, kafka, prefix) as process:
        await becomes(lambda: tills(process, till), {till: (5, {STREAM: 1})})
        await wire.send(COMMANDS, till, orjson.dumps(GOOD), said, earlier)
        await becomes(lambda: answers(wire), {identifier: "accepted"})
        wanted = await tills(process, till)
        await becomes(lambda: length(wire.read("toy.tills")), 2)
    await restored.recover()
    assert await tills(restored.runtime, till) == wanted
    rows = await restored.runtime.database.read("SELECT sequence FROM message_ids WHERE id = $1", identifier)
    assert [row["sequence"] for row in rows] == [2]


async def test_a_stream_is_gone_back_through_to_where_nothing_is_missing_and_no_further(
    wire: Wire, restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unheard, "STRETCH", 2)
    till, soon = uuid4(), utc_now() + timedelta(hours=1)
    for number in range(1, 13):
        await wire.tell(till, number, note(13 if number == 4 else 7))
    records = await wire.read(STREAM)
    for heard, begins in ((0, 0), (7, 6), (12, 12)):
        await Worker(restored.runtime).apply(records[:heard])
        found = await restored.first_unheard(soon)
        assert found[records[0].partition] == begins, "the fourth and all behind it wait: they are not missing"
