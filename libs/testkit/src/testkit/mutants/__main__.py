"""`python -m testkit.mutants`: plants every bug of the catalogue into a copy; status 1 unless all are caught."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from testkit.mutants.catalogue import MUTANTS, UnknownMutant, chosen
from testkit.mutants.session import session
from testkit.mutants.verdict import Verdict


def say(text: str) -> None:
    """Print at once: a session takes minutes."""
    print(text, flush=True)


def table(verdicts: Sequence[Verdict]) -> str:
    """Bug, layer, what saw it and the time that took, as a Markdown table."""
    lines = ["| planted bug | layer | caught by | s |", "|---|---|---|--:|"]
    for verdict in verdicts:
        caught = f"`{verdict.caught_by}`" if verdict.caught_by else "**nothing**"
        lines.append(f"| {verdict.mutant.name} | {verdict.mutant.layer} | {caught} | {verdict.seconds:.1f} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Exit status 1 when a bug was not caught, or when a selection, or a fault, fails without any bug."""
    options = _options(arguments)
    try:
        mutants = chosen(options.only)
    except UnknownMutant as unknown:
        print(f"mutants: {unknown}", file=sys.stderr)
        return 2
    clean, verdicts = session(options.root, mutants, options.jobs, say)
    caught = sum(1 for verdict in verdicts if verdict.caught_by)
    say("\n" + table(verdicts) + f"\n\ncaught {caught} of {len(verdicts)} planted, {caught / len(verdicts):.0%}")
    for each in clean:
        for test, said in each.failed.items():
            say(f"FAILS WITHOUT A BUG: {test}: {said}")
        if each.wrong is not None:
            say(f"WRONG WITHOUT A BUG: {each.wrong}")
    unharmed = all(not each.failed and each.wrong is None for each in clean)
    return 0 if caught == len(verdicts) and unharmed else 1


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testkit.mutants", description=__doc__)
    parser.add_argument("--only", default="all", help=f"layers and names, with commas; {len(MUTANTS)} there are")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once; installations come one at a time")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
