"""The whole answer for one number of requests a day."""

from dataclasses import dataclass, replace

from bench.planner import ceilings
from bench.planner.assumptions import Assumptions
from bench.planner.ceilings import MEGA, TERA, Ceiling, Ground
from bench.planner.day import MINUTES
from bench.planner.figures import Figures
from bench.planner.roles import operation_us
from bench.planner.sizing import Demand, Fleet, Flow, busy_cores, demand, fleet, flow


@dataclass(frozen=True)
class Plan:
    """What an installation of this size is made of, and how its worst day goes."""

    demand: Demand
    fleet: Fleet
    flow: Flow
    ceilings: tuple[Ceiling, ...]
    """The first to be reached first."""
    cores: dict[str, float]
    """Busy cores: of all processes on average (`pods_mean`) and in the busiest ordinary minute, of the servers too."""
    memory_gigabytes: float
    database: dict[str, float]
    kafka: dict[str, float]
    network: dict[str, float]
    """Megabytes a second through doors and to and from PostgreSQL, both ways; WAL and Kafka stand apart."""

    @property
    def exceeded(self) -> tuple[Ceiling, ...]:
        """What cannot bear this many requests."""
        return tuple(one for one in self.ceilings if one.full > 1)

    @property
    def first(self) -> Ceiling:
        """The ceiling that is reached with the fewest requests a day."""
        return self.ceilings[0]


def plan(per_day: float, figures: Figures, assumed: Assumptions) -> Plan:
    """What so many requests a day need. ValueError for assumptions that cannot be."""
    wanted = demand(per_day, assumed)
    ready = fleet(wanted, figures, assumed)
    chosen = replace(assumed, partitions=ready.partitions)
    ground = Ground(figures, chosen)
    return Plan(
        demand=wanted,
        fleet=ready,
        flow=flow(wanted, ready, assumed.burst_minutes),
        ceilings=ceilings.ceilings(per_day, ground),
        cores=_cores(wanted, ready, ground),
        memory_gigabytes=sum(ready.pods.values()) * assumed.pod_megabytes / 1000,
        database=_database(wanted, ready, ground),
        kafka=_kafka(wanted, ground),
        network=_network(wanted, chosen),
    )


def _cores(wanted: Demand, ready: Fleet, ground: Ground) -> dict[str, float]:
    postgres = ceilings.postgres_us(ground) / 1e6
    kafka = operation_us("kafka", ground.figures, ground.assumed) / 1e6
    return {
        "pods_mean": _mean_cores(wanted, ready, ground),
        "pods_busiest": busy_cores(wanted.busiest, ready, ground.figures, ground.assumed),
        "postgresql_busiest": wanted.busiest * postgres,
        "postgresql_burst": wanted.burst * postgres,
        "kafka_busiest": wanted.busiest * kafka,
    }


def _mean_cores(wanted: Demand, ready: Fleet, ground: Ground) -> float:
    """Over the hours of an ordinary day: a sum of minutes an hour apart."""
    hourly = wanted.by_minute[MINUTES::60]
    return sum(busy_cores(some / 60, ready, ground.figures, ground.assumed) for some in hourly) / len(hourly)


def _database(wanted: Demand, ready: Fleet, ground: Ground) -> dict[str, float]:
    assumed = ground.assumed
    a_day = sum(ceilings.stored_bytes(assumed).values()) * wanted.per_day
    return {
        "gigabytes_a_day": a_day / 1e9,
        "terabytes_kept": a_day * assumed.keep_days / TERA,
        "wal_megabytes_s_busiest": wanted.busiest * assumed.wal_bytes / MEGA,
        "wal_megabytes_s_burst": wanted.burst * assumed.wal_bytes / MEGA,
        "wal_terabytes_a_day": wanted.mean * 86_400 * assumed.wal_bytes / TERA,
        "connections": sum(ceilings.connections(ready, ground).values()),
    }


def _network(wanted: Demand, assumed: Assumptions) -> dict[str, float]:
    http, postgres = ceilings.http_bytes(assumed) / MEGA, ceilings.postgres_bytes(assumed) / MEGA
    return {
        "http_megabytes_s_busiest": wanted.busiest * http,
        "http_megabytes_s_burst": wanted.burst * http,
        "postgresql_megabytes_s_busiest": wanted.busiest * postgres,
        "postgresql_megabytes_s_burst": wanted.burst * postgres,
    }


def _kafka(wanted: Demand, ground: Ground) -> dict[str, float]:
    assumed = ground.assumed
    an_operation = ceilings.told_bytes(assumed) / assumed.operations_per_request
    return {
        "facts_s_busiest": wanted.busiest * sum(assumed.facts_told().values()) / assumed.operations_per_request,
        "megabytes_s_in_busiest": wanted.busiest * an_operation * assumed.replication / MEGA,
        "megabytes_s_out_busiest": wanted.busiest * an_operation * assumed.readers / MEGA,
        "terabytes_kept": ceilings.told_bytes(assumed)
        * wanted.per_day
        * assumed.retention_days
        * assumed.replication
        / TERA,
        "partition_copies": ceilings.kafka_partitions(assumed),
    }
