"""Documents told again once a week, whatever happened: each hour takes its share of them (architecture, section 2).

Around a failed send or a change of lease the relay tells the latest again by itself. This mends what that cannot see: a
record that was written very late, or a topic that lost something. Readers keep the highest sequence of a document, so
for everybody else nothing changes.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
import structlog

from chassis.applying import apply_statement
from chassis.database import Database
from chassis.ids import new_id
from chassis.journal import to_json
from chassis.partition import partition_of
from contracts import registry
from contracts.base import Document

log = structlog.get_logger(__name__)

SHARES = 7 * 24
_PAGE = 200
_PERSONS = ("contact", "person")
_CLAIM = (
    "INSERT INTO series AS s (name, last) "
    "VALUES ('documents told again', extract(epoch FROM clock_timestamp())::bigint / 3600) "
    "ON CONFLICT (name) DO UPDATE SET last = excluded.last WHERE s.last < excluded.last RETURNING last"
)
_SHARE = (
    "SELECT kind, id, sequence, doc::text AS doc, changed_at FROM documents WHERE kind = ANY($1::text[]) "
    f"AND mod(abs(hashtext(id)::bigint), {SHARES}) = $2 AND (kind, id) > ($3, $4) "
    f"ORDER BY kind, id LIMIT {_PAGE} FOR UPDATE"
)


async def tell_again(database: Database, service: str, partitions: int) -> int:
    """Tell this hour's share of the service's own documents again, if no process did; how many that were.

    Raises Unavailable, and what a lost connection raises: the rest of the share is told in a week then.
    """
    claimed = await database.read(_CLAIM)
    return await tell_share(database, service, partitions, claimed[0]["last"] % SHARES) if claimed else 0


async def tell_share(database: Database, service: str, partitions: int, share: int) -> int:
    """Tell one share of the documents again, tombstones too, page by page."""
    kinds = {document.kind: document for document in registry.DOCUMENTS if document.service == service}
    told, after = 0, ("", "")
    while kinds:
        async with database.begin() as connection:
            # Locked: a change or a tombstone of these documents gets its number, and goes out, after them.
            rows = await connection.fetch(_SHARE, list(kinds), share, *after)
            await _tell(connection, [_row(kinds[row["kind"]], row, partitions) for row in rows], partitions)
        told += len(rows)
        if len(rows) < _PAGE:
            break
        after = rows[-1]["kind"], rows[-1]["id"]
    if told:
        log.info("documents_told_again", share=share, documents=told)
    return told


async def _tell(connection: asyncpg.Connection, rows: Sequence[tuple[Any, ...]], partitions: int) -> None:
    if rows:
        sql, arguments = apply_statement([], partitions, rows)
        await connection.execute(sql, *arguments)


def _row(document: type[Document], row: Any, partitions: int) -> tuple[Any, ...]:
    """A row of the journal about nothing that is folded: its subject is its own."""
    identifier, key = new_id(), str(row["id"])
    data = personal = None
    if row["doc"] is not None:
        body = orjson.loads(row["doc"])
        personal = {name: body.pop(name) for name in document.personal_fields() if name in body}
        data = to_json(body)
    return (
        partition_of(key.encode(), partitions), identifier, document.topic,
        document.type if data else f"{document.type}-erased", document.schema_version, key, identifier,
        row["sequence"], row["changed_at"], '{"kind":"system"}', identifier, None, 0, None, None,
        to_json([key]) if document.kind in _PERSONS else None, data, to_json(personal) if personal else None, None,
    )  # fmt: skip
