"""What the books know of one request."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from cli.reconcile.heard import Heard


@dataclass(slots=True)
class Story:
    """What the books know of one request."""

    subject: UUID
    number: str | None = None
    mode: str = "live"
    queue: str | None = None
    stage: str | None = None
    outcome: str | None = None
    submitted: list[Heard] = field(default_factory=list)
    opened: list[Heard] = field(default_factory=list)
    rejected: list[Heard] = field(default_factory=list)
    closes: dict[int, Heard] = field(default_factory=dict)
    billed: dict[int, Counter[str]] = field(default_factory=dict)
    transitions: dict[str, Heard] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    settled: dict[str, str] = field(default_factory=dict)
    settled_twice: set[str] = field(default_factory=set)
    causes: list[tuple[Heard, int]] = field(default_factory=list)
    received: list[Heard] = field(default_factory=list)
    told: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    told_causes: Counter[str] = field(default_factory=Counter)
    planned: dict[str, Heard] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    breached: int = 0
