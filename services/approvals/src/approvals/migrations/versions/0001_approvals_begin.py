"""Approvals begin: what was asked, who voted, and how it settled.

Expand step: the first; nothing runs before it.
"""

from alembic import op
from sqlalchemy import Boolean, Column, DateTime, Integer, Text, Uuid, text

from chassis.migration import aggregate_columns, install

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    install(op)
    op.create_table("approval_files", *aggregate_columns(), postgresql_with={"fillfactor": 80})
    _approvals()
    op.create_table(
        "settlements",
        Column("approval_id", Uuid, primary_key=True),
        Column("outcome", Text, nullable=False),
        Column("cause", Text),
        Column("approved", Integer, nullable=False),
        Column("refused", Integer, nullable=False),
        Column("settled_at", DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "votes",
        Column("approval_id", Uuid, primary_key=True),
        Column("person_id", Uuid, primary_key=True),
        Column("decision", Text),
        Column("comment", Text),
        Column("late", Boolean, nullable=False),
        Column("decided_at", DateTime(timezone=True)),
    )
    op.create_index("votes_awaited", "votes", ["person_id", "approval_id"], postgresql_where=text("decision IS NULL"))


def _approvals() -> None:
    op.create_table(
        "approvals",
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
    op.create_index("approvals_of_request", "approvals", ["request_id", "approval_id"])
