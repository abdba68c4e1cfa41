"""The rules of billing: standard library and `chassis.decision` only."""
