"""I9: nobody is shown what is not theirs, and what stays inside is on no topic."""

from collections.abc import Iterator
from typing import Final

from testkit.chaos.evidence import Evidence

Broken = tuple[str, str, str]

INSIDE: Final = {"workflow.note-added": ("text",)}
"""Fields that no public fact of a type may have."""


def nobody_pries(evidence: Evidence) -> Iterator[Broken]:
    """Contacts of other organisations asked for some requests at every door."""
    for text in evidence.shown:
        place, _, said = text.partition(" is ")
        yield "shown-to-others" if said.startswith("shown") else "hidden-from-owner", place, said


def inside_stays_inside(evidence: Evidence) -> Iterator[Broken]:
    """A note has no text on its topic."""
    for fact in evidence.facts:
        for name in INSIDE.get(fact.type, ()):
            if name in fact.data:
                yield "told-outside", f"{fact.topic}/{fact.subject}", f"{fact.type} {fact.id} tells its {name}"
