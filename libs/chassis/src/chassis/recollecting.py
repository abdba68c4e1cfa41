"""What the topics hold for a service that is recovered: what it told, what it heard, what its clients commanded."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import orjson
import structlog
from aiokafka import TopicPartition

from chassis import inbound, naming
from chassis.aggregate import Aggregate
from chassis.asked import Asked, KeyReused, NumberMissing, Turned, refusal_of
from chassis.documents import Entry
from chassis.hearing import Ear
from chassis.journal import to_json
from chassis.recalling import Heard, Told
from chassis.rereading import Rereader
from chassis.rewinding import Published
from chassis.rewriting import Answered
from chassis.stream import arrived, ear_of
from contracts import registry
from contracts.envelope import BadEnvelope, from_headers, read

if TYPE_CHECKING:
    from chassis.service import Runtime

log = structlog.get_logger(__name__)

_PAGE = 500


class Own:
    """What the service itself told."""

    def __init__(self, runtime: "Runtime", published: Published) -> None:
        self._runtime = runtime
        stream = runtime.service.stream
        self.into: Aggregate[Any] = runtime.service.aggregates[0] if stream is None else stream.into
        self._documents: dict[str, dict[UUID, list[Told]]] = {}
        self.numbers: dict[str, set[int]] = {}
        """Numbers of series that published facts have used."""
        self._published = published

    @property
    def topics(self) -> list[str]:
        """Its topics of documents."""
        return [one.name for one in registry.TOPICS if one.owner == self._runtime.name and one.kind == "document"]

    def by_aggregate(self) -> Iterable[tuple[Aggregate[Any], Mapping[UUID, list[Told]]]]:
        """Documents by whose they are."""
        return (
            (aggregate, self._documents[aggregate.name])
            for aggregate in self._runtime.service.aggregates
            if aggregate.name in self._documents
        )

    async def stream(self, reader: Rereader, partition: int, since: datetime) -> dict[UUID, list[Told]]:
        """One partition of its stream since then, by subject."""
        topic = next((kind.topic for kind in self.into.codec.kinds if kind.topic), None)
        found: dict[UUID, list[Told]] = {}
        places = [place for place in await reader.places([topic] if topic else []) if place.partition == partition]
        async for record in reader.records(places, since):
            told = self._told(record)
            if told is not None:
                found.setdefault(UUID(told.key), []).append(told)
                self._uses(self.into, told)
        return found

    def document(self, record: Any) -> Entry | None:
        """Take a record of an own topic of documents: the row that it makes of the table of documents."""
        told = self._told(record)
        if told is None:
            return None
        number = told.envelope.sequence or 0
        place = told.topic, told.key
        self._published.documents[place] = max(number, self._published.documents.get(place, 0))
        for aggregate in self._runtime.service.aggregates:
            if aggregate.codec.reads(told.envelope.type, told.envelope.version):
                subject = self._subject(aggregate, told)
                self._documents.setdefault(aggregate.name, {}).setdefault(subject, []).append(told)
                self._uses(aggregate, told)
        kind = getattr(registry.find(told.envelope.type.removesuffix("-erased"), told.envelope.version), "kind", None)
        return None if kind is None else (kind, told.key, number, told.value.decode() if told.value else None)

    def _told(self, record: Any) -> Told | None:
        """A record of an own topic; None, and a line, for one that the service's relay has not written."""
        topic = naming.plain(self._runtime.prefix, record.topic)
        try:
            envelope = from_headers(record.headers)
        except BadEnvelope as bad:
            log.warning("own_record_passed_over", topic=topic, offset=record.offset, reason=bad.slug)
            return None
        key = envelope.subject or ""
        mine = envelope.source == naming.source(self._runtime.prefix, self._runtime.name)
        if not mine or record.key != key.encode():
            reason = "key-wrong" if mine else "source-wrong"
            log.warning("own_record_passed_over", topic=topic, offset=record.offset, reason=reason)
            return None
        self._published.ids.add(envelope.id)
        return Told(envelope, topic, key, record.value, record.timestamp)

    def _fact(self, aggregate: Aggregate[Any], told: Told) -> Any:
        type_, version = told.envelope.type, told.envelope.version
        return aggregate.codec.decode(type_, version, *aggregate.codec.published(type_, version, told.value), None)

    def _subject(self, aggregate: Aggregate[Any], told: Told) -> UUID:
        return UUID(told.key) if aggregate.subject_of is None else aggregate.subject_of(self._fact(aggregate, told))

    def _uses(self, aggregate: Aggregate[Any], told: Told) -> None:
        if aggregate.codec.reads(told.envelope.type, told.envelope.version):
            for series, number in aggregate.drawn(self._fact(aggregate, told)):
                self.numbers.setdefault(series, set()).add(number)


async def documents(runtime: "Runtime", reader: Rereader, own: Own) -> int:
    """Bring the table of documents up to the topics, the service's own included; how many records were read."""
    ear, kept, found = ear_of(runtime), [], 0
    mine = {naming.topic(runtime.prefix, topic) for topic in own.topics}
    heard = {reference.topic for reference in runtime.service.references}
    async for record in reader.records(await reader.places(sorted({*own.topics, *heard})), None):
        entry = own.document(record) if record.topic in mine else _decoded(ear, record)
        if isinstance(entry, tuple) and len(entry) == 4:
            kept.append(entry)
            found += 1
        if len(kept) == _PAGE:
            await runtime.documents.store(kept)
            kept = []
    await runtime.documents.store(kept)
    return found


def heard_topics(runtime: "Runtime") -> list[str]:
    """Everything that a service hears, without prefix."""
    return [naming.plain(runtime.prefix, topic) for topic in ear_of(runtime).topics]


async def heard(
    runtime: "Runtime",
    reader: Rereader,
    partition: int,
    begins: Mapping[TopicPartition, int] | None,
    subjects: Collection[UUID],
) -> dict[UUID, dict[str, list[Heard]]]:
    """What other services told of these subjects, stream by stream in order, each number once.

    From these offsets on; None is all that the topics hold.
    """
    stream, ear = runtime.service.stream, ear_of(runtime)
    if stream is None or not subjects:
        return {}
    by_number: dict[UUID, dict[str, dict[int, Heard]]] = {}
    topics = [*stream.topics, f"{runtime.name}.resent"]
    for topic in topics:
        places = [place for place in await reader.places([topic]) if place.partition == partition]
        first = await reader.since(places, None)
        wanted = first if begins is None else {place: max(begins[place], first[place]) for place in places}
        async for record in reader.between(wanted, await reader.ends(places)):
            if record.key is None or _uuid(record.key) not in subjects:
                continue
            found = fact_of(ear, record)
            if found is not None and found.stream is not None and found.sequence is not None:
                numbers = by_number.setdefault(found.subject, {}).setdefault(found.stream, {})
                numbers.setdefault(found.sequence, Heard(found, record.timestamp))
    return {
        subject: {name: [numbers[n] for n in sorted(numbers)] for name, numbers in streams.items()}
        for subject, streams in by_number.items()
    }


def fact_of(ear: Ear, record: Any) -> Asked | None:
    """The fact that a record of a stream is; None for what would become a dead letter."""
    found = _decoded(ear, record)
    return found if isinstance(found, Asked) else None


def _decoded(ear: Ear, record: Any) -> Any:
    """A record as its worker decodes it; None for one that our own code fails on."""
    try:
        return ear.decode(record)
    except Exception:
        log.exception("record_not_decoded", topic=record.topic, offset=record.offset)
        return None


def _uuid(key: bytes) -> UUID | None:
    try:
        return UUID(key.decode("latin-1"))
    except ValueError:
        return None


class Commands:
    """What the service's clients commanded, as far as it was answered."""

    def __init__(self, runtime: "Runtime", published: Published) -> None:
        self._runtime = runtime
        self.answered: dict[UUID, Answered] = {}
        """In the order in which they were answered, as far as they are for the same subject."""
        self._published = published
        self.topics: list[str] = []
        self._aggregates: dict[UUID, str] = {}

    async def read(self, reader: Rereader, since: datetime, restored_to: datetime) -> None:
        """Read commands and their answers since then; commands from the start when one is older that was lost."""
        name, lost = self._runtime.name, set[UUID]()
        results: dict[UUID, Any] = {}
        places = await reader.places(await reader.beginning_with(f"{name}.results."))
        async for record in reader.records(places, since):
            body = orjson.loads(record.value)
            self._published.ids.add(from_headers(record.headers).id)
            identifier = UUID(body["command_id"])
            if _keeps(results.get(identifier), body):
                continue
            results[identifier] = body
            if record.timestamp >= restored_to.timestamp() * 1000:
                lost.add(identifier)
        self.topics = await reader.beginning_with(f"{name}.commands.")
        places = await reader.places(self.topics)
        async for record in reader.records(places, since):
            self._command(record, results)
        if not lost <= self.answered.keys():
            async for record in reader.records(places, None):
                self._command(record, results)
        self.answered = {each: self.answered[each] for each in results if each in self.answered}

    def _command(self, record: Any, results: Mapping[UUID, Any]) -> None:
        runtime, client = self._runtime, record.topic.rpartition(".commands.")[2]
        try:
            said, _ = read(record.headers, record.value)
        except BadEnvelope:
            return
        body = results.get(said.id)
        if body is None:
            return
        then = inbound.client_then(runtime.service.commands, client, _slug(body))
        found = arrived(runtime, client, then, record)
        if isinstance(found, inbound.DeadCommand):
            return
        asked = inbound.turned(found) if isinstance(found, inbound.RefusedCommand) else found.asked
        declared = found.declared
        if declared is not None:
            self._aggregates[asked.id] = declared.into.table.name
        subject = UUID(body["subject"]) if body.get("subject") else asked.subject
        refused = _refusal(body["problem"]) if "problem" in body else None
        answer = None if refused is not None else to_json(body["answer"])
        self.answered.setdefault(asked.id, Answered(asked, subject, answer, refused))

    def client_of(self, command: UUID) -> str | None:
        """Who gave a command, where it came by topic."""
        found = self.answered.get(command)
        return None if found is None or found.asked.command is None else found.asked.command["client"]

    def numbers(self) -> dict[tuple[str, str, UUID], list["Number"]]:
        """The numbers of answered commands by table, numbering and subject."""
        found: dict[tuple[str, str, UUID], list[Number]] = {}
        for identifier, each in self.answered.items():
            asked, table = each.asked, self._aggregates.get(identifier)
            missed = each.refused is not None and refusal_of(each.refused).slug == NumberMissing.slug
            if table is not None and asked.stream is not None and asked.sequence is not None and not missed:
                number = Number(asked.sequence, turned=isinstance(asked.message, Turned))
                found.setdefault((table, asked.stream, asked.subject), []).append(number)
        return found


class Number(NamedTuple):
    """The number of an answered command; `turned` says that it was refused before any decision."""

    number: int
    turned: bool


def stands_at(last: int, numbers: Iterable[Number]) -> int:
    """The position after these commands: one that was refused before any decision moved it only in its turn."""
    for number, turned in numbers:
        if number > last and (not turned or number == last + 1):
            last = number
    return last


def _keeps(given: Mapping[str, Any] | None, body: Mapping[str, Any]) -> bool:
    """Whether a command's id keeps the answer that it was given before, or another's, rather than take this one."""
    slug = _slug(body)
    if slug == KeyReused.slug:
        return True
    return given is not None and (_slug(given) is None or slug in inbound.BY_REGISTRATION)


def _slug(body: Mapping[str, Any]) -> str | None:
    """What a command was refused for; None when it was not."""
    return str(body["problem"]["type"]).rpartition("#")[2] if "problem" in body else None


def _refusal(problem: Mapping[str, Any]) -> str:
    """A refusal as the table of message ids keeps it, from the problem that the client was told."""
    members = ("type", "title", "status", "detail", "trace_id")
    return to_json(
        {
            "slug": str(problem["type"]).rpartition("#")[2],
            "status": problem["status"],
            "detail": problem.get("detail", ""),
            "facts": {name: value for name, value in problem.items() if name not in members},
        }
    )
