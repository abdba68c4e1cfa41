"""A plan in words and tables."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from bench.planner.assumptions import Assumptions
from bench.planner.ceilings import Ceiling
from bench.planner.figures import Figures
from bench.planner.planning import Plan
from bench.planner.roles import Role
from bench.result import rounded


def short(value: float) -> str:
    """Three significant digits at most, thousands with commas."""
    if math.isinf(value):
        return "-"
    if value >= 100 or value == int(value):
        digits = max(0, int(math.log10(value)) - 2) if value >= 1 else 0
        return f"{round(value / 10**digits) * 10**digits:,}"
    return f"{value:.3g}"


def per_day(value: float) -> str:
    """A number of requests: 30k, 2.9M, 1.2G; rounded down, since it is a most."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size and not math.isinf(value):
            power = 10.0 ** (math.floor(math.log10(value / size)) - 1)
            return f"{math.floor(value / size / power + 1e-9) * power:.3g}{unit}"
    return "-" if math.isinf(value) else str(int(value))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, figures: bool = True) -> str:
    """A table of Markdown; all columns but the first to the right where they are figures."""
    marks = ["---", *("--:" if figures else "---" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))


def pods(plan: Plan, kind: str) -> str:
    """Processes of a kind, by service where they differ."""
    counts = {name.partition("-")[0]: n for name, n in plan.fleet.pods.items() if name.rpartition("-")[2] == kind}
    if len(set(counts.values())) == 1:
        each = next(iter(counts.values()))
        return f"{each} each" if len(counts) > 1 else str(each)
    return ", ".join(f"{service} {n}" for service, n in counts.items())


def rows(plan: Plan) -> list[tuple[str, str]]:
    """Everything the plan says, but for the list of ceilings."""
    wanted, database, kafka, network, cores = plan.demand, plan.database, plan.kafka, plan.network, plan.cores
    drained = plan.flow.drained_minutes
    return [
        ("operations/s: mean, busiest minute, burst",
         f"{short(wanted.mean)} / {short(wanted.busiest)} / {short(wanted.burst)}"),
        *((f"`{kind}` pods", pods(plan, kind)) for kind in ("api", "worker", "relay", "timers", "sender")),
        ("pods in all; memory", f"{sum(plan.fleet.pods.values())}; {short(plan.memory_gigabytes)} GB"),
        ("cores busy in pods: mean, busiest minute", f"{short(cores['pods_mean'])} / {short(cores['pods_busiest'])}"),
        ("partitions of each stream", str(plan.fleet.partitions)),
        ("PostgreSQL cores: busiest minute, burst",
         f"{short(cores['postgresql_busiest'])} / {short(cores['postgresql_burst'])}"),
        ("PostgreSQL connections at most", short(database["connections"])),
        ("database: growth a day; kept",
         f"{short(database['gigabytes_a_day'])} GB; {short(database['terabytes_kept'])} TB"),
        ("WAL: busiest minute, burst; a day",
         f"{short(database['wal_megabytes_s_busiest'])} / {short(database['wal_megabytes_s_burst'])} MB/s; "
         f"{short(database['wal_terabytes_a_day'])} TB"),
        ("HTTP, both ways: busiest minute, burst",
         f"{short(network['http_megabytes_s_busiest'])} / {short(network['http_megabytes_s_burst'])} MB/s"),
        ("PostgreSQL's clients, both ways: busiest minute, burst",
         f"{short(network['postgresql_megabytes_s_busiest'])} / {short(network['postgresql_megabytes_s_burst'])} MB/s"),
        ("Kafka cores, busiest minute", short(cores["kafka_busiest"])),
        ("Kafka: facts/s, busiest minute", short(kafka["facts_s_busiest"])),
        ("Kafka: written with copies, read, busiest minute",
         f"{short(kafka['megabytes_s_in_busiest'])} / {short(kafka['megabytes_s_out_busiest'])} MB/s"),
        ("Kafka: kept on all brokers", f"{short(kafka['terabytes_kept'])} TB"),
        ("worst lag behind the doors in a burst", f"{short(math.ceil(plan.flow.worst_lag_seconds))} s"),
        ("nothing waits any more, after the burst", "not in a day" if drained is None else f"{drained} min"),
        ("first ceiling, and where", f"{plan.first.name}; {per_day(plan.first.holds_to)}"),
        ("over-full", ", ".join(one.name for one in plan.exceeded) or "nothing"),
    ]  # fmt: skip


def side_by_side(plans: Sequence[Plan]) -> str:
    """Plans of several sizes in one table."""
    columns = [dict(rows(one)) for one in plans]
    head = ["requests a day", *(per_day(one.demand.per_day) for one in plans)]
    return table(head, [[name, *(column[name] for column in columns)] for name in columns[0]])


def of_costs(figures: Figures) -> str:
    """Measured CPU of each process: idle, a submitted request at 300/s and at the highest rate, a change by topic."""
    head = ["process", "idle, % of a core", "us a request at 300/s", "us a request at full load", "us a change"]
    rows = [
        [f"`{name}`", *map(short, (usage.points[0][1] * 100, usage.cores(300.0) / 300 * 1e6, usage.full_us)),
         short(figures.change_us[name]) if name in figures.change_us else "-"]
        for name, usage in figures.submitting.items() if usage.measured
    ]  # fmt: skip
    return table(head, rows)


def of_ceilings(found: Sequence[Ceiling]) -> str:
    """The ceilings in their order."""
    return table(
        ["ceiling", "holds to, requests a day", "capacity", "then"],
        [
            [one.name, "not by requests" if math.isinf(one.holds_to) else per_day(one.holds_to), one.rests_on, one.then]
            for one in found
        ],
        figures=False,
    )


_MEASURED_BY = {
    "api": "`bench.chain`: accepting a submission",
    "worker": "`bench.chain`, `bench.importing`",
    "relay": "`bench.relay` for intake's; the others taken as alike",
    "timers": "`bench.agenda`",
    "sender": "not measured; assumed by the mail server (`--mails-per-s`)",
}


def of_roles(known: Sequence[Role], figures: Figures) -> str:
    """What one busy process of each role does a second, and how that is known."""
    rows = [[f"`{role.name}`", short(role.per_s), _how_known(role, figures)] for role in known]
    marks = ["---", "--:", "---"]
    head = ["role", "operations/s of one core", "known from"]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))


def _how_known(role: Role, figures: Figures) -> str:
    if role.name == "workflow-api":
        return "`bench.submit` for changes, taken as a write at intake's door; `bench.reads` for reads"
    if not math.isinf(role.per_s):
        return _MEASURED_BY[role.kind]
    if role.kind == "api":
        return f"not measured; no operation passes it, a write is taken as intake's: {short(1e6 / figures.write_us)}/s"
    return f"not measured; no operation arms a timer, firing is taken as workflow's: {short(figures.fired_per_s)}/s"


OPERATIONS = {
    "submit": "submit", "work": "work list of a team", "mine": "work list of an agent", "relay": "relay, a fact",
    "agenda": "breach",
}  # fmt: skip


def of_growth(figures: Figures) -> str:
    """What operations cost by the rows in their tables."""
    known = [name for name in OPERATIONS if name in figures.growth]
    sizes = sorted({rows for name in known for rows in figures.growth[name]})
    head = ["us of CPU, servers included", *(f"{size:,} rows" for size in sizes), "the most over the least rows"]
    rows = []
    for name in known:
        by_size = figures.growth[name]
        worst = max(by_size.values()) / by_size[min(by_size)]
        rows.append([OPERATIONS[name], *(short(by_size[size]) for size in sizes), f"{short(worst)}x"])
    return table(head, rows)


def of_assumptions(assumed: Assumptions) -> str:
    """Every assumption with its flag and reason."""
    return table(
        ["flag", "value", "why"],
        [
            [f"`--{one.name.replace('_', '-')}`", f"{getattr(assumed, one.name):,} {one.metadata['unit']}".strip(),
             one.metadata["why"]]
            for one in fields(assumed)
        ],
        figures=False,
    )  # fmt: skip


def of_sources(figures: Figures) -> str:
    """Where the measured figures come from."""
    told = [[f"`bench/results/{one.name}.json`", one.commit, one.date, one.load] for one in figures.sources]
    told += [[f"`bench/results/{name}.json`", "missing: assumed", "", ""] for name in figures.assumed]
    return table(["result", "commit", "taken", "load average"], told, figures=False)


def as_json(plan: Plan, figures: Figures, assumed: Assumptions) -> dict[str, Any]:
    """The plan for machines; what has no bound is null."""
    drained = plan.flow.drained_minutes
    found = {
        "requests_per_day": plan.demand.per_day,
        "operations_per_second": {
            "mean": plan.demand.mean, "busiest": plan.demand.busiest, "burst": plan.demand.burst,
        },
        "pods": dict(plan.fleet.pods),
        "partitions": plan.fleet.partitions,
        "cores": plan.cores,
        "memory_gigabytes": plan.memory_gigabytes,
        "database": plan.database,
        "kafka": plan.kafka,
        "network": plan.network,
        "worst_lag_seconds": plan.flow.worst_lag_seconds,
        "drained_minutes": drained,
        "first_ceiling": plan.first.name,
        "ceilings": [
            {"name": one.name, "full": one.full, "rests_on": one.rests_on, "then": one.then,
             "holds_to": None if math.isinf(one.holds_to) else one.holds_to}
            for one in plan.ceilings
        ],
        "assumptions": {one.name: getattr(assumed, one.name) for one in fields(assumed)},
        "sources": {one.name: one.commit for one in figures.sources},
        "assumed_results": list(figures.assumed),
    }  # fmt: skip
    kept: dict[str, Any] = rounded(found)
    return kept
