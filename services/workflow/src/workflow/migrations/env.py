"""Alembic's environment: one schema, alone, under lock timeouts."""

from chassis.migration import run_env
from workflow.tables import metadata

run_env(metadata)
