"""How Alembic reaches this schema."""

from billing.tables import metadata
from chassis.migration import run_env

run_env(metadata)
