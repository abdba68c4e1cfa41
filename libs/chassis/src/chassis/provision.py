"""Making an installation's schemas and logins, as an administrator: `python -m chassis.provision SERVICE…`.

Per service: a schema, an owner (no login) that migrates it, a runtime login with rights on this schema alone, a login
for the relay, and a role that erases personal fields. It may be run again at any time and changes nothing twice.
"""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg
from pydantic import SecretStr

from chassis import grants, kafka, schema
from chassis.settings import CommonSettings, WrongSetting, environment, read
from chassis.topics import Topics

_LOCK = 7_420_311_906


@dataclass(frozen=True)
class Names:
    """What belongs to one service of one installation is called."""

    service: str
    prefix: str = ""

    @property
    def schema(self) -> str:
        """The schema; the roles are named after it."""
        return f"{self.prefix}_{self.service}".replace("-", "_") if self.prefix else self.service

    @property
    def owner(self) -> str:
        """Owns everything in the schema and migrates it; nobody logs in as it."""
        return f"{self.schema}_owner"

    @property
    def app(self) -> str:
        """The login of every role but the relay."""
        return f"{self.schema}_app"

    @property
    def relay(self) -> str:
        """The relay's login: it reads the journal and moves its cursor."""
        return f"{self.schema}_relay"

    @property
    def eraser(self) -> str:
        """May null the personal fields of the journal; the runtime login can become it."""
        return f"{self.schema}_eraser"


@dataclass(frozen=True)
class Provided:
    """The addresses that one service's processes are given."""

    service: str
    database_url: str
    relay_database_url: str


async def provision(
    admin_url: str, migrations: Mapping[str, str], *, prefix: str = "", passwords: Mapping[str, str] | None = None
) -> list[Provided]:
    """Make or bring up to date the schemas of services, given the migrations package of each.

    `passwords` names the password of a login; one that is missing gets a new one at every run.
    """
    provided = []
    for service, package in migrations.items():
        names = Names(service, prefix)
        chosen = {
            login: (passwords or {}).get(login) or secrets.token_urlsafe(24) for login in (names.app, names.relay)
        }
        await _make(admin_url, names, chosen)
        asyncpg_url = admin_url.replace("postgres://", "postgresql://", 1).replace(
            "postgresql", "postgresql+asyncpg", 1
        )
        await asyncio.to_thread(schema.upgrade, package, url=asyncpg_url, schema=names.schema, role=names.owner)
        await _grant(admin_url, names)
        provided.append(
            Provided(
                service,
                as_login(admin_url, names.app, chosen[names.app]),
                as_login(admin_url, names.relay, chosen[names.relay]),
            )
        )
    return provided


async def _make(admin_url: str, names: Names, passwords: Mapping[str, str]) -> None:
    """Roles and an empty schema. Roles are the server's, so provisioning runs one at a time per database."""
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        for role in (names.owner, names.eraser):
            await _role(connection, role, None)
        for login, password in passwords.items():
            await _role(connection, login, password)
        for text in grants.before_migration(names, await connection.fetchval("SELECT current_database()")):
            await connection.execute(text)
    finally:
        await connection.close()


async def _role(connection: asyncpg.Connection, role: str, password: str | None) -> None:
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if exists else "CREATE"
    kind = "NOLOGIN" if password is None else "LOGIN"
    text = await connection.fetchval(
        "SELECT format($1, $2::text, $3::text)",
        f"{verb} ROLE %I {kind} NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE" + (" PASSWORD %L" if password else ""),
        role,
        password,
    )
    await connection.execute(text)


async def _grant(admin_url: str, names: Names) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        for text in grants.after_migration(
            names, [row[0] for row in await connection.fetch(grants.TABLES, names.schema)]
        ):
            await connection.execute(text)
    finally:
        await connection.close()


def as_login(url: str, login: str, password: str) -> str:
    """The same database, entered as somebody else."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(login, safe='')}:{quote(password, safe='')}@{place}"))


def _passwords(given: Mapping[str, str], services: Sequence[str], prefix: str) -> dict[str, str]:
    """The passwords in the services' own addresses, so that both sides read one setting."""
    found = {}
    for service in services:
        names = Names(service, prefix)
        for name, login in ((f"{service}_DATABASE_URL", names.app), (f"{service}_RELAY_DATABASE_URL", names.relay)):
            parts = urlsplit(given.get(name.upper(), ""))
            if parts.username is not None and unquote(parts.username) != login:
                raise WrongSetting(f"{name.upper()}: the login must be {login}")
            if parts.password:
                found[login] = unquote(parts.password)
    return found


class ProvisionSettings(CommonSettings):
    """What provisioning reads."""

    admin_database_url: SecretStr
    """A login that may create roles and schemas, in the database of the installation."""


def main(arguments: Sequence[str]) -> int:
    """Provision the named services' schemas, then every topic; 2 and one plain line for a wrong setting."""
    parser = argparse.ArgumentParser(prog="python -m chassis.provision", description="Schemas, logins and topics.")
    parser.add_argument("services", nargs="+", metavar="SERVICE")
    options = parser.parse_args(arguments)
    try:
        settings = read(ProvisionSettings, "provision")
        passwords = _passwords(environment(), options.services, settings.prefix)
        logins = [Names(service, settings.prefix).app for service in options.services]
        missing = [login for login in logins if login not in passwords]
        if missing:
            raise WrongSetting(f"no password for {', '.join(missing)} in <SERVICE>_DATABASE_URL")
    except WrongSetting as wrong:
        print(f"provision: {wrong}", file=sys.stderr)
        return 2
    asyncio.run(_everything(settings, options.services, passwords))
    return 0


async def _everything(settings: ProvisionSettings, services: Sequence[str], passwords: Mapping[str, str]) -> None:
    packages = {service: f"{service}.migrations" for service in services}
    admin_url = settings.admin_database_url.get_secret_value()
    await provision(admin_url, packages, prefix=settings.prefix, passwords=passwords)
    topics = Topics(settings.prefix, settings.partitions, **kafka.options(settings))
    await topics.apply()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
