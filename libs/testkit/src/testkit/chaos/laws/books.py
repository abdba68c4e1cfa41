"""What reconciliation knows: its books over the topics, sorted by the promise that an orphan breaks. And mails."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from cli.reconcile.ledger import misnumbered
from testkit.chaos.evidence import Evidence, ledger_of

Broken = tuple[str, str, str]

_LATER = datetime(9999, 1, 1, tzinfo=UTC)
_SLUGS = {
    "existence": ("not-opened", "submitted-twice", "opened-twice", "opened-from-nothing"),
    "billing": ("not-billed", "billed-twice"),
    "messages": ("not-told", "told-twice", "not-sent"),
    "approvals": ("not-asked", "asked-twice", "settled-twice"),
}


def _orphans(subject: str, evidence: Evidence) -> Iterator[Broken]:
    """After quiescence nothing is on its way any more, but for mails whose attempt has time left to be answered."""
    trying = {row.subject for row in evidence.shelves["notifications"].rows if row.due is not None}
    orphans = evidence.ledger.unbalanced(_LATER, lambda service, fact: True, timedelta(0))
    for orphan in orphans:
        if orphan.slug in _SLUGS[subject] and not (orphan.slug == "not-sent" and orphan.subject in trying):
            yield orphan.slug, f"{orphan.subject} {orphan.number or ''}".strip(), orphan.cause


existence = partial(_orphans, "existence")
billing = partial(_orphans, "billing")
messages = partial(_orphans, "messages")
approvals = partial(_orphans, "approvals")


def series_have_no_gap(evidence: Evidence) -> Iterator[Broken]:
    """Every number of a series is given, and given once."""
    issued = evidence.facts if evidence.issued is None else evidence.issued
    for orphan in misnumbered(ledger_of(issued).numbers, _LATER, timedelta(0), whole=True):
        yield orphan.slug, str(orphan.number), orphan.cause


def invoices_add_up(evidence: Evidence) -> Iterator[Broken]:
    """Lines make the net and the tax, both make the total, in exact decimals; a charge is billed once."""
    billed: dict[str, str] = {}
    for fact in {fact.id: fact for fact in evidence.facts if fact.type == "billing.invoice-issued"}.values():
        data = fact.data
        for part in ("net", "tax"):
            lines = sum((_amount(line[part]) for line in data["lines"]), Decimal())
            if lines != _amount(data[part]):
                yield "lines-differ", data["number"], f"{part}: lines {lines}, invoice {_amount(data[part])}"
        if _amount(data["net"]) + _amount(data["tax"]) != _amount(data["total"]):
            yield "total-differs", data["number"], f"{data['net']} + {data['tax']} is not {data['total']}"
        for line in data["lines"]:
            other = billed.setdefault(line["line_id"], data["number"])
            if other != data["number"]:
                yield "charge-billed-twice", line["line_id"], f"{other} and {data['number']}"


def _amount(money: dict[str, Any]) -> Decimal:
    return Decimal(money["amount"])


def no_mail_twice(evidence: Evidence) -> Iterator[Broken]:
    """The sink took each Message-ID once: an attempt of unknown outcome is never sent again by itself."""
    for identifier, times in evidence.mails.items():
        if times > 1:
            yield "mail-twice", identifier, f"taken {times} times"
