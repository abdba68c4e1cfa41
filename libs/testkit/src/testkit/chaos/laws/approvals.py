"""I5: an approval is settled once, nobody votes twice, and a settlement says what the votes say."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from cli.reconcile.heard import Heard
from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]

_ASKED, _VOTE, _SETTLED = "approvals.approval-requested", "approvals.vote-cast", "approvals.approval-settled"


class _Count(NamedTuple):
    """Votes of one approval that count."""

    approved: int
    refused: int


def one_decision(evidence: Evidence) -> Iterator[Broken]:
    """One settlement per approval, one vote per approver."""
    facts = _told(evidence.facts)
    settled = Counter(f.data["approval_id"] for f in facts if f.type == _SETTLED)
    votes = Counter(
        (f.data["approval_id"], f.data["person_id"]) for f in facts if f.type == _VOTE and not f.data["late"]
    )
    for approval, times in settled.items():
        if times > 1:
            yield "decided-twice", approval, f"settled {times} times"
    for (approval, person), times in votes.items():
        if times > 1:
            yield "voted-twice", approval, f"{person} voted {times} times"


def as_voted(evidence: Evidence) -> Iterator[Broken]:
    """Granted or refused exactly when the votes decide it, with as many as there were; void or expired before that."""
    by_approval: dict[str, list[Heard]] = {}
    for fact in _told(evidence.facts):
        by_approval.setdefault(fact.data["approval_id"], []).append(fact)
    for approval, facts in by_approval.items():
        asked = next((fact for fact in facts if fact.type == _ASKED), None)
        if asked is not None:
            yield from _as_voted(approval, asked.data, sorted(facts, key=lambda fact: fact.sequence))


def _as_voted(approval: str, asked: Mapping[str, Any], facts: list[Heard]) -> Iterator[Broken]:
    settled = next((fact for fact in facts if fact.type == _SETTLED), None)
    votes = [fact for fact in facts if fact.type == _VOTE]
    for vote in votes:
        if vote.data["person_id"] not in asked["approvers"]:
            yield "voted-unasked", approval, f"{vote.data['person_id']} voted and was not asked"
        if vote.data["late"] != (settled is not None and vote.sequence > settled.sequence):
            yield "misjudged-late", approval, f"{vote.id} is told as {'' if vote.data['late'] else 'not '}late"
    decisions = Counter(vote.data["decision"] for vote in votes if not vote.data["late"])
    count = _Count(decisions["approve"], decisions["refuse"])
    verdict = verdict_of(asked["policy"], len(asked["approvers"]), *count)
    if settled is None:
        if verdict is not None:
            yield "not-settled", approval, f"{verdict} by {count}, and never settled"
        return
    outcome = settled.data["outcome"]
    if verdict != (outcome if outcome in ("granted", "refused") else None):
        yield "settled-otherwise", approval, f"{outcome}, and {verdict or 'undecided'} by {count} of {asked['policy']}"
    if (settled.data["approved"], settled.data["refused"]) != count:
        yield "miscounted", approval, f"{settled.data['approved']} and {settled.data['refused']} told, {count} voted"


def verdict_of(policy: Mapping[str, Any], asked: int, approved: int, refused: int) -> str | None:
    """Granted as soon as enough approve, refused as soon as enough no longer can; None in between. Pure.

    Nobody to ask, or a policy that cannot be read, is refused.
    """
    needed = {"any": 1, "all": max(1, asked), "k": policy.get("k")}.get(policy["kind"])
    if not needed:
        return "refused"
    if approved >= needed:
        return "granted"
    return "refused" if asked - refused < needed else None


def _told(facts: Iterable[Heard]) -> list[Heard]:
    """What was told of approvals, each fact once."""
    return list({fact.id: fact for fact in facts if fact.type in (_ASKED, _VOTE, _SETTLED)}.values())
