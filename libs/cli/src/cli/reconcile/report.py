"""One reconciliation, run and told: the same for operators, the demo, the import and the tests."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cli.reconcile.heard import Orphan
from cli.reconcile.ledger import Ledger, count
from cli.reconcile.reading import following

_LOOK_EVERY = 0.2


async def settled(
    bootstrap: str, prefix: str, clock: Callable[[], datetime], *, within: float
) -> tuple[Ledger, list[Orphan]]:
    """The books once everything that was said has had its effect: what is on its way is waited for, and not excused.

    After `within` seconds they are balanced as they stand.
    """
    ledger, deadline = Ledger(), time.monotonic() + within
    async with following(bootstrap, prefix) as more:
        while True:
            async for fact in more():
                ledger.hear(fact)
            orphans = ledger.orphans(clock(), lambda *_: True, timedelta())
            if not orphans or time.monotonic() > deadline:
                return ledger, orphans
            await asyncio.sleep(_LOOK_EVERY)


def summary(ledger: Ledger, orphans: list[Orphan]) -> dict[str, Any]:
    """The figures of a ledger, as the demo's table and every JSON report show them."""
    stories = [story for story in ledger.stories.values() if story.opened]
    latencies = ledger.latencies
    return {
        "requests": sum(1 for story in ledger.stories.values() if story.submitted),
        "opened": len(stories),
        "rejected": sum(1 for story in ledger.stories.values() if story.rejected),
        "by_queue_and_stage": count(f"{story.queue} / {story.stage}" for story in stories),
        "by_outcome": count(story.outcome or "open" for story in stories),
        "breaches": sum(story.breached for story in stories),
        "approvals": count(outcome for story in stories for outcome in story.settled.values()),
        "closes": sum(len(story.closes) for story in stories),
        "billed": count(what for story in stories for billed in story.billed.values() for what in billed.elements()),
        "invoices": sum(billed["billing.invoice-issued"] for story in stories for billed in story.billed.values()),
        "invoice_totals": {currency: str(total) for currency, total in sorted(ledger.invoices.items())},
        "mails": count(end for story in stories for end in story.ends.values()).get("accepted", 0),
        "mail_outcomes": count(end for story in stories for end in story.ends.values()),
        "suppressed": sum(sum(story.told.values()) - len(story.planned) for story in stories),
        "duplicates_on_topics": ledger.duplicates,
        "e2e_p50_ms": round(statistics.median(latencies) * 1000, 1) if latencies else None,
        "e2e_p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 1) if latencies else None,
        "orphans": count(orphan.slug for orphan in orphans),
        "balanced": not orphans,
    }


def line(ledger: Ledger, orphans: list[Orphan]) -> str:
    """The reconciliation in one line."""
    requests = sum(1 for story in ledger.stories.values() if story.submitted)
    if not orphans:
        return f"reconciliation: balanced, {requests} requests, 0 orphans"
    worst = ", ".join(f"{n} {slug}" for slug, n in Counter(orphan.slug for orphan in orphans).most_common())
    return f"reconciliation: NOT balanced, {requests} requests, {len(orphans)} orphans ({worst})"
