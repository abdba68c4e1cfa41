"""When a batch's aggregates are to be looked at by themselves: the rows of `wake` that its write moves."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis import applying
from chassis.applying import Filled, columns_of
from chassis.changes import Entry
from chassis.folding import Fold

_SOON = timedelta(seconds=2)


def parts(fold: Fold[Any], touched: Sequence[Entry[Any]], swept: Mapping[UUID, datetime | None] | None) -> list[Filled]:
    """What moves wake-ups. A message only moves one earlier: whoever wakes too early looks and sleeps on.

    A sweep (`swept`: subject to the earliest moment of its next look) sets them exactly.
    """
    return _swept(fold, swept) if swept is not None else _earlier(fold, touched)


def soon(filled: Sequence[Filled], now: datetime) -> bool:
    """Whether one of these falls due within two seconds: a sweeper finds by itself what is later."""
    times = [at for each in filled if each.part is not applying.SLEEP for at in each.arguments[2]]
    return any(at is not None and at <= now + _SOON for at in times)


def _first(fold: Fold[Any], state: Any) -> datetime | None:
    return min(fold.aggregate.agenda(state).values(), default=None) if state is not None else None


def _earlier(fold: Fold[Any], touched: Sequence[Entry[Any]]) -> list[Filled]:
    rows = []
    for entry in touched:
        if not entry.stated:
            continue
        before, after = _first(fold, entry.was.state), _first(fold, entry.state)
        if after is not None and (before is None or after < before):
            rows.append((entry.subject, fold.aggregate.name, after))
    return [Filled(applying.WAKE, columns_of(rows))] if rows else []


def _swept(fold: Fold[Any], swept: Mapping[UUID, datetime | None]) -> list[Filled]:
    exact: list[tuple[UUID, str, datetime | None]] = []
    none: list[UUID] = []
    for subject in sorted(swept):
        entry, retry_at = fold.entries[subject], swept[subject]
        after = _first(fold, entry.state)
        if entry.was.broken is not None:
            exact.append((subject, fold.aggregate.name, retry_at))
        elif after is None:
            none.append(subject)
        else:
            exact.append((subject, fold.aggregate.name, max(after, retry_at) if retry_at else after))
    filled = []
    if exact:
        filled.append(Filled(applying.REWAKE, columns_of(exact)))
    if none:
        filled.append(Filled(applying.SLEEP, [none]))
    return filled
