"""Tables of this schema. An approval's row is what was asked, its settlement's what came of it; neither changes."""

from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, Table, Text, Uuid

from chassis.tables import aggregate_table

metadata = MetaData()

approval_files = aggregate_table(metadata, "approval_files")

approvals = Table(
    "approvals",
    metadata,
    Column("approval_id", Uuid, primary_key=True),
    Column("request_id", Uuid, nullable=False),
    Column("contact_id", Uuid),
    Column("number", Text, nullable=False),
    Column("summary", Text),
    Column("transition_id", Uuid, nullable=False),
    Column("from_stage", Text, nullable=False),
    Column("to_stage", Text, nullable=False),
    Column("visit_no", Integer, nullable=False),
    Column("policy", Text, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
)

settlements = Table(
    "settlements",
    metadata,
    Column("approval_id", Uuid, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("cause", Text),
    Column("approved", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("settled_at", DateTime(timezone=True), nullable=False),
)

votes = Table(
    "votes",
    metadata,
    Column("approval_id", Uuid, primary_key=True),
    Column("person_id", Uuid, primary_key=True),
    Column("decision", Text),
    Column("comment", Text),
    Column("late", Boolean, nullable=False),
    Column("decided_at", DateTime(timezone=True)),
)
"""One row an approver. `decision` is null while it is awaited, "not-required" once the approval settled without it."""
