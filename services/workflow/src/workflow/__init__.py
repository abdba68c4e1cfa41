"""The living request: stages, owners, clocks."""
