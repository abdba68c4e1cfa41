"""How much is measured: in full, or with `BENCH_QUICK=1` a slice that shows that all of it runs, not recorded."""

import os
from typing import TypeVar

T = TypeVar("T")

QUICK = os.environ.get("BENCH_QUICK") == "1"


def sized(full: T, quick: T) -> T:
    """What a run in full takes, or what a quick one does."""
    return quick if QUICK else full


ROUNDS = sized(5, 1)
"""Rounds of which a figure is the median; ours and the reference's take turns."""
