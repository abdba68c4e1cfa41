"""Another company's system, on its own pair of topics of one service."""

from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import orjson

from chassis.clients import Client, save
from chassis.service import Runtime
from contracts.base import Command
from testkit.eventually import eventually
from testkit.streams import Wire, headers


class Answer(NamedTuple):
    """What came back for a command: its type without version (`accepted`, `refused`) and its body."""

    kind: str
    body: dict[str, Any]

    @property
    def refusal(self) -> str:
        """The slug of the refusal."""
        return str(self.body["problem"]["type"]).rpartition("#")[2]


class OtherSystem:
    """Sends commands to `service` and reads its answers, as `client`."""

    def __init__(self, wire: Wire, service: str, client: str) -> None:
        self._wire = wire
        self._service = service
        self._client = client

    async def command(self, subject: UUID, command: Command, **more: Any) -> Answer:
        """Send a command and wait for its answer; see `send`."""
        return (await self.answered(await self.send(subject, command, **more)))[0]

    async def send(self, subject: UUID, command: Command, *, times: int = 1, id: UUID | None = None) -> UUID:
        """Send a command, once or again as the same record; its id."""
        identifier = id or uuid4()
        said = headers(self._wire.prefix, command, subject, None, id=identifier, source=f"/{self._client}")  # type: ignore[arg-type]
        value = command.model_dump_json(exclude_unset=True).encode()
        for _ in range(times):
            await self._wire.send(f"{self._service}.commands.{self._client}", subject, value, said)
        return identifier

    async def answered(self, identifier: UUID, *, times: int = 1) -> list[Answer]:
        """The answers to a command, once there are so many."""

        async def found() -> list[Answer]:
            answers = [answer for answer in await self.answers() if answer.body["command_id"] == str(identifier)]
            return answers if len(answers) >= times else []

        return await eventually(found, within=60, every=0.25)

    async def answers(self) -> list[Answer]:
        """Everything on the results topic."""
        return [
            Answer(_kind(record), orjson.loads(record.value))
            for record in await self._wire.read(f"{self._service}.results.{self._client}")
        ]


def _kind(record: Any) -> str:
    said = dict(record.headers)["ce_type"].decode()
    return str(said.removeprefix("throughline.command-").removesuffix(".v1"))


async def register(runtime: Runtime, *clients: Client) -> None:
    """Let a service know clients, as the command `throughline clients add` does."""
    connection = await asyncpg.connect(runtime.settings.database_url.get_secret_value())
    try:
        for client in clients:
            await save(connection, client)
    finally:
        await connection.close()
