"""The rules of notifications: standard library and `chassis.decision` only."""
