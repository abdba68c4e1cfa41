"""Records of a client's command topic: a command for a decider, a refusal to answer, or a dead letter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from chassis import bodies, waiting
from chassis.asked import Asked, Turned
from chassis.auth import Caller
from chassis.clients import Client
from chassis.commands import HISTORY, Commands, Declared, check_history, subject_of_new, with_subject
from chassis.decision import Actor, Refused
from chassis.ids import KEYS, time_of
from chassis.problems import Problem
from contracts import envelope
from contracts.base import Command
from contracts.envelope import Envelope

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class DeadCommand:
    """A record that cannot even be answered: nothing in it says which command it is."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class RefusedCommand:
    """A command that is refused before any decision; the client is told on its results topic."""

    client: str
    command_id: UUID
    correlation_id: UUID
    subject: UUID | None
    refused: Refused
    traceparent: str | None = None
    declared: Declared | None = None
    """What it would have been, if the client may command that: its number counts as used then."""
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A command for the decider of the aggregate that its declaration names."""

    declared: Declared
    asked: Asked


RECORD_LIMIT = 512 << 10
"""Bytes of a record with its headers: what waits is kept whole."""
MAX_HOP = 10
"""Causes that may lie before a client's command: more is a loop between systems (semantics, d5)."""
BY_REGISTRATION = frozenset({"unknown-caller", "insufficient-scope", "backdating-not-allowed", "actor-not-allowed"})
"""What a client is refused for because of how it is registered. No id keeps such an answer."""


def inbound(
    commands: Commands,
    client: str,
    registered: Client | None,
    headers: Headers,
    key: bytes | None,
    value: bytes | None,
    limit: int = bodies.LIMIT,
) -> Arrived | RefusedCommand | DeadCommand:
    """What a record on `<service>.commands.<client>` is. Never raises for what a client sends.

    Binary and structured CloudEvents are read. The topic is the identity: `registered` is what this service knows of
    the client, and an `actor` in the body counts only if the client may act for others. A body may have `limit` bytes,
    and a record `RECORD_LIMIT`, headers and all.
    """
    try:
        said, body = envelope.read(headers, value)
    except envelope.BadEnvelope as bad:
        return DeadCommand(bad.slug, bad.detail)
    declared = None
    try:
        if registered is None:
            raise Problem("unknown-caller", f"{client} is no registered client of this service")
        if said.id.version == KEYS:
            raise Problem.invalid({"/id": f"a command's id is no UUID of version {KEYS}"})
        declared = _declared(commands, registered, said, key)
        if said.hop > MAX_HOP:
            raise Problem("too-many-hops", f"{said.hop} causes lie before it")
        if len(body or b"") > limit:
            raise Problem("too-large", f"a body may have {limit} bytes")
        if len(value or b"") + sum(len(name) + len(text or b"") for name, text in headers) > RECORD_LIMIT:
            raise Problem("too-large", f"a record may have {RECORD_LIMIT} bytes with its headers")
        return _arrived(declared, registered, said, body or b"")
    except Refused as refused:
        return RefusedCommand(
            client, said.id, said.correlation_id or said.id, _uuid(said.subject), refused, said.traceparent,
            declared, said.sequence,
        )  # fmt: skip


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _declared(commands: Commands, client: Client, said: Envelope, key: bytes | None) -> Declared:
    """What the envelope names, if this client may command it."""
    type_name = f"{said.type}.v{said.version}"
    declared = commands.find(type_name)
    if declared is None:
        raise Problem("unknown-command", f"{type_name} is not taken here")
    if declared.scope not in client.scopes:
        raise Problem("insufficient-scope", f"needs the scope {declared.scope}")
    if key is not None and said.subject is not None and key != said.subject.encode():
        raise Problem("wrong-key", "the record's key must be the command's subject")
    return declared


def _arrived(declared: Declared, client: Client, said: Envelope, body: bytes) -> Arrived:
    command = bodies.parse(declared.model, body)
    check_history(command, client.scopes)
    caller = Caller(_actor(command, client), "kafka", f"client|{client.name}", client.name, command.effective_at)
    subject = _subject(declared, command, said)
    command = with_subject(declared, command, subject)
    what = b"%b %b %b\n" % (client.name.encode(), declared.type_name.encode(), subject.bytes)
    asked = Asked(
        subject=subject,
        message=declared.translate(command, caller),
        id=said.id,
        actor=caller.actor,
        correlation_id=said.correlation_id or said.id,
        causation_id=said.id,
        hop=said.hop,
        traceparent=said.traceparent,
        remember=True,
        request_hash=blake2b(what + body, digest_size=16).digest(),
        stream=_numbering(declared, client.name) if said.sequence is not None else None,
        sequence=said.sequence,
        command={
            "type": declared.model.type, "via": "kafka", "client": client.name, "id": str(said.id),
            "body": orjson.Fragment(body or b"{}"),
        },
        expect=command.expected_version,
        reply_to=client.name,
        at=time_of(said.id) or said.time,
        occurred_at=command.effective_at,
    )  # fmt: skip
    return Arrived(declared, asked)


def _numbering(declared: Declared, client: str) -> str:
    """What a client's numbers are counted on."""
    return f"{declared.model.service}.commands.{client}"


def turned(refused: RefusedCommand) -> Asked:
    """A refusal as the decider takes it: the client is told, and the command's number is used up."""
    declared, named = refused.declared, refused.subject
    counted = declared is not None and declared.subject is None and named is not None and refused.sequence is not None
    return Asked(
        subject=named or refused.command_id,
        message=Turned(refused.refused),
        id=refused.command_id,
        actor=Actor("client"),
        correlation_id=refused.correlation_id,
        traceparent=refused.traceparent,
        reply_to=refused.client,
        stream=_numbering(declared, refused.client) if declared is not None and counted else None,
        sequence=refused.sequence if counted else None,
    )


def _actor(command: Command, client: Client) -> Actor:
    named = command.actor
    if named is None:
        return client.actor
    if not client.may_act_for_others:
        raise Problem("actor-not-allowed", f"{client.name} may not act for others")
    return Actor(named.kind, named.id, client.scopes)


def _subject(declared: Declared, command: Command, said: Envelope) -> UUID:
    named = _uuid(said.subject)
    if declared.subject is not None:
        path = {name: str(getattr(command, name, said.subject)) for name in declared.names}
        return declared.subject(path, command)
    if declared.creates:
        return named or subject_of_new(declared, command, said.id, said.time)
    if named is None:
        raise Problem.invalid({"/subject": "the command's subject must be a UUID"})
    return named


def revive(commands: Commands, row: Mapping[str, Any], limit: int = bodies.LIMIT) -> Asked:
    """The command of a waiting row: read again from its record, with the actor and the rights it came with.

    One that this release does not take any more is refused to its sender.
    """
    kept = waiting.envelope(row)
    client = Client(kept["reply_to"], kept["actor"].rights, may_act_for_others=True)
    found = inbound(commands, client.name, client, waiting.headers(row) or (), None, row["record"], limit)
    match found:
        case Arrived(_, asked):
            return replace(asked, record=row["record"], headers=waiting.headers(row), **kept)
        case RefusedCommand():
            refused = found.refused
        case DeadCommand():
            refused = Problem("unreadable", found.detail)
    return Asked(
        subject=row["subject"], message=Turned(refused), record=row["record"], stream=row["stream"],
        sequence=row["sequence"], **kept,
    )  # fmt: skip


def client_then(commands: Commands, name: str, slug: str | None) -> Client | None:
    """A client as it was when its command was answered, as far as the answer tells: `slug` is what it was refused for.

    What the schema knows of it does not count: a backup is older than whatever was registered since.
    """
    if slug == "unknown-caller":
        return None
    scopes = frozenset(each.scope for each in commands) | {HISTORY}
    if slug == "insufficient-scope":
        scopes = frozenset()
    elif slug == "backdating-not-allowed":
        scopes -= {HISTORY}
    return Client(name, scopes, may_act_for_others=slug != "actor-not-allowed")
