"""`python -m testkit.chaos --faults quick --seeds 1`: every fault with every seed, the matrix at the end."""

import argparse
import asyncio
import logging
import secrets
import sys
from pathlib import Path

from testkit.chaos.auditor import INVARIANTS
from testkit.chaos.catalogue import UnknownFault, chosen, refused, skipped
from testkit.chaos.commits import commit
from testkit.chaos.experiment import Result, Shape
from testkit.chaos.matrix import failed, failures, figures, matrix, told
from testkit.chaos.record import line, lines, run_of
from testkit.chaos.session import rounds, session


def say(text: str) -> None:
    """Print at once: a session takes long."""
    print(text, flush=True)


def main(arguments: list[str]) -> int:
    """Exit status 1 when a promise was broken, when a fault did not strike, or when a site did not recover.

    2 when there is no such fault, or when one that was asked for by its name cannot be made on this machine.
    """
    options = _options(arguments)
    try:
        faults = chosen(options.faults)
    except UnknownFault as unknown:
        print(f"chaos: {unknown}", file=sys.stderr)
        return 2
    missing = skipped(faults)
    if impossible := refused(options.faults, missing):
        print(*(f"chaos: {each}" for each in impossible), sep="\n", file=sys.stderr)
        return 2
    runs = lines(options.report)
    first = options.seed if options.seed is not None else secrets.randbelow(1_000_000)
    seeds = [first + n for n in range(options.seeds)]
    say(f"chaos: seeds {seeds}, faults {', '.join(faults)}; again with --seed {first} --seeds {options.seeds}")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    shape, version = Shape(options.seconds, options.rate, options.lasts, options.crowd), commit()
    done = {(run["fault"], run["seed"]) for run in runs}
    planned = rounds([name for name in faults if name not in missing], seeds, options.per_site, done)
    say(f"{sum(len(one.faults) for one in planned)} runs on {len(planned)} installations; {len(runs)} told already")

    def tell(result: Result) -> None:
        run = run_of(result, shape, version)
        runs.append(run)
        if options.report is not None:
            with options.report.open("a") as report:
                report.write(line(run) + "\n")
        say(told(result))

    asyncio.run(session(planned, shape, tell, say, _kept(options.report)))
    for name, reason in missing.items():
        if (name, first) not in done:
            tell(Result(name, first, skipped=reason))
    say("\n".join(["", matrix(runs), "", failures(runs), "", figures(runs)]))
    for invariant, promise in INVARIANTS.items():
        say(f"  {invariant}: {promise}")
    return 1 if any(failed(run) for run in runs) else 0


def _kept(report: Path | None) -> Path | None:
    """Where what failed is kept: beside the report."""
    return None if report is None else report.with_suffix(".failed")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testkit.chaos", description=__doc__)
    parser.add_argument("--faults", default="quick", help="faults and sets of them, by name, with commas")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--seed", type=int, help="the first seed; a new one without it")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long requests begin")
    parser.add_argument("--rate", type=float, default=2.0, help="full lives a second that begin")
    parser.add_argument("--crowd", type=float, default=0.0, help="short requests a second beside them")
    parser.add_argument("--lasts", type=float, default=12.0, help="seconds that a fault lasts")
    parser.add_argument("--per-site", type=int, default=1000, help="faults after which there is a new installation")
    parser.add_argument(
        "--report", type=Path, help="a file to which every run is added as a line of JSON; what is told there is done"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
