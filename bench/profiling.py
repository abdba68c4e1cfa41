"""`BENCH_PROFILE=folder`: where processes and PostgreSQL spend their time while a benchmark counts their CPU.

py-spy looks at whoever holds the interpreter's lock, for as long as a meter runs; a text with some lines of each
process is left in `folder/NAME.txt`.
Figures of such a run are not to be trusted: whoever is looked at is stopped meanwhile.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["BENCH_PROFILE"]) if os.environ.get("BENCH_PROFILE") else None
_RATE = 200
_BY_SELF, _BY_ALL, _STATEMENTS = 8, 4, 12
_EVERYWHERE = 0.9
"""A function that is on nearly every stack says nothing."""
_NOT_PYTHON = ("postgresql", "kafka")
STATEMENTS = (
    "SELECT calls, mean_exec_time AS mean_ms, total_exec_time AS total_ms, "
    "regexp_replace(query, '\\s+', ' ', 'g') AS query "
    "FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%' "
    f"ORDER BY total_exec_time DESC LIMIT {_STATEMENTS}"
)


@dataclass
class Profile:
    """Samples of one process: how often a function was running, and how often it was somewhere on the stack."""

    samples: int = 0
    own: Counter[str] = field(default_factory=Counter)
    all: Counter[str] = field(default_factory=Counter)

    def add(self, collapsed: str) -> None:
        """Take in stacks as py-spy writes them: functions from the outermost, `;` between them, and a count."""
        for line in collapsed.splitlines():
            stack, _, count = line.rpartition(" ")
            frames = [frame for frame in stack.split(";") if not frame.startswith("process ")]
            if frames:
                self.samples += int(count)
                self.own[frames[-1]] += int(count)
                self.all.update(dict.fromkeys(frames, int(count)))

    def lines(self) -> Iterator[str]:
        """The functions that matter, each with its parts of the samples."""
        shown = [name for name, _ in self.own.most_common(_BY_SELF)]
        others = (name for name, n in self.all.most_common() if n < self.samples * _EVERYWHERE and name not in shown)
        for name in [*shown, *(each for each, _ in zip(others, range(_BY_ALL), strict=False))]:
            own, everything = self.own[name] / self.samples, self.all[name] / self.samples
            yield f"  {own:6.1%} {everything:6.1%}  {_short(name)}"


profiles: dict[str, Profile] = {}
"""What was seen of each process so far."""


class Recording:
    """py-spy at some processes, until it is told to stop."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._place = tempfile.TemporaryDirectory()
        self._spies = {name: self._spy(name, pid) for name, pid in pids.items() if name not in _NOT_PYTHON}

    def _spy(self, name: str, pid: int) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).parent / "py-spy"), "record", "--pid", str(pid), "--subprocesses", "--gil"]
        command += ["--function", "--format", "raw", "--rate", str(_RATE), "--duration", "3600"]
        command += ["--output", str(self._kept(name))]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _kept(self, name: str) -> Path:
        return Path(self._place.name) / name

    def stop(self) -> None:
        """Take in what was seen."""
        for spy in self._spies.values():
            spy.send_signal(signal.SIGINT)
        for name, spy in self._spies.items():
            spy.wait()
            seen = profiles.setdefault(name, Profile())
            if self._kept(name).exists():
                seen.add(self._kept(name).read_text())
        self._place.cleanup()


@contextmanager
def looking(pids: Mapping[str, int]) -> Iterator[None]:
    """py-spy at some processes meanwhile, where a profile is wanted: for what counts no CPU."""
    recording = Recording(pids) if FOLDER is not None else None
    try:
        yield
    finally:
        if recording is not None:
            recording.stop()


def text(what: str, statements: Iterable[Mapping[str, Any]]) -> str:
    """What was seen in a benchmark: every process at work, the busiest first, then the statements that took longest."""
    busiest = sorted(profiles.items(), key=lambda item: -item[1].samples)
    said = [f"{what}: of the samples, on top of the stack and anywhere on it"]
    for process, profile in busiest:
        if profile.samples:
            said += [f"{process}, {profile.samples} samples at work", *profile.lines()]
    if idle := sorted(process for process, profile in busiest if not profile.samples):
        said.append(f"without a sample at work: {', '.join(idle)}")
    said.append("PostgreSQL: calls, mean ms, total ms, statement")
    said += [
        f"  {row['calls']:8,} {row['mean_ms']:8.3f} {row['total_ms']:9,.0f}  {row['query'][:90]}" for row in statements
    ]
    return "\n".join(said) + "\n"


def _short(frame: str) -> str:
    """`function (chassis/relay.py)`: not where it is installed."""
    function, _, path = frame.partition(" (")
    return f"{function} ({'/'.join(path.rstrip(')').split('/')[-2:])})" if path else function
