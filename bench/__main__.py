"""`python -m bench`: every benchmark, one after the other; `python -m bench NAME…`: those."""

import argparse
import subprocess
import sys

from bench.result import ROOT

NAMES = ("submit", "chain", "latency", "relay", "consumer", "agenda", "reads", "growth", "importing")


def main() -> int:
    """Run each in a process and on servers of its own; the exit status of the first that failed, or 0."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which ones (default: all)")
    names = parser.parse_args().names or NAMES
    statuses = [
        subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=ROOT, check=False).returncode for name in names
    ]
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    raise SystemExit(main())
