"""Bad input over real Kafka: each record ends refused, as a dead letter or waiting; its neighbours are decided."""

import asyncio
import base64
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson
import pytest
import pytest_asyncio

from chassis import inbound, relay, stream, timers
from chassis.ids import new_id
from chassis.service import Runtime
from chassis.skipping import skip
from chassis.topics import Topics
from contracts import registry, workflow
from contracts.billing import RemoveCharge
from contracts.exchange import CommandAccepted, CommandRefused, DeadLetter
from testkit import toyservice
from testkit.eventually import eventually
from testkit.streams import PARTITIONS, Headers, Wire, headers, make_topics
from testkit.toy import Add, asked, create
from testkit.toyhearing import BILLING, runtime

TOPICS = ("workflow.requests", "workflow.people", "workflow.asks", "billing.resent", "billing.dead-letters",
          "billing.asks", "billing.accounts")  # fmt: skip
MEGABYTE = 1_000_000
BINARY = bytes(range(256))
COMMANDS = "billing.commands.erp"
STREAM = "workflow.requests"


@pytest_asyncio.fixture
async def url(fresh_database: Any) -> str:
    found = str((await fresh_database.template("toy", create)).url)
    await toyservice.register(found, "erp", "tills:write")
    await toyservice.register(found, "pos", "tills:read")
    await toyservice.register(found, "import", "tills:write", may_act_for_others=True)
    return found


@pytest_asyncio.fixture
async def wire(kafka: Any, prefix: str) -> AsyncIterator[Wire]:
    await make_topics(kafka.bootstrap, prefix, TOPICS, ("billing/erp", "billing/pos", "billing/gone", "billing/import"))
    tills = dataclasses.replace(registry.topic("billing.accounts"), name="toy.tills")
    await Topics(prefix, PARTITIONS, bootstrap_servers=kafka.bootstrap).apply([tills])
    async with Wire(kafka.bootstrap, prefix, compression_type="gzip") as found:
        yield found


@asynccontextmanager
async def billing(url: str, kafka: Any, prefix: str) -> AsyncIterator[Runtime]:
    """Worker, relay and timers of the toy `billing`, drained at the end."""
    roles = {"relay": relay.run, "timers": timers.run, "worker": stream.run}
    processes = [(runtime(BILLING, url, kafka.bootstrap, prefix, name), role) for name, role in roles.items()]
    tasks = [asyncio.create_task(role(process)) for process, role in processes]
    try:
        yield processes[-1][0]
    finally:
        for process, _ in processes:
            process.stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        for process, _ in processes:
            await process.wakeup.close()
            await process.database.close()


class Bad(NamedTuple):
    """A record of a client, and what becomes of it: `accepted`, `refused SLUG` or `dead REASON`."""

    becomes: str
    value: bytes
    headers: Headers
    key: UUID | None
    till: UUID
    id: UUID

    @property
    def slug(self) -> str:
        return self.becomes.partition(" ")[2]


GOOD = {"line_id": str(uuid4())}
PERSON = {"kind": "person", "id": str(uuid4())}


def bad(becomes: str, value: Any = GOOD, *, key: Any = ..., more: Headers | None = None, **other: Any) -> Bad:
    """A command of `erp` that is as it should be, but for what is named here."""
    till, identifier = uuid4(), new_id()
    said = headers("", RemoveCharge, till, None, **{"id": identifier, "source": "/erp", **other})  # type: ignore[arg-type]
    replaced = {name for name, _ in more or ()}
    said = [each for each in said if each[0] not in replaced] + [each for each in more or () if each[1] != b"-"]
    encoded = value if isinstance(value, bytes) else orjson.dumps(value)
    return Bad(becomes, encoded, said, till if key is ... else key, till, identifier)


def structured(becomes: str, data: str) -> Bad:
    """A command in structured mode; its data as text, whatever it is."""
    plain = bad(becomes)
    said = {name.removeprefix("ce_"): (value or b"").decode() for name, value in plain.headers if name[:3] == "ce_"}
    event = orjson.dumps({**said, "datacontenttype": "application/json"}).decode()
    value = f'{event[:-1]},"data":{data}}}'.encode()
    return plain._replace(value=value, headers=[("content-type", b"application/cloudevents+json")])


def commands(prefix: str) -> list[Bad]:
    """Everything that another company's system may get wrong, or try."""
    return [
        bad("refused malformed-json", b'{"line_id": '),
        bad("refused malformed-json", BINARY),
        bad("refused invalid", {}),
        bad("refused invalid", [GOOD]),
        bad("refused invalid", {**GOOD, "more": 1}),
        bad("refused invalid", b'{"line_id": "a\\u0000"}'),
        bad("refused too-deep", b"[" * 40 + b"]" * 40),
        bad("refused too-large", {**GOOD, "more": "x" * MEGABYTE}),
        structured("refused malformed-json", '{"line_id": "\\ud800"}'),
        structured("accepted", orjson.dumps(GOOD).decode()),
        bad("refused too-many-hops", more=[("ce_hop", b"11")]),
        bad("accepted", more=[("ce_hop", b"10")]),
        bad("refused wrong-key", key=uuid4()),
        bad("refused unknown-command", type="billing.print-money"),
        bad("refused unknown-command", version=9),
        bad("refused actor-not-allowed", {**GOOD, "actor": PERSON}),
        bad("refused backdating-not-allowed", {**GOOD, "effective_at": "2020-01-01T00:00:00Z"}),
        bad("accepted", more=[("ce_actor", f"person:{uuid4()}".encode())]),
        bad("accepted", more=[("reply_to", f"{prefix}.billing.results.pos".encode()), ("correlation_id", BINARY)]),
        bad("accepted", more=[("ce_replyto", b"billing.results.pos"), ("x", None), ("", BINARY), ("n\x00ul", BINARY)]),
        bad("dead not-a-cloudevent", more=[(name, b"-") for name in ("ce_specversion", "ce_type", "ce_id")]),
        bad("dead header-missing", more=[("ce_id", b"-")]),
        bad("dead header-not-text", more=[("ce_type", BINARY), ("n\x00ul", b"\x00")]),
        bad("dead header-not-text", more=[("ce_id", b"\xff\xfe")]),
        bad("dead attribute-malformed", more=[("ce_id", b"\x00\x01")]),
        bad("dead attribute-malformed", more=[("ce_sequence", b"-1")]),
        bad("dead not-json", BINARY, more=[("content-type", b"application/cloudevents+json")]),
    ]


async def command(wire: Wire, till: UUID, *, client: str = "erp", value: Any = GOOD, **other: Any) -> UUID:
    """Send a command that takes one out of a till; returns its id."""
    said = {"id": new_id(), "source": "/elsewhere", **other}
    sequence = said.pop("sequence", None)
    await wire.send(
        f"billing.commands.{client}",
        till,
        orjson.dumps(value),
        headers("", RemoveCharge, till, sequence, **said),  # type: ignore[arg-type]
    )
    return UUID(str(said["id"]))


async def becomes(read: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    async def probe() -> Any:
        found = await read()
        assert found == wanted
        return True

    await eventually(probe, within=40, every=0.1)


async def tills(process: Runtime) -> dict[UUID, int | None]:
    return {row["id"]: row["total"] for row in await process.database.read("SELECT id, total FROM tills")}


async def answers(wire: Wire, client: str = "erp") -> dict[UUID, str]:
    """What a client was told of each of its commands: `accepted`, or `refused SLUG`."""
    found = {}
    for record in await wire.read(f"billing.results.{client}"):
        if b'"problem"' in record.value:
            refused = CommandRefused.read(record.value)
            page, _, slug = refused.problem.type.partition("#")
            assert page == "/problems", "the same address as over HTTP"
            found[refused.command_id] = f"refused {slug}"
        else:
            found[CommandAccepted.read(record.value).command_id] = "accepted"
    return found


async def letters(wire: Wire) -> dict[bytes, DeadLetter]:
    """The dead letters that operators are told of, by the original key."""
    found = [DeadLetter.read(record.value) for record in await wire.read("billing.dead-letters")]
    return {base64.b64decode(letter.original_key or ""): letter for letter in found}


async def test_each_bad_command_is_refused_or_a_dead_letter_and_its_neighbours_are_decided(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    table = commands(prefix)
    async with billing(url, kafka, prefix) as process:
        await process.deciders["tills"].handle_batch([asked(each.till, Add(5)) for each in table])
    for each in table:
        await wire.send(COMMANDS, each.key, each.value, each.headers)
        await command(wire, each.till)
    async with billing(url, kafka, prefix) as process:
        await becomes(lambda: tills(process), {each.till: 3 if each.becomes == "accepted" else 4 for each in table})
        await becomes(lambda: wire.committed("billing.commands", COMMANDS), 2 * len(table))
        wanted = {each.id: each.becomes for each in table if not each.becomes.startswith("dead")}

        async def told() -> dict[UUID, str]:
            return {each: became for each, became in (await answers(wire)).items() if each in wanted}

        await becomes(told, wanted)
        dead = [each for each in table if each.becomes.startswith("dead")]
        await becomes(lambda: _length(wire.read("billing.dead-letters")), len(dead))
    kept = await letters(wire)
    for each in dead:
        whole(kept[str(each.key).encode()], each)
    assert await answers(wire, "pos") == {}


def test_the_type_of_a_refusal_leads_to_a_chapter_of_the_published_page() -> None:
    page = (Path(__file__).parents[3] / "docs/problems.md").read_text()
    slugs = {each.slug for each in commands("t") if each.becomes.startswith("refused")}
    assert [slug for slug in sorted(slugs) if f"\n## {slug}\n" not in page] == []


def whole(letter: DeadLetter, sent: Bad) -> None:
    """A dead letter says why, and holds every byte of the record."""
    assert (letter.reason, letter.original_topic) == (sent.slug, COMMANDS)
    assert base64.b64decode(letter.original_value or "") == sent.value
    kept = [(each.name, each.value and base64.b64decode(each.value)) for each in letter.original_headers]
    assert kept == [(name, value or None) for name, value in sent.headers]


async def of(key: Any, found: Awaitable[dict[Any, Any]]) -> Any:
    return (await found).get(key)


async def _length(found: Awaitable[list[Any]]) -> int:
    return len(await found)


async def test_a_header_whose_name_is_no_text_holds_nobody_up(url: str, kafka: Any, prefix: str, wire: Wire) -> None:
    till, others = uuid4(), [uuid4() for _ in range(6)]
    async with billing(url, kafka, prefix) as process:
        await process.deciders["tills"].handle_batch([asked(each, Add(5)) for each in (till, *others)])
    said = [(name.encode(), value or b"") for name, value in headers("", RemoveCharge, till, None, source="/erp")]  # type: ignore[arg-type]
    sent = [(str(till).encode(), orjson.dumps(GOOD), named) for named in ([(BINARY, b"1"), *said], [(b"ce_\xff", b"")])]
    await command(wire, others[0])
    await wire.send_as_they_are(COMMANDS, sent)
    for other in others[1:]:
        await command(wire, other)
    async with billing(url, kafka, prefix) as process:
        await becomes(lambda: tills(process), dict.fromkeys((till, *others), 4))
        await becomes(lambda: wire.committed("billing.commands", COMMANDS), 8)
        await becomes(lambda: _length(wire.read("billing.dead-letters")), 1)
    assert (await letters(wire))[str(till).encode()].original_headers[0].name == "ce_\\xff"


async def test_what_a_client_sends_in_a_transaction_counts_when_it_commits_and_never_when_it_aborts(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    aborted, kept = uuid4(), uuid4()
    async with billing(url, kafka, prefix) as process:
        await process.deciders["tills"].handle_batch([asked(each, Add(5)) for each in (aborted, kept)])
        async with Wire(kafka.bootstrap, prefix, transactional_id=f"{prefix}-erp") as other:
            await other._producer.begin_transaction()
            await command(other, aborted)
            await other._producer.abort_transaction()
            async with other._producer.transaction():
                done = await command(other, kept)
        await becomes(lambda: answers(wire), {done: "accepted"})
        assert await tills(process) == {aborted: 5, kept: 4}


async def test_a_record_that_our_own_code_fails_on_is_a_dead_letter_and_stops_nobody(
    url: str, kafka: Any, prefix: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt, other = uuid4(), uuid4()
    plain = inbound.inbound

    def failing(commands: Any, client: str, registered: Any, head: Any, key: bytes | None, *rest: Any) -> Any:
        if key == str(spoilt).encode():
            raise ZeroDivisionError("planted")
        return plain(commands, client, registered, head, key, *rest)

    monkeypatch.setattr(inbound, "inbound", failing)
    async with billing(url, kafka, prefix) as process:
        await process.deciders["tills"].handle_batch([asked(each, Add(5)) for each in (spoilt, other)])
        await command(wire, spoilt)
        done = await command(wire, other)
        await becomes(lambda: answers(wire), {done: "accepted"})
        await becomes(lambda: _length(wire.read("billing.dead-letters")), 1)
    letter = (await letters(wire))[str(spoilt).encode()]
    assert (letter.reason, letter.detail) == ("error", "ZeroDivisionError: planted")


async def test_a_client_without_the_right_or_unregistered_is_told_so(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    till = uuid4()
    async with billing(url, kafka, prefix) as process:
        await process.deciders["tills"].handle(asked(till, Add(5)))
        without = await command(wire, till, client="pos")
        await becomes(lambda: answers(wire, "pos"), {without: "refused insufficient-scope"})
        unknown = await command(wire, till, client="gone")
        await becomes(lambda: answers(wire, "gone"), {unknown: "refused unknown-caller"})
        acting = await command(wire, till, client="import", value={**GOOD, "actor": PERSON})
        await becomes(lambda: answers(wire, "import"), {acting: "accepted"})
        await becomes(lambda: tills(process), {till: 4})
        [row] = await process.database.read(
            "SELECT actor FROM journal WHERE causation_id = $1 AND topic = 'toy.tills'", acting
        )
        assert orjson.loads(row["actor"]) == PERSON


async def test_a_command_repeated_is_done_once_and_its_id_serves_no_other(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    till, same = uuid4(), new_id()
    async with billing(url, kafka, prefix) as process:
        await process.deciders["tills"].handle(asked(till, Add(5)))
        for _ in range(3):
            await command(wire, till, id=same)
        await becomes(lambda: tills(process), {till: 4})
        await becomes(lambda: _length(wire.read("billing.results.erp")), 3)
        assert await answers(wire) == {same: "accepted"}
        await command(wire, till, id=same)
        await command(wire, till, id=same, value={"line_id": str(uuid4())})
        await command(wire, till, id=same, client="import")
        await becomes(lambda: answers(wire, "import"), {same: "refused idempotency-key-reused"})
        await becomes(lambda: _length(wire.read("billing.results.erp")), 5)
        assert await answers(wire) == {same: "refused idempotency-key-reused"}
        assert await tills(process) == {till: 4}


async def test_a_number_used_before_is_refused_and_a_refused_command_uses_its_number_up(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    till, other = uuid4(), uuid4()
    async with billing(url, kafka, prefix) as process:
        await process.deciders["tills"].handle_batch([asked(each, Add(5)) for each in (till, other)])
        first = await command(wire, till, sequence=1)
        wrong = await command(wire, till, sequence=2, value={})
        third = await command(wire, till, sequence=3)
        again = await command(wire, till, sequence=3)
        old = await command(wire, till, sequence=1)
        neighbour = await command(wire, other, sequence=1)
        wanted = {
            first: "accepted", wrong: "refused invalid", third: "accepted", again: "refused number-used",
            old: "refused number-used", neighbour: "accepted",
        }  # fmt: skip
        await becomes(lambda: answers(wire), wanted)
        await becomes(lambda: tills(process), {till: 3, other: 4})


async def test_a_number_that_is_missing_is_waited_for_and_then_refused(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    till, broken, other = uuid4(), uuid4(), uuid4()
    async with billing(url, kafka, prefix) as process:
        database = process.database
        await process.deciders["tills"].handle_batch([asked(each, Add(5)) for each in (till, broken, other)])
        third, second = await command(wire, till, sequence=3), await command(wire, till, sequence=2)
        never, neighbour = await command(wire, broken, sequence=2), await command(wire, other)
        await becomes(lambda: answers(wire), {neighbour: "accepted"})
        await becomes(lambda: _length(database.read("SELECT id FROM waiting")), 3)
        first = await command(wire, till, sequence=1)
        wanted = dict.fromkeys((first, second, third, neighbour), "accepted")
        await becomes(lambda: answers(wire), wanted)
        await database.read("UPDATE waiting SET first_at = first_at - interval '60 s', next_at = now() RETURNING id")
        await becomes(lambda: answers(wire), {**wanted, never: "refused number-missing"})
        after = await command(wire, broken, sequence=1)
        await becomes(lambda: answers(wire), {**wanted, never: "refused number-missing", after: "accepted"})
        await becomes(lambda: tills(process), {till: 2, broken: 4, other: 4})


# -- facts of other services ---------------------------------------------------------------------------------------


def note(number: int) -> workflow.NoteAdded:
    return workflow.NoteAdded(note_id=uuid4(), note_no=number)


async def waits(process: Runtime) -> dict[tuple[UUID, int], str]:
    """(request, sequence) → why it waits."""
    rows = await process.database.read("SELECT subject, sequence, reason FROM waiting")
    return {(row["subject"], row["sequence"]): row["reason"] for row in rows}


async def test_each_bad_fact_waits_or_is_a_dead_letter_and_its_neighbours_are_decided(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    broken, gap, repeated, other = (uuid4() for _ in range(4))
    large = [workflow.NoteAdded, broken, 1]
    await wire.send(STREAM, broken, b'{"note_no": ', headers(prefix, *large))
    await wire.send(STREAM, other, b"x" * MEGABYTE, headers(prefix, workflow.NoteAdded, other, 1))
    await wire.send(STREAM, gap, BINARY, headers(prefix, workflow.NoteAdded, other, 1))
    await wire.tell(gap, 2, note(40))
    for sequence in (1, 2, 2, 1, 3, 2):
        await wire.tell(repeated, sequence, note(sequence))
    await wire.tell(other, 1, note(2))
    await wire.tell(broken, 2, note(1))
    await wire.tell(other, 2, note(1))
    async with billing(url, kafka, prefix) as process:
        await becomes(lambda: tills(process), {repeated: 6, other: 3, broken: None, gap: None})
        await becomes(lambda: waits(process), {(broken, 1): "body-invalid", (broken, 2): "behind", (gap, 2): "gap"})
        await becomes(lambda: wire.committed("billing", STREAM), 13)
        await becomes(lambda: _length(wire.read("workflow.asks")), 1)
        await wire.tell(broken, 3, note(1))
        await becomes(lambda: of((broken, 3), waits(process)), "behind")
        await wire.tell(gap, 1, note(2))
        await becomes(lambda: tills(process), {repeated: 6, other: 3, broken: None, gap: 42})
        await becomes(lambda: _length(wire.read("billing.dead-letters")), 2)
        assert await _length(wire.read("workflow.asks")) == 1
    kept = await letters(wire)
    assert kept[str(other).encode()].reason == "record-too-large"
    assert base64.b64decode(kept[str(other).encode()].original_value or "") == b"x" * MEGABYTE
    assert kept[str(gap).encode()].reason == "key-wrong"
    assert base64.b64decode(kept[str(gap).encode()].original_value or "") == BINARY


async def test_a_heard_fact_that_an_operator_skips_becomes_a_dead_letter_and_the_rest_is_decided(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    till, value = uuid4(), b'{"note_no": "x"}'
    said = headers(prefix, workflow.NoteAdded, till, 1)
    await wire.send(STREAM, till, value, said)
    for sequence in (2, 3):
        await wire.tell(till, sequence, note(sequence))
    async with billing(url, kafka, prefix) as process:
        await becomes(lambda: waits(process), {(till, 1): "body-invalid", (till, 2): "behind", (till, 3): "behind"})
        [(first,)] = await process.database.read("SELECT id FROM waiting WHERE sequence = 1")
        assert await skip(process, first, "sent by mistake") == till
        await becomes(lambda: tills(process), {till: 5})
        assert await waits(process) == {}
        await wire.tell(till, 4, note(4))
        await becomes(lambda: tills(process), {till: 9})
        await becomes(lambda: _length(wire.read("billing.dead-letters")), 1)
    letter = (await letters(wire))[str(till).encode()]
    assert (letter.reason, letter.detail, letter.original_topic) == ("skipped", "sent by mistake", STREAM)
    assert base64.b64decode(letter.original_value or "") == value
    assert {each.name for each in letter.original_headers} == {name for name, _ in said}
