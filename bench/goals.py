"""Every goal, and where the results have its figures: of the performance page by number, of the issue by letter."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Found = Mapping[str, Any]
"""A result with its details beside its own fields."""
Figure = str | Callable[[Found], float | None]
"""Where a figure stands in a result, or how it is made of others; None where it was not measured."""


class Limit(NamedTuple):
    """What a goal asks: of each figure, or of its ratio to the reference."""

    of: str
    """A number of the performance page or a letter of the issue."""
    bounds: tuple[float, ...]
    unit: str = "x"
    """`x`: of the ratio."""
    at_least: bool = False


class Row(NamedTuple):
    """One line of the table. Without limits it stands beside another for comparison."""

    what: str | Callable[[Found], str]
    name: str
    figures: tuple[Figure, ...]
    unit: str
    limits: tuple[Limit, ...]
    references: tuple[Figure, ...] = ()

    @property
    def of(self) -> str:
        """Whose goal it is."""
        return ", ".join(limit.of for limit in self.limits) or "-"


def at(found: Any, path: str) -> Any:
    """What stands at `a.b` of a result; None where nothing does."""
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def a_second(path: str) -> Callable[[Found], float | None]:
    """How many a process does in a second that takes so many microseconds of CPU for each."""
    return lambda found: 1e6 / value if (value := at(found, path)) else None


def without_servers(path: str) -> Callable[[Found], float | None]:
    """The sum over all processes but PostgreSQL and Kafka."""

    def summed(found: Found) -> float | None:
        used = at(found, path)
        servers = ("all", "postgresql", "kafka")
        return sum(value for name, value in used.items() if name not in servers) if used else None

    return summed


def steepest(found: Found) -> float | None:
    """By how many percent the process grew that grew most."""
    grew: float | None = at(found, f"roles.{at(found, 'steepest')}.grew_percent")
    return grew


def _memory(said: str, who: str) -> Callable[[Found], str]:
    """The goal's words with the process and the records a stream that it was measured with."""

    def named(found: Found) -> str:
        records = max((at(found, "records") or {"": 0}).values())
        return f"{said} ({at(found, who) or '-'}), {records:,} records a stream"

    return named


def _most(of: str, *bounds: float, unit: str = "x") -> Limit:
    return Limit(of, bounds, unit)


def _least(of: str, *bounds: float, unit: str = "x") -> Limit:
    return Limit(of, bounds, unit, at_least=True)


ROWS = (
    Row("submit against pgbench's BEGIN / 3 INSERT / COMMIT", "submit", ("rate",), "/s",
        (_least("1", 1.0), _least("a", 1.0)), ("pgbench_rate",)),
    Row("submit against pgbench's single statement", "submit", ("rate",), "/s", (_least("1", 0.45),),
        ("pgbench_single_rate",)),
    Row("submit CPU, door + PostgreSQL, against asgi-batch", "submit", ("door_and_postgresql_us",), "us",
        (_most("2", 1.5), _most("a", 1.7)), ("asgi_batch_us",)),
    Row("accepted at half load, p99", "submit", ("p99_ms_at_half_load",), "ms",
        (_most("2", 5, unit="ms"), _most("a", 5, unit="ms"))),
    Row("accepted at full load, p99", "submit", ("p99_ms",), "ms", (_most("2", 10, unit="ms"),),
        ("asgi_batch_p99_ms",)),
    Row("CPU of a create, read, list and comment against RT5, of a create against helpdesk and Roundup", "peers",
        ("create",), "x", (_least("3", 800),)),
    Row("whole chain, rate against `pipeline_limit.py`", "chain", ("figure",), "/s",
        (_least("4", 0.6), _least("b", 0.6)), ("reference",)),
    Row("whole chain, CPU a request", "chain", ("cpu_us",), "us", (_most("4", 1.8), _most("b", 1.8)),
        ("reference_cpu_us",)),
    Row("CPU a request at 300/s / at 1,000/s", "latency", ("at_300.cpu_us", "at_1000.cpu_us"), "us",
        (_most("4", 1.1, 1.1), _most("b", 1.1, 1.1)), ("reference_at_300.cpu_us", "reference_at_1000.cpu_us")),
    Row("whole chain against RT5's create alone, CPU", "peers", ("chain",), "x", (_least("4", 120),)),
    Row("consumer (workflow opening requests), Python / PostgreSQL an event", "consumer",
        ("python_us", "postgresql_us"), "us", (_most("5", 25, 35, unit="us"),),
        ("reference_python_us", "reference_postgresql_us")),
    Row("the same, both together", "consumer", ("cpu_us",), "us", (_most("e", 2.5),), ("reference_cpu_us",)),
    Row("events a second of a process without its database's work (a second over its CPU an event)", "consumer",
        (a_second("python_us"),), "/s", (_least("5", 20_000, unit="/s"),), (a_second("reference_python_us"),)),
    Row("a fact that its hearer takes nothing from, Python / PostgreSQL", "consumer",
        ("ignored_python_us", "ignored_postgresql_us"), "us", ()),
    Row("relay, CPU an event, Python + PostgreSQL", "relay", ("cpu_us",), "us",
        (_most("6", 10, unit="us"), _most("d", 2)), ("reference_cpu_us",)),
    Row("relay, events a second of one process", "relay", ("rate",), "/s", (_least("6", 50_000, unit="/s"),),
        ("reference_rate",)),
    Row("accepted → notification at 300/s, p50 / p99", "latency", ("at_300.p50_ms", "at_300.p99_ms"), "ms",
        (_most("7", 1.3, 1.5), _most("c", 1.3, 1.5)), ("reference_at_300.p50_ms", "reference_at_300.p99_ms")),
    Row("the same at 1,000/s", "latency", ("at_1000.p50_ms", "at_1000.p99_ms"), "ms",
        (_most("7", 1.3, 1.5), _most("c", 1.3, 1.5)), ("reference_at_1000.p50_ms", "reference_at_1000.p99_ms")),
    Row("all services idle, `--role all`, servers apart", "idle", ("figure",), "% of a core",
        (_most("c", 5, unit="%"),)),
    Row("beside it: every role a process of its own, servers apart", "latency",
        (without_servers("idle_percent_of_a_core"),), "% of a core", ()),
    Row("agenda, a million open: p99 late at 500/s", "agenda", ("p99_ms",), "ms",
        (_most("8", 5, unit="ms"), _most("f", 5, unit="ms")), ("reference_p99_ms",)),
    Row("the last of a burst of 10,000", "agenda", ("burst_last_ms",), "ms",
        (_most("8", 1500, unit="ms"), _most("f", 1500, unit="ms")), ("reference_burst_last_ms",)),
    Row("fired a second by one process: that burst over the time to its last", "agenda", ("fired_per_second",), "/s",
        (_least("8", 8000, unit="/s"), _least("f", 8000, unit="/s")), ("reference_fired_per_second",)),
    Row("CPU of a breach, timers + PostgreSQL", "agenda", ("cpu_us",), "us",
        (_most("8", 90, unit="us"), _most("f", 90, unit="us"))),
    Row("timers idle / PostgreSQL meanwhile", "agenda",
        ("idle_percent_of_a_core.workflow-timers", "idle_percent_of_a_core.postgresql"), "% of a core",
        (_most("8", 1, 1, unit="%"), _most("f", 1, 1, unit="%"))),
    Row("the earliest of all: never before it is due", "agenda", ("earliest_ms",), "ms",
        (_least("8", 0, unit="ms"), _least("f", 0, unit="ms"))),
    Row("a durable workflow of three steps with its events, CPU", "durable", ("cpu_us",), "us",
        (_most("9", 100, unit="us"),)),
    *(Row(f"{what}, CPU of door + PostgreSQL against the bare statement", "reads", (f"{name}_cpu_us",), "us", limits,
          (f"{name}_bare_us",))
      for name, what, limits in (
          ("one", "one request", (_most("10", 1.3), _most("g", 1.4))),
          ("list", "a list of 50", (_most("10", 1.3), _most("g", 1.4))),
          ("work", "the work list", (_most("g", 1.4),)))),
    *(Row(f"{what}, CPU with 1M / 5M rows against 10,000", "growth",
          (f"at.1000000.{name}_cpu_us", f"at.5000000.{name}_cpu_us"), "us", (_most("h", 1.3, 1.3),),
          (f"at.10000.{name}_cpu_us", f"at.10000.{name}_cpu_us"))
      for name, what in (("submit", "submit"), ("work", "work list of a team"), ("mine", "work list of an agent"),
                         ("relay", "relay"), ("agenda", "breach"))),
    Row(_memory("the largest process", "largest"), "memory", ("figure",), "MB", (_most("i", 150, unit="MB"),)),
    Row(_memory("flat: growth of the steepest process over the last six tenths", "steepest"), "memory", (steepest,),
        "%", (_most("i", 10, unit="%"),)),
    Row("import of a real desk's log", "importing", ("figure",), "changes/s", (_least("import", 546, unit="/s"),)),
)  # fmt: skip
"""In the order of the page. `peers` and `durable` are no benchmarks: nothing measures these goals here."""
