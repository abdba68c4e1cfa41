"""Bad facts of other services over real Kafka: they wait or are dead letters; their neighbours are decided."""

import base64
from typing import Any
from uuid import UUID, uuid4

from chassis.service import Runtime
from chassis.skipping import skip
from contracts import workflow
from testkit.streams import Wire, headers
from testkit.toybilling import (
    BINARY,
    MEGABYTE,
    STREAM,
    becomes,
    billing,
    length,
    letters,
    of,
    tills,
    url,
    wire,
)

__all__ = ["url", "wire"]


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
        await becomes(lambda: length(wire.read("workflow.asks")), 1)
        await wire.tell(broken, 3, note(1))
        await becomes(lambda: of((broken, 3), waits(process)), "behind")
        await wire.tell(gap, 1, note(2))
        await becomes(lambda: tills(process), {repeated: 6, other: 3, broken: None, gap: 42})
        await becomes(lambda: length(wire.read("billing.dead-letters")), 2)
        assert await length(wire.read("workflow.asks")) == 1
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
        await becomes(lambda: length(wire.read("billing.dead-letters")), 1)
    letter = (await letters(wire))[str(till).encode()]
    assert (letter.reason, letter.detail, letter.original_topic) == ("skipped", "sent by mistake", STREAM)
    assert base64.b64decode(letter.original_value or "") == value
    assert {each.name for each in letter.original_headers} == {name for name, _ in said}
