"""What became of a planted bug."""

from collections.abc import Callable
from dataclasses import dataclass

from testkit.mutants.mutant import Mutant

Say = Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """Caught by a test, or by the violation that a fault was to bring about; or why not."""

    mutant: Mutant
    caught_by: str | None
    said: str
    seconds: float


def told(verdict: Verdict) -> str:
    """A verdict in a line. Pure."""
    mark = "caught" if verdict.caught_by else "NOT CAUGHT"
    return f"{mark:10} {verdict.mutant.layer} {verdict.mutant.name} ({verdict.seconds:.1f} s): {verdict.said}"
