"""The jars that Apache Kafka consists of: by their Maven coordinates, each held against its SHA-256 in kafka.lock."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import NotAvailable

LOCK = Path(__file__).with_name("kafka.lock")


@dataclass(frozen=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def locked() -> list[Jar]:
    """What kafka.lock asks for."""
    return list(_parse(LOCK.read_text().splitlines()))


def _parse(lines: Iterable[str]) -> Iterator[Jar]:
    for line in lines:
        if line and not line.startswith("#"):
            coordinate, sha256 = line.split()
            group, artifact, version = coordinate.split(":")
            yield Jar(group, artifact, version, sha256)


def cache() -> Path:
    """The user's cache of jars, shared by all copies of the project."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "throughline" / "jars"


def fetch(jars: list[Jar], folder: Path) -> None:
    """Have exactly these bytes in `folder`; what is there already is checked, the rest is fetched.

    Several processes may do this at once. Raises NotAvailable when a jar cannot be had, or is not the locked one.
    """
    missing = [jar for jar in jars if not _is(jar, folder / jar.name)]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch, ThreadPoolExecutor(8) as pool:
        for jar, fetched in zip(missing, pool.map(lambda jar: _fetch(jar, Path(scratch)), missing), strict=True):
            if not _is(jar, fetched):
                raise NotAvailable(f"The fetched {jar} does not have the SHA-256 that kafka.lock says")
            os.replace(fetched, folder / jar.name)


def _fetch(jar: Jar, scratch: Path) -> Path:
    import requests  # here and below: only the first run pays for loading a resolver
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=scratch, timeout=60)
    try:
        return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
    except (requests.RequestException, RuntimeError, OSError) as wrong:
        raise NotAvailable(f"{jar}, a part of Apache Kafka, could not be fetched ({type(wrong).__name__})") from wrong


def _is(jar: Jar, path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256
