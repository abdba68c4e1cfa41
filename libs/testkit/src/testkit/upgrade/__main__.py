"""`python -m testkit.upgrade`: lays two releases, and rolls an installation from one to the other, back and forth."""

import argparse
import asyncio
import logging
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from testkit.chaos.experiment import furnish
from testkit.upgrade.releases import BEFORE, NEXT, THIS, laid
from testkit.upgrade.rolling import Passed, rolled
from testkit.upgrade.site import UpgradeSite

_PATH = "PYTHONPATH"
_BEGAN = time.monotonic()


def say(text: str) -> None:
    """Print at once, with the seconds since the beginning: a session takes two minutes."""
    print(f"{time.monotonic() - _BEGAN:5.0f} s  {text}", flush=True)


def main(arguments: list[str]) -> int:
    """Exit status 1 when anything was lost, done twice or left waiting, or when it did not really happen."""
    options = _options(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    if options.old is not None:
        passed = asyncio.run(_session(options))
        print(_told(passed, options.seed), flush=True)
        return 1 if passed.wrong else 0
    place = Path(tempfile.mkdtemp(prefix="throughline-releases-"))
    try:
        old = laid(BEFORE if options.unprepared else THIS, options.root, place / "this")
        new = laid(NEXT, options.root, place / "next")
        again = [*arguments, "--seed", str(options.seed), "--old", old.get(_PATH, "")]
        return subprocess.run(
            [sys.executable, "-m", "testkit.upgrade", *again], env={**os.environ, **new}, check=False
        ).returncode
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _session(options: argparse.Namespace) -> Passed:
    home = Path(tempfile.mkdtemp(prefix="throughline-upgrade-"))
    site = UpgradeSite(home, {_PATH: options.old})
    try:
        await site.start(say)
        await furnish(site)
        say("furnished")
        return await rolled(site, options.seed, options.rate, say)
    finally:
        await site.stop()
        shutil.rmtree(home, ignore_errors=True)


def _told(passed: Passed, seed: int) -> str:
    lines = [f"upgrade seed {seed}: {'FAILED' if passed.wrong else 'ok'}; {passed.operations}"]
    lines += [f"  {count:>6}  {what}" for what, count in passed.figures.items()]
    return "\n".join([*lines, *(f"  {wrong}" for wrong in passed.wrong[:30])])


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testkit.upgrade", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="a new one without it")
    parser.add_argument("--rate", type=float, default=2.0, help="requests a second that begin")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository")
    parser.add_argument(
        "--unprepared", action="store_true", help="begin with a release that does not read what the next one writes"
    )
    parser.add_argument("--old", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
