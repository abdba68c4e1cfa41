"""How Alembic reaches this schema."""

from chassis.migration import run_env
from intake.tables import metadata

run_env(metadata)
