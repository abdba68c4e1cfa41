"""A service of the next version publishes before its readers are upgraded: more fields, more types, another version."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from chassis.clients import Client, save
from chassis.ids import new_id
from chassis.partition import partition_of
from cli.clients import schemas
from cli.door import Doors
from cli.operating import OPERATOR, SCOPES
from cli.running.installation import PARTITIONS
from contracts import workflow
from contracts.registry import SERVICES
from testkit.chaos.evidence import per_request, service
from testkit.chaos.faults import Fault
from testkit.chaos.site import Site
from testkit.eventually import eventually

_FIELD: Final = "of_the_next_version"
_ADD_FIELD = (
    "CREATE FUNCTION next_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "NEW.data = (NEW.data::jsonb || '{\"" + _FIELD + '": {"mood": "calm", "since": [1, 2]}}\')::json; '
    "RETURN NEW; END $$; "
    "CREATE TRIGGER next_version BEFORE INSERT ON journal FOR EACH ROW "
    "WHEN (NEW.topic IS NOT NULL AND NEW.data IS NOT NULL) EXECUTE FUNCTION next_version()"
)
_NO_FIELD = "DROP FUNCTION next_version() CASCADE"
_WITH_FIELD = "SELECT count(*) FROM journal WHERE data::jsonb ? $1"
_SOME = "SELECT id FROM requests ORDER BY created_at DESC LIMIT 30"
_NUMBER = (
    "UPDATE requests SET sequence = sequence + 1, version = version + 1, changed_at = clock_timestamp() "
    "WHERE id = $1 RETURNING sequence"
)
_STATE = (
    "INSERT INTO journal (grp, seq, recorded_at, event_id, topic, type, version, key, subject, sequence, "
    "occurred_at, actor, correlation_id, hop, data) VALUES ($1, nextval($2::text::regclass), clock_timestamp(), $3, "
    '$4, $5, $6, $7, $8, $9, clock_timestamp(), \'{"kind": "system", "id": null, "rights": []}\', $3, 0, $10)'
)
_PASSED = "SELECT (heard ->> $2)::bigint FROM {table} WHERE id = $1"
_WAITS = "SELECT id, subject, reason FROM waiting WHERE stream = $1"
_LETTERS = "SELECT id FROM dead_letters WHERE subject = ANY($1) AND resolved_at IS NULL"
_EACH = 5


class NextFields(Fault):
    """Everything that any service tells has one field more than anybody here knows."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.name = "a field more in every fact and document"
        self._site = site

    async def strike(self) -> None:
        async with schemas(self._site.running()) as visits:
            async for _, connection in visits:
                await connection.execute(_ADD_FIELD)

    async def heal(self) -> None:
        counts = {}
        async with schemas(self._site.running()) as visits:
            async for name, connection in visits:
                counts[name] = await connection.fetchval(_WITH_FIELD, _FIELD)
                await connection.execute(_NO_FIELD)
        if counts["intake"] and counts["workflow"]:
            self.proof = ", ".join(f"{n} rows of {name}" for name, n in counts.items() if n) + " have it"


class NextFacts(Fault):
    """Facts on workflow's stream of a type that nobody knows, or of a version that is newer than its readers.

    The first are passed by and leave no trace but the position. The second wait, at those who read the type and nowhere
    else, and what comes behind them waits with them; an operator lets them go at the end.
    """

    def __init__(self, site: Site, chance: random.Random, *, known: bool) -> None:
        self.name = "facts of a newer version" if known else "facts of an unknown type"
        self._site = site
        self._chance = chance
        self._type = workflow.TransitionWithdrawn.type if known else "workflow.mood-noted"
        self._version = 99 if known else 1
        self._readers = _readers(self._type) if known else ()
        self._told: dict[UUID, int] = {}

    async def strike(self) -> None:
        async with self._schema("workflow") as connection:
            some = [row["id"] for row in await connection.fetch(_SOME)]
            for subject in self._chance.sample(some, min(_EACH, len(some))):
                self._told[subject] = await self._tell(connection, subject)

    async def _tell(self, connection: asyncpg.Connection, subject: UUID) -> int:
        """State it as the service would: the row first, then the journal, in one transaction."""
        group = partition_of(str(subject).encode(), PARTITIONS)
        async with connection.transaction():
            sequence: int = await connection.fetchval(_NUMBER, subject)
            await connection.execute(
                _STATE, group, f"journal_seq_{group}", new_id(), workflow.TransitionWithdrawn.topic, self._type,
                self._version, str(subject), subject, sequence, orjson.dumps({"mood": "calm"}).decode(),
            )  # fmt: skip
        return sequence

    async def heal(self) -> None:
        """Those who read the type keep exactly these facts; everybody else has gone past them."""
        if not self._told:
            return
        others = [name for name in SERVICES if name not in (*self._readers, "workflow")]
        for name in others:
            await eventually(partial(self._passed, name), within=60, every=0.5)
        for name in self._readers:
            await eventually(partial(self._kept, name), within=60, every=0.5)
            await self._let_go(name)
        self.proof = f"{len(self._told)} facts: passed by {', '.join(others)}; kept, and let go, by {self._readers}"

    async def _passed(self, name: str) -> bool:
        query = _PASSED.format(table=per_request(name).table.name)
        async with self._schema(name) as connection:
            heard = {s: await connection.fetchval(query, s, workflow.TransitionWithdrawn.topic) for s in self._told}
        return all((heard[subject] or 0) >= sequence for subject, sequence in self._told.items())

    async def _kept(self, name: str) -> list[Any]:
        async with self._schema(name) as connection:
            rows = await connection.fetch(_WAITS, workflow.TransitionWithdrawn.topic)
        kept = [row for row in rows if row["reason"] == "version-unknown"]
        assert {row["subject"] for row in rows} <= set(self._told), "a request waits that has nothing to wait for"
        return kept if {row["subject"] for row in kept} == set(self._told) else []

    async def _let_go(self, name: str) -> None:
        """Skip each, as an operator does, and put the dead letter away that becomes of it."""
        because = {"reason": "of a version that this release cannot read"}
        doors = Doors(self._site.running().services, lambda login: self._site.token(login, SCOPES))
        try:
            async with self._schema(name) as connection:
                await save(connection, Client(OPERATOR, frozenset(SCOPES.split())))
                for row in await self._kept(name):
                    await doors.post(OPERATOR, name, f"/waiting/{row['id']}/skip", because, key=str(new_id()))
                for letter in await connection.fetch(_LETTERS, list(self._told)):
                    await doors.post(
                        OPERATOR, name, f"/dead-letters/{letter['id']}/resolve", because, key=str(new_id())
                    )
        finally:
            await doors.close()

    @asynccontextmanager
    async def _schema(self, name: str) -> AsyncIterator[asyncpg.Connection]:
        async with schemas(self._site.running()) as visits:
            async for each, connection in visits:
                if each == name:
                    yield connection
                    return


def _readers(kind: str) -> tuple[str, ...]:
    """The services that read a type."""
    streams = {name: service(name).stream for name in SERVICES}
    return tuple(n for n, stream in streams.items() if stream and any(each == kind for each, _ in stream.handlers))
