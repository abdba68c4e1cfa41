"""`python -m testkit.chaos --faults quick --seeds 1`: a site per seed, every fault on it, the matrix at the end."""

import argparse
import asyncio
import json
import logging
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from testkit.chaos.auditor import INVARIANTS, Violation
from testkit.chaos.catalogue import UnknownFault, chosen, needs_disks, needs_links, skipped
from testkit.chaos.experiment import Result, Shape, experiment, furnish
from testkit.chaos.matrix import figures, matrix, told
from testkit.chaos.site import Site

Tell = Callable[[list[Result]], None]


def say(text: str) -> None:
    """Print at once: a session takes long."""
    print(text, flush=True)


async def session(faults: list[str], seeds: list[int], shape: Shape, tell: Tell) -> list[Result]:
    """Every fault with every seed; a new installation for each seed, the faults on it in an order of the seed's."""
    results: list[Result] = []
    for seed in seeds:
        home = Path(tempfile.mkdtemp(prefix="throughline-chaos-"))
        site = Site(home, proxied=needs_links(faults), disks=needs_disks(faults))
        try:
            await site.start(say)
            await furnish(site)
            await on_site(site, faults, seed, shape, results, tell)
        finally:
            await site.stop()
            shutil.rmtree(home, ignore_errors=True)
    return results


async def on_site(site: Site, faults: list[str], seed: int, shape: Shape, results: list[Result], tell: Tell) -> None:
    """The faults one after the other. A violation is told of the run after which it is first seen."""
    known: set[Violation] = set()
    for name in random.Random(seed).sample(faults, len(faults)):
        result = await experiment(site, name, seed, shape)
        seen = set(result.violations)
        result.violations = [violation for violation in result.violations if violation not in known]
        known |= seen
        results.append(result)
        say(told(result))
        tell(results)


def report(results: list[Result], shape: Shape, version: str) -> str:
    """Every result so far as JSON, and what was run to get it."""
    asked = {**asdict(shape), "commit": version}
    return json.dumps([{**asdict(result), **asked} for result in results], indent=1, default=str) + "\n"


def commit() -> str:
    """The version that runs; with a + when it has changes that are not committed."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=7"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip()


def main(arguments: list[str]) -> int:
    """Exit status 1 when a promise was broken, when a fault did not strike, or when a site did not recover."""
    options = _options(arguments)
    try:
        faults = chosen(options.faults)
    except UnknownFault as unknown:
        print(f"chaos: {unknown}", file=sys.stderr)
        return 2
    first = options.seed if options.seed is not None else secrets.randbelow(1_000_000)
    seeds = [first + n for n in range(options.seeds)]
    say(f"chaos: seeds {seeds}, faults {', '.join(faults)}; again with --seed {first} --seeds {options.seeds}")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    shape = Shape(options.seconds, options.rate, options.lasts)

    version = commit()

    def tell(results: list[Result]) -> None:
        if options.report is not None:
            options.report.write_text(report(results, shape, version))

    missing = skipped(faults)
    results = asyncio.run(session([name for name in faults if name not in missing], seeds, shape, tell))
    results += [Result(name, first, skipped=reason) for name, reason in missing.items()]
    tell(results)
    say("\n" + matrix(results) + "\n\n" + figures(results))
    for invariant, promise in INVARIANTS.items():
        say(f"  {invariant}: {promise}")
    return 1 if any(result.failed for result in results) else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testkit.chaos", description=__doc__)
    parser.add_argument("--faults", default="quick", help="faults and sets of them, by name, with commas")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--seed", type=int, help="the first seed; a new one without it")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long requests begin")
    parser.add_argument("--rate", type=float, default=2.0, help="requests a second that begin")
    parser.add_argument("--lasts", type=float, default=12.0, help="seconds that a fault lasts")
    parser.add_argument("--report", type=Path, help="where to write every result as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
