"""The rules of workflow: standard library and `chassis.decision` only."""
