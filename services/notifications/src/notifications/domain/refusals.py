"""What a thread refuses."""

from chassis.decision import Invalid, Refused, Unknown


class RequestUnknown(Unknown):
    """No request of this id has been opened, as far as is known here."""

    slug = "request-unknown"


class MessageUnknownHere(Unknown):
    """The request has no message of this id that could still be acted on."""

    slug = "message-unknown"


class AlreadyOnItsWay(Refused):
    """The message is being sent, or waits for its time: there is nothing to repeat."""

    slug = "already-on-its-way"


class ReasonMissing(Invalid):
    """Sending again needs a reason."""

    def __init__(self) -> None:
        super().__init__("sending a message again needs a reason", {"/reason": "must not be blank"})
