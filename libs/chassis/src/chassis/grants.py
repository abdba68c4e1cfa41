"""Who may do what in a schema (quality, section 2.1): statements, in order, safe to repeat."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chassis.provision import Names

TABLES = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname"
)
"""The tables of a schema, without partitions: rights on the whole are enough."""

_READ_ONLY = frozenset({"alembic_version", "clients", "relay", "relay_cursor"})
_APPEND_ONLY = frozenset({"journal"})
_RELAY_READS = frozenset({"journal", "alembic_version"})
_RELAY_WRITES = frozenset({"relay", "relay_cursor"})
_TIMEOUTS = {"statement_timeout": "30s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "15s"}


def before_migration(names: "Names", database: str) -> Iterator[str]:
    """Schema, owner, search paths and timeouts; nothing is open to everybody."""
    yield f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC'
    yield "REVOKE ALL ON SCHEMA public FROM PUBLIC"
    yield f'GRANT "{names.owner}" TO CURRENT_USER'
    yield f'CREATE SCHEMA IF NOT EXISTS "{names.schema}" AUTHORIZATION "{names.owner}"'
    yield f'GRANT "{names.eraser}" TO "{names.app}"'
    for login in (names.app, names.relay):
        yield f'GRANT CONNECT ON DATABASE "{database}" TO "{login}"'
        yield f'ALTER ROLE "{login}" IN DATABASE "{database}" SET search_path TO "{names.schema}"'
        for name, value in _TIMEOUTS.items():
            yield f'ALTER ROLE "{login}" IN DATABASE "{database}" SET {name} TO \'{value}\''


def after_migration(names: "Names", tables: Sequence[str]) -> Iterator[str]:
    """Rights on what the migrations made. No login may change a table's shape, or empty it."""
    home = f'"{names.schema}"'
    for role in (names.app, names.relay, names.eraser):
        yield f'GRANT USAGE ON SCHEMA {home} TO "{role}"'
    yield f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {home} FROM PUBLIC"
    for login in (names.app, names.relay):
        yield f'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {home} TO "{login}"'
    yield f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {home} TO "{names.app}"'
    for table in tables:
        yield f'GRANT {_of_app(table)} ON {home}."{table}" TO "{names.app}"'
        if table in _RELAY_READS:
            yield f'GRANT SELECT ON {home}."{table}" TO "{names.relay}"'
        if table in _RELAY_WRITES:
            yield f'GRANT SELECT, INSERT, UPDATE, DELETE ON {home}."{table}" TO "{names.relay}"'
    yield f'GRANT SELECT, UPDATE (personal, command, private) ON {home}.journal TO "{names.eraser}"'


def _of_app(table: str) -> str:
    if table in _READ_ONLY:
        return "SELECT"
    if table in _APPEND_ONLY:
        return "SELECT, INSERT"
    return "SELECT, INSERT, UPDATE, DELETE"
