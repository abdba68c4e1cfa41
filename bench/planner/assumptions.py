"""What was not measured: every number the plan needs besides, with its unit and the reason for its value."""

from dataclasses import dataclass, field, fields
from typing import Any

_ABOVE_ZERO = (
    "burst_minutes", "utilisation", "lag_seconds", "least_pods", "sweepers", "mails_per_s", "skew", "keep_days",
    "wal_bytes", "dead_rows", "journal_bytes", "fact_bytes",
    "postgres_servers", "postgres_cores", "postgres_connections", "postgres_wal_megabytes", "postgres_terabytes",
    "vacuum_rows", "month_terabytes", "brokers", "replication", "retention_days", "broker_cores", "broker_megabytes",
    "broker_terabytes", "broker_partitions",
)  # fmt: skip


def _assume(value: float, unit: str, why: str) -> Any:
    return field(default=value, metadata={"unit": unit, "why": why})


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Each is a flag of `bench.plan`: `peak_factor` is `--peak-factor`."""

    # What comes in
    peak_factor: float = _assume(3.0, "x", "the busiest minute of an ordinary day over the day's mean; office hours")
    burst: float = _assume(3.0, "x", "a burst over the busiest minute: an outage that everybody reports at once")
    burst_minutes: int = _assume(15, "min", "how long the burst lasts; its requests come on top of the day's")
    changes_per_request: float = _assume(8.7, "", "a real desk's log: 65,533 changes of 7,554 requests")
    reads_per_operation: float = _assume(5.0, "", "pages and lists that are looked at for each submission or change")
    list_share: float = _assume(
        0.5, "", "of the reads that are a page of 50 of a work list; the others are one request"
    )
    mails_per_request: float = _assume(4.0, "", "received, waiting for you, new message, closed")
    breaches_per_request: float = _assume(0.2, "", "timers that fire; the others are disarmed in time")
    clients: int = _assume(20, "", "other systems with topics of their own to intake and workflow")

    # What facts there are of it
    facts_per_change: float = _assume(1.2, "", "the same log: 79,215 commands for 65,533 changes, a fact each")
    approval_facts_per_request: float = _assume(0.6, "", "one request in five is asked about: asked, voted, settled")
    billing_facts_per_request: float = _assume(2.0, "", "a charge, and the answer to the close")
    facts_per_mail: float = _assume(2.0, "", "planned, accepted")
    fact_bytes: float = _assume(400, "B", "a fact's body in Kafka; the contract's examples have 60 to 890")
    header_bytes: float = _assume(450, "B", "a record's headers and key, uncompressed")
    journal_bytes: float = _assume(1_000, "B", "a row of the journal with its two indexes: a body and 20 columns")
    row_bytes: float = _assume(2_000, "B", "a request's row, its children and indexes in one service's schema")
    wal_bytes: float = _assume(16_000, "B", "WAL of an operation in all five schemas, page images included")
    dead_rows: float = _assume(7.0, "", "row versions that an operation leaves to vacuum, all schemas")
    write_http_bytes: float = _assume(2_100, "B", "a submission and its answer over HTTP, with headers and token")
    one_http_bytes: float = _assume(3_100, "B", "the same of one request read at workflow's door")
    list_http_bytes: float = _assume(25_000, "B", "the same of a page of 50 of the work list")
    postgres_bytes: float = _assume(
        9_000, "B", "to and from PostgreSQL for an operation, all schemas: states of 0.6 to 1.3 KB read and written, a "
        "fact's row of 0.7 to 1.6 KB written and read by its relay; a read brings what the door answers",
    )  # fmt: skip
    readers: float = _assume(6.0, "", "groups that read each fact: four services and two other systems")

    # What it runs on
    partitions: int = _assume(0, "", "of every stream; 0: the least of 12, 24, 48, 64 that has room to grow")
    utilisation: float = _assume(0.6, "", "of a process's or server's capacity, in the busiest minute without a burst")
    lag_seconds: float = _assume(60.0, "s", "what a burst may hold up a role behind Kafka or a journal")
    least_pods: int = _assume(2, "", "of each role, so that one may go; a second relay only stands by")
    sweepers: int = _assume(4, "", "processes that share one agenda without losing to each other; not measured")
    mails_per_s: float = _assume(200.0, "/s", "one sender; depends on the mail server")
    pod_megabytes: float = _assume(
        150.0, "MB", "resident memory of a process; the goal: 142 at most after a million records a stream"
    )
    skew: float = _assume(1.3, "x", "the busiest partition over the mean one; keys are request ids, evenly hashed")
    door_connections: int = _assume(17, "", "of an api process at most: two pools of 8 and the bell")
    role_connections: int = _assume(6, "", "of any other process: a batch in hand, a read, lease or gauges, the bell")
    postgres_servers: int = _assume(1, "", "1: all schemas on one; 2: workflow apart; … 5: one a service")
    postgres_cores: float = _assume(16, "cores", "of a server")
    postgres_connections: int = _assume(500, "", "max_connections of a server")
    postgres_wal_megabytes: float = _assume(150.0, "MB/s", "WAL that one server writes, ships and archives")
    postgres_terabytes: float = _assume(32.0, "TB", "disk of a server")
    vacuum_rows: float = _assume(50_000, "/s", "row versions that a server's autovacuum clears, over the day's mean")
    month_terabytes: float = _assume(2.0, "TB", "a month of one journal that can still be kept up, copied and dropped")
    keep_days: float = _assume(365, "days", "how long requests stay in the database")
    brokers: int = _assume(3, "", "of Kafka")
    replication: int = _assume(3, "", "copies of each record")
    retention_days: float = _assume(30, "days", "of streams; the contract's value")
    broker_cores: float = _assume(4, "cores", "of a broker")
    broker_megabytes: float = _assume(100.0, "MB/s", "that a broker writes to disk, copies included")
    broker_terabytes: float = _assume(8.0, "TB", "disk of a broker")
    broker_partitions: int = _assume(4_000, "", "copies of partitions that a broker carries")

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) >= 0:
                raise ValueError(f"{one.name} must not be below 0")
        for name in _ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        if self.partitions > 64:
            raise ValueError("partitions must be 64 at most")
        if self.list_share > 1:
            raise ValueError("list_share is 1 at most")
        if self.utilisation > 1 or self.burst < 1:
            raise ValueError("utilisation is 1 at most, burst at least")
        if self.postgres_servers > 5:
            raise ValueError("postgres_servers must be 5 at most: one a service")

    @property
    def operations_per_request(self) -> float:
        """A submission and its changes."""
        return 1 + self.changes_per_request

    def facts_told(self) -> dict[str, float]:
        """Facts of each service over a request's life."""
        return {
            "intake": 1.0,
            "workflow": 1.0 + self.changes_per_request * self.facts_per_change + self.breaches_per_request,
            "approvals": self.approval_facts_per_request,
            "billing": self.billing_facts_per_request,
            "notifications": self.mails_per_request * self.facts_per_mail,
        }
