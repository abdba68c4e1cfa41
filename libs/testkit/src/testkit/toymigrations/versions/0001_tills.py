"""Tills, their receipts, and what every schema has."""

import sqlalchemy as sa
from alembic import op

from chassis.migration import aggregate_columns, install

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    install(op)
    op.create_table(
        "tills",
        *aggregate_columns(),
        sa.Column("total", sa.BigInteger),
        sa.Column("count_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "receipts", sa.Column("number", sa.Text, primary_key=True), sa.Column("till", sa.Uuid, nullable=False)
    )
