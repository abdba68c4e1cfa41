"""Clients' commands over real Kafka: rights, transactions, repeats, numbers, and a fault of our own."""

from typing import Any
from uuid import uuid4

import orjson
import pytest

from chassis import inbound
from chassis.ids import new_id
from testkit.streams import Wire
from testkit.toy import Add, asked
from testkit.toybilling import (
    GOOD,
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


async def test_a_command_repeated_is_done_once_and_its_id_serves_no_other(
    url: str, kafka: Any, prefix: str, wire: Wire
) -> None:
    till, same = uuid4(), new_id()
    async with billing(url, kafka, prefix) as process:
        await process.deciders["tills"].handle(asked(till, Add(5)))
        for _ in range(3):
            await command(wire, till, id=same)
        await becomes(lambda: tills(process), {till: 4})
        await becomes(lambda: length(wire.read("billing.results.erp")), 3)
        assert await answers(wire) == {same: "accepted"}
        await command(wire, till, id=same)
        await command(wire, till, id=same, value={"line_id": str(uuid4())})
        await command(wire, till, id=same, client="import")
        await becomes(lambda: answers(wire, "import"), {same: "refused idempotency-key-reused"})
        await becomes(lambda: length(wire.read("billing.results.erp")), 5)
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
        await becomes(lambda: length(database.read("SELECT id FROM waiting")), 3)
        first = await command(wire, till, sequence=1)
        wanted = dict.fromkeys((first, second, third, neighbour), "accepted")
        await becomes(lambda: answers(wire), wanted)
        await database.read("UPDATE waiting SET first_at = first_at - interval '60 s', next_at = now() RETURNING id")
        await becomes(lambda: answers(wire), {**wanted, never: "refused number-missing"})
        after = await command(wire, broken, sequence=1)
        await becomes(lambda: answers(wire), {**wanted, never: "refused number-missing", after: "accepted"})
        await becomes(lambda: tills(process), {till: 2, broken: 4, other: 4})


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
        await becomes(lambda: length(wire.read("billing.dead-letters")), 1)
    letter = (await letters(wire))[str(spoilt).encode()]
    assert (letter.reason, letter.detail) == ("error", "ZeroDivisionError: planted")
