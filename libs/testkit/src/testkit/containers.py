"""PostgreSQL and Kafka in containers, for machines where a Docker engine answers."""

import secrets

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from embedded import kafka, postgres
from embedded.ports import LOOPBACK, free_port

POSTGRES_IMAGE = "postgres:18"
KAFKA_IMAGE = "apache/kafka:4.3.1"
OWN_ADDRESSES = ("listen_addresses", "unix_socket_directories")


def engine_answers() -> bool:
    """Whether a Docker engine is there to be used."""
    try:
        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


class Containers:
    """The images of docker-compose.yml, with the settings of the embedded servers."""

    name = "containers"

    def __init__(self) -> None:
        self._running: dict[str, tuple[DockerContainer, str]] = {}

    def postgres(self) -> str:
        if "postgres" not in self._running:
            password = secrets.token_urlsafe(18)
            port = free_port()
            settings = [f"{name}={value}" for name, value in postgres.SETTINGS.items() if name not in OWN_ADDRESSES]
            container = (
                DockerContainer(POSTGRES_IMAGE)
                .with_env("POSTGRES_PASSWORD", password)
                .with_command([word for setting in settings for word in ("-c", setting)])
                .with_bind_ports(5432, port)
                # Said twice: once by the server that only initialises.
                .waiting_for(LogMessageWaitStrategy("database system is ready to accept connections", times=2))
            )
            url = f"postgresql://{postgres.SUPERUSER}:{password}@{LOOPBACK}:{port}/{postgres.SUPERUSER}"
            self._running["postgres"] = (container.start(), url)
        return self._running["postgres"][1]

    def kafka(self) -> str:
        if "kafka" not in self._running:
            port = free_port()
            own = {
                "controller.quorum.voters": "1@localhost:9093",
                "listeners": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://localhost:9093",
                "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            }
            container = (
                DockerContainer(KAFKA_IMAGE)
                .with_envs(**{variable(name): value for name, value in (kafka.SETTINGS | own).items()})
                .with_bind_ports(9092, port)
                .waiting_for(LogMessageWaitStrategy("Kafka Server started"))
            )
            self._running["kafka"] = (container.start(), f"{LOOPBACK}:{port}")
        return self._running["kafka"][1]

    def close(self) -> None:
        for container, _ in self._running.values():
            container.stop()


def variable(setting: str) -> str:
    """The environment variable by which the image takes a broker setting."""
    return "KAFKA_" + setting.upper().replace(".", "_")
