"""Tables of this schema. A message's plan never changes; its delivery does, and is what the sender looks at."""

from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, Uuid

from chassis.tables import aggregate_table

metadata = MetaData()

threads = aggregate_table(
    metadata,
    "threads",
    Column("contact_id", Uuid),
    Column("number", Text),
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("request_id", Uuid, nullable=False),
    Column("cause_event_id", Uuid, nullable=False),
    Column("recipient_id", Uuid, nullable=False),
    Column("recipient_kind", Text),
    Column("channel", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("planned_at", DateTime(timezone=True), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("message_id", Uuid, primary_key=True),
    Column("request_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer),
    Column("reason", Text),
    Column("detail", Text),
    Column("next_at", DateTime(timezone=True)),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("picked_until", DateTime(timezone=True)),
)
"""`picked_until` is the sender's own mark, so that two senders do not go for the same message; it decides nothing."""
