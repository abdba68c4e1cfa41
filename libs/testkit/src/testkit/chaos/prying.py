"""Contacts who ask for what is not theirs, at every door that shows something of one request.

Whose it is, and staff, ask as well: what they are shown is entered with all else that was read, and judged with it.
"""

import asyncio
import random
from functools import cache
from typing import Any, Final
from uuid import UUID

from cli.clients import schemas
from cli.demo.organisation import ADMIN, CONTACTS, identity
from cli.door import Doors, Refused, Unanswered
from testkit.chaos import looking
from testkit.chaos.operations import RecordingDoors
from testkit.chaos.site import Site

DOORS: Final = (
    ("intake", "/requests/{}"),
    ("workflow", "/requests/{}"),
    ("workflow", "/requests/{}/notes"),
    ("workflow", "/requests/{}/messages"),
    ("workflow", "/requests/{}/history"),
    ("approvals", "/requests/{}/approvals"),
    ("billing", "/requests/{}/charges"),
    ("billing", "/requests/{}/invoices"),
    ("notifications", "/requests/{}/messages"),
)
_SCOPES: Final = "requests:read billing:read approvals:read notifications:read contacts:read"
_LATEST: Final = "SELECT id, contact_id FROM requests WHERE contact_id IS NOT NULL ORDER BY created_at DESC LIMIT 1000"
_CLOSED: Final = (
    "SELECT id, contact_id FROM requests WHERE contact_id IS NOT NULL AND closed_at IS NOT NULL "
    "ORDER BY closed_at DESC LIMIT 1000"
)
_CONTACTS = "SELECT id, doc ->> 'organisation_id' AS organisation FROM documents WHERE kind = 'contact'"
_ASKED: Final = ((_LATEST, 15), (_CLOSED, 15))
"""How many of which requests are asked for; those that are closed have more to show: charges, invoices, mails."""
_PATIENCE: Final = 10.0
_BY_STAFF: Final = ((ADMIN.login, "workflow"), (ADMIN.login, "billing"))


async def pry(site: Site, chance: random.Random) -> list[str]:
    """What was shown to somebody whose request it is not; and what was not shown to those who may see it."""
    async with schemas(site.running()) as visits:
        async for name, connection in visits:
            if name == "workflow":
                found = [(await connection.fetch(query), most) for query, most in _ASKED]
                organisations = {UUID(r["id"]): r["organisation"] for r in await connection.fetch(_CONTACTS)}
    login_of = {identity(contact.login): contact.login for contact in CONTACTS}
    asked = []
    for row in (each for rows, most in found for each in chance.sample(rows, min(most, len(rows)))):
        others = [who for who in login_of if organisations.get(who) != organisations.get(row["contact_id"])]
        asked.append((row["id"], login_of.get(row["contact_id"]), login_of[chance.choice(others)]))
    where = site.running().services, cache(lambda login: site.token(login, _SCOPES))
    doors, recording = Doors(*where), RecordingDoors(site.operations, *where, patience=_PATIENCE)
    try:
        told = await asyncio.gather(*(_asked_for(doors, recording, *one) for one in asked))
    finally:
        await doors.close()
        await recording.close()
    return [text for texts in told for text in texts]


async def _asked_for(
    doors: Doors, recording: RecordingDoors, request: UUID, contact: str | None, other: str
) -> list[str]:
    """One request, by somebody of another organisation and by those who may see it."""
    paths = [(service, path.format(request)) for service, path in DOORS]
    shown = [f"{name}{path} is shown to {other}" for name, path in paths if await _shows(doors, other, name, path)]
    last = recording.operations.last.get(request)
    own = [] if contact is None else [(contact, "intake"), (contact, "workflow")]
    for who, service in (*own, *_BY_STAFF):
        try:
            path = looking.DOORS[service].format(request)
            await recording.get_at(looking.heard_at(service, last), who, service, path)
        except Refused:
            shown.append(f"{service}/requests/{request} is hidden from {who}, who may see it")
        except Unanswered:
            continue  # other laws say what is left to be heard
    return shown


async def _shows(doors: Doors, who: str, service: str, path: str) -> bool:
    """Whether anything is told; an empty list is nothing."""
    try:
        body: Any = (await doors.get(who, service, path)).body
    except Refused:
        return False
    return bool(body.get("items", True)) if isinstance(body, dict) else bool(body)
