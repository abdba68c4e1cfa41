"""The chassis's tables, and threads with their messages and deliveries.

Expand step: nothing was here before.
"""

import sqlalchemy as sa
from alembic import op

from chassis.migration import aggregate_columns, install

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    install(op)
    op.create_table("threads", *aggregate_columns(), sa.Column("contact_id", sa.Uuid), sa.Column("number", sa.Text))
    op.execute("ALTER TABLE threads SET (fillfactor = 80)")
    op.create_table(
        "messages",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("cause_event_id", sa.Uuid, nullable=False),
        sa.Column("recipient_id", sa.Uuid, nullable=False),
        sa.Column("recipient_kind", sa.Text),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_unique_constraint("messages_once", "messages", ["cause_event_id", "recipient_id", "channel"])
    op.create_index("messages_of_request", "messages", ["request_id", "message_id"])
    op.create_table(
        "deliveries",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("next_at", sa.DateTime(timezone=True)),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("picked_until", sa.DateTime(timezone=True)),
    )
    op.create_index("deliveries_due", "deliveries", ["next_at"], postgresql_where=sa.text("status = 'planned'"))
    op.create_index("deliveries_status", "deliveries", ["status", "message_id"])
