"""A running process's parts, put together from a service and its settings."""

from typing import Any

from chassis.auth import Callers, Keys, Verifier
from chassis.clients import Clients
from chassis.database import Database
from chassis.decider import Decider
from chassis.documents import Documents
from chassis.health import Health
from chassis.schema import behind
from chassis.service import Runtime, Service, messages_of
from chassis.settings import ServiceSettings
from chassis.wakeup import Wakeup
from chassis.writing import Writer


def build(service: Service, settings: ServiceSettings, role: str) -> Runtime:
    """The runtime of one process. Nothing is connected yet: what is away now may come later."""
    if service.configure is not None:
        service = service.configure(service, settings)
    url = settings.database_url
    if role == "relay" and settings.relay_database_url is not None:
        url = settings.relay_database_url
    direct = settings.database_direct_url or (None if settings.database_pgbouncer else url)
    database = Database(url.get_secret_value(), size=settings.database_pool, pooled=settings.database_pgbouncer)
    own = {aggregate.table.name: aggregate.state for aggregate in service.aggregates}
    documents = Documents(database, service.references, own)
    wakeup = Wakeup(direct.get_secret_value() if direct else None)
    messages = messages_of(service)
    writer = Writer(service.name, settings.partitions, messages, settings.docs_url)
    deciders: dict[str, Decider[Any]] = {
        aggregate.name: Decider(aggregate, database, documents, writer, wakeup.committed)
        for aggregate in service.aggregates
    }
    clients = Clients(database)
    verifier = Verifier(Keys(settings.jwks_url), settings.issuer, settings.audience)
    runtime = Runtime(
        service=service,
        settings=settings,
        database=database,
        documents=documents,
        deciders=deciders,
        wakeup=wakeup,
        clients=clients,
        callers=Callers(verifier, database, clients),
        health=Health(),
    )
    runtime.health.ready_when("database", lambda: behind(runtime))
    return runtime
