"""Kafka to the decider: the role `worker`. Effects and positions are one statement; offsets only follow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from chassis import deadletters, inbound, naming, telemetry, waiting
from chassis.asked import Asked
from chassis.asking import Asking
from chassis.clients import Client
from chassis.database import LOST, Unavailable
from chassis.deadletters import Letter
from chassis.documents import Entry
from chassis.hearing import Dead, Ear, Meta, Stream

if TYPE_CHECKING:
    from chassis.service import Runtime

__all__ = ["Meta", "Stream", "revive", "run"]

log = structlog.get_logger(__name__)


class Worker:
    """Applies what a service hears, and what its clients command."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._partitions = runtime.settings.partitions
        self._asking = Asking(runtime.database, runtime.name, self._partitions)
        self.ear = ear_of(runtime)

    async def apply(self, records: Sequence[Any]) -> None:
        """Decode and apply one batch: documents first, since facts may need them."""
        asked: list[Asked] = []
        entries: list[tuple[Entry, Any]] = []
        letters: list[Letter] = []
        for record in records:
            found = self._decoded(record)
            if isinstance(found, Asked):
                asked.append(found)
            elif isinstance(found, Dead):
                letters.append(self._letter(found, record))
            elif found is not None:
                entries.append((found, record))
        runtime = self._runtime
        if entries:
            letters += await self._store(entries)
        if letters:
            await deadletters.keep(runtime.database, runtime.name, self._partitions, letters)
        if asked:
            stream = runtime.service.stream
            assert stream is not None
            outcomes = await runtime.deciders[stream.into.name].handle_batch(asked)
            telemetry.heard(asked, outcomes)
            await self._asking.after(outcomes)

    def _decoded(self, record: Any) -> Asked | Entry | Dead | None:
        try:
            return self.ear.decode(record)
        except Exception as error:  # a record is data: whatever it does to us, its neighbours go on
            log.exception("record_not_decoded", topic=record.topic, offset=record.offset)
            return Dead("error", f"{type(error).__name__}: {error}"[:2000])

    async def _store(self, entries: Sequence[tuple[Entry, Any]]) -> list[Letter]:
        """Keep documents; one that the database will not take becomes a dead letter, its neighbours are kept."""
        try:
            await self._runtime.documents.store([entry for entry, _ in entries])
        except LOST as error:
            raise Unavailable(str(error)) from error
        except asyncpg.PostgresError as error:
            if len(entries) == 1:
                return [self._letter(Dead("document-not-storable", str(error)), entries[0][1])]
            half = len(entries) // 2
            return [*await self._store(entries[:half]), *await self._store(entries[half:])]
        return []

    def _letter(self, dead: Dead, record: Any) -> Letter:
        log.warning("dead_letter", reason=dead.reason, topic=record.topic, offset=record.offset)
        topic = naming.plain(self._runtime.prefix, record.topic)
        telemetry.DEAD_LETTERS_TOTAL.labels(topic, dead.reason).inc()
        return Letter(dead, topic, record)

    async def command(self, records: Sequence[Any]) -> None:
        """Decide a batch of clients' commands, aggregate by aggregate; the answers go out with the facts."""
        by_decider: dict[str, list[Asked]] = {}
        letters: list[Letter] = []
        for record in records:
            client = record.topic.rpartition(".commands.")[2]
            registered = await self._runtime.clients.get(client)
            found = arrived(self._runtime, client, registered, record)
            if isinstance(found, inbound.DeadCommand):
                letters.append(self._letter(Dead(found.reason, found.detail), record))
            elif isinstance(found, inbound.RefusedCommand):
                into = found.declared.into if found.declared else self._runtime.service.aggregates[0]
                by_decider.setdefault(into.name, []).append(inbound.turned(found))
            else:
                found.asked.record, found.asked.headers = record.value or b"", list(record.headers)
                found.asked.origin = {
                    "topic": naming.plain(self._runtime.prefix, record.topic),
                    "partition": record.partition,
                    "offset": record.offset,
                    "key": record.key,
                }
                by_decider.setdefault(found.declared.into.name, []).append(found.asked)
        if letters:
            await deadletters.keep(self._runtime.database, self._runtime.name, self._partitions, letters)
        for name, asked in by_decider.items():
            await self._runtime.deciders[name].handle_batch(asked)


def arrived(
    runtime: "Runtime", client: str, registered: Client | None, record: Any
) -> inbound.Arrived | inbound.RefusedCommand | inbound.DeadCommand:
    """What a record on a client's command topic is; one that our own code fails on stops nobody else's commands."""
    commands, limit = runtime.service.commands, runtime.settings.body_limit
    try:
        return inbound.inbound(commands, client, registered, record.headers, record.key, record.value, limit)
    except Exception as error:
        log.exception("command_not_decoded", topic=record.topic, offset=record.offset)
        return inbound.DeadCommand("error", f"{type(error).__name__}: {error}"[:2000])


def ear_of(runtime: "Runtime") -> Ear:
    """The decoder of everything that a service hears."""
    kinds = {reference.kind: reference.document for reference in runtime.service.references}
    heard = {kind: document for kind, document in kinds.items() if document.service != runtime.name}
    return Ear(runtime.name, runtime.prefix, runtime.service.stream, heard)


def revive(runtime: "Runtime", row: Any) -> Asked:
    """A waiting fact, decoded anew."""
    return ear_of(runtime).revive(row, waiting.envelope(row), waiting.headers(row))


async def run(runtime: "Runtime") -> None:
    """The role `worker`: apply what is heard until the process drains. Raises KafkaError while Kafka is away."""
    from chassis import listening  # here, because importing FastStream costs every other role half a second

    await listening.run(runtime, Worker(runtime))
