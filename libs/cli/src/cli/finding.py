"""From what people say to what the services know: a request's number to its id."""

from uuid import UUID

from cli.console import Failed
from cli.door import Doors
from cli.site import OPERATOR


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
