"""The books are waited for: what is on its way is neither excused nor waited for longer than it takes."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest

from cli.reconcile.reading import STREAMS
from cli.reconcile.report import settled
from contracts.approvals import ApprovalRequested
from contracts.workflow import TransitionRequested
from testkit.streams import Wire, headers, make_topics

pytestmark = pytest.mark.servers

TRANSITION = str(uuid4())
WANTED = {"transition_id": TRANSITION}
ASKED = {"transition_id": TRANSITION, "approvers": []}


def now() -> datetime:
    return datetime.now(UTC)


async def test_what_comes_while_the_books_are_read_is_waited_for_and_no_longer(kafka: Any, prefix: str) -> None:
    await make_topics(kafka.bootstrap, prefix, STREAMS)
    subject = uuid4()
    async with Wire(kafka.bootstrap, prefix) as wire:
        await wire.send(
            "workflow.requests", subject, orjson.dumps(WANTED), headers(prefix, TransitionRequested, subject, 1)
        )
        settling = asyncio.create_task(settled(kafka.bootstrap, prefix, now, within=120))
        done, _ = await asyncio.wait({settling}, timeout=2)
        assert not done, "nobody has been asked yet"
        await wire.send(
            "approvals.approvals", subject, orjson.dumps(ASKED), headers(prefix, ApprovalRequested, subject, 1)
        )
        ledger, orphans = await asyncio.wait_for(settling, 30)
    assert orphans == []
    assert ledger.stories[subject].asked[TRANSITION] == 1


async def test_what_never_comes_is_named_when_the_time_is_up(kafka: Any, prefix: str) -> None:
    await make_topics(kafka.bootstrap, prefix, STREAMS)
    subject = uuid4()
    async with Wire(kafka.bootstrap, prefix) as wire:
        await wire.send(
            "workflow.requests", subject, orjson.dumps(WANTED), headers(prefix, TransitionRequested, subject, 1)
        )
        _, (orphan,) = await settled(kafka.bootstrap, prefix, now, within=0.1)
    assert (orphan.slug, orphan.subject) == ("not-asked", subject)
