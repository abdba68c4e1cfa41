"""Contacts who ask for what is not theirs, at every door that shows something of one request."""

import random
from typing import Any, Final
from uuid import UUID

from cli.clients import schemas
from cli.demo.organisation import CONTACTS, identity
from cli.door import Doors, Refused
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
_SOME = "SELECT id, contact_id FROM requests WHERE contact_id IS NOT NULL ORDER BY created_at DESC LIMIT 200"
_CONTACTS = "SELECT id, doc ->> 'organisation_id' AS organisation FROM documents WHERE kind = 'contact'"
_ASKED: Final = 5


async def pry(site: Site, chance: random.Random) -> list[str]:
    """What was shown to somebody whose request it is not; and what was not shown to whose it is."""
    async with schemas(site.running()) as visits:
        async for name, connection in visits:
            if name == "workflow":
                requests = [(row["id"], row["contact_id"]) for row in await connection.fetch(_SOME)]
                organisations = {UUID(r["id"]): r["organisation"] for r in await connection.fetch(_CONTACTS)}
    login_of = {identity(contact.login): contact.login for contact in CONTACTS}
    doors, shown = Doors(site.running().services, lambda login: site.token(login, _SCOPES)), list[str]()
    try:
        for request, contact in chance.sample(requests, min(_ASKED, len(requests))):
            others = [who for who in login_of if organisations.get(who) != organisations.get(contact)]
            shown += await _asked_by(doors, login_of[chance.choice(others)], request)
            if contact in login_of and not await _shows(doors, login_of[contact], "workflow", f"/requests/{request}"):
                shown.append(f"workflow/requests/{request} is hidden from {login_of[contact]}, whose it is")
    finally:
        await doors.close()
    return shown


async def _asked_by(doors: Doors, who: str, request: UUID) -> list[str]:
    asked = [(service, path.format(request)) for service, path in DOORS]
    return [f"{service}{path} is shown to {who}" for service, path in asked if await _shows(doors, who, service, path)]


async def _shows(doors: Doors, who: str, service: str, path: str) -> bool:
    """Whether anything is told; an empty list is nothing."""
    try:
        body: Any = (await doors.get(who, service, path)).body
    except Refused:
        return False
    return bool(body.get("items", True)) if isinstance(body, dict) else bool(body)
