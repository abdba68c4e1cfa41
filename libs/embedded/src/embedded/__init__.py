"""Real Kafka and real PostgreSQL as children of this process; nothing but Python needs to be installed."""

from embedded.errors import NotAvailable, NotStarted
from embedded.kafka import Kafka
from embedded.postgres import Postgres

__all__ = ["Kafka", "NotAvailable", "NotStarted", "Postgres"]
