"""What the front door answers when it says no. Each is named for what is wrong."""

from chassis.decision import Forbidden, Invalid, Refused, Unknown

__all__ = [
    "AlreadySubmitted",
    "ContactErased",
    "ContactExists",
    "ContactNotKnown",
    "ExternalReferenceTaken",
    "FieldNotAllowed",
    "Invalid",
    "LoginTaken",
    "NotYourContact",
    "OrganisationNotKnown",
    "QueueNotKnown",
    "RequestNotKnown",
    "RightMissing",
    "StaffOnly",
]


class ContactNotKnown(Unknown):
    """No contact of this id is known here."""

    slug = "contact-not-known"


class OrganisationNotKnown(Unknown):
    """No organisation of this id is known here."""

    slug = "organisation-not-known"


class QueueNotKnown(Unknown):
    """No queue of this name takes requests, as far as is known here."""

    slug = "queue-not-known"


class PriorityNotKnown(Refused):
    """The queue has no such priority; left out, the queue's own rules set it."""

    slug = "priority-not-known"
    status = 422


class RequestNotKnown(Unknown):
    """No request of this id was submitted here."""

    slug = "request-not-known"


class AlreadySubmitted(Refused):
    """A request of this id was submitted before, by another command."""

    slug = "already-submitted"


class ExternalReferenceTaken(Refused):
    """The client used this reference for another request."""

    slug = "external-reference-taken"


class ContactExists(Refused):
    """A contact of this id exists and is not what was registered now."""

    slug = "contact-exists"


class ContactErased(Refused):
    """The contact was erased; its id is never used again."""

    slug = "contact-erased"
    status = 410


class LoginTaken(Refused):
    """Another contact signs in with this login."""

    slug = "login-taken"


class StaffOnly(Forbidden):
    """Only staff and other systems may do this."""

    slug = "staff-only"


class NotYourContact(Forbidden):
    """A contact submits for itself alone."""

    slug = "not-your-contact"


class FieldNotAllowed(Forbidden):
    """The actor may not set this field."""

    slug = "field-not-allowed"


class RightMissing(Forbidden):
    """The actor lacks a right that this needs; `right` names it."""

    slug = "right-missing"

    def __init__(self, right: str) -> None:
        super().__init__(f"this needs the right {right}", right=right)
