"""`python -m embedded.lock` writes kafka.lock anew, from the coordinates of Kafka itself."""

import hashlib
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

from embedded.jars import LOCK, Jar

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
LOGGING = ("org.apache.logging.log4j", "log4j-slf4j-impl")
"""Brings Kafka's log messages to log4j; Kafka's own distribution adds it too, in the version of its log4j-core."""


def resolve() -> list[Jar]:
    """Kafka with everything that Maven would put beside it at run time."""
    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch), timeout=60)
        root = context.create_dependency(KAFKA)
        _, nodes = context.resolver.get_dependency_list([root])
        artifacts = [root.artifact, *(node.dep.artifact for node in nodes)]
        log4j = next(artifact.version for artifact in artifacts if artifact.artifactId == "log4j-core")
        artifacts.append(context.project(*LOGGING).at_version(log4j).artifact())
        found = [
            Jar(a.groupId, a.artifactId, a.version, hashlib.sha256(Path(a.resolve()).read_bytes()).hexdigest())
            for a in artifacts
        ]
    return sorted(found, key=str)


def main() -> None:
    head = "# Apache Kafka as it runs here: group:artifact:version sha256. Written by `python -m embedded.lock`.\n"
    LOCK.write_text(head + "".join(f"{jar} {jar.sha256}\n" for jar in resolve()))


if __name__ == "__main__":
    main()
