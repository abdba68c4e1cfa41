"""Each role of each service as a server of a queue: what one process does a second, and what it costs."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.planner.assumptions import Assumptions
from bench.planner.figures import KINDS, Figures, Read
from contracts.registry import SERVICES

ALONE = "relay"
"""The one kind of which a second process stands by: one lease a schema."""


@dataclass(frozen=True)
class Role:
    """One role. Its unit of work is the operation: a submission, or a change of a request."""

    name: str
    service: str
    kind: str
    per_s: float
    """Operations a second of one busy process; infinite where it has none to do."""
    cores: Callable[[float], float]
    """Cores that one process is busy with at so many operations a second."""
    connections: int


def roles(figures: Figures, assumed: Assumptions) -> dict[str, Role]:
    """All roles by name, in the order in which a request passes them."""
    found = {f"{service}-{kind}": _role(service, kind, figures, assumed) for service in SERVICES for kind in KINDS}
    found["notifications-sender"] = _sender(assumed)
    return found


def operation_us(process: str, figures: Figures, assumed: Assumptions) -> float:
    """CPU of an operation in one process or server at full load: a submission or a change, in their proportion."""
    changes, all_of_them = assumed.changes_per_request, assumed.operations_per_request
    submitting = figures.submitting[process].full_us
    if not process.endswith("-api"):
        return (submitting + changes * figures.change_us.get(process, submitting)) / all_of_them
    if process == "workflow-api":
        return changes / all_of_them * figures.write_us + reads(figures, assumed).door_us
    return submitting / all_of_them if process == "intake-api" else 0.0


def reads(figures: Figures, assumed: Assumptions) -> Read:
    """What the reads that come with one operation cost."""
    lists, times = assumed.list_share, assumed.reads_per_operation
    return Read(
        times * ((1 - lists) * figures.one.door_us + lists * figures.work_list.door_us),
        times * ((1 - lists) * figures.one.postgres_us + lists * figures.work_list.postgres_us),
    )


def _role(service: str, kind: str, figures: Figures, assumed: Assumptions) -> Role:
    name = f"{service}-{kind}"
    us, usage = operation_us(name, figures, assumed), figures.submitting[name]
    share = us / usage.full_us

    def cores(rate: float) -> float:
        return min(1.0, usage.cores(rate) * share)

    facts = assumed.facts_told()[service] / assumed.operations_per_request
    match kind:
        case "relay":
            per_s = figures.relay_per_s / facts if facts else float("inf")
        case "timers":
            due = assumed.breaches_per_request / assumed.operations_per_request if service == "workflow" else 0.0
            per_s = figures.fired_per_s / due if due else float("inf")
        case _:
            per_s = 1e6 / us if us else float("inf")
    connections = assumed.door_connections if kind == "api" else assumed.role_connections
    return Role(name, service, kind, per_s, cores, connections)


def _sender(assumed: Assumptions) -> Role:
    mails = assumed.mails_per_request / assumed.operations_per_request
    per_s = assumed.mails_per_s / mails if mails else float("inf")
    return Role(
        "notifications-sender", "notifications", "sender", per_s, lambda rate: min(1.0, rate / per_s),
        assumed.role_connections,
    )  # fmt: skip


FLOW = (
    ("intake-relay", None),
    ("workflow-worker", "intake-relay"),
    ("workflow-relay", "workflow-worker"),
    ("intake-worker", "workflow-relay"),
    ("approvals-worker", "workflow-relay"),
    ("billing-worker", "workflow-relay"),
    ("notifications-worker", "workflow-relay"),
    ("approvals-relay", "approvals-worker"),
    ("billing-relay", "billing-worker"),
    ("notifications-relay", "notifications-worker"),
    ("notifications-sender", "notifications-worker"),
)
"""Who hands on to whom behind the doors: what a role has done arrives at the next in the same minute."""
LONGEST_WAY = (
    ("intake-relay", "workflow-worker", "workflow-relay", "notifications-worker", "notifications-sender"),
    ("intake-relay", "workflow-worker", "workflow-relay", "notifications-worker", "notifications-relay"),
    ("intake-relay", "workflow-worker", "workflow-relay", "intake-worker"),
    ("intake-relay", "workflow-worker", "workflow-relay", "approvals-worker", "approvals-relay"),
    ("intake-relay", "workflow-worker", "workflow-relay", "billing-worker", "billing-relay"),
)
"""Every way to an end."""
