"""I3: what was charged before a close is on that close's invoice or draft, once, for its amount; credited as billed.

Decided by what was told alone, in the order in which billing told it, and by the rows of drafts: a charge told after
the answer to a close belongs to the next one. What billing makes of its facts itself is not asked.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from cli.reconcile.heard import Heard
from testkit.chaos.evidence import Evidence, first_told

Broken = tuple[str, str, str]
Line = Mapping[str, Any]
"""A charge, a line of a document, or a document."""

ISSUED, CREDITED = "billing.invoice-issued", "billing.credit-note-issued"
_LOGGED, _REMOVED = "billing.charge-logged", "billing.charge-removed"
_DRAFTED, _NOTHING = "billing.invoice-drafted", "billing.nothing-to-bill"
_CLOSED: Final = "workflow.request-closed"
OF_A_LINE: Final = ("sku", "description", "quantity", "unit_price", "net", "tax_rate", "tax")
"""What an invoice says of a charge, as it was logged."""
_NUMBERS: Final = ("quantity", "tax_rate")
_TAKEN_OFF: Final = "removed"
_WITHOUT_CHARGE: Final = {None: "billed-without-charge", _TAKEN_OFF: "billed-though-removed"}
"""What is wrong about a line whose charge was not open, by what had become of it; else it was billed before."""


@dataclass
class _Account:
    """What was told of one request's charges so far."""

    closes: Mapping[int, Line]
    open: dict[str, Line] = field(default_factory=dict)
    """Charges that no answer has taken yet."""
    gone: dict[str, str] = field(default_factory=dict)
    """What became of the others: removed, or the document that took them."""
    revision: int = 0
    answered: set[int] = field(default_factory=set)
    drafts: dict[str, dict[str, Line]] = field(default_factory=dict)
    """The charges that were frozen for each draft that is not issued."""
    issued: dict[str, Line] = field(default_factory=dict)
    credited: dict[str, str] = field(default_factory=dict)
    """The first credit note of each invoice."""


def closes_are_billed(evidence: Evidence) -> Iterator[Broken]:
    """Each answer to a close has exactly the charges that were open by then; each credit note is its invoice."""
    rows = documents(evidence, "invoices")
    for subject, facts in first_told(evidence.facts, "workflow", "billing").items():
        account = _Account({fact.data["close_no"]: fact.data for fact in facts if fact.type == _CLOSED})
        followed = (broken for fact in facts for broken in _follow(account, fact))
        for name, place, told in chain(followed, _under_review(account, rows)):
            yield name, f"{subject} {place}", told


def _follow(account: _Account, fact: Heard) -> Iterator[Broken]:
    """What is wrong about one fact of billing, after those before it; the account goes on."""
    data = fact.data
    if fact.type == _LOGGED:
        account.open[data["line_id"]], account.revision = data, data["revision"]
    elif fact.type == _REMOVED:
        yield from _removed(account, data)
    elif fact.type == CREDITED:
        yield from _credited(account, data)
    elif fact.type == ISSUED and data["invoice_id"] in account.drafts:
        frozen = account.drafts.pop(data["invoice_id"])
        yield from _compared(account, f"invoice {data['number']}", frozen, data["lines"])
        account.issued[data["invoice_id"]] = data
    elif fact.type in (ISSUED, _DRAFTED, _NOTHING):
        yield from _answered(account, fact)


def _removed(account: _Account, data: Line) -> Iterator[Broken]:
    line = data["line_id"]
    if account.open.pop(line, None) is None:
        yield "removed-though-gone", f"charge {line}", account.gone.get(line, "never logged")
    account.gone[line], account.revision = _TAKEN_OFF, data["revision"]


def _answered(account: _Account, fact: Heard) -> Iterator[Broken]:
    """The answer to a close, against the close and against what was open."""
    close_no = fact.data["close_no"]
    place, close = f"close {close_no}", account.closes.get(close_no)
    if close_no in account.answered:
        yield "answered-twice", place, f"{fact.type} {fact.id}"
    account.answered.add(close_no)
    if close is None:
        yield "answered-without-close", place, f"{fact.type} {fact.id}"
        return
    history = close.get("mode") == "history"
    billable = close["outcome"] == "resolved" and not history
    if fact.type == _NOTHING:
        for line in account.open if billable else ():
            yield "charge-not-billed", f"{place} charge {line}", f"nothing to bill, because {fact.data['reason']}"
        if history:  # billed where the request came from
            account.gone |= dict.fromkeys(account.open, place)
            account.open = {}
        return
    if not billable:
        why = "while the request was moved in" if history else f"as {close['outcome']}"
        yield "billed-though-not-resolved", place, f"{fact.type} of a close {why}"
    yield from _as_seen(account, fact.type, place, close)
    frozen, account.open = account.open, {}
    if fact.type == ISSUED:
        yield from _compared(account, f"{place} invoice {fact.data['number']}", frozen, fact.data["lines"])
        account.issued[fact.data["invoice_id"]] = fact.data
    else:
        account.drafts[fact.data["invoice_id"]] = frozen
        account.gone |= dict.fromkeys(frozen, f"{place} draft {fact.data['invoice_id']}")


def _as_seen(account: _Account, kind: str, place: str, close: Line) -> Iterator[Broken]:
    """An invoice goes out by itself when the closer had seen the charges that are billed; else somebody looks first."""
    seen = close["charge_revision"] == account.revision
    told = f"the closer saw revision {close['charge_revision']}, the charges are at {account.revision}"
    if kind == ISSUED and not seen:
        yield "billed-unseen", place, told
    elif kind == _DRAFTED and seen:
        yield "drafted-for-nothing", place, told


def _under_review(account: _Account, rows: Mapping[str, Line]) -> Iterator[Broken]:
    """The lines and amounts of drafts that are not issued are told to nobody: their rows have them."""
    for draft, charges in account.drafts.items():
        place, row = f"draft {draft}", rows.get(draft)
        if row is None:
            yield "draft-lost", place, "told, and no row of it"
            continue
        yield from _compared(account, place, charges, row["lines"])
        net, tax = (sum((money(line[part]) for line in charges.values()), Decimal()) for part in ("net", "tax"))
        stored = tuple(Decimal(row[name]) for name in ("net", "tax", "total"))
        if stored != (net, tax, net + tax):
            yield "draft-differs", place, f"charges make {net} and {tax}, stored are {stored}"


def _compared(account: _Account, place: str, charges: Mapping[str, Line], lines: Iterable[Line]) -> Iterator[Broken]:
    """The lines of a document against the charges that were frozen for it; those are gone from now on."""
    left = dict(charges)
    for line in lines:
        identifier = line["line_id"]
        charge = left.pop(identifier, None)
        if charge is None:
            became = place if identifier in charges else account.gone.get(identifier)
            name = _WITHOUT_CHARGE.get(became, "charge-billed-twice")
            yield name, f"{place} charge {identifier}", became or "never logged"
        elif wrong := [name for name in OF_A_LINE if exact(name, charge) != exact(name, line)]:
            told = f"{wrong[0]}: logged {charge.get(wrong[0])}, billed {line.get(wrong[0])}"
            yield "charge-billed-otherwise", f"{place} charge {identifier}", told
    for identifier, charge in left.items():
        yield "charge-not-billed", f"{place} charge {identifier}", f"logged as revision {charge['revision']}"
    account.gone |= dict.fromkeys(charges, place)


def _credited(account: _Account, data: Line) -> Iterator[Broken]:
    """A credit note takes back all lines of an invoice that was issued, and no invoice has two."""
    place, invoice = f"credit note {data['number']}", account.issued.get(data["invoice_id"])
    if invoice is None:
        yield "credited-from-nothing", place, f"invoice {data['invoice_id']} was not issued before"
        return
    earlier = account.credited.setdefault(data["invoice_id"], data["number"])
    if earlier != data["number"]:
        yield "credited-twice", place, f"{invoice['number']} was credited by {earlier}"
    amounts = [line[part] for line in invoice["lines"] for part in ("net", "tax")]
    billed = sum(map(money, amounts), Decimal()), {amount["currency"] for amount in amounts}, invoice["number"]
    if billed != (money(data["total"]), {data["total"]["currency"]}, data["invoice_number"]):
        told = f"{data['total']} for {data['invoice_number']}; the lines of {billed[2]} make {billed[0]}"
        yield "credited-otherwise", place, told


def exact(name: str, line: Line) -> Any:
    """A field of a line as it counts: numbers by their value, whatever they are written like."""
    value = line.get(name)
    if isinstance(value, Mapping):
        return money(value), value["currency"]
    return Decimal(value) if name in _NUMBERS and value is not None else value


def money(amount: Line) -> Decimal:
    """An amount by its value alone."""
    return Decimal(amount["amount"])


def documents(evidence: Evidence, table: str) -> dict[str, Line]:
    """Rows of invoices or credit notes, as they are stored, by their ids."""
    children = evidence.shelves["billing"].children if "billing" in evidence.shelves else ()
    return {row.key: row.stored for row in children if row.table == table and row.stored is not None}
