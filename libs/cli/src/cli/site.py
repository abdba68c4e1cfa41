"""Which installation a command speaks to: the one that the environment names, or the one that is up here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis import kafka
from chassis.issuer import Issuer
from chassis.provision import ProvisionSettings
from chassis.settings import WrongSetting, read
from cli.console import Failed
from cli.running import directory
from cli.running.installation import ISSUER, PARTITIONS
from contracts.registry import SERVICES


@dataclass
class Site:
    """Where an installation's servers and doors are; `database` enters as an administrator."""

    prefix: str
    partitions: int
    kafka: Mapping[str, Any]
    database: str | None
    services: Mapping[str, str]
    issuer: Path | None = None
    given_token: str | None = None

    def token(self, login: str, scopes: str, *, seconds: int = 3600) -> str:
        """A token of the development issuer. Raises Failed where there is none."""
        if self.issuer is None:
            raise Failed("this installation's issuer is not ours; ask it for a token")
        return Issuer(self.issuer, ISSUER).token(login, scopes, seconds=seconds)

    def kafka_options(self) -> Mapping[str, Any]:
        """What aiokafka's clients need to connect."""
        return self.kafka

    def administrator(self) -> str:
        """The administrator's address of the database. Raises Failed where it is not known."""
        if self.database is None:
            raise Failed("THROUGHLINE_ADMIN_DATABASE_URL is not set")
        return self.database


def find() -> Site:
    """The installation of THROUGHLINE_KAFKA_BOOTSTRAP, else the one that is up here.

    Beside what every service reads, THROUGHLINE_TOKEN and <SERVICE>_URL say how to reach the doors. Raises Failed.
    """
    return _named() if named() else _here()


def named() -> bool:
    """Whether the environment names an installation."""
    return bool(os.environ.get("THROUGHLINE_KAFKA_BOOTSTRAP"))


def _here() -> Site:
    running = directory.read()
    return Site(
        prefix=running.prefix,
        partitions=PARTITIONS,
        kafka={"bootstrap_servers": running.kafka},
        database=running.database,
        services=running.services,
        issuer=Path(running.issuer),
    )


def _named() -> Site:
    try:
        settings = read(ProvisionSettings, "provision")
    except WrongSetting as wrong:
        raise Failed(str(wrong)) from None
    return Site(
        prefix=settings.prefix,
        partitions=settings.partitions,
        kafka=kafka.options(settings),
        database=settings.admin_database_url.get_secret_value(),
        services={
            name: url.rstrip("/") for name in SERVICES if (url := os.environ.get(f"{name.upper()}_URL")) is not None
        },
        given_token=os.environ.get("THROUGHLINE_TOKEN"),
    )
