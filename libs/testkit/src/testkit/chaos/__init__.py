"""Chaos: a whole installation under load and faults, and an auditor that says which promise was broken."""
