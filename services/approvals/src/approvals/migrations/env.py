"""How Alembic reaches this schema."""

from approvals.tables import metadata
from chassis.migration import run_env

run_env(metadata)
