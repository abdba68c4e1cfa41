"""The only reader of the wall clock outside the database."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """This process's time, for edges (tokens, ids, mails). Decisions and ages go by the database's."""
    return datetime.now(UTC)
