"""Approvals asked, decided and settled."""
