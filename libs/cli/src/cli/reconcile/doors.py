"""The books of a running installation, read page by page through its doors and never faster than they can bear."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

from cli import operating
from cli.door import Doors
from cli.reconcile.heard import Heard
from cli.reconcile.mending import Account
from contracts.registry import SERVICES

_LONGEST_PAUSE = 1.0


class DoorBooks:
    """One page in hand at a time; after each as long a pause as it took, so that others have the other half."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self.pages = 0

    async def standing(self, service: str) -> dict[str, Any]:
        """What of a service is still on its way."""
        found: dict[str, Any] = await self._get(service, "/reconciliation")
        return found

    async def told(self, service: str, partition: int, since: datetime | None) -> AsyncIterator[Heard]:
        """What a service told on one partition since then, in order."""
        query: dict[str, str | int] = {"partition": partition}
        if since is not None:
            query["since"] = since.isoformat()
        async for fact in self._pages(service, query, partition):
            yield fact

    async def story(self, subject: UUID, partition: int) -> list[Heard]:
        """Everything that was told about one request."""
        query: dict[str, str | int] = {"request": str(subject)}
        return [fact for service in SERVICES async for fact in self._pages(service, query, partition)]

    async def account(self, service: str, subject: UUID) -> Account:
        """Where a request stands in a service."""
        return Account.of(service, await self._get(service, f"/reconciliation/requests/{subject}"))

    async def _pages(self, service: str, query: dict[str, str | int], partition: int) -> AsyncIterator[Heard]:
        after: dict[str, str | int] = {}
        while True:
            page = await self._get(service, "/reconciliation/facts", **query, **after)
            for item in page["items"]:
                yield _heard(item, partition)
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    async def _get(self, service: str, path: str, **query: str | int) -> Any:
        begun = time.monotonic()
        answer = await self._doors.get(operating.OPERATOR, service, path, **query)
        self.pages += 1
        await asyncio.sleep(min(time.monotonic() - begun, _LONGEST_PAUSE))
        return answer.body


def _heard(item: dict[str, Any], partition: int) -> Heard:
    return Heard(
        item["topic"],
        item["type"],
        UUID(item["subject"]),
        item["sequence"],
        UUID(item["id"]),
        datetime.fromisoformat(item["time"]),
        item["data"],
        partition,
        datetime.fromisoformat(item["told_at"]),
        item["sent"],
    )
