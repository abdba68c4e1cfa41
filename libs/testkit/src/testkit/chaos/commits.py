"""Which version runs."""

import subprocess
from pathlib import Path


def commit() -> str:
    """The version that runs; with a + when it has changes that are not committed."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=7"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip()
