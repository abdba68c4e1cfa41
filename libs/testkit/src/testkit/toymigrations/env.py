"""Alembic's environment of the toy service."""

from chassis.migration import run_env
from testkit.toy import metadata

run_env(metadata)
