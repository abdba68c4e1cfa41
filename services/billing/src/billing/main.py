"""Billing, wired."""

from billing.commands import commands
from billing.deciders import ACCOUNTS, PRICES
from billing.handlers import references, stream
from billing.routes import router
from billing.settings import Settings
from billing.tables import metadata
from chassis.service import Service

__all__ = ["SERVICE", "Settings"]

SERVICE = Service(
    name="billing",
    aggregates=(ACCOUNTS, PRICES),
    stream=stream,
    references=references,
    commands=commands,
    routes=router,
    metadata=metadata,
    migrations="billing.migrations",
)
