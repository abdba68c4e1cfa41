"""How PostgreSQL would carry statements out on tables with very many rows: filled, and asked for its generic plans."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

_SMALL = frozenset({"relay", "relay_cursor", "series", "clients", "asks_sent", "alembic_version", "dead_letters"})
"""Tables that do not grow with what a service has done."""
_TABLES = (
    "SELECT c.relname FROM pg_class c WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'p') "
    "AND NOT c.relispartition ORDER BY c.relname"
)
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type, a.attnotnull AS required,
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY(i.indkey))
    AS differs
FROM pg_attribute a WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attidentity = ''
"""
_INDEXES = (
    "SELECT i.indexrelid::regclass::text AS name, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS made "
    "FROM pg_index i WHERE i.indrelid = $1::text::regclass AND NOT i.indisprimary "
    "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)"
)
_PARTITIONS = (
    "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
    "WHERE inhparent = ANY($1::text[]::regclass[]) AND c.reltuples > 0"
)
_PARAMETER = re.compile(r"\$(\d+)")
_NEARLY_ALL = re.compile(r"^\(?(\w+ IS NOT NULL|NOT \w+)\)?$")
_NARROW = re.compile(r" = | @> |changed_at > |<= statement_timestamp\(\)|< statement_timestamp\(\)")
"""A condition that few rows fulfil: those of one value, what is due, what changed of late."""
_KIND = re.compile(r"\bkind = ")
"""A condition that very many documents fulfil: nearly all are of one kind."""
_FEW = frozenset({"documents_to_erase"})
"""Indexes of what is still to be done, which is little at any time."""
_SESSION = "SET synchronous_commit = off; SET maintenance_work_mem = '256MB'"
_KINDS = 50
"""Different values of what need not differ from row to row; a UUID stands in a few rows."""


async def fill(url: str, schema: str, rows: int, values: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """Fill every table of a schema that may grow with `rows` rows; their names, and those of filled partitions.

    `values` names, table by table, what a column holds as SQL of the row's number `n`, where that matters.
    """
    connection = await asyncpg.connect(url, command_timeout=120, server_settings={"search_path": schema})
    try:
        await connection.execute(_SESSION)
        names = [row[0] for row in await connection.fetch(_TABLES, schema) if row[0] not in _SMALL]
        for name in names:
            await _fill(connection, name, rows, values.get(name, {}))
        return frozenset([*names, *(row[0] for row in await connection.fetch(_PARTITIONS, names))])
    finally:
        await connection.close()


async def _fill(connection: asyncpg.Connection, table: str, rows: int, values: Mapping[str, str]) -> None:
    columns = [dict(row) for row in await connection.fetch(_COLUMNS, table)]
    indexes = await connection.fetch(_INDEXES, table)
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    names = ", ".join(f'"{column["name"]}"' for column in columns)
    said = ", ".join(values.get(column["name"], _value(column)) for column in columns)
    await connection.execute(f"INSERT INTO {table} ({names}) SELECT {said} FROM generate_series(1, {rows}) n")
    for index in indexes:
        await connection.execute(index["made"])
    await connection.execute(f"VACUUM (ANALYZE) {table}")


def _value(column: Mapping[str, Any]) -> str:
    """Something of the column's type: different in each row where it must be, else one of some dozens."""
    number = "n" if column["differs"] else f"n % {_KINDS}"
    kind = column["type"]
    if kind == "uuid":
        return uuid_of("n" if column["differs"] else "n / 5")
    if kind == "timestamp with time zone":
        moment = "now() + n * interval '1 second'"
        return moment if column["required"] else f"CASE WHEN n % 2 = 0 THEN {moment} END"
    fixed = {"json": "'{}'", "jsonb": "'{}'", "boolean": "n % 2 = 0", "bytea": "'\\x00'::bytea", "date": "current_date"}
    if kind.endswith("[]"):
        return f"ARRAY[{uuid_of('n')}]" if kind == "uuid[]" else "'{}'"
    if kind == "text" or kind.startswith("character"):
        return f"'v' || {number}"
    return fixed.get(kind, f"({number})::{kind}")


def uuid_of(number: str) -> str:
    """The UUID of a number, as SQL."""
    return f"('00000000-0000-7000-8000-' || lpad(to_hex({number}), 12, '0'))::uuid"


@dataclass(frozen=True)
class Walk:
    """A part of a plan that reads a whole table, or a whole index of it."""

    statement: str
    node: str
    table: str

    def __str__(self) -> str:
        return f"{self.statement}: {self.node} on {self.table}"


async def walks(
    url: str, schema: str, statements: Mapping[str, str], large: Iterable[str], settings: Mapping[str, str]
) -> list[Walk]:
    """Where the generic plans of statements read a large table from end to end."""
    options = {"search_path": schema, **settings, "plan_cache_mode": "force_generic_plan"}
    connection = await asyncpg.connect(url, command_timeout=60, server_settings=options)
    try:
        tables = frozenset(large)
        return [
            walk
            for name, sql in statements.items()
            for walk in _walks(name, (await _plan(connection, sql))["Plan"], tables, ends=False)
        ]
    finally:
        await connection.close()


async def _plan(connection: asyncpg.Connection, sql: str) -> dict[str, Any]:
    await connection.execute(f"PREPARE asked AS {sql}")
    count = max(map(int, _PARAMETER.findall(sql)), default=0)
    arguments = f"({', '.join(['NULL'] * count)})" if count else ""
    try:
        told = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{arguments}")
    finally:
        await connection.execute("DEALLOCATE asked")
    found: Sequence[dict[str, Any]] = json.loads(told)
    return found[0]


def _walks(statement: str, node: Mapping[str, Any], large: frozenset[str], *, ends: bool) -> Iterator[Walk]:
    """`ends`: something above stops reading after some rows, which come soon unless the scan passes over others."""
    kind, table = node["Node Type"], node.get("Relation Name", "")
    condition = _KIND.sub("kind of ", node.get("Index Cond", node.get("Recheck Cond", "")))
    narrow = _NARROW.search(condition) or node.get("Index Name") in _FEW
    wide = kind.startswith(("Index", "Bitmap Heap")) and not narrow
    passes_over = _NEARLY_ALL.sub("", node.get("Filter", "")) != ""
    reads_all = passes_over or not ends or kind.startswith("Bitmap")  # a bitmap is made whole before the first row
    whole = kind == "Seq Scan" or (wide and reads_all)
    if table in large and whole:
        yield Walk(statement, kind, table)
    for below in node.get("Plans", ()):
        stops = kind == "Limit" or (ends and kind not in ("Sort", "Aggregate", "Hash"))
        yield from _walks(statement, below, large, ends=stops)
