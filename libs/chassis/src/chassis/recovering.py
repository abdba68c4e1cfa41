"""`throughline recover`: a service whose schema was restored to an earlier moment, brought up to what it published.

Its own topics are the redo log. What they hold after the restored moment is folded on into journal and rows, with the
facts of other services that had been heard by then; then the numbers, the offsets and the relay's cursors are put where
they belong. It may be killed and run again at any moment: a batch of aggregates is one transaction, and the restored
moment is kept until all is done.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from aiokafka import TopicPartition

from chassis import naming, recollecting, rewinding, rewriting, unheard, wiring
from chassis.asked import Asked
from chassis.decision import Known
from chassis.documents import Lookup
from chassis.provision import Names
from chassis.reading import Reader, Reading, wanted_by
from chassis.recalling import CannotRecover, Heard, Pen, Told
from chassis.recollecting import Commands, Own
from chassis.rehearing import Story
from chassis.rereading import Rereader, rereading
from chassis.rewinding import Published
from chassis.service import Runtime, Service
from chassis.settings import ServiceSettings

log = structlog.get_logger(__name__)

MARGIN = timedelta(hours=1)
"""How long before the restored moment the topics are read from: what is known is passed over."""
_BATCH = 100
_TOMBSTONES = "UPDATE documents SET erased_at = NULL WHERE doc IS NULL AND kind IN ('contact', 'person')"
_LAST = "SELECT coalesce((heard ->> $2)::bigint, 0) FROM {table} WHERE id = $1"
_POSITION = (
    "UPDATE {table} SET version = version + 1, "
    "heard = (heard::jsonb || jsonb_build_object($2::text, $3::bigint))::json "
    "WHERE id = $1 AND coalesce((heard ->> $2)::bigint, 0) < $3"
)

Unfolded = tuple[Pen[Any], Story[Any]]
HeardBy = Mapping[UUID, Mapping[str, Sequence[Heard]]]


@dataclass
class Report:
    """What a recovery did."""

    service: str
    restored_to: datetime
    aggregates: int = 0
    facts: int = 0
    noted: int = 0
    documents: int = 0
    commands: int = 0
    to_publish: int = 0
    partitions_rewound: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    missing_numbers: dict[str, list[int]] = field(default_factory=dict)


class Recovery:
    """One service's recovery, in a schema that nobody else is at work in, from topics that `reader` reads back."""

    def __init__(self, runtime: Runtime, reader: Rereader, restored_to: datetime) -> None:
        self.report = Report(runtime.name, restored_to)
        self._runtime = runtime
        self._reader = reader
        self._since = restored_to - MARGIN
        self._partitions = runtime.settings.partitions
        self._published = Published()
        self._own = Own(runtime, self._published)
        self._commands = Commands(runtime, self._published)
        self._unheard: Mapping[TopicPartition, int] = {}
        """Offsets of what is heard, from which on the restored schema lacks something."""

    async def run(self, kafka: Mapping[str, Any]) -> None:
        """Read everything back, and put numbers, offsets and cursors where they belong. Raises CannotRecover."""
        log.info("recovery_begun", service=self.report.service, restored_to=str(self.report.restored_to))
        self.report.documents = await recollecting.documents(self._runtime, self._reader, self._own)
        await self._commands.read(self._reader, self._since, self.report.restored_to)
        await self._rewind(kafka)
        await self._documents()
        for number in range(self._partitions):
            await self._partition(number)
        await self._answer_commands()
        if self._runtime.service.recovered is not None:
            await self._runtime.service.recovered(self._runtime)
        await self._finish()
        log.info("recovery_done", service=self.report.service, facts=self.report.facts, noted=self.report.noted)

    # -- aggregates ----------------------------------------------------------------------------------------------

    async def _documents(self) -> None:
        for aggregate, by_subject in self._own.by_aggregate():
            for some in _batches(sorted(by_subject.items())):
                await self._fold(aggregate, await self._stories(aggregate, some, {}), gaps=True)

    async def _partition(self, number: int) -> None:
        """One partition of the service's stream, with the same partition of what it hears.

        What waited at the restored moment, or was asked for again, may have been told long before: where something like
        that is missing, everything that the topics hold is read.
        """
        aggregate = self._own.into
        told = await self._own.stream(self._reader, number, self._since)
        heard = await recollecting.heard(self._runtime, self._reader, number, self._unheard, told.keys())
        early: dict[UUID, list[Told]] = {}
        for some in _batches(sorted(told.items())):
            stories = await self._stories(aggregate, some, heard)
            early |= {pen.subject: told[pen.subject] for pen, story in stories if story.begins_late}
            await self._fold(aggregate, [each for each in stories if each[0].subject not in early])
        if early:
            heard = await recollecting.heard(self._runtime, self._reader, number, None, early.keys())
        for some in _batches(sorted(early.items())):
            await self._fold(aggregate, await self._stories(aggregate, some, heard))

    async def _stories(self, aggregate: Any, told: Sequence[tuple[UUID, list[Told]]], heard: HeardBy) -> list[Unfolded]:
        """These aggregates as their rows stand, each with what is to be folded on."""
        documents, subjects = self._runtime.documents, [subject for subject, _ in told]
        await documents.refresh()
        asked = [one.asked for each in subjects for queue in heard.get(each, {}).values() for one in queue]
        wanted = wanted_by(aggregate, asked, documents.is_cached, documents.own_tables, ())
        reader: Reader[Any] = Reader(aggregate)
        sql, arguments = reader.query(subjects, wanted)
        reading = reader.take(await self._runtime.database.read(sql, *arguments), subjects, wanted)
        return [
            (pen := self._pen(aggregate, subject, reading), Story(pen, facts, heard.get(subject, {})))
            for subject, facts in told
        ]

    def _pen(self, aggregate: Any, subject: UUID, reading: Reading[Any]) -> Pen[Any]:
        documents, row = self._runtime.documents, reading.rows[subject]
        if row.broken is not None:
            raise CannotRecover(f"the row of {subject} cannot be read: {row.broken}")

        def known(asked: Asked) -> Known:
            return Lookup(documents, reading, {}, asked)

        return Pen(aggregate, subject, row, known, self._commands.client_of)

    async def _fold(self, aggregate: Any, stories: Sequence[Unfolded], *, gaps: bool = False) -> None:
        """Fold these aggregates on and write them: one transaction."""
        for _, story in stories:
            story.unfold(gaps=gaps)
        pens = [pen for pen, _ in stories if pen.changed]
        async with self._runtime.database.begin(lock_timeout="30s") as connection:
            await rewriting.write(connection, aggregate, pens, self._partitions, self._commands.answered)
        told = [line.sequence is not None for pen in pens for line in pen.lines]
        self.report.aggregates += len(pens)
        self.report.facts += sum(told)
        self.report.noted += len(told) - sum(told)

    async def _answer_commands(self) -> None:
        """Positions of clients' commands, and the answers of those that left no fact."""
        self.report.commands = len(self._commands.answered)
        async with self._runtime.database.begin(lock_timeout="30s") as connection:
            await rewriting.remember(connection, self._commands.answered.values())
            for (table, stream, subject), numbers in self._commands.numbers().items():
                last = await connection.fetchval(_LAST.format(table=table), subject, stream)
                if last is not None:
                    number = recollecting.stands_at(last, numbers)
                    await connection.execute(_POSITION.format(table=table), subject, stream, number)

    # -- what stands around them ---------------------------------------------------------------------------------

    async def _rewind(self, kafka: Mapping[str, Any]) -> None:
        """Before anything is folded: the positions of the restored rows tell how far its groups had come."""
        reader, groups = self._reader, groups_of(self._runtime)
        self._unheard = await unheard.first_unheard(self._runtime, reader, self._since)
        topics = recollecting.heard_topics(self._runtime), self._commands.topics
        for group, names, begins in zip(groups, topics, (self._unheard, {}), strict=True):
            wanted = {**await reader.since(await reader.places(names), self._since), **begins}
            self.report.partitions_rewound += await rewinding.rewind(kafka, group, wanted)

    async def _finish(self) -> None:
        report = self.report
        async with self._runtime.database.begin(lock_timeout="30s") as connection:
            await connection.execute(_TOMBSTONES)
            report.numbers, report.missing_numbers = await rewinding.raise_numbers(connection, self._own.numbers)
            report.to_publish = await rewinding.move_cursors(connection, self._partitions, self._published)


def _batches(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[at : at + _BATCH] for at in range(0, len(items), _BATCH))


def groups_of(runtime: Runtime) -> tuple[str, str]:
    """The consumer groups of a service: what it hears, and its clients' commands."""
    group = naming.group(runtime.prefix, runtime.name)
    return group, f"{group}.commands"


async def recover(service: Service, settings: ServiceSettings, kafka: Mapping[str, Any], admin_url: str) -> Report:
    """Recover a service; `settings.database_url` enters its schema as the owner.

    Raises CannotRecover; as StillUp while a process of the service is at work. Nobody of it can enter meanwhile.
    """
    runtime = wiring.build(service, settings, "recover")
    names, groups = Names(runtime.name, runtime.prefix), groups_of(runtime)
    admin = await asyncpg.connect(admin_url)
    try:
        await rewinding.shut_out(admin, names, kafka, groups)
        async with runtime.database.begin() as connection:
            restored_to = await rewinding.restored_to(connection)
        async with rereading(runtime.prefix, kafka) as reader:
            recovery = Recovery(runtime, reader, restored_to)
            await recovery.run(kafka)
        await rewinding.let_in(admin, names)
        return recovery.report
    finally:
        await runtime.database.close()
        await admin.close()
