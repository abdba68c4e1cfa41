"""Bad input over real Kafka: each record ends refused or as a dead letter; its neighbours are decided."""

import base64
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson

from chassis.ids import new_id
from contracts.billing import RemoveCharge
from contracts.exchange import DeadLetter
from testkit.streams import Headers, Wire, headers
from testkit.toy import Add, asked
from testkit.toybilling import (
    BINARY,
    COMMANDS,
    GOOD,
    MEGABYTE,
    PERSON,
    answers,
    becomes,
    billing,
    command,
    length,
    letters,
    tills,
    url,
    wire,
)

__all__ = ["url", "wire"]


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
        await becomes(lambda: length(wire.read("billing.dead-letters")), len(dead))
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
        await becomes(lambda: length(wire.read("billing.dead-letters")), 1)
    assert (await letters(wire))[str(till).encode()].original_headers[0].name == "ce_\\xff"
