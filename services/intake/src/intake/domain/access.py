"""Who may do what at the front door, as predicates."""

from uuid import UUID

from chassis.decision import Actor
from intake.domain import refusals

BACKDATE = "requests:backdate"
"""May say that a request was received before now."""
PLACE = "requests:place"
"""May create a request directly in a stage (phone capture)."""
HISTORY = "history:write"
"""May bring in what happened elsewhere, with its own times."""
ERASE = "contacts:erase"
"""May make the installation forget a person."""


def is_contact(actor: Actor) -> bool:
    """Whether somebody acts for itself, from outside."""
    return actor.kind == "contact"


def require(actor: Actor, right: str) -> None:
    """Refuse an actor without this right."""
    if not actor.may(right):
        raise refusals.RightMissing(right)


def require_staff(actor: Actor) -> None:
    """Refuse contacts."""
    if is_contact(actor):
        raise refusals.StaffOnly("only staff and other systems may do this")


def owns(actor: Actor, contact_id: UUID) -> bool:
    """Whether the actor is this very contact."""
    return is_contact(actor) and actor.id == contact_id
