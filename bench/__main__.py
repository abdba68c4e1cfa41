"""`python -m bench`: every benchmark, one after the other; `python -m bench NAME…`: those; `--quick`: slices."""

import argparse
import os
import subprocess
import sys

from bench.result import ROOT

NAMES = (
    "submit", "chain", "latency", "relay", "consumer", "reads", "memory", "idle", "agenda", "growth", "importing",
)  # fmt: skip


def main() -> int:
    """Run each in a process and on servers of its own; the exit status of the first that failed, or 0.

    Quick ones share a process and an installation: starting takes longer than the slices do.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in some minutes, nothing recorded")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which ones (default: all)")
    options = parser.parse_args()
    names = options.names or NAMES
    if options.quick:
        environment = {**os.environ, "BENCH_QUICK": "1"}
        command = [sys.executable, "-m", "bench.quick", *names]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    statuses = [
        subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=ROOT, check=False).returncode for name in names
    ]
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    raise SystemExit(main())
