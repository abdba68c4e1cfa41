"""What a service is, declared once in its `main.py`, and what a running process of it holds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import MetaData

from chassis.aggregate import Aggregate
from chassis.positions import Positions
from chassis.settings import ServiceSettings

if TYPE_CHECKING:
    from chassis.auth import Caller, Callers
    from chassis.clients import Clients
    from chassis.commands import Commands
    from chassis.database import Database
    from chassis.decider import Decider
    from chassis.documents import Documents, Reference
    from chassis.health import Health
    from chassis.http import Routes
    from chassis.stream import Stream
    from chassis.wakeup import Wakeup


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service, whole: what `chassis.app.run` needs to run any role of it.

    `sees` says whether a caller without the scope `facts:read` may read a subject's facts over HTTP.
    `recovered` is called when what was published has been read back after a restore, before anything runs again.
    `configure` makes of it the service as this process's settings want it; names stay.
    """

    name: str
    aggregates: Sequence[Aggregate[Any]]
    commands: "Commands"
    routes: "Routes"
    metadata: MetaData
    migrations: str
    stream: "Stream | None" = None
    references: "Sequence[Reference]" = ()
    roles: Mapping[str, "Callable[[Runtime], Awaitable[None]]"] = field(default_factory=dict)
    sees: "Callable[[Caller, UUID, Database], Awaitable[bool]] | None" = None
    recovered: "Callable[[Runtime], Awaitable[None]] | None" = None
    configure: "Callable[[Service, Any], Service] | None" = None


@dataclass(kw_only=True)
class Runtime:
    """What a running process of a service holds; made by `chassis.app`, handed to every role.

    A role runs until `stopping` is set, finishes what it has in hand, and returns.
    """

    service: Service
    settings: ServiceSettings
    database: "Database"
    documents: "Documents"
    deciders: "Mapping[str, Decider[Any]]"
    wakeup: "Wakeup"
    clients: "Clients"
    callers: "Callers"
    health: "Health"
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    positions: Positions = field(init=False)

    def __post_init__(self) -> None:
        self.positions = Positions(self.service, self.database)

    @property
    def name(self) -> str:
        """The service's name, without the installation's prefix."""
        return self.service.name

    @property
    def prefix(self) -> str:
        """The installation's prefix; empty, or a name."""
        return self.settings.prefix


def messages_of(service: Service) -> dict[str, type]:
    """Every message that reactions may carry, by the name under which it is kept."""
    return {f"{each.name}.{message.__name__}": message for each in service.aggregates for message in each.messages}
