"""Where a test run's PostgreSQL and Kafka come from: embedded, containers, or addresses that somebody gave."""

import os
from typing import Protocol


class Backend(Protocol):
    """One PostgreSQL and one Kafka, each started when first asked for."""

    name: str

    def postgres(self) -> str:
        """The superuser's URL."""

    def kafka(self) -> str:
        """host:port to bootstrap from."""

    def close(self) -> None:
        """End what was started."""


class Embedded:
    """Real servers as children of this process; they end with it, however it ends."""

    name = "embedded"

    def __init__(self) -> None:
        from embedded import Kafka, Postgres  # loaded when a run needs servers, not when pytest starts

        self._make_postgres, self._make_kafka = Postgres, Kafka
        self._postgres: Postgres | None = None
        self._kafka: Kafka | None = None

    def postgres(self) -> str:
        if self._postgres is None:
            self._postgres = self._make_postgres()
            self._postgres.start()
        return self._postgres.url()

    def kafka(self) -> str:
        if self._kafka is None:
            self._kafka = self._make_kafka()
            self._kafka.start()
        return self._kafka.bootstrap

    def close(self) -> None:
        for server in (self._kafka, self._postgres):
            if server is not None:
                server.stop()


class Given:
    """Servers that run already. Nothing is started, nothing is ended; what the tests made there is removed."""

    name = "given"

    def __init__(self, database_url: str, kafka_bootstrap: str) -> None:
        self._database_url, self._kafka_bootstrap = database_url, kafka_bootstrap

    def postgres(self) -> str:
        return self._database_url

    def kafka(self) -> str:
        return self._kafka_bootstrap

    def close(self) -> None:
        pass


def choose() -> Backend:
    """Given addresses win; then containers, when asked for and an engine answers; else embedded servers."""
    database_url, kafka_bootstrap = os.environ.get("DATABASE_URL"), os.environ.get("KAFKA_BOOTSTRAP")
    if database_url and kafka_bootstrap:
        return Given(database_url, kafka_bootstrap)
    if os.environ.get("THROUGHLINE_TEST_BACKEND") == "containers":
        from testkit.containers import Containers, engine_answers

        if engine_answers():
            return Containers()
    return Embedded()
