"""Staff: who they are, which roles and teams they have (S34, S35)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.decision import Known, changed
from workflow.domain import messages
from workflow.domain.records import Person
from workflow.domain.refusals import LoginTaken, NoSuchPerson, NothingChanges, PersonExists

FIELDS = ("name", "email", "login", "active", "roles", "teams")
EMPTIED = ("email", "login")
"""Fields that null takes away; in the others it changes nothing."""


def decide(person: Person | None, message: Any, now: datetime, known: Known) -> Sequence[Person]:
    """A new document of the person; the fact is the document."""
    after = _registered(person, message) if isinstance(message, messages.RegisterPerson) else _updated(person, message)
    if after == person:
        return []
    if person is not None and isinstance(message, messages.RegisterPerson) and not message.named:
        raise PersonExists("this registration was made before; give the person's id to repeat it")
    for team_id in set(after.teams) - set(person.teams if person else ()):
        known.require("team", team_id)
    for claim in claims(after):
        holder = known.holder(claim)
        if holder is not None and holder != after.person_id:
            raise LoginTaken("another person signs in with this login")
    return [changed(after, version=after.version + 1)]


def evolve(person: Person | None, fact: Person) -> Person:
    """The document itself."""
    return fact


def claims(person: Person) -> frozenset[str]:
    """A login belongs to one person."""
    return frozenset({f"login:{person.login}"} if person.login else ())


def _registered(person: Person | None, message: messages.RegisterPerson) -> Person:
    """Registering somebody again sets everything anew."""
    return Person(
        message.person_id, message.name, message.email, message.login, message.active, message.roles, message.teams,
        person.version if person else 0,
    )  # fmt: skip


def _updated(person: Person | None, message: messages.UpdatePerson) -> Person:
    if person is None:
        raise NoSuchPerson("nobody has this id")
    if not message.given:
        raise NothingChanges("name a field")
    values = {name: message.given[name] for name in FIELDS if name in message.given}
    return changed(person, **{name: value for name, value in values.items() if value is not None or name in EMPTIED})
