"""A fault of somebody else's making: records on the inbound topics that no envelope, no JSON or no command are."""

import random
from uuid import UUID

from aiokafka import AIOKafkaProducer

from chassis import naming
from chassis.clock import utc_now
from chassis.ids import new_id
from cli.clients import schemas
from cli.demo.crm import NAME, SERVICES
from contracts import intake
from contracts.envelope import Envelope, to_headers
from contracts.registry import commands_topic
from testkit.chaos.evidence import POISON
from testkit.chaos.faults import Fault
from testkit.chaos.site import Site
from testkit.eventually import eventually

_LETTERS = "SELECT count(*) FROM dead_letters WHERE key = $1"
_ROUNDS = 5

Headers = list[tuple[str, bytes]]


def _good() -> Headers:
    said = Envelope(id=new_id(), source=f"/{NAME}", type=intake.Submit.type, version=1, time=utc_now())
    return list(to_headers(said))


def _with(name: str, value: bytes) -> Headers:
    return [(each, value if each == name else kept) for each, kept in _good()]


def without_envelope() -> list[tuple[bytes | None, Headers]]:
    """Records that belong to nobody: each becomes a dead letter."""
    return [
        (b"{}", []),
        (b"{}", _with("ce_id", b"not an id")),
        (b"{}", _with("ce_time", b"yesterday")),
        (b"\xff\xfe", [("ce_type", b"\xff")]),
    ]


def without_sense() -> list[tuple[bytes | None, Headers]]:
    """Records that say who they are and nothing that could be done: each is refused to the client that sent it."""
    return [
        (b"{", _good()),
        (b"\xff\xfe", _good()),
        (b"[" * 20_000, _good()),
        (b'{"summary": "' + b"x" * 300_000 + b'"}', _good()),
        (b"{" + b",".join(b'"%x": 0' % n for n in range(10_000)) + b"}", _good()),
        (b"{}", [*_good(), ("x-more", b"x" * 600_000)]),
        (b"{}", _with("ce_type", b"intake.abolish.v1")),
        (b'{"actor": {"kind": "person", "id": "%s"}}' % str(UUID(int=1)).encode(), _good()),
    ]


class Poisoned(Fault):
    """The other system sends rubbish on its own topics, between its commands."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.name = "poison on the inbound topics"
        self._site = site
        self._chance = chance
        self._before: dict[str, int] = {}
        self._dead = 0

    async def strike(self) -> None:
        self._before = await self._letters()
        producer = AIOKafkaProducer(
            bootstrap_servers=self._site.bootstrap, max_request_size=1 << 20, compression_type="gzip"
        )
        await producer.start()
        try:
            for service in SERVICES:
                topic = naming.topic(self._site.prefix, commands_topic(service, NAME))
                for _ in range(_ROUNDS):
                    records = [*without_envelope(), *without_sense()]
                    for value, headers in self._chance.sample(records, len(records)):
                        await producer.send_and_wait(topic, value, POISON, headers=headers)
        finally:
            await producer.stop()
        self._dead = _ROUNDS * len(without_envelope())

    async def heal(self) -> None:
        """Exactly what has no envelope lies among the dead letters, in every service that was sent any."""

        async def all_dead() -> bool:
            after = await self._letters()
            return all(after[name] - self._before[name] == self._dead for name in SERVICES)

        if await eventually(all_dead, within=60, every=0.5):
            self.proof = f"{self._dead} dead letters in each of {', '.join(SERVICES)}"

    async def _letters(self) -> dict[str, int]:
        async with schemas(self._site.running()) as visits:
            return {name: int(await connection.fetchval(_LETTERS, POISON)) async for name, connection in visits}
