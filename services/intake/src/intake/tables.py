"""Tables of this schema. What a person sees of a request is its row; its long texts lie beside it.

A row whose first message still waits has no state yet: its columns are null.
"""

from sqlalchemy import Boolean, Column, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSON

from chassis.tables import aggregate_table

metadata = MetaData()

submissions = aggregate_table(
    metadata,
    "submissions",
    Column("number", Text),
    Column("contact_id", Uuid),
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
    Column("erased", Boolean),
)

organisations = aggregate_table(
    metadata,
    "organisations",
    Column("name", Text),
    Column("share_requests", Boolean),
)
