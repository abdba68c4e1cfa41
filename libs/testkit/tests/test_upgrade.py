"""The two releases of an upgrade: they fit the code as it is, and are exchanged in orders that try something."""

import random
from pathlib import Path

import pytest

from contracts.registry import SERVICES
from testkit.mutants.mutant import several
from testkit.upgrade.releases import NEXT, THIS, Release
from testkit.upgrade.rolling import orders

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("release", [THIS, NEXT], ids=lambda release: release.name)
def test_a_release_fits_the_code_as_it_is(release: Release) -> None:
    mutant = several(release.name, "L3", release.edits, why="a release is no bug", tests=())
    changed = mutant.applied(mutant.read(ROOT))
    for path, text in [*changed.items(), *release.files]:
        compile(text, path, "exec")


@pytest.mark.parametrize("seed", range(5))
def test_every_service_is_turned_each_time_and_readers_meet_both_versions(seed: int) -> None:
    forth, back, again = orders(random.Random(seed))
    assert [release for release, _ in (forth, back, again)] == ["next", "this", "next"]
    assert all(sorted(services) == sorted(SERVICES) for _, services in (forth, back, again))
    assert (forth[1][0], back[1][-1], again[1][-1]) == ("workflow", "workflow", "workflow")
