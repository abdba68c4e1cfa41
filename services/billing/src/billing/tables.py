"""Tables of this schema. Charges stand in their account until an invoice takes them."""

from sqlalchemy import JSON, Column, Date, DateTime, Integer, MetaData, Numeric, Table, Text, Uuid

from chassis.tables import aggregate_table

metadata = MetaData()

accounts = aggregate_table(metadata, "accounts")
price_books = aggregate_table(metadata, "price_books")

invoices = Table(
    "invoices",
    metadata,
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
"""One row a close that billed. `status` is "draft" while it waits for review, then "issued"; that never changes."""

credit_notes = Table(
    "credit_notes",
    metadata,
    Column("credit_note_id", Uuid, primary_key=True),
    Column("invoice_id", Uuid, nullable=False),
    Column("request_id", Uuid, nullable=False),
    Column("number", Text, nullable=False),
    Column("total", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reason", Text),
    Column("issued_on", Date, nullable=False),
)
