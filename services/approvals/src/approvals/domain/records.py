"""Reference data of other services, as far as approvals needs it."""

from uuid import UUID

from chassis.decision import record


@record
class Person:
    """One of the staff."""

    person_id: UUID
    active: bool
    roles: tuple[str, ...] = ()


@record
class Contact:
    """Somebody for whom requests are worked on."""

    contact_id: UUID
