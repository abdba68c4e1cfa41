"""Tables of this schema. What a person sees of a request is its row; its long texts lie beside it."""

from sqlalchemy import Boolean, Column, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSON

from chassis.tables import aggregate_table

metadata = MetaData()

submissions = aggregate_table(
    metadata,
    "submissions",
    Column("number", Text, nullable=False),
    Column("contact_id", Uuid, nullable=False),
    Column("organisation_id", Uuid),
    Column("submitted_by", Uuid),
)

submission_contents = Table(
    "submission_contents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("description", Text),
    Column("custom", JSON),
)
"""Description and custom data of a request, which no decision reads."""

contacts = aggregate_table(
    metadata,
    "contacts",
    Column("name", Text),
    Column("email", Text),
    Column("organisation_id", Uuid),
    Column("erased", Boolean, nullable=False),
)

organisations = aggregate_table(
    metadata,
    "organisations",
    Column("name", Text, nullable=False),
    Column("share_requests", Boolean, nullable=False),
)
