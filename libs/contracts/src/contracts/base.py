"""What every message of the contract has in common.

Producers are held to the letter: an unknown field is refused. Readers use `read`, which ignores what a newer
producer added, so that a contract can grow without breaking them.
"""

from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.fields import Instant, Known, Personal, Slug, Version
from contracts.money import Money
from contracts.problem import FieldError, Problem

__all__ = ["ActorRef", "Command", "Document", "Event", "FieldError", "Message", "Money", "Part", "Personal", "Problem"]


class Part(BaseModel):
    """A value inside a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Message(Part):
    """Anything with a type and a version that travels on a topic."""

    type: ClassVar[str]
    """`<producer>.<what>`; with the version it is the `ce_type` of the envelope."""
    schema_version: ClassVar[int] = 1
    """Counts incompatible changes of this type. (Documents have a field `version`: the version of the document.)"""
    schema_revision: ClassVar[int] = 0
    """Counts compatible additions to this version: optional fields that old readers never miss."""
    topic: ClassVar[str]
    service: ClassVar[str]
    """Who owns the type: tells an event, takes a command."""
    readers: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def read(cls, data: bytes | str) -> Self:
        """The message in these bytes, as a reader sees it: unknown fields are ignored, at every depth.

        Raises pydantic.ValidationError when the bytes are no message of this type.
        """
        return cls.model_validate_json(data, extra="ignore")

    @classmethod
    def wire_type(cls) -> str:
        """The `ce_type` of the envelope: `workflow.stage-changed.v1`."""
        return f"{cls.type}.v{cls.schema_version}"

    @classmethod
    def personal_fields(cls) -> tuple[str, ...]:
        """Top-level fields that are removed when the person is erased."""
        return tuple(
            name for name, field in cls.model_fields.items() if any(isinstance(m, Personal) for m in field.metadata)
        )


class Event(Message):
    """Something that happened; past tense. The envelope's subject says to which request."""


class Document(Event):
    """The whole current state of a thing, on a compacted topic. The latest one of a key counts; a tombstone ends it."""

    kind: ClassVar[str]
    key_field: ClassVar[str]

    @property
    def key(self) -> str:
        """The key of the Kafka record, and the id under which readers keep the document."""
        return str(getattr(self, self.key_field))


class ActorRef(Part):
    """Who did it: a person of the staff, a contact, another system, or the system itself."""

    kind: Annotated[Slug, Known("person", "contact", "client", "system")]
    id: UUID | None = None


class Command(Message):
    """Something asked of a service: the body over HTTP, the value on `<service>.commands.<client>`.

    The three fields below are for Kafka and for moving in; over HTTP the token, the clock and `If-Match` say the same.
    """

    scope: ClassVar[str]
    """What the caller's token, or the client's registration, must allow."""

    actor: ActorRef | None = None
    """For whom the client acts. Honoured only for clients registered to act for others."""
    effective_at: Instant | None = None
    """When it happened; needs the right `history:write`."""
    expected_version: Version | None = None
    """Refuse with `stale-version` when the edit version is another."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """A command's topic follows from the service that takes it."""
        super().__pydantic_init_subclass__(**kwargs)
        if "service" in cls.__dict__ or hasattr(cls, "service"):
            cls.topic = f"{cls.service}.commands"
            cls.readers = (cls.service,)
