"""Reference data of other services, as far as billing needs it."""

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
    """Somebody for whom requests are worked on, and to whom invoices go."""

    contact_id: UUID
