"""A copy of the packages that a bug is planted in, put before the originals on Python's path."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from testkit.mutants.mutant import Mutant


class NotInUse(Exception):
    """Python would not import the copy."""


def package_of(file: str) -> PurePosixPath:
    """`libs/chassis/src/chassis` of any file of that package."""
    return PurePosixPath(*PurePosixPath(file).parts[:4])


def lay(mutant: Mutant, root: Path, place: Path) -> dict[str, str]:
    """Copy what `mutant` changes to `place` with the bug in it; the environment in which Python imports the copies.

    Compiled files come along, so that only the changed ones are compiled anew. Raises Misplaced and NotInUse.
    """
    texts = mutant.applied(mutant.read(root))
    packages = {package_of(file) for file in texts}
    for package in packages:
        shutil.copytree(root / package, place / package.name)
    for file, text in texts.items():
        (place / PurePosixPath(file).relative_to(package_of(file).parent)).write_text(text)
    given = os.environ.get("PYTHONPATH")
    environment = {"PYTHONPATH": f"{place}{os.pathsep}{given}" if given else str(place)}
    _check(environment, place, [package.name for package in packages])
    return environment


def _check(environment: Mapping[str, str], place: Path, packages: list[str]) -> None:
    ask = "import importlib.util as u, sys; print(*(u.find_spec(name).origin for name in sys.argv[1:]), sep='\\n')"
    told = subprocess.run(
        [sys.executable, "-c", ask, *packages], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    for origin in told.stdout.split():
        if not Path(origin).is_relative_to(place):
            raise NotInUse(f"{origin} is imported, and not its copy")
