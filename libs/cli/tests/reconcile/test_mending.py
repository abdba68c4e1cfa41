"""From what a service knows of a fact to the one command that mends it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from cli.reconcile.heard import Heard, Orphan
from cli.reconcile.mending import Account, judged

T0 = datetime(2026, 6, 5, 12, 0, tzinfo=UTC)
REQUEST, CLOSE = UUID(int=1), UUID(int=2)
CLOSED = Heard("workflow.requests", "workflow.request-closed", REQUEST, 7, CLOSE, T0, {"close_no": 1})
PLANNED = Heard("notifications.messages", "notifications.message-planned", REQUEST, 3, UUID(int=3), T0, {})


def an_orphan(fact: Heard = CLOSED, service: str = "billing", slug: str = "not-billed") -> Orphan:
    return Orphan(slug, REQUEST, "R-000042", f"{fact.type} {fact.id}", T0, "?", service, fact)


def held(number: int, event: UUID = CLOSE, reason: str = "error", **more: Any) -> dict[str, Any]:
    said = {"id": number, "event_id": str(event), "reason": reason, "detail": "why", "resolved_at": None}
    return said | {"kind": "stream", "stream": CLOSED.topic} | more


def command(number: int) -> dict[str, Any]:
    return held(number, uuid4(), kind="command", stream="billing.commands.erp")


def account(service: str = "billing", **more: Any) -> Account:
    body = {"known": True, "heard": {"workflow.requests": 6}, "waiting": [], "dead_letters": []}
    return Account.of(service, body | more)


def mended(orphan: Orphan, account: Account, told: int = 0) -> tuple[str, str]:
    found = judged(orphan, account, told)
    assert found is not None
    return found.why, found.mend


def test_what_never_came_is_sent_again() -> None:
    why = "never came: it has heard workflow.requests up to 6"
    assert mended(an_orphan(), account(), told=2) == (why, "throughline resend billing R-000042")
    nowhere = account(known=False, heard={})
    assert mended(an_orphan(), nowhere)[1] == "throughline resend billing R-000042"


@pytest.mark.parametrize(("position", "command"), [(6, "resend"), (7, "trace"), (8, "trace")])
def test_what_was_heard_is_not_sent_again(position: int, command: str) -> None:
    heard = Account.of(
        "billing", {"known": True, "heard": {"workflow.requests": position}, "waiting": [], "dead_letters": []}
    )
    orphan = Orphan("not-billed", REQUEST, "R-000042", "", T0, "throughline trace R-000042", "billing", CLOSED)
    assert mended(orphan, heard)[1].split()[1] == command


def test_a_row_that_is_gone_though_it_told_something_is_not_begun_anew() -> None:
    why, mend = mended(an_orphan(), account(known=False, heard={}), told=2)
    assert why == "its row is gone, though it has told 2 facts: restore it"
    assert mend == "?"


def test_what_waits_is_tried_again_and_the_message_itself_is_named_before_others() -> None:
    waits = account(waiting=[held(4, uuid4(), "gap"), held(5)])
    assert mended(an_orphan(), waits) == ("waits: error (why)", "throughline waiting retry R-000042")
    behind = account(waiting=[held(4, uuid4(), "gap")])
    assert mended(an_orphan(), behind)[0] == "waits: gap (why)"


@pytest.mark.parametrize(
    "other", [command(4), held(4, uuid4(), stream=None), held(4, uuid4(), kind="reaction", stream=None)]
)
def test_what_holds_up_no_fact_is_not_why_one_never_came(other: dict[str, Any]) -> None:
    why = "never came: it has heard workflow.requests up to 6"
    assert mended(an_orphan(), account(waiting=[other])) == (why, "throughline resend billing R-000042")
    behind = account(waiting=[other, held(5, uuid4(), "gap")])
    assert mended(an_orphan(), behind) == ("waits: gap (why)", "throughline waiting retry R-000042")


@pytest.mark.parametrize("other", [command(4), held(4, uuid4())])
def test_what_waits_behind_a_fact_is_not_why_nothing_came_of_it(other: dict[str, Any]) -> None:
    heard = account(heard={"workflow.requests": 7}, waiting=[other])
    assert mended(an_orphan(), heard) == ("heard, and nothing came of it: no command makes up for that", "?")


def test_a_fact_that_was_heard_may_wait_in_what_it_caused_or_after_it_was_redelivered() -> None:
    for each in (held(4, uuid4(), kind="reaction", stream=None), held(4, stream=None)):
        heard = account(heard={"workflow.requests": 7}, waiting=[command(3), each])
        assert mended(an_orphan(), heard)[0] == "waits: error (why)"


def test_a_service_of_the_release_before_does_not_say_what_it_is_that_waits() -> None:
    old = held(4, uuid4(), "gap")
    del old["kind"]
    assert mended(an_orphan(), account(waiting=[old]))[0] == "waits: gap (why)"


def test_a_dead_letter_is_redelivered_whatever_has_been_heard_since() -> None:
    letters = account(heard={"workflow.requests": 9}, dead_letters=[held(3, uuid4()), held(8, reason="skipped")])
    assert mended(an_orphan(), letters) == (
        "dead letter 8: skipped (why)",
        "throughline waiting redeliver billing 8 --reason reconciled",
    )


def test_a_dead_letter_that_was_put_away_is_no_orphan_any_more() -> None:
    assert judged(an_orphan(), account(dead_letters=[held(8, resolved_at="2026-06-05T12:00:00Z")]), 0) is None


def test_a_mail_without_an_end_wants_a_sender() -> None:
    orphan = an_orphan(PLANNED, "notifications", "not-sent")
    for silent in (account("notifications", heard={}), account("notifications", heard={}, waiting=[command(1)])):
        assert mended(orphan, silent, told=3)[1] == "python -m notifications --role sender"
    assert mended(orphan, account("notifications", waiting=[held(1)]), told=3)[1] == (
        "throughline waiting retry R-000042"
    )


def test_without_a_number_the_request_is_named_by_its_id() -> None:
    submitted = Heard("intake.requests", "intake.request-submitted", REQUEST, 1, CLOSE, T0, {})
    orphan = Orphan("not-opened", REQUEST, None, "", T0, "", "workflow", submitted)
    assert mended(orphan, account("workflow"))[1] == f"throughline resend workflow {REQUEST}"
