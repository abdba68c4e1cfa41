"""The toy's messages that wait: what each of their records says is remembered, since their bytes say nothing."""

from typing import Any
from uuid import UUID

from chassis.agenda import Agenda
from chassis.asked import Asked
from chassis.database import Database
from chassis.waiting import Reactions, envelope, headers
from testkit import toy

_said: dict[UUID, Any] = {}
"""By event id: a service's stream table reads this from the bytes."""


def remembered(one: Asked) -> Asked:
    """A message that can be revived once it waits."""
    _said[one.id] = one.message
    return one


def revive(row: Any) -> Asked:
    """A waiting message read back; KeyError when it was not remembered."""
    if row["kind"] == "reaction":
        return Reactions(toy.CLASSES).revive(row)
    kept = {"stream": row["stream"], "sequence": row["sequence"], "record": row["record"], "headers": headers(row)}
    return Asked(subject=row["subject"], message=_said[row["event_id"]], **kept, **envelope(row))


def agenda(database: Database) -> Agenda:
    """A sweep over the toy's timers and what waits."""
    return Agenda(database, {"tills": toy.decider(database)}, revive)
