"""A slice of each benchmark on one installation, in the order given: `BENCH_QUICK=1 python -m bench.quick NAME…`."""

import importlib
import sys
import time
from collections.abc import Sequence

from bench.effort import QUICK
from bench.importing import log
from bench.running import on_new_site, told
from bench.site import EVERYTHING, Site


async def measure_all(site: Site, names: Sequence[str]) -> None:
    """One after the other; what a benchmark halted is up again for the next."""
    for name in names:
        began = time.perf_counter()
        print(f"{name}:", flush=True)
        await told(importlib.import_module(f"bench.{name}").measure, site)
        await site.resume(*(each for each, process in site.watch.processes.items() if not process.wanted))
        print(f"  took {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    assert QUICK, "started by `python -m bench --quick`"
    wanted = [name for name in sys.argv[1:] if name != "importing" or log() is not None]
    on_new_site(lambda site: measure_all(site, wanted), EVERYTHING)
