"""The rules of approvals: standard library and `chassis.decision` only."""
