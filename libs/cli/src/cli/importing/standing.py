"""How requests stand, as the public stream of workflow tells it: what an import is measured by."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cli.importing.plan import Case, Final

OPENED, REJECTED = "workflow.request-opened", "workflow.request-rejected"
HEARD = frozenset(
    {
        OPENED,
        REJECTED,
        "workflow.stage-changed",
        "workflow.wait-began",
        "workflow.wait-ended",
        "workflow.request-closed",
        "workflow.request-reopened",
        "workflow.sla-breached",
    }
)
"""The facts that say where a request stands. Others need not be decoded."""


@dataclass(slots=True)
class Standing:
    """One request so far."""

    sequence: int = 0
    opened: bool = False
    rejected: bool = False
    stage: str | None = None
    outcome: str | None = None
    waits: dict[str, datetime] = field(default_factory=dict)
    waited: dict[str, float] = field(default_factory=dict)
    breaches: int = 0

    def hear(self, type_: str, sequence: int, time: datetime, data: dict[str, Any]) -> None:
        """Take in the next fact; one that was heard before changes nothing."""
        if sequence <= self.sequence:
            return
        self.sequence = sequence
        match type_.removeprefix("workflow."):
            case "request-opened":
                self.opened, self.stage = True, data["stage"]
            case "request-rejected":
                self.rejected = True
            case "stage-changed":
                self.stage = data["to_stage"]
            case "wait-began":
                self.waits[data["reason"]] = time
            case "wait-ended":
                self._waited(data["reason"], time)
            case "request-closed":
                self.outcome = data["outcome"]
            case "request-reopened":
                self.outcome = None
            case "sla-breached":
                self.breaches += 1

    def _waited(self, reason: str, until: datetime) -> None:
        began = self.waits.pop(reason, None)
        if began is not None:
            self.waited[reason] = self.waited.get(reason, 0.0) + (until - began).total_seconds()

    def as_expected(self, final: Final) -> bool:
        """Whether it stands as the log's last row says."""
        if final.outcome is not None or self.outcome is not None:
            return self.outcome == final.outcome
        waits = {final.wait} if final.wait else set()
        return final.stage in (None, self.stage) and set(self.waits) == waits


@dataclass(slots=True)
class Fate:
    """What became of a case's commands."""

    submitted: bool | None = None
    """True accepted, False refused, None not answered."""
    refusals: list[tuple[str, str]] = field(default_factory=list)
    """(type of the command, slug)"""
    unanswered: int = 0


def difference(case: Case, fate: Fate, standing: Standing | None, foreign: bool) -> str | None:
    """Why a request does not stand as its log ends: one of at most ten slugs; None where it does.

    `foreign`: somebody else has changed the request meanwhile.
    """
    if case.expected is not None and standing is not None and standing.as_expected(case.expected):
        return None
    if fate.submitted is False:
        return "submission-refused"
    if fate.unanswered or fate.submitted is None:
        return "unanswered"
    if standing is None or not standing.opened:
        return "not-opened"
    if case.expected is None:
        return "last-row-unreadable"
    return _refusal(fate) or ("changed-elsewhere" if foreign else "unexplained")


def _refusal(fate: Fate) -> str | None:
    verbs = [type_.rpartition(".")[2] for type_, _ in fate.refusals]
    for verb in ("reopen", "close"):
        if verb in verbs:
            return f"{verb}-refused"
    return "command-refused" if verbs else None


def hours(standings: Iterable[Standing]) -> dict[str, float]:
    """Hours waited, by reason; a wait that goes on counts to where it began."""
    found: dict[str, float] = {}
    for standing in standings:
        for reason, seconds in standing.waited.items():
            found[reason] = found.get(reason, 0.0) + seconds
    return {reason: round(total / 3600, 2) for reason, total in sorted(found.items())}
