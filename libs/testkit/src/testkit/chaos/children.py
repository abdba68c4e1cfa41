"""Rows of child tables, which doors show beside an aggregate: as a schema holds them, and as the facts make them."""

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import Table

from chassis.service import Service
from testkit.chaos.folds import Key, key_of, stored_child

Derived = tuple[UUID, Mapping[str, Any]]
"""Whose row it is, and its values as the facts make them."""
_THROUGH: Final = {"settlements": ("approvals", "approval_id"), "votes": ("approvals", "approval_id")}
"""Tables that name no request: the one that does, and the column that they have in common."""


class ChildRow(NamedTuple):
    """A row of a child table: what is stored and what the facts make; None where there is none."""

    table: str
    key: str
    subject: UUID
    stored: Mapping[str, Any] | None
    derived: Mapping[str, Any] | None


def tables_of(service: Service) -> list[Table]:
    """The child tables of a service: all of its own that are no aggregate's."""
    aggregates = {aggregate.table for aggregate in service.aggregates}
    found = {table for aggregate in aggregates for table in aggregate.metadata.tables.values()}
    return sorted(found - aggregates, key=lambda table: table.name)


def of_subjects(table: Table) -> str:
    """The statement that reads a child table's rows of some subjects, each with its `owner`."""
    if table.name in _THROUGH:
        named, common = _THROUGH[table.name]
        return (
            f"SELECT t.*, o.request_id AS owner FROM {table.name} t JOIN {named} o USING ({common}) "
            "WHERE o.request_id = ANY($1)"
        )
    owner = "request_id" if "request_id" in table.c else "id"
    return f"SELECT t.*, t.{owner} AS owner FROM {table.name} t WHERE t.{owner} = ANY($1)"


async def child_rows(
    connection: asyncpg.Connection, service: Service, scope: Collection[UUID], derived: Mapping[Key, Derived]
) -> list[ChildRow]:
    """Every row of some subjects that is stored, or derived, or both."""
    left, found = dict(derived), list[ChildRow]()
    for table in tables_of(service):
        # a connection keeps plans by their text, and two schemas have `messages`
        query = f"{of_subjects(table)} -- {service.name}"
        for row in map(dict, await connection.fetch(query, list(scope))):
            key = key_of(table, row)
            subject, values = left.pop((table.name, key), (row["owner"], None))
            found.append(ChildRow(table.name, key, subject, stored_child(table, row), values))
    found += [ChildRow(name, key, subject, None, values) for (name, key), (subject, values) in left.items()]
    return found
