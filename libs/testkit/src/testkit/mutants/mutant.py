"""What a planted bug is: exact text replaced in one or more files, and the tests, or the run, that must see it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path


class Misplaced(Exception):
    """A planted bug's text does not stand exactly once in its file: the code has changed and it must follow."""


@dataclass(frozen=True)
class Edit:
    """One replacement: `old` stands exactly once in `file`, whose path is the repository's."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A bug, why it matters, and the cheapest tests that must fail because of it.

    `layer`: L1 needs nothing but Python, L2 real servers, L3 a whole installation. `tests` are pytest's node ids. One
    of L3 has none: `fault` is what brings it out, and `breaks` the violation with which that run must end.
    """

    name: str
    layer: str
    why: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...] = ()
    fault: str = ""
    breaks: str = ""
    """Law and violation, as the auditor calls them: `I8 never-published`."""

    def applied(self, read: Mapping[str, str]) -> dict[str, str]:
        """The files with the bug in them, given their texts. Raises Misplaced."""
        texts = {edit.file: read[edit.file] for edit in self.edits}
        for edit in self.edits:
            found = texts[edit.file].count(edit.old)
            if found != 1:
                raise Misplaced(f"{self.name}: {edit.old!r} stands {found} times in {edit.file}")
            texts[edit.file] = texts[edit.file].replace(edit.old, edit.new)
        return texts

    def read(self, root: Path) -> dict[str, str]:
        """The texts of the files that it changes, as they are."""
        return {edit.file: (root / edit.file).read_text() for edit in self.edits}


def mutant(name: str, layer: str, file: str, old: str, new: str, *, why: str, tests: str | Iterable[str]) -> Mutant:
    """A bug of one replacement."""
    return several(name, layer, [Edit(file, old, new)], why=why, tests=tests)


def several(name: str, layer: str, edits: Iterable[Edit], *, why: str, tests: str | Iterable[str]) -> Mutant:
    """A bug that needs more than one replacement."""
    return Mutant(name, layer, why, tuple(edits), (tests,) if isinstance(tests, str) else tuple(tests))


def in_chaos(bug: Mutant, fault: str, breaks: str, also: Iterable[Edit] = ()) -> Mutant:
    """The same bug in a whole installation, with what else must change for it to show within one run."""
    edits = (*bug.edits, *also)
    return replace(bug, name=f"{bug.name} in chaos", layer="L3", edits=edits, tests=(), fault=fault, breaks=breaks)
