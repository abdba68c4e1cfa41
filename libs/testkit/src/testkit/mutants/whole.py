"""Planted bugs in whole installations: laid before all of its processes, a fault that brings them out, the auditor.

One at a time: each has an installation of its own. The harness itself runs the code as it is.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cli.running.installation import AS_IT_IS
from testkit.chaos.experiment import Result, Shape
from testkit.chaos.session import Round, session
from testkit.mutants import overlay
from testkit.mutants.mutant import Misplaced, Mutant
from testkit.mutants.trial import Told
from testkit.mutants.verdict import Verdict

SEEDS: Final = (62042, 65925)
"""With each of these every fault of the catalogue strikes where its bug is; a bug that the first misses has the second.

`libs/testkit/tests/test_whole.py` says where that is.
"""
SHAPE: Final = Shape(seconds=12.0, rate=6.0, lasts=5.0, crowd=60.0, patience=30.0)
"""What a bug leaves behind does not go away: nothing is waited for as long as in a run that is to be clean."""


def unharmed(mutants: Sequence[Mutant]) -> Told:
    """The fault of every bug once, on the code as it is."""
    began = time.monotonic()
    faults = tuple(dict.fromkeys(mutant.fault for mutant in mutants))
    results = _carried_out(SEEDS[0], faults, AS_IT_IS)
    failed = {result.fault: why(result) for result in results if result.failed}
    return Told(len(results), failed, None, time.monotonic() - began)


def tried(root: Path, mutant: Mutant) -> Verdict:
    """Plant one bug into every process of an installation, and let its fault strike."""
    began, said = time.monotonic(), ""
    with tempfile.TemporaryDirectory(prefix="throughline-mutants-") as scratch:
        try:
            path = overlay.lay(mutant, root, Path(scratch) / "src")
        except (Misplaced, overlay.NotInUse) as wrong:
            return Verdict(mutant, None, f"NOT PLANTED: {wrong}", 0.0)
        for seed in SEEDS:
            [result] = _carried_out(seed, (mutant.fault,), path)
            if (found := broken(mutant, result)) is not None:
                return Verdict(mutant, f"{mutant.fault}: {mutant.breaks}", found, time.monotonic() - began)
            said += f"seed {seed}: {why(result)}; "
    return Verdict(mutant, None, said + f"expected {mutant.breaks}", time.monotonic() - began)


def broken(mutant: Mutant, result: Result) -> str | None:
    """The violation with which a bug's run had to end.

    None when it is not there, or when the run did not come to its end, or its fault did not strike. Pure.
    """
    if result.undone or result.skipped or not result.proof:
        return None
    found = (each for each in result.violations if f"{each.invariant} {each.name}" == mutant.breaks)
    return next(map(str, found), None)


def why(result: Result) -> str:
    """What a run came to, in a line. Pure."""
    if result.undone or result.skipped:
        return f"FAILED FOR ANOTHER REASON: {result.undone or result.skipped}"
    if not result.proof:
        return f"DID NOT STRIKE: {result.said}"
    names = dict.fromkeys(f"{each.invariant} {each.name}" for each in result.violations)
    return f"{result.said} ended with {', '.join(names) or 'no violation'}"


def _carried_out(seed: int, faults: tuple[str, ...], code: Mapping[str, str]) -> list[Result]:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    results: list[Result] = []
    asyncio.run(session([Round(seed, faults, code)], SHAPE, results.append, lambda text: None))
    return results
