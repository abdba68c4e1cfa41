"""Migrations of this schema, one change each."""
