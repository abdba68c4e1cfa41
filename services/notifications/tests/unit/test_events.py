"""What this service writes keeps the contract, and can be read after a person was erased."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from chassis.decision import Actor
from notifications.deciders import THREADS
from notifications.domain import facts
from notifications.domain.messages import Cause
from notifications.events import CODEC
from testkit.deciding import check_codec, fold

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
A, B, C = (UUID(int=n) for n in (1, 2, 3))
CAUSE = Cause(A, "workflow.requests", 3)
OPENED = facts.ThreadOpened("R-000001", C, "The printer smokes", A, None, True)
PLANNED = facts.MessagePlanned(B, A, C, "contact", "email", "waiting", CAUSE, {"reason": "clarification"}, NOON)
EXAMPLES: list[Any] = [
    OPENED,
    facts.ThreadWentLive(),
    facts.AssigneeNoted(None, B),
    facts.SummaryNoted("The printer burns"),
    PLANNED,
    facts.MessageSuppressed(B, A, C, "closed", "opted-out", CAUSE),
    facts.MessageSuppressed(B, A, C, "closed", "no-address"),
    facts.AttemptStarted(B, 1, NOON),
    facts.AttemptPostponed(B, NOON),
    facts.AttemptFailed(B, 1, NOON, "451 later"),
    facts.MessageAccepted(B, 1, NOON),
    facts.MessageRefused(B, "smtp-550", 1, "no such user", NOON),
    facts.MessageUnknown(B, 1, NOON),
    facts.MessageBounced(B, "mailbox-gone", "5.1.1"),
    facts.RetryAsked(B, "lost in a crash", Actor("person", A), NOON),
]


def test_every_fact_keeps_its_contract() -> None:
    check_codec(CODEC, EXAMPLES)


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_a_row_that_names_an_erased_person_is_still_read_and_folded(fact: Any) -> None:
    row = CODEC.encode(fact)
    erased = CODEC.decode(row.type, row.version, row.data, None, None)
    fold(THREADS, [OPENED, PLANNED, erased])


def test_texts_to_people_never_leave_the_house() -> None:
    told = CODEC.encode(PLANNED)
    assert "clarification" not in f"{told.data}{told.personal}"
