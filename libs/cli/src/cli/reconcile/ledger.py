"""The books: every fact of the public streams is entered, and what does not balance is an orphan.

Pure: no clock, no Kafka. What must balance stands in `balance`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.mending import LOOK_AROUND
from cli.reconcile import mending
from cli.reconcile.balance import numbering, unbalanced
from cli.reconcile.heard import Heard, Orphan
from cli.reconcile.story import Story

Passed = Callable[[str, Heard], bool]
"""Whether a service's consumer has gone past a record."""

_ENDS = {
    "notifications.message-accepted": "accepted",
    "notifications.message-refused": "refused",
    "notifications.message-bounced": "bounced",
    "notifications.message-unknown": "unknown",
}
_BILLED = ("billing.invoice-issued", "billing.invoice-drafted", "billing.nothing-to-bill")


class Ledger:
    """Enter facts in any order of topics; ask for orphans at the end.

    One that is not `whole` begins in the middle: what lies before its first facts is neither missing nor a gap.
    """

    def __init__(self, *, whole: bool = True) -> None:
        self.whole = whole
        self.stories: dict[UUID, Story] = {}
        self.duplicates = 0
        self.invoices: dict[str, Decimal] = {}
        self.numbers: list[tuple[str, datetime]] = []
        """Numbers of invoices and credit notes, and since when they are told."""
        self._sequences: dict[tuple[str, UUID], int] = {}
        self._gaps: list[tuple[Heard, int]] = []
        self._enter: dict[str, Callable[[Story, Heard], None]] = {
            "intake.request-submitted": self._submitted,
            "workflow.request-opened": self._opened,
            "workflow.request-rejected": self._rejected,
            "workflow.stage-changed": self._moved,
            "workflow.request-closed": self._closed,
            "workflow.request-reopened": self._reopened,
            "workflow.went-live": self._live,
            "workflow.sla-breached": self._breached,
            "workflow.wait-began": self._waits,
            "workflow.message-posted": self._posted,
            "workflow.transition-requested": self._transition,
            "approvals.approval-requested": self._asked,
            "approvals.approval-settled": self._settled,
            "billing.credit-note-issued": self._credited,
            "notifications.message-planned": self._planned,
            "notifications.message-suppressed": self._suppressed,
            **dict.fromkeys(_BILLED, self._billed),
            **dict.fromkeys(_ENDS, self._ended),
        }

    def hear(self, fact: Heard) -> None:
        """Enter one fact; one with a sequence that its topic and request have passed is a duplicate."""
        key = fact.topic, fact.subject
        last = self._sequences.get(key, 0)
        if fact.sequence <= last:
            self.duplicates += 1
            return
        if fact.sequence != last + 1 and (last or self.whole):
            self._gaps.append((fact, last))
        self._sequences[key] = fact.sequence
        story = self.stories.get(fact.subject)
        if story is None:
            story = self.stories[fact.subject] = Story(fact.subject)
        enter = self._enter.get(fact.type)
        if enter is not None:
            enter(story, fact)

    # -- entries -------------------------------------------------------------------------------------------------

    def _submitted(self, story: Story, fact: Heard) -> None:
        story.submitted.append(fact)
        story.number, story.mode = fact.data["number"], fact.data.get("mode", "live")

    def _opened(self, story: Story, fact: Heard) -> None:
        story.opened.append(fact)
        story.number, story.mode = fact.data["number"], fact.data.get("mode", "live")
        story.queue, story.stage = fact.data["queue"], fact.data["stage"]
        self._concerns(story, fact)

    def _rejected(self, story: Story, fact: Heard) -> None:
        story.rejected.append(fact)

    def _moved(self, story: Story, fact: Heard) -> None:
        story.stage = fact.data["to_stage"]

    def _closed(self, story: Story, fact: Heard) -> None:
        story.closes[fact.data["close_no"]] = fact
        story.outcome = fact.data["outcome"]
        self._concerns(story, fact)

    def _reopened(self, story: Story, fact: Heard) -> None:
        story.stage, story.outcome = fact.data["to_stage"], None

    def _live(self, story: Story, fact: Heard) -> None:
        story.mode = "live"

    def _breached(self, story: Story, fact: Heard) -> None:
        story.breached += 1

    def _waits(self, story: Story, fact: Heard) -> None:
        if fact.data["waiting_for"] == "customer":
            self._concerns(story, fact)

    def _posted(self, story: Story, fact: Heard) -> None:
        if fact.data["from_staff"]:
            self._concerns(story, fact)

    def _concerns(self, story: Story, fact: Heard, people: int = 1) -> None:
        if story.mode == "live" or fact.topic != "workflow.requests":
            story.causes.append((fact, people))

    def _transition(self, story: Story, fact: Heard) -> None:
        story.transitions[fact.data["transition_id"]] = fact

    def _asked(self, story: Story, fact: Heard) -> None:
        story.asked[fact.data["transition_id"]] += 1
        self._concerns(story, fact, len(fact.data["approvers"]))

    def _settled(self, story: Story, fact: Heard) -> None:
        transition = fact.data["transition_id"]
        if transition in story.settled:
            story.settled_twice.add(transition)
        story.settled.setdefault(transition, fact.data["outcome"])

    def _billed(self, story: Story, fact: Heard) -> None:
        story.billed.setdefault(fact.data["close_no"], Counter())[fact.type] += 1
        if fact.type == "billing.invoice-issued":
            self.numbers.append((fact.data["number"], fact.since))
            total = fact.data["total"]
            self.invoices[total["currency"]] = self.invoices.get(total["currency"], Decimal()) + Decimal(
                total["amount"]
            )

    def _credited(self, story: Story, fact: Heard) -> None:
        self.numbers.append((fact.data["number"], fact.since))

    def _planned(self, story: Story, fact: Heard) -> None:
        story.planned[fact.data["message_id"]] = fact
        self._told(story, fact)

    def _suppressed(self, story: Story, fact: Heard) -> None:
        message = fact.data.get("message_id")
        if message in story.planned:
            story.ends[message] = "suppressed"
        else:
            self._told(story, fact)

    def _told(self, story: Story, fact: Heard) -> None:
        cause, template = fact.data["cause_event_id"], fact.data["template"]
        story.told[cause, fact.data["recipient_id"], template] += 1
        story.told_causes[cause] += 1
        if template == "received":
            story.received.append(fact)

    def _ended(self, story: Story, fact: Heard) -> None:
        story.ends[fact.data["message_id"]] = _ENDS[fact.type]

    @property
    def latencies(self) -> list[float]:
        """Seconds from acceptance to the recorded "received" message, one a request, ascending."""
        return sorted(
            (story.received[0].time - story.submitted[0].time).total_seconds()
            for story in self.stories.values()
            if story.received and story.submitted
        )

    # -- balance -------------------------------------------------------------------------------------------------

    def orphans(self, now: datetime, passed: Passed, older_than: timedelta = timedelta(seconds=60)) -> list[Orphan]:
        """What does not balance. What is younger than `older_than`, or not yet passed by its reader, is on its way."""
        return [*self.unbalanced(now, passed, older_than), *misnumbered(self.numbers, now, older_than, self.whole)]

    def unbalanced(self, now: datetime, passed: Passed, older_than: timedelta) -> Iterator[Orphan]:
        """The same without the series of numbers, which do not belong to a request."""

        def on_its_way(service: str, fact: Heard) -> bool:
            return now - fact.since < older_than or not passed(service, fact)

        for fact, last in self._gaps:
            number = self.stories[fact.subject].number
            yield _orphan("sequence-gap", None, fact, number, f": {last} then {fact.sequence}")
        for story in self.stories.values():
            for slug, service, fact in unbalanced(story, whole=self.whole):
                if service is None or not on_its_way(service, fact):
                    yield _orphan(slug, service, fact, story.number)


def _orphan(slug: str, service: str | None, fact: Heard, number: str | None, detail: str = "") -> Orphan:
    mend = mending.look_at(number or str(fact.subject))
    return Orphan(slug, fact.subject, number, f"{fact.type} {fact.id}{detail}", fact.since, mend, service, fact)


def misnumbered(
    numbers: Iterable[tuple[str, datetime]], now: datetime, older_than: timedelta, whole: bool
) -> Iterator[Orphan]:
    """Numbers missing or twice in a series; one that is just drawn may be read before the one that it follows."""
    settled = Counter(number for number, since in numbers if now - since >= older_than)
    for slug, number in numbering(settled, whole=whole):
        yield Orphan("number-" + slug, UUID(int=0), number, "billing", now, LOOK_AROUND)


def count(values: Iterable[Any]) -> dict[str, int]:
    """How often each value occurs, as text, the most frequent first."""
    return {str(value): n for value, n in Counter(values).most_common()}
