"""Claims while a batch is decided: each message knows what the ones before it took and released."""

from collections.abc import Mapping
from typing import Generic, TypeVar
from uuid import UUID

from chassis.aggregate import Aggregate

S = TypeVar("S")


class HeldByAnother(Exception):
    """A decision takes a claim although it was told that another aggregate holds it."""


class Claims(Generic[S]):
    """What the messages of one batch take and release, netted out, over what was read of the claims' holders."""

    def __init__(self, aggregate: Aggregate[S], read: Mapping[str, UUID]) -> None:
        self.held = dict(read)
        """Who holds what, as far as it is known after the messages so far."""
        self.taken: dict[str, UUID] = {}
        self.released: dict[str, UUID] = {}
        self._aggregate = aggregate

    def follow(self, subject: UUID, before: S | None, after: S | None) -> None:
        """Let what one message makes of an aggregate count. Raises HeldByAnother, and then nothing of it counts."""
        had, has = self._of(before), self._of(after)
        gives, takes = had - has, has - had
        for claim in takes:
            if self.held.get(claim, subject) != subject:
                raise HeldByAnother(f"{claim} is held by {self.held[claim]}")
        for claim in gives:
            if self.held.get(claim) == subject:
                del self.held[claim]
            if self.taken.get(claim) == subject:
                del self.taken[claim]
            else:
                self.released[claim] = subject
        for claim in takes:
            self.held[claim] = subject
            if self.released.get(claim) == subject:
                del self.released[claim]
            else:
                self.taken[claim] = subject

    def _of(self, state: S | None) -> set[str]:
        return set(self._aggregate.claims(state)) if state is not None else set()
