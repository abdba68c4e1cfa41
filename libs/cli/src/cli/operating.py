"""The doors of an installation, entered as an operator; and from what people say to what services know."""

from uuid import UUID

from chassis.clients import Client, save
from cli.clients import schemas
from cli.console import Failed
from cli.door import Doors
from cli.site import Site
from contracts.registry import SERVICES

OPERATOR = "operator"
"""The client as which operators' commands call the doors of an installation that is up here."""
SCOPES = "operate facts:read requests:read"


async def doors(site: Site) -> Doors:
    """The doors of an installation, entered as an operator. Raises Failed when their addresses are not known."""
    missing = [f"{name.upper()}_URL" for name in SERVICES if name not in site.services]
    if missing:
        raise Failed(f"{', '.join(missing)} not set: where are the services?")
    token = site.given_token
    if token is None:
        token = site.token(OPERATOR, SCOPES)
        await _known(site)
    return Doors(site.services, lambda _: token, patience=10.0, connections=8)


async def _known(site: Site) -> None:
    """Let every service of an installation that is up here know the operator."""
    async with schemas(site) as visits:
        async for _, connection in visits:
            await save(connection, Client(OPERATOR, frozenset(SCOPES.split())))


async def subject(doors: Doors, said: str) -> UUID:
    """The id of a request that is named by its number (`R-000123`) or by its id. Raises Failed."""
    try:
        return UUID(said)
    except ValueError:
        pass
    found = (await doors.get(OPERATOR, "intake", "/requests", number=said)).body["items"]
    if not found:
        raise Failed(f"no request has the number {said}")
    return UUID(found[0]["request_id"])
