"""Billing begins: accounts, the price book, invoices and credit notes.

Expand step: the first; nothing runs before it. The unique indexes are the last line of defence: one invoice a close,
no number twice, one credit note an invoice.
"""

from alembic import op
from sqlalchemy import JSON, Column, Date, DateTime, Integer, Numeric, Text, Uuid, text

from chassis.migration import aggregate_columns, install

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    install(op)
    op.create_table("accounts", *aggregate_columns(), postgresql_with={"fillfactor": 80})
    op.create_table("price_books", *aggregate_columns())
    _invoices()
    op.create_table(
        "credit_notes",
        Column("credit_note_id", Uuid, primary_key=True),
        Column("invoice_id", Uuid, nullable=False),
        Column("request_id", Uuid, nullable=False),
        Column("number", Text, nullable=False),
        Column("total", Numeric, nullable=False),
        Column("currency", Text, nullable=False),
        Column("reason", Text),
        Column("issued_on", Date, nullable=False),
    )
    op.create_index("credit_notes_once_an_invoice", "credit_notes", ["invoice_id"], unique=True)
    op.create_index("credit_notes_number", "credit_notes", ["number"], unique=True)


def _invoices() -> None:
    op.create_table(
        "invoices",
        Column("invoice_id", Uuid, primary_key=True),
        Column("request_id", Uuid, nullable=False),
        Column("request_number", Text, nullable=False),
        Column("close_no", Integer, nullable=False),
        Column("status", Text, nullable=False),
        Column("number", Text),
        Column("contact_id", Uuid, nullable=False),
        Column("currency", Text, nullable=False),
        Column("net", Numeric, nullable=False),
        Column("tax", Numeric, nullable=False),
        Column("total", Numeric, nullable=False),
        Column("lines", JSON, nullable=False),
        Column("issued_on", Date),
        Column("stated_at", DateTime(timezone=True), nullable=False),
    )
    op.create_index("invoices_once_a_close", "invoices", ["request_id", "close_no"], unique=True)
    op.create_index("invoices_number", "invoices", ["number"], unique=True)
    op.create_index("invoices_with_status", "invoices", ["status", "invoice_id"])
    op.create_index(
        "invoices_issued_to", "invoices", ["contact_id", "invoice_id"], postgresql_where=text("number IS NOT NULL")
    )
