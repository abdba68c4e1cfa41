"""Every planted bug, in the order in which they are told."""

from collections.abc import Sequence

from testkit.mutants.mutant import Mutant
from testkit.mutants.planted import beside, dealings, deciding, doors, hearing, installed, publishing, rules, waking

MUTANTS: tuple[Mutant, ...] = (
    *deciding.MUTANTS,
    *publishing.MUTANTS,
    *hearing.MUTANTS,
    *beside.MUTANTS,
    *waking.MUTANTS,
    *rules.MUTANTS,
    *dealings.MUTANTS,
    *doors.MUTANTS,
    *installed.MUTANTS,
)


class UnknownMutant(Exception):
    """No planted bug, and no layer, has this name."""


def chosen(text: str) -> Sequence[Mutant]:
    """`all`, or layers and names with commas; each once, in the catalogue's order. Raises UnknownMutant."""
    words = {word.strip() for word in text.split(",") if word.strip()}
    known = {"all", *(mutant.layer for mutant in MUTANTS), *(mutant.name for mutant in MUTANTS)}
    if strange := sorted(words - known):
        raise UnknownMutant(f"there is no {', '.join(strange)}")
    return [mutant for mutant in MUTANTS if words & {"all", mutant.layer, mutant.name}]
