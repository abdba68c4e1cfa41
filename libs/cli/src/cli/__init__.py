"""The throughline command."""
