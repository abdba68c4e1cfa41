"""What tokens and the registrations of clients may allow: every scope that a service asks for."""

SCOPES = (
    "requests:read", "requests:write", "requests:backdate", "requests:place", "history:write",
    "contacts:read", "contacts:write", "contacts:erase",
    "people:read", "people:write", "catalogue:read", "catalogue:write",
    "approvals:read", "approvals:decide",
    "billing:read", "billing:write", "billing:override", "billing:issue", "billing:prices",
    "notifications:read", "notifications:write",
    "facts:read", "operate",
)  # fmt: skip


def unknown(scopes: str) -> list[str]:
    """Those of the scopes, separated by spaces, that no service asks for."""
    return [scope for scope in scopes.split() if scope not in SCOPES]
