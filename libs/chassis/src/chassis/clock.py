"""The only reader of the wall clock outside the database."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """This process's time. Decisions use the database's (`clock_timestamp()`); this is for edges: tokens, logs, ages."""
    return datetime.now(UTC)
