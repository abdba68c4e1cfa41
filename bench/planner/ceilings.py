"""Where an installation ends: each thing that cannot be had in any number, how full it is, and what to split then."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.planner.assumptions import Assumptions
from bench.planner.day import serve
from bench.planner.figures import KINDS, Figures
from bench.planner.roles import operation_us, reads, roles
from bench.planner.sizing import Demand, Fleet, demand, fleet
from contracts.registry import CLIENT_PARTITIONS, SERVICES, TOPICS

MOST_PER_DAY = 1e12
TERA, MEGA = 1e12, 1e6


@dataclass(frozen=True)
class Ceiling:
    """One ceiling: 1 is full."""

    name: str
    full: float
    """At the planned number of requests a day."""
    holds_to: float
    """The most requests a day; infinite where it does not depend on them."""
    rests_on: str
    """Whether what one of it bears was measured, is a setting, or is assumed; what is asked of it has assumed parts."""
    then: str
    """What must be split or changed before."""


@dataclass(frozen=True)
class Ground:
    """What a ceiling is judged by."""

    figures: Figures
    assumed: Assumptions
    """With the partitions chosen: they are fixed for an installation's life, however it grows."""


Fullness = Callable[[Demand, Ground], float]


def ceilings(per_day: float, ground: Ground) -> tuple[Ceiling, ...]:
    """All of them, the first to be reached first."""
    at = demand(per_day, ground.assumed)
    found = [
        Ceiling(name, full(at, ground), holds_to(full, ground), rests_on, then) for name, full, rests_on, then in ALL
    ]
    return tuple(sorted(found, key=lambda one: (one.holds_to, -one.full)))


def holds_to(full: Fullness, ground: Ground) -> float:
    """The most requests a day, to one in a thousand, at which it is not over-full; fullness never falls with them."""
    if full(demand(1.0, ground.assumed), ground) > 1:
        return 0.0
    low, high = 1.0, 2.0
    while full(demand(high, ground.assumed), ground) <= 1:
        low, high = high, high * 2
        if high > MOST_PER_DAY:
            return math.inf
    while high - low > high / 1000:
        middle = (low + high) / 2
        low, high = (middle, high) if full(demand(middle, ground.assumed), ground) <= 1 else (low, middle)
    return low


# -- shares ------------------------------------------------------------------------------------------------------------

_TOGETHER: Mapping[int, tuple[tuple[str, ...], ...]] = {
    1: (SERVICES,),
    2: (("workflow",), ("intake", "approvals", "billing", "notifications")),
    3: (("workflow",), ("notifications",), ("intake", "approvals", "billing")),
    4: (("workflow",), ("notifications",), ("intake",), ("approvals", "billing")),
    5: tuple((service,) for service in SERVICES),
}
"""Which schemas share a server."""


def busiest_server(of_service: Mapping[str, float], servers: int) -> float:
    """The most of something that one server has to bear."""
    return max(sum(of_service[service] for service in some) for some in _TOGETHER[servers])


def by_cpu(ground: Ground) -> dict[str, float]:
    """Each service's part of PostgreSQL's work; guessed from the CPU of its own processes, together 1."""
    own = {
        service: sum(operation_us(f"{service}-{kind}", ground.figures, ground.assumed) for kind in KINDS)
        for service in SERVICES
    }
    own["workflow"] = max(0.0, own["workflow"] - reads(ground.figures, ground.assumed).door_us)
    return {service: us / sum(own.values()) for service, us in own.items()}


def stored_bytes(assumed: Assumptions) -> dict[str, float]:
    """Bytes that one request leaves in each schema."""
    facts = assumed.facts_told()
    return {service: facts[service] * assumed.journal_bytes + assumed.row_bytes for service in SERVICES}


def told_bytes(assumed: Assumptions) -> float:
    """Bytes on Kafka of one request's life, one copy."""
    return sum(assumed.facts_told().values()) * (assumed.fact_bytes + assumed.header_bytes)


def postgres_us(ground: Ground) -> float:
    """CPU of PostgreSQL for an operation and the reads that come with it."""
    reading = reads(ground.figures, ground.assumed).postgres_us
    return operation_us("postgresql", ground.figures, ground.assumed) + reading


def http_bytes(assumed: Assumptions) -> float:
    """Bytes through the doors for an operation and the reads that come with it, both ways."""
    return assumed.write_http_bytes + _read_bytes(assumed)


def postgres_bytes(assumed: Assumptions) -> float:
    """Bytes between processes and PostgreSQL for the same, both ways; a read brings what the door answers."""
    return assumed.postgres_bytes + _read_bytes(assumed)


def _read_bytes(assumed: Assumptions) -> float:
    one = (1 - assumed.list_share) * assumed.one_http_bytes + assumed.list_share * assumed.list_http_bytes
    return assumed.reads_per_operation * one


def kafka_partitions(assumed: Assumptions) -> int:
    """Copies of partitions of all topics, those of clients included (each commands intake and workflow)."""
    own = sum(topic.partitions or assumed.partitions for topic in TOPICS)
    return (own + assumed.clients * 2 * 2 * CLIENT_PARTITIONS) * assumed.replication


def connections(ready: Fleet, ground: Ground) -> dict[str, float]:
    """Connections to each schema at most."""
    total = dict.fromkeys(SERVICES, 0.0)
    for name, role in roles(ground.figures, ground.assumed).items():
        total[role.service] += ready.pods[name] * role.connections
    return total


# -- how full ----------------------------------------------------------------------------------------------------------


def at_once(wanted: Demand, capacity: float, assumed: Assumptions) -> float:
    """Fullness of what must bear a burst as it comes: by the busiest minute at the wished utilisation, or the burst."""
    return max(wanted.busiest / (capacity * assumed.utilisation), wanted.burst / capacity)


def after_a_while(wanted: Demand, capacity: float, assumed: Assumptions) -> float:
    """Fullness of what has a queue before it: by the busiest minute, or by what a burst's last waits."""
    ordinary = wanted.busiest / (capacity * assumed.utilisation)
    if wanted.burst <= capacity or math.isinf(capacity):
        return ordinary
    return max(ordinary, serve(wanted.by_minute, capacity).worst_seconds / assumed.lag_seconds)


def _of_kind(kind: str, ground: Ground) -> Iterable[float]:
    return (role.per_s for role in roles(ground.figures, ground.assumed).values() if role.kind == kind)


def _relay(wanted: Demand, ground: Ground) -> float:
    return after_a_while(wanted, min(_of_kind("relay", ground)), ground.assumed)


def _partition(wanted: Demand, ground: Ground) -> float:
    slowest = min(_of_kind("worker", ground)) * ground.assumed.partitions / ground.assumed.skew
    return after_a_while(wanted, slowest, ground.assumed)


def _agenda(wanted: Demand, ground: Ground) -> float:
    return after_a_while(wanted, min(_of_kind("timers", ground)) * ground.assumed.sweepers, ground.assumed)


def _postgres_cpu(wanted: Demand, ground: Ground) -> float:
    one = busiest_server(by_cpu(ground), ground.assumed.postgres_servers) * postgres_us(ground)
    return at_once(wanted, ground.assumed.postgres_cores * 1e6 / one, ground.assumed)


def _postgres_wal(wanted: Demand, ground: Ground) -> float:
    one = busiest_server(by_cpu(ground), ground.assumed.postgres_servers) * ground.assumed.wal_bytes
    return at_once(wanted, ground.assumed.postgres_wal_megabytes * MEGA / one, ground.assumed)


def _postgres_disk(wanted: Demand, ground: Ground) -> float:
    a_day = busiest_server(stored_bytes(ground.assumed), ground.assumed.postgres_servers) * wanted.per_day
    return a_day * ground.assumed.keep_days / (ground.assumed.postgres_terabytes * TERA)


def _connections(wanted: Demand, ground: Ground) -> float:
    ready = fleet(wanted, ground.figures, ground.assumed)
    most = busiest_server(connections(ready, ground), ground.assumed.postgres_servers)
    return most / ground.assumed.postgres_connections


def _vacuum(wanted: Demand, ground: Ground) -> float:
    one = busiest_server(by_cpu(ground), ground.assumed.postgres_servers) * ground.assumed.dead_rows
    return wanted.mean * one / ground.assumed.vacuum_rows


def _month(wanted: Demand, ground: Ground) -> float:
    largest = max(ground.assumed.facts_told().values()) * ground.assumed.journal_bytes
    return largest * wanted.per_day * 30 / (ground.assumed.month_terabytes * TERA)


def _kafka_cpu(wanted: Demand, ground: Ground) -> float:
    us = operation_us("kafka", ground.figures, ground.assumed)
    return at_once(wanted, ground.assumed.brokers * ground.assumed.broker_cores * 1e6 / us, ground.assumed)


def _kafka_writes(wanted: Demand, ground: Ground) -> float:
    an_operation = told_bytes(ground.assumed) / ground.assumed.operations_per_request * ground.assumed.replication
    capacity = ground.assumed.brokers * ground.assumed.broker_megabytes * MEGA / an_operation
    return at_once(wanted, capacity, ground.assumed)


def _kafka_disk(wanted: Demand, ground: Ground) -> float:
    kept = told_bytes(ground.assumed) * wanted.per_day * ground.assumed.retention_days * ground.assumed.replication
    return kept / (ground.assumed.brokers * ground.assumed.broker_terabytes * TERA)


def _kafka_partitions(wanted: Demand, ground: Ground) -> float:
    copies = kafka_partitions(ground.assumed)
    return copies / (ground.assumed.brokers * ground.assumed.broker_partitions)


MEASURED, SETTING, ASSUMED = "measured", "a setting", "assumed"
ALL: tuple[tuple[str, Fullness, str, str], ...] = (
    (
        "relay: one leader a schema",
        _relay,
        MEASURED,
        "split the installation; a lease a group would be a change of the product",
    ),
    ("one partition's order", _partition, MEASURED, "more partitions, which are fixed at install: a new installation"),
    ("agenda: sweepers of one schema", _agenda, MEASURED, "split the installation"),
    (
        "PostgreSQL: CPU of a server",
        _postgres_cpu,
        MEASURED,
        "a larger server, then a server for workflow, then one a service",
    ),
    (
        "PostgreSQL: WAL of a server",
        _postgres_wal,
        ASSUMED,
        "faster log disks, then a server for workflow, then one a service",
    ),
    (
        "PostgreSQL: disk of a server",
        _postgres_disk,
        ASSUMED,
        "archive old requests; a server for workflow, then one a service",
    ),
    ("PostgreSQL: connections", _connections, SETTING, "PgBouncer, or smaller pools (`THROUGHLINE_DATABASE_POOL`)"),
    ("PostgreSQL: vacuum", _vacuum, ASSUMED, "autovacuum without cost delay and with more workers, then as for CPU"),
    ("journal: a month's partition", _month, ASSUMED, "shorter partitions than months: a change of the product"),
    ("Kafka: CPU of the brokers", _kafka_cpu, MEASURED, "more brokers"),
    ("Kafka: what brokers write", _kafka_writes, ASSUMED, "more brokers; compression at the topic"),
    ("Kafka: disk of the brokers", _kafka_disk, ASSUMED, "more brokers, or shorter retention where no reader needs it"),
    ("Kafka: partitions", _kafka_partitions, ASSUMED, "more brokers, or fewer clients' topics"),
)
