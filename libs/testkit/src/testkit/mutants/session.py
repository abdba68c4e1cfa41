"""All planted bugs one after the other: first every selection without a bug, then each bug with its selection."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testkit.backends import Backend, choose
from testkit.mutants import overlay, trial
from testkit.mutants.mutant import Misplaced, Mutant

Say = Callable[[str], None]


@dataclass(frozen=True)
class Verdict:
    """What became of one bug: caught by a test, or why not."""

    mutant: Mutant
    caught_by: str | None
    said: str
    seconds: float


@contextmanager
def servers(mutants: Sequence[Mutant]) -> Iterator[Mapping[str, str]]:
    """One PostgreSQL and one Kafka for everybody, as an environment; none when nobody needs them."""
    if all(mutant.layer == "L1" for mutant in mutants):
        yield {}
        return
    backend: Backend = choose()
    try:
        yield {"DATABASE_URL": backend.postgres(), "KAFKA_BOOTSTRAP": backend.kafka()}
    finally:
        backend.close()


def unharmed(root: Path, mutants: Sequence[Mutant], environment: Mapping[str, str]) -> trial.Told:
    """Every test of every selection once, on the code as it is."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with tempfile.TemporaryDirectory(prefix="throughline-mutants-") as scratch:
        return trial.run(root, tests, Path(scratch), environment, stop=False)


def tried(root: Path, mutant: Mutant, environment: Mapping[str, str]) -> Verdict:
    """Plant one bug into a copy and run its tests."""
    with tempfile.TemporaryDirectory(prefix="throughline-mutants-") as scratch:
        try:
            path = overlay.lay(mutant, root, Path(scratch) / "src")
        except (Misplaced, overlay.NotInUse) as wrong:
            return Verdict(mutant, None, f"NOT PLANTED: {wrong}", 0.0)
        told = trial.run(root, mutant.tests, Path(scratch), {**environment, **path}, stop=True)
    for test, said in told.failed.items():
        return Verdict(mutant, test, said, told.seconds)
    if told.wrong is not None:
        return Verdict(mutant, None, f"FAILED FOR ANOTHER REASON: {told.wrong}", told.seconds)
    return Verdict(mutant, None, f"SURVIVED {told.tests} tests", told.seconds)


def session(root: Path, mutants: Sequence[Mutant], jobs: int, say: Say) -> tuple[trial.Told, list[Verdict]]:
    """What the tests say without any bug, and the verdict on each, in order."""
    with servers(mutants) as environment:
        clean = unharmed(root, mutants, environment)
        say(f"without a bug: {clean.tests} tests in {clean.seconds:.0f} s, {len(clean.failed)} failed")
        verdicts = []
        with ThreadPoolExecutor(jobs) as pool:
            for verdict in pool.map(lambda mutant: tried(root, mutant, environment), mutants):
                mark = "caught" if verdict.caught_by else "NOT CAUGHT"
                say(f"{mark:10} {verdict.mutant.layer} {verdict.mutant.name} ({verdict.seconds:.1f} s): {verdict.said}")
                verdicts.append(verdict)
    return clean, verdicts
