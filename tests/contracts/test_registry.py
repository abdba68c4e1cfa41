"""The registry: every type has an owner and readers, every topic its promises."""

import inspect
from typing import ClassVar

import pytest

from contracts.base import Command, Document, Event, Message
from contracts.exchange import OWNER
from contracts.generate import EXAMPLE_FILES, ROOT
from contracts.publish.schemas import examples
from contracts.registry import (
    CLIENT_TOPICS,
    COMMANDS,
    DAY_MS,
    DOCUMENTS,
    EVENTS,
    LATER,
    MESSAGES,
    SERVICES,
    TOPICS,
    commands_topic,
    messages_on,
    results_topic,
    topic,
    topics_of_client,
)

MAY_HEAR = {
    "intake": {"workflow.requests", "workflow.catalogue", "workflow.people"},
    "workflow": {"intake.requests", "intake.contacts", "approvals.approvals", "billing.accounts"},
    "approvals": {"workflow.requests", "workflow.people", "intake.contacts"},
    "billing": {"workflow.requests", "workflow.people", "intake.contacts"},
    "notifications": {one.name for one in TOPICS if one.kind in ("stream", "document")},
}
"""Which service hears which topic, as the architecture says."""


def faults(message: type[Message]) -> list[str]:
    """What is wrong with how a message is declared."""
    found = []
    if getattr(message, "service", None) not in (*SERVICES, OWNER):
        found.append("no owner")
    if not message.readers:
        found.append("no reader")
    if message.service in SERVICES and not set(message.readers) <= {*SERVICES, *LATER}:
        found.append("unknown reader")
    if not message.type.startswith((f"{message.service}.", "throughline.")):
        found.append("type is not the owner's")
    if len(inspect.getdoc(message) or "") < 20 or message.__doc__ is None:
        found.append("no docstring")
    if issubclass(message, Event) and message.service in SERVICES and message.topic not in {t.name for t in TOPICS}:
        found.append("unknown topic")
    if issubclass(message, Event):
        found += [
            f"{name} is personal and required"
            for name in message.personal_fields()
            if message.model_fields[name].is_required()
        ]
    return found


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.wire_type())
def test_every_message_has_owner_readers_topic_and_meaning(message: type[Message]) -> None:
    assert faults(message) == []


@pytest.mark.parametrize("event", [e for e in EVENTS if e.service in SERVICES], ids=lambda event: event.wire_type())
def test_every_reader_hears_the_topic(event: type[Event]) -> None:
    assert [name for name in event.readers if name in SERVICES and event.topic not in MAY_HEAR[name]] == []


def test_an_event_without_reader_or_owner_is_found() -> None:
    class Orphan(Event):
        """Nobody reads this, and nobody owns it."""

        type: ClassVar[str] = "workflow.orphan"
        topic: ClassVar[str] = "workflow.requests"
        service: ClassVar[str] = "nobody"

    assert faults(Orphan) == ["no owner", "no reader", "type is not the owner's"]


def test_an_event_with_an_unknown_reader_topic_or_no_words_is_found() -> None:
    class Stray(Event):
        type: ClassVar[str] = "workflow.stray"
        topic: ClassVar[str] = "workflow.nowhere"
        service: ClassVar[str] = "workflow"
        readers: ClassVar[tuple[str, ...]] = ("ledger",)

    assert faults(Stray) == ["unknown reader", "no docstring", "unknown topic"]


def test_a_type_is_the_class_in_kebab_case() -> None:
    def kebab(name: str) -> str:
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")

    wrong = [m.__name__ for m in MESSAGES.values() if m.type.split(".")[1] != kebab(m.__name__)]
    assert wrong == []


def test_document_kinds_are_told_apart() -> None:
    assert sorted(d.kind for d in DOCUMENTS) == ["contact", "current-queue", "organisation", "person", "queue", "team"]


def test_documents_lie_on_compacted_topics_and_facts_do_not() -> None:
    for event in EVENTS:
        if event.service in SERVICES:
            assert (topic(event.topic).cleanup == "compact") is issubclass(event, Document)


def test_streams_are_kept_a_bounded_time_so_that_erasing_completes() -> None:
    for one in TOPICS:
        if one.cleanup == "delete":
            assert 0 < one.retention_ms <= 30 * DAY_MS
        assert one.configuration["segment.ms"] == str(DAY_MS)
    assert topic("intake.contacts").configuration["max.compaction.lag.ms"] == str(7 * DAY_MS)


def test_topics_that_carry_one_request_have_equal_partition_counts() -> None:
    assert {one.partitions for one in TOPICS if one.kind in ("stream", "document", "resent")} == {None}


def test_every_service_can_be_asked_can_be_sent_again_and_keeps_dead_letters() -> None:
    names = {one.name for one in TOPICS}
    assert {f"{service}.{kind}" for service in SERVICES for kind in ("asks", "resent", "dead-letters")} <= names


def test_every_topic_carries_something_and_every_message_has_a_topic() -> None:
    topics = (*TOPICS, *CLIENT_TOPICS)
    assert [one.name for one in topics if not messages_on(one)] == []
    assert {message for one in topics for message in messages_on(one)} == set(MESSAGES.values())


def test_a_topic_says_who_may_read_it() -> None:
    assert topic("workflow.catalogue").readers == ("intake",)
    assert topic("notifications.messages").readers == ("insights",)
    assert topic("intake.asks").readers == ("intake",)


def test_a_client_gets_a_pair_of_topics_for_each_service_it_may_command() -> None:
    pair = topics_of_client("erp", ("billing",))
    assert [one.name for one in pair] == [commands_topic("billing", "erp"), results_topic("billing", "erp")]
    assert [(one.owner, one.readers) for one in pair] == [("erp", ("billing",)), ("billing", ("erp",))]
    assert {message.service for message in messages_on(pair[0])} == {"billing"}


@pytest.mark.parametrize("name", ["e", "erp-2", "a" * 40])
def test_client_names_up_to_the_bound_are_taken(name: str) -> None:
    assert topics_of_client(name, ("intake",))[0].name == f"intake.commands.{name}"


@pytest.mark.parametrize("name", ["", "ERP", "-erp", "erp-", "a.b", "a" * 41, "erp\n", "{client}"])
def test_client_names_that_could_be_another_topic_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no client name"):
        topics_of_client(name, ("intake",))


def test_a_client_cannot_command_a_service_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no such service: ledger"):
        topics_of_client("erp", ("intake", "ledger"))


def test_commands_are_the_imperatives_of_their_service() -> None:
    assert {command.topic for command in COMMANDS} == {f"{service}.commands" for service in SERVICES}
    assert all(issubclass(command, Command) for command in COMMANDS)


def test_documents_know_their_key() -> None:
    keys = {d.kind: d.model_validate(examples(ROOT / EXAMPLE_FILES, d)["full"]).key for d in DOCUMENTS}
    assert keys["queue"] == "broadband@3"
    assert keys["current-queue"] == "broadband"
    assert keys["contact"] == "0193b2c4-01a1-7a10-8c3e-5d2f9a0001a1"
