"""The least that a read can be: one statement whose JSON is the answer, on plain ASGI; nobody is asked who they are.

`python -m bench.bare URL PORT` serves `/<n>/<argument>`: the n-th of STATEMENTS.
"""

import sys
from typing import Any
from uuid import UUID

import asyncpg
import uvicorn

STATEMENTS = (
    "SELECT row_to_json(s)::text FROM intake.submissions s WHERE id = $1",
    "SELECT json_agg(l)::text FROM (SELECT id, number, contact_id, organisation_id, state FROM intake.submissions "
    "WHERE contact_id = $1 ORDER BY id DESC LIMIT 50) l",
    "SELECT json_agg(l)::text FROM (SELECT id, number, contact_id, organisation_id, queue, stage, owner_id, team_id, "
    "priority, received_at, due_at, closed_at, state ->> 'summary' AS summary FROM workflow.requests "
    "WHERE number IS NOT NULL AND closed_at IS NULL AND team_id = $1 ORDER BY rank_at, id LIMIT 50) l",
)


class App:
    """One connection pool and three statements."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._life(receive, send)
            return
        _, n, argument = scope["path"].split("/")
        body = (await self._pool.fetchval(STATEMENTS[int(n)], UUID(argument)) or "null").encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _life(self, receive: Any, send: Any) -> None:
        await receive()
        self._pool = await asyncpg.create_pool(self._url, min_size=8, max_size=8, reset=_no_reset)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _no_reset(_: asyncpg.Connection) -> None:
    """A statement leaves nothing behind, and the services reset nothing either."""


if __name__ == "__main__":
    uvicorn.run(App(sys.argv[1]), port=int(sys.argv[2]), log_level="warning", access_log=False, loop="uvloop")
