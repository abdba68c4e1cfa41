"""Tables of this schema: requests with what lists need of them, their notes and messages; staff, teams, queues."""

from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, Table, Text, Uuid

from chassis.tables import aggregate_table

metadata = MetaData()

requests = aggregate_table(
    metadata,
    "requests",
    Column("number", Text),
    Column("contact_id", Uuid),
    Column("organisation_id", Uuid),
    Column("queue", Text),
    Column("stage", Text),
    Column("owner_id", Uuid),
    Column("team_id", Uuid),
    Column("priority", Text),
    Column("received_at", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True)),
    Column("rank_at", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True)),
)
"""`rank_at` orders work: when it is due, or the end of time where nothing is."""

notes = Table(
    "notes",
    metadata,
    Column("note_id", Uuid, primary_key=True),
    Column("request_id", Uuid, nullable=False),
    Column("note_no", Integer, nullable=False),
    Column("text", Text),
    Column("author_kind", Text, nullable=False),
    Column("author_id", Uuid),
    Column("written_at", DateTime(timezone=True), nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("request_id", Uuid, nullable=False),
    Column("text", Text),
    Column("author_kind", Text, nullable=False),
    Column("author_id", Uuid),
    Column("from_staff", Boolean, nullable=False),
    Column("posted_at", DateTime(timezone=True), nullable=False),
)

people = aggregate_table(metadata, "people", Column("login", Text), Column("active", Boolean))
teams = aggregate_table(metadata, "teams", Column("name", Text))
queues = aggregate_table(metadata, "queues", Column("queue", Text))
