"""The chassis's tables; requests with notes and messages; staff, teams and queues.

Expand step: nothing was here before.
"""

import sqlalchemy as sa
from alembic import op

from chassis.migration import aggregate_columns, install

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_OPEN = "closed_at IS NULL AND number IS NOT NULL"


def upgrade() -> None:
    """Create everything."""
    install(op)
    _requests()
    _notes_and_messages()
    op.create_table("people", *aggregate_columns(), sa.Column("login", sa.Text), sa.Column("active", sa.Boolean))
    op.create_table("teams", *aggregate_columns(), sa.Column("name", sa.Text))
    op.create_table("queues", *aggregate_columns(), sa.Column("queue", sa.Text))


def _requests() -> None:
    op.create_table(
        "requests",
        *aggregate_columns(),
        sa.Column("number", sa.Text),
        sa.Column("contact_id", sa.Uuid),
        sa.Column("organisation_id", sa.Uuid),
        sa.Column("queue", sa.Text),
        sa.Column("stage", sa.Text),
        sa.Column("owner_id", sa.Uuid),
        sa.Column("team_id", sa.Uuid),
        sa.Column("priority", sa.Text),
        sa.Column("received_at", sa.DateTime(timezone=True)),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("rank_at", sa.DateTime(timezone=True)),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
    )
    op.execute("ALTER TABLE requests SET (fillfactor = 80)")
    for column in ("owner_id", "team_id", "queue", "contact_id", "organisation_id"):
        op.create_index(
            f"requests_open_{column}", "requests", [column, "rank_at", "id"], postgresql_where=sa.text(_OPEN)
        )
    op.create_index("requests_open", "requests", ["rank_at", "id"], postgresql_where=sa.text(_OPEN))
    closed = sa.text("closed_at IS NOT NULL")
    op.create_index("requests_closed", "requests", ["closed_at", "id"], postgresql_where=closed)
    for column in ("owner_id", "team_id", "queue", "organisation_id"):
        op.create_index(f"requests_closed_{column}", "requests", [column, "closed_at", "id"], postgresql_where=closed)
    op.create_index("requests_contact", "requests", ["contact_id", "closed_at", "id"])
    op.create_index("requests_number", "requests", ["number"])


def _notes_and_messages() -> None:
    op.create_table(
        "notes",
        sa.Column("note_id", sa.Uuid, primary_key=True),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("note_no", sa.Integer, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("author_kind", sa.Text, nullable=False),
        sa.Column("author_id", sa.Uuid),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("notes_of_request", "notes", ["request_id", "note_no"], unique=True)
    op.create_table(
        "messages",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("author_kind", sa.Text, nullable=False),
        sa.Column("author_id", sa.Uuid),
        sa.Column("from_staff", sa.Boolean, nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("messages_of_request", "messages", ["request_id", "posted_at", "message_id"])
