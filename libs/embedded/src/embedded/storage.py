"""The storage of a new broker: formatted once per machine by Kafka's own tool, copied from then on."""

import base64
import contextlib
import os
import shutil
import tempfile
import time
import uuid
from pathlib import Path

from embedded import jvm
from embedded.ports import answers
from embedded.process import Child

_UNUSED_SECONDS = 3 * 86400


def make(data: Path, settings: dict[str, str], *, port: int, within: float) -> None:
    """An empty storage with identities of its own. What half an attempt left in `data` goes away.

    The first one on a machine is tried out on `port`, for what the JVM then learns makes every later start quicker.
    """
    formatted = jvm.kept() / "formatted"
    if not (formatted / "meta.properties").exists():
        _format(formatted, settings, port, within)
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(formatted, data, dirs_exist_ok=True)
    (data / "meta.properties").write_text(
        f"version=1\nnode.id={settings['node.id']}\ncluster.id={_identity()}\ndirectory.id={_identity()}\n"
    )


def _format(formatted: Path, settings: dict[str, str], port: int, within: float) -> None:
    """Format into a folder beside the wanted one, then move: several processes may do so at once."""
    formatted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=formatted.parent, prefix=".format-") as scratch:
        folder = Path(scratch)
        properties = folder / "server.properties"
        write(properties, settings | {"log.dirs": str(folder / "storage")})
        tool = ["kafka.tools.StorageTool", "format", "-t", _identity(), "-c", str(properties)]
        child = Child(jvm.command(tool), log=folder / "log", env=jvm.ENVIRONMENT)
        child.finish(within=within, name="Kafka's storage tool")
        shutil.copytree(folder / "storage", folder / "tried")
        write(properties, settings | {"log.dirs": str(folder / "tried")})
        if jvm.learns():
            _learn(folder, properties, port, within)
        if not formatted.exists():
            os.rename(folder / "storage", formatted)
    prune()


def _learn(folder: Path, properties: Path, port: int, within: float) -> None:
    """Run a broker once and keep what the JVM learnt about its classes, which it writes as it ends."""
    learnt = folder / "broker.aot"
    broker = jvm.learning(["kafka.Kafka", str(properties)], learnt)
    child = Child(broker, log=folder / "log", env=jvm.ENVIRONMENT, grace=within)
    child.wait_until(lambda: answers(port), within=within, name="Kafka")
    child.stop()
    if learnt.exists():
        os.replace(learnt, jvm.learnt())


def in_use() -> None:
    """Say that what is kept for these jars and this Java is used today."""
    if jvm.kept().exists():
        os.utime(jvm.kept())


def prune() -> None:
    """Remove what is kept for other jars or another Java, unless somebody used it within three days.

    A broker that still runs from it goes on: it has its files open, and what it needs is made anew at its next start.
    """
    for folder in jvm.kept().parent.glob("kafka-*"):
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            if folder != jvm.kept() and folder.stat().st_mtime < time.time() - _UNUSED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def write(properties: Path, settings: dict[str, str]) -> None:
    """A properties file for Kafka."""
    properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


def _identity() -> str:
    """22 characters, as Kafka writes its UUIDs. The first one is no dash, which its tools take for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return text
