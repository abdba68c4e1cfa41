"""The only reader of the wall clock outside the database."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """This process's time, for edges (tokens, logs, ages). Decisions use the database's `clock_timestamp()`."""
    return datetime.now(UTC)
