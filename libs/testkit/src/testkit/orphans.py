"""Orphans planted in a whole installation, each in another way, and the command that must find and mend them."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from chassis.ids import new_id
from cli.demo import setting_up
from cli.demo.organisation import AGENTS, CONTACTS
from cli.door import Doors, Refused
from cli.running.installation import Installation
from testkit.eventually import eventually

COMMAND = (sys.executable, "-c", "from cli.main import run; run()")
REFUSING = """
CREATE FUNCTION billing.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.type = 'billing.nothing-to-bill' AND NEW.subject = ANY ('{%s}'::uuid[]) THEN
        RAISE 'planted' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON billing.journal FOR EACH ROW EXECUTE FUNCTION billing.refuse();
"""
ACCEPTING = "DROP FUNCTION billing.refuse() CASCADE"
FORGOTTEN = "DELETE FROM notifications.journal WHERE subject = $1", "DELETE FROM notifications.threads WHERE id = $1"
"""As if the schema had been restored to before it heard of a request."""


GIVEN_UP = "UPDATE billing.waiting SET next_at = NULL WHERE reason = 'error'"
"""As after the last attempt: from now on an operator decides."""


async def throughline(installation: Installation, *arguments: str) -> tuple[int, str]:
    """Run a command beside the installation; its exit status, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env={**os.environ, "THROUGHLINE_HOME": str(installation.home)}, stdout=PIPE, stderr=PIPE
    )
    said, complained = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, (said + complained).decode()


async def named(installation: Installation, *arguments: str) -> list[dict[str, Any]]:
    """What `throughline reconcile` finds, with the exit status that belongs to it."""
    status, said = await throughline(installation, "reconcile", "--json", "--older-than", "0", *arguments)
    found: list[dict[str, Any]] = json.loads(said)["orphans"]
    assert status == bool(found), said
    return found


@asynccontextmanager
async def acting(installation: Installation) -> AsyncIterator[Doors]:
    """The doors, as people of the sample enter them."""
    await setting_up.clients(installation)
    scopes = setting_up.scopes_of
    doors = Doors(installation.running().services, lambda who: installation.token(who, scopes(who), seconds=900))
    try:
        await setting_up.people(doors)
        await setting_up.known_everywhere(doors)
        yield doors
    finally:
        await doors.close()


async def a_request(doors: Doors) -> str:
    """One that is opened, and that everybody has heard of."""
    contact = CONTACTS[0]
    body = {"contact_id": str(contact.id), "queue": "billing", "summary": "Charged twice in May"}

    async def submitted() -> Any:
        try:
            return await doors.post(contact.login, "intake", "/requests", body, key=key)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None  # the queue was published a moment ago

    key = str(new_id())
    answer = await eventually(submitted, within=60)
    request = str(answer.body["request_id"])
    for service in ("workflow", "billing"):
        await eventually(partial(opened, doors, service, request), within=60)
    return request


async def opened(doors: Doors, service: str, request: str) -> bool:
    path = {"workflow": f"/requests/{request}", "billing": f"/requests/{request}/charges"}[service]
    try:
        await doors.get(AGENTS[0].login, service, path)
    except Refused as refused:
        if refused.status != 404:
            raise
        return False
    return True


async def close(doors: Doors, request: str) -> None:
    agent = AGENTS[0].login
    for verb, body in (("take-over", {}), ("close", {"outcome": "unresolved"})):
        await doors.post(agent, "workflow", f"/requests/{request}/{verb}", body, key=str(new_id()), wait=10)


async def waiting(installation: Installation) -> list[dict[str, Any]]:
    _, said = await throughline(installation, "waiting", "list", "--json")
    found: list[dict[str, Any]] = json.loads(said)
    return found


async def plant(installation: Installation) -> dict[str, str]:
    """Three requests, each orphaned in another way, by the verb that will mend it."""
    administrator = await asyncpg.connect(installation.admin_url)
    async with acting(installation) as doors:
        lost, stuck, skipped = [await a_request(doors) for _ in range(3)]
        await close(doors, lost)
        await eventually(lambda: balanced(installation), within=90, every=0.5)
        await administrator.execute(REFUSING % f"{stuck},{skipped}")
        for request in (stuck, skipped):
            await close(doors, request)

        async def tried() -> list[dict[str, Any]]:
            found = [each for each in await waiting(installation) if each["reason"] == "error"]
            return found if len(found) == 2 and all(each["attempts"] >= 4 for each in found) else []

        held = {each["subject"]: each["id"] for each in await eventually(tried, within=90, every=0.5)}
        await administrator.execute(GIVEN_UP)
        for statement in FORGOTTEN:
            await administrator.execute(statement, UUID(lost))
        await administrator.execute(ACCEPTING)
        await throughline(installation, "waiting", "skip", "billing", str(held[skipped]), "--reason", "by mistake")
    await administrator.close()
    return {lost: "resend", stuck: "waiting retry", skipped: "waiting redeliver"}


async def balanced(installation: Installation) -> bool:
    """Whether there is no orphan; says which there are."""
    left = [f"{each['number']} {each['slug']}: {each['why']}; {each['mend']}" for each in await named(installation)]
    assert left == []
    return True
