"""What must balance, request by request (product N2, quality I1–I4, I8).

- a submitted request is opened or rejected by workflow, once;
- every close has one invoice, one draft or one "nothing to bill";
- every transition that needs an approval is asked, and settled once;
- every event that concerns somebody has one message per recipient, planned or visibly suppressed;
- every planned message ends accepted, refused, bounced or visibly unknown;
- per topic and request, first occurrences are numbered 1..n;
- numbers of invoices and credit notes have no gap and no double.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice

from cli.reconcile.heard import Heard
from cli.reconcile.story import Story

Finding = tuple[str, str | None, Heard]
"""(slug, whose effect is missing or None when nothing can still arrive to mend it, the fact)"""


def unbalanced(story: Story, *, whole: bool = True) -> Iterator[Finding]:
    """What is missing from a request's story, or is there twice. One that is not whole may lack its beginning."""
    yield from _existence(story, whole=whole)
    yield from _billing(story)
    yield from _approvals(story)
    yield from _messages(story)


def _existence(story: Story, *, whole: bool) -> Iterator[Finding]:
    for fact in story.submitted[1:]:
        yield "submitted-twice", None, fact
    for fact in [*story.opened, *story.rejected][1:]:
        yield "opened-twice", None, fact
    if story.submitted and not story.opened and not story.rejected:
        yield "not-opened", "workflow", story.submitted[0]
    if whole and story.opened and not story.submitted:
        yield "opened-from-nothing", None, story.opened[0]


def _billing(story: Story) -> Iterator[Finding]:
    for number, close in story.closes.items():
        billed = story.billed.get(number, Counter())
        invoices, others = billed["billing.invoice-issued"], billed["billing.nothing-to-bill"]
        if not billed:
            yield "not-billed", "billing", close
        elif invoices > 1 or others > 1 or (others and invoices):
            yield "billed-twice", None, close


def _approvals(story: Story) -> Iterator[Finding]:
    for identifier, fact in story.transitions.items():
        if not story.asked[identifier] and identifier not in story.settled:
            yield "not-asked", "approvals", fact
        if story.asked[identifier] > 1:
            yield "asked-twice", None, fact
        if identifier in story.settled_twice:
            yield "settled-twice", None, fact


def _messages(story: Story) -> Iterator[Finding]:
    for cause, people in story.causes if story.mode == "live" else ():
        if story.told_causes[str(cause.id)] < people:
            yield "not-told", "notifications", cause
    for (cause_id, _, _), times in story.told.items():
        if times > 1:
            planned = (fact for fact in story.planned.values() if fact.data["cause_event_id"] == cause_id)
            for fact in islice(chain(planned, story.opened), 1):
                yield "told-twice", None, fact
    for identifier, fact in story.planned.items():
        if identifier not in story.ends:
            yield "not-sent", "notifications", fact


def numbering(numbers: Counter[str], *, whole: bool = True) -> Iterator[tuple[str, str]]:
    """(missing or twice, number) of every series of invoices and credit notes.

    A series that is not whole begins with the lowest number that is there.
    """
    series: dict[str, list[int]] = {}
    for number, times in numbers.items():
        head, _, last = number.rpartition("-")
        series.setdefault(head, []).append(int(last))
        if times > 1:
            yield "twice", number
    for head, taken in series.items():
        missing = set(range(1 if whole else min(taken), max(taken) + 1)) - set(taken)
        for n in sorted(missing):
            yield "missing", f"{head}-{n:06d}"
