"""I5: an approval is settled once, and nobody votes twice."""

from collections import Counter
from collections.abc import Iterator

from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]


def one_decision(evidence: Evidence) -> Iterator[Broken]:
    """One settlement per approval, one vote per approver; a settlement says what the votes say."""
    facts = {fact.id: fact for fact in evidence.facts if fact.topic == "approvals.approvals"}.values()
    settled = Counter(f.data["approval_id"] for f in facts if f.type == "approvals.approval-settled")
    votes = Counter(
        (f.data["approval_id"], f.data["person_id"])
        for f in facts
        if f.type == "approvals.vote-cast" and not f.data["late"]
    )
    for approval, times in settled.items():
        if times > 1:
            yield "decided-twice", approval, f"settled {times} times"
    for (approval, person), times in votes.items():
        if times > 1:
            yield "voted-twice", approval, f"{person} voted {times} times"
