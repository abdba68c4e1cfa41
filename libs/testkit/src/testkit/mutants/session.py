"""All planted bugs one after the other: first every selection without a bug, then each bug with its selection.

Those of single tests come first, several at once; then those of whole installations, one at a time.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from testkit.backends import Backend, choose
from testkit.mutants import overlay, trial, whole
from testkit.mutants.mutant import Misplaced, Mutant
from testkit.mutants.verdict import Say, Verdict, told


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


def session(root: Path, mutants: Sequence[Mutant], jobs: int, say: Say) -> tuple[list[trial.Told], list[Verdict]]:
    """What is told without any bug, and the verdict on each, in order."""
    tested = [mutant for mutant in mutants if mutant.tests]
    played = [mutant for mutant in mutants if mutant.fault]
    clean, verdicts = _tested(root, tested, jobs, say) if tested else ([], [])
    if played:
        clean.append(whole.unharmed(played))
        say(f"without a bug: {clean[-1].tests} faults in {clean[-1].seconds:.0f} s, {len(clean[-1].failed)} failed")
    for mutant in played:
        verdicts.append(whole.tried(root, mutant))
        say(told(verdicts[-1]))
    return clean, verdicts


def _tested(root: Path, mutants: Sequence[Mutant], jobs: int, say: Say) -> tuple[list[trial.Told], list[Verdict]]:
    with servers(mutants) as environment:
        clean = unharmed(root, mutants, environment)
        say(f"without a bug: {clean.tests} tests in {clean.seconds:.0f} s, {len(clean.failed)} failed")
        verdicts = []
        with ThreadPoolExecutor(jobs) as pool:
            for verdict in pool.map(lambda mutant: tried(root, mutant, environment), mutants):
                say(told(verdict))
                verdicts.append(verdict)
    return [clean], verdicts
