"""The law of joining: whole stories balance from wherever one begins to read, and what is taken out is found."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from cli.reconcile.heard import Heard
from cli.reconcile.ledger import Ledger
from contracts.books import BOOKED

T0 = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
STEP = timedelta(seconds=1)
SPACE = UUID(int=7)
LATER = T0 + timedelta(days=1)
NOBODY = str(UUID(int=9))


class Chronicle:
    """Stories of several requests told by their services, one fact a second."""

    def __init__(self) -> None:
        self.facts: list[Heard] = []
        self.due: dict[UUID, set[str]] = {}
        """By fact: what is amiss when none of the facts that it causes is there."""
        self.caused: dict[UUID, list[Heard]] = {}
        self._last: dict[tuple[str, UUID], int] = {}

    def tell(self, request: UUID, topic: str, type_: str, cause: Heard | None = None, **data: Any) -> Heard:
        place = topic, request
        self._last[place] = self._last.get(place, 0) + 1
        at = T0 + len(self.facts) * STEP
        fact = Heard(topic, type_, request, self._last[place], uuid5(SPACE, str(len(self.facts))), at, data, 0, at)
        self.facts.append(fact)
        if cause is not None:
            self.caused.setdefault(cause.id, []).append(fact)
        return fact

    def mail(self, cause: Heard) -> None:
        message = str(uuid5(cause.id, "mail"))
        body = {"message_id": message, "cause_event_id": str(cause.id), "recipient_id": NOBODY, "template": "t"}
        planned = self.tell(cause.subject, "notifications.messages", "notifications.message-planned", cause, **body)
        self.owes(cause, "not-told")
        accepted = {"message_id": message}
        self.tell(cause.subject, "notifications.messages", "notifications.message-accepted", planned, **accepted)
        self.owes(planned, "not-sent")

    def owes(self, cause: Heard, slug: str) -> None:
        self.due.setdefault(cause.id, set()).add(slug)


def story(chronicle: Chronicle, request: UUID, number: int, closes: int, gated: bool) -> None:
    said = {"number": f"R-{number:06d}", "mode": "live"}
    submitted = chronicle.tell(request, "intake.requests", "intake.request-submitted", **said)
    opened = chronicle.tell(
        request, "workflow.requests", "workflow.request-opened", submitted, queue="it", stage="New", **said
    )
    chronicle.owes(submitted, "not-opened")
    chronicle.mail(opened)
    if gated:
        wanted = {"transition_id": str(uuid5(request, "gate"))}
        transition = chronicle.tell(request, "workflow.requests", "workflow.transition-requested", **wanted)
        chronicle.tell(
            request, "approvals.approvals", "approvals.approval-requested", transition, approvers=[], **wanted
        )
        chronicle.owes(transition, "not-asked")
    for close in range(1, closes + 1):
        closed = chronicle.tell(
            request, "workflow.requests", "workflow.request-closed", close_no=close, outcome="resolved"
        )
        chronicle.tell(request, "billing.accounts", "billing.nothing-to-bill", closed, close_no=close)
        chronicle.owes(closed, "not-billed")
        chronicle.mail(closed)


@st.composite
def chronicles(draw: st.DrawFn) -> Chronicle:
    chronicle = Chronicle()
    for n, (closes, gated) in enumerate(draw(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1))):
        story(chronicle, UUID(int=1000 + n), n, closes, gated)
    return chronicle


def amiss(facts: list[Heard], since: datetime | None) -> set[tuple[str, UUID]]:
    """What a walk over the books would look at again."""
    ledger = Ledger(whole=since is None)
    for fact in facts:
        if since is None or fact.since >= since:
            ledger.hear(fact)
    found = ledger.unbalanced(LATER, lambda *_: True, timedelta())
    return {(o.slug, o.fact.id) for o in found if o.fact and (since is None or o.at >= since)}


@given(chronicles(), st.data())
def test_whole_stories_balance_from_wherever_one_begins_to_read(chronicle: Chronicle, data: st.DataObject) -> None:
    assert amiss(chronicle.facts, None) == set()
    since = T0 + data.draw(st.integers(0, len(chronicle.facts))) * STEP
    assert amiss(chronicle.facts, since) == set()


@given(chronicles(), st.data())
def test_a_cause_whose_effects_are_gone_is_found_where_it_lies_in_the_window(
    chronicle: Chronicle, data: st.DataObject
) -> None:
    causes = [fact for fact in chronicle.facts if fact.id in chronicle.caused]
    cause = data.draw(st.sampled_from(causes))
    gone = {effect.id for effect in chronicle.caused[cause.id]}
    left = [fact for fact in chronicle.facts if fact.id not in gone]
    since = T0 + data.draw(st.integers(0, len(chronicle.facts))) * STEP
    wanted = {(slug, cause.id) for slug in chronicle.due[cause.id]}
    assert wanted <= amiss(left, None)
    assert (wanted <= amiss(left, since)) is (cause.since >= since)
    assert not wanted & amiss(left, cause.since + STEP)


def test_the_books_hold_exactly_what_the_ledger_enters() -> None:
    assert set(Ledger()._enter) == set(BOOKED)


def test_numbers_are_missing_only_between_those_that_are_there_when_one_begins_in_the_middle() -> None:
    for whole, missing in ((True, {"INV-2026-000001", "INV-2026-000003"}), (False, {"INV-2026-000003"})):
        ledger = Ledger(whole=whole)
        ledger.numbers += [("INV-2026-000002", T0), ("INV-2026-000004", T0)]
        found = ledger.orphans(LATER, lambda *_: True)
        assert {(orphan.slug, orphan.number) for orphan in found} == {("number-missing", n) for n in missing}


def test_a_number_that_was_just_drawn_is_not_missed_by_the_one_after_it() -> None:
    ledger = Ledger()
    ledger.numbers += [("INV-2026-000001", T0), ("INV-2026-000003", LATER - timedelta(seconds=59))]
    assert ledger.orphans(LATER, lambda *_: True) == []
    assert [o.number for o in ledger.orphans(LATER + STEP, lambda *_: True)] == ["INV-2026-000002"]
