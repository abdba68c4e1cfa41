"""The sample organisation put in place through the public doors, as an operator would."""

import asyncio
from typing import Any

from chassis.clients import Client
from cli.clients import register
from cli.demo import organisation as sample
from cli.demo.crm import NAME as CRM
from cli.demo.crm import SERVICES as CRM_COMMANDS
from cli.door import Answer, Doors, Refused, Unanswered
from cli.running.installation import Installation

SETUP = "set-up"
SETUP_SCOPES = "people:write catalogue:write contacts:write billing:prices requests:read"
STAFF_SCOPES = (
    "requests:read requests:write requests:backdate contacts:read billing:read billing:write approvals:read "
    "approvals:decide notifications:read"
)
CONTACT_SCOPES = "requests:read requests:write"
_CRM_SCOPES = frozenset({"requests:write", "billing:write"})
_CRM_PARTITIONS = 3


async def clients(installation: Installation) -> None:
    """Register the two other systems of the sample: the one that sets up, and the CRM."""
    await register(installation.running(), Client(SETUP, frozenset(SETUP_SCOPES.split())), ())
    crm = Client(CRM, _CRM_SCOPES, may_act_for_others=True)
    await register(installation.running(), crm, CRM_COMMANDS, partitions=_CRM_PARTITIONS)


def scopes_of(login: str) -> str:
    """What a login's token carries."""
    if login == SETUP:
        return SETUP_SCOPES
    contacts = {contact.login for contact in sample.CONTACTS}
    return CONTACT_SCOPES if login in contacts else STAFF_SCOPES


async def people(doors: Doors) -> None:
    """Teams, staff, queues, prices, organisations and contacts; what is there already is left as it is."""
    body: dict[str, Any]
    for name, title in sample.TEAMS.items():
        body = {"team_id": str(sample.identity(f"team:{name}")), "name": title}
        await _make(doors, "workflow", "/teams", body, f"team/{name}")
    teams = [str(sample.identity(f"team:{name}")) for name in sample.TEAMS]
    for person in (*sample.AGENTS, *sample.APPROVERS, sample.ADMIN):
        roles = ["admin", "owner"] if person == sample.ADMIN else ["agent"]
        if person in sample.APPROVERS:
            roles = ["approver"]
        body = {**_somebody(person), "person_id": str(person.id), "roles": roles, "teams": teams}
        await _make(doors, "workflow", "/people", body, f"person/{person.login}")
    for queue in sample.queues():
        name = queue["queue"]
        await _make(doors, "workflow", f"/queues/{name}/draft", queue, f"draft/{name}", method="PUT")
        await _make(doors, "workflow", f"/queues/{name}/publish", {}, f"publish/{name}")
    await _make(doors, "billing", "/price-book", sample.price_book(), "prices", method="PUT")
    for name, title in sample.ORGANISATIONS.items():
        identifier = str(sample.identity(f"organisation:{name}"))
        body = {"organisation_id": identifier, "name": title, "share_requests": True}
        await _make(doors, "intake", "/organisations", body, f"organisation/{title}")
    for n, contact in enumerate(sample.CONTACTS):
        body = {
            **_somebody(contact),
            "contact_id": str(contact.id),
            "organisation_id": str(sample.organisation_of(contact)),
            "mail_opt_out": ["closed"] if n % 10 == 9 else [],
        }
        await _make(doors, "intake", "/contacts", body, f"contact/{contact.login}")


def _somebody(person: sample.Somebody) -> dict[str, Any]:
    return {"name": person.name, "email": person.email, "login": person.login}


async def _make(
    doors: Doors, service: str, path: str, body: dict[str, Any], key: str, *, method: str = "POST"
) -> Answer | None:
    try:
        return await doors.command(method, SETUP, service, path, body, key=str(sample.identity(f"set-up/{key}")))
    except Refused as refused:
        if refused.status == 409:
            return None
        raise


_PROBES = (("intake", "/requests"), ("workflow", "/requests"), ("approvals", "/pending"), ("billing", "/price-book"))
_KNOWN_WITHIN = 60.0


async def known_everywhere(doors: Doors) -> None:
    """Return when every service knows the last person and the last contact of the sample; raises Unanswered."""
    deadline = asyncio.get_running_loop().time() + _KNOWN_WITHIN
    for login in (sample.ADMIN.login, sample.CONTACTS[-1].login):
        for service, path in _PROBES:
            while await _unknown(doors, login, service, path):
                if asyncio.get_running_loop().time() > deadline:
                    raise Unanswered(f"{service} does not know {login} within {_KNOWN_WITHIN:.0f} s")
                await asyncio.sleep(0.1)


async def _unknown(doors: Doors, login: str, service: str, path: str) -> bool:
    try:
        await doors.get(login, service, path)
    except Refused as refused:
        return refused.slug == "unknown-caller"
    return False
