"""Who may charge, price and issue. The door has checked the token's scope; here counts who the caller is."""

from billing.domain.records import Person
from chassis.decision import Actor, Known

CHARGING = frozenset({"agent", "owner", "billing", "admin"})
ISSUING = frozenset({"billing", "admin"})
PRICING = ISSUING
OVERRIDE = "billing:override"


def may_charge(actor: Actor, known: Known) -> bool:
    """Staff who work on requests, and other systems that are let in for it."""
    return _is(actor, CHARGING, known)


def may_issue(actor: Actor, known: Known) -> bool:
    """Billing staff: issue a draft, credit an invoice."""
    return _is(actor, ISSUING, known)


def may_set_prices(actor: Actor, known: Known) -> bool:
    """Billing staff."""
    return _is(actor, PRICING, known)


def may_override(actor: Actor) -> bool:
    """A price other than the price book's needs a right of its own."""
    return actor.may(OVERRIDE)


def _is(actor: Actor, roles: frozenset[str], known: Known) -> bool:
    if actor.kind in ("client", "system"):
        return True
    if actor.kind != "person" or actor.id is None:
        return False
    person: Person | None = known.get("person", actor.id)
    return person is not None and person.active and not roles.isdisjoint(person.roles)
