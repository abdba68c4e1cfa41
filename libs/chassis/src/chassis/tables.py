"""Tables that every schema has alike, as SQLAlchemy Core sees them."""

from sqlalchemy import BigInteger, Column, DateTime, MetaData, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSON

CHASSIS_COLUMNS = (
    "id",
    "version",
    "sequence",
    "heard",
    "shape",
    "edit_version",
    "blocked",
    "state",
    "created_at",
    "changed_at",
)

_shared = MetaData()

journal = Table(
    "journal",
    _shared,
    Column("grp", SmallInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("recorded_at", DateTime(timezone=True), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("topic", Text),
    Column("type", Text, nullable=False),
    Column("version", SmallInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("sequence", BigInteger),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("actor", JSON),
    Column("correlation_id", Uuid),
    Column("causation_id", Uuid),
    Column("hop", SmallInteger),
    Column("traceparent", Text),
    Column("command", JSON),
    Column("persons", ARRAY(Uuid)),
    Column("data", JSON),
    Column("personal", JSON),
    Column("private", JSON),
)

documents = Table(
    "documents",
    _shared,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("doc", JSON),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)


def aggregate_columns() -> list[Column[object]]:
    """The columns that the chassis keeps for every aggregate (architecture, section 3)."""
    return [
        Column("id", Uuid, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("heard", JSON, nullable=False),
        Column("shape", SmallInteger, nullable=False),
        Column("edit_version", BigInteger, nullable=False),
        Column("blocked", Text),
        Column("state", JSON),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("changed_at", DateTime(timezone=True), nullable=False),
    ]


def aggregate_table(metadata: MetaData, name: str, *columns: Column[object]) -> Table:
    """A table of aggregates: the chassis's columns, then those that the service's queries need."""
    return Table(name, metadata, *aggregate_columns(), *columns)
