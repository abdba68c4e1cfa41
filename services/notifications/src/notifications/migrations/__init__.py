"""Migrations of this schema."""
