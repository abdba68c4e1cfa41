"""Intake begins: requests as they came in, their contacts and organisations.

Expand step: the first; nothing runs before it.
"""

from alembic import op
from sqlalchemy import Boolean, Column, Text, Uuid
from sqlalchemy.dialects.postgresql import JSON

from chassis.migration import aggregate_columns, install

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    install(op)
    op.execute("CREATE SEQUENCE request_numbers CACHE 1")
    _submissions()
    _contacts()


def _submissions() -> None:
    op.create_table(
        "submissions",
        *aggregate_columns(),
        Column("number", Text),
        Column("contact_id", Uuid),
        Column("organisation_id", Uuid),
        Column("submitted_by", Uuid),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("submissions_number", "submissions", ["number"], unique=True)
    op.create_index("submissions_of_contact", "submissions", ["contact_id", "id"])
    op.create_index("submissions_of_organisation", "submissions", ["organisation_id", "id"])
    op.create_index("submissions_by", "submissions", ["submitted_by", "id"])
    op.create_table(
        "submission_contents",
        Column("id", Uuid, primary_key=True),
        Column("description", Text),
        Column("custom", JSON),
    )


def _contacts() -> None:
    op.create_table(
        "contacts",
        *aggregate_columns(),
        Column("name", Text),
        Column("email", Text),
        Column("organisation_id", Uuid),
        Column("erased", Boolean),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("contacts_of_organisation", "contacts", ["organisation_id", "id"])
    op.execute("CREATE INDEX contacts_email ON contacts (lower(email), id)")
    op.create_table(
        "organisations",
        *aggregate_columns(),
        Column("name", Text),
        Column("share_requests", Boolean),
        postgresql_with={"fillfactor": 80},
    )
