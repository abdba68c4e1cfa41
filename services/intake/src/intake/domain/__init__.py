"""The rules of intake: standard library and `chassis.decision` only."""
