"""Which faults there are, by name, and what a seed makes of each."""

import random
import signal
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from chassis.failpoints import POINTS
from testkit.chaos import mounts, skewed
from testkit.chaos.crowd import Burst
from testkit.chaos.delays import Delayed
from testkit.chaos.disks import DiskFull
from testkit.chaos.faults import Both, Fault, Frozen, Killed, Link, Restarted
from testkit.chaos.nextversion import NextFacts, NextFields
from testkit.chaos.operators import Locked, LongTransaction, Rewound, Scaled
from testkit.chaos.overtaking import IN_HAND, Overtaken, ZombieWorker
from testkit.chaos.places import AtFailpoint, PausedAt
from testkit.chaos.poison import Poisoned
from testkit.chaos.reconciling import Reconciled
from testkit.chaos.repeating import Repeated
from testkit.chaos.servers import LongAway, ServerFrozen, ServerKilled, ServerStopped
from testkit.chaos.site import Site
from testkit.chaos.skewed import SERVER_SKEWS, SKEWS, ServerSkewed, Skewed

_APART = ("clock-", "disk-")
"""How faults are called that need more than an ordinary machine gives."""

Make = Callable[[Site, random.Random], Fault]

_ROLE_OF = {
    "batch.decided": ("", "-worker"),
    "commit.before": ("", "-worker"),
    "commit.after": ("", "-worker"),
    "group.committed": ("",),
    "offsets.before": ("-worker",),
    "offsets.after": ("-worker",),
    "relay.sent": ("-relay",),
    "relay.saved": ("-relay",),
    "agenda.locked": ("-timers",),
    "agenda.swept": ("-timers",),
}
_BUSY = {
    "": ("intake", "workflow", "billing"),
    "-worker": ("workflow", "billing", "notifications"),
    "-relay": ("intake", "workflow", "notifications"),
    "-timers": ("workflow",),
}
"""Services whose process of a kind has enough to do under the load."""


def _everybody(site: Site, suffix: str) -> list[str]:
    return [name for name in site.watch.processes if name.endswith(suffix) if suffix or "-" not in name]


def _killed(suffix: str) -> Make:
    def make(site: Site, chance: random.Random) -> Fault:
        return Killed(site, [chance.choice(_everybody(site, suffix))])

    return make


def _place(point: str, chance: random.Random) -> tuple[str, int]:
    """A process that passes a failpoint often enough under this load, and the passage that is meant."""
    suffix = chance.choice(_ROLE_OF[point])
    return chance.choice(_BUSY[suffix]) + suffix, 1 if suffix == "-timers" else chance.randrange(1, 6)


def _failpoint(point: str) -> Make:
    def make(site: Site, chance: random.Random) -> Fault:
        process, passage = _place(point, chance)
        return AtFailpoint(site, process, point, passage)

    return make


def _pause(point: str) -> Make:
    def make(site: Site, chance: random.Random) -> Fault:
        process, passage = _place(point, chance)
        return PausedAt(site, process, point, chance.uniform(2.0, 7.0), passage)

    return make


def _kafka_link(how: str) -> Make:
    return lambda site, chance: Link("kafka", site.kafka_link, how, chance)


def _postgres_link(how: str) -> Make:
    return lambda site, chance: Link("postgres", site.postgres_link, how, chance)


def _clock(how: str) -> Make:
    def make(site: Site, chance: random.Random) -> Fault:
        suffix = chance.choice(list(_BUSY))
        return Skewed(site, chance.choice(_BUSY[suffix]) + suffix, how)

    return make


def _database_clock(site: Site, chance: random.Random) -> Fault:
    assert site.postgres is not None
    return ServerSkewed(site, site.postgres, chance.choice(SERVER_SKEWS))


def _zombie(site: Site, chance: random.Random) -> Fault:
    return ZombieWorker(site, chance.choice(_BUSY["-worker"]), chance.choice(IN_HAND), chance.randrange(1, 3))


def _kafka_killed(site: Site, chance: random.Random) -> Fault:
    assert site.kafka is not None
    return ServerKilled("kafka", site.kafka)


def _kafka_frozen(site: Site, chance: random.Random) -> Fault:
    assert site.kafka is not None
    return ServerFrozen("kafka", site.kafka)


def _kafka_long_away(site: Site, chance: random.Random) -> Fault:
    assert site.kafka is not None
    return LongAway("kafka", site.kafka, site.operations)


def _postgres_killed(site: Site, chance: random.Random) -> Fault:
    assert site.postgres is not None
    return ServerKilled("postgres", site.postgres)


def _postgres_stopped(number: signal.Signals) -> Make:
    def make(site: Site, chance: random.Random) -> Fault:
        assert site.postgres is not None
        return ServerStopped("postgres", site.postgres, number)

    return make


def _disk(server: str, site: Site, chance: random.Random) -> Fault:
    return DiskFull(site, server)


def _storm(site: Site, chance: random.Random) -> Fault:
    first, second = chance.sample([_kafka_killed, _postgres_killed, _killed("-worker"), _killed("-relay")], 2)
    return Both(first(site, chance), second(site, chance))


FAULTS: dict[str, Make] = {
    "kill-api": _killed(""),
    "kill-worker": _killed("-worker"),
    "kill-relay": _killed("-relay"),
    "kill-timers": _killed("-timers"),
    "kill-sender": lambda site, chance: Killed(site, ["notifications-sender"]),
    "kill-all": lambda site, chance: Killed(site, chance.sample(list(site.watch.processes), len(site.watch.processes))),
    **{f"at-{point}": _failpoint(point) for point in POINTS},
    **{f"pause-{point}": _pause(point) for point in POINTS},
    "rolling": lambda site, chance: Restarted(site, chance.sample(list(site.watch.processes), 6)),
    "freeze-worker": lambda site, chance: Frozen(site, [chance.choice(_everybody(site, "-worker"))]),
    "freeze-relay": lambda site, chance: Frozen(site, [chance.choice(_everybody(site, "-relay"))]),
    "zombie-worker": _zombie,
    "overtake-relay": lambda site, chance: Overtaken(site, chance.choice(_BUSY["-relay"])),
    "kafka-kill": _kafka_killed,
    "kafka-away": _kafka_frozen,
    "kafka-long-away": _kafka_long_away,
    "postgres-kill": _postgres_killed,
    "postgres-stop": _postgres_stopped(signal.SIGQUIT),
    "postgres-restart": _postgres_stopped(signal.SIGINT),
    **{f"kafka-link-{how}": _kafka_link(how) for how in ("slow", "stall", "reset", "cut", "away")},
    **{f"postgres-link-{how}": _postgres_link(how) for how in ("slow", "stall", "reset", "cut", "away")},
    **{f"disk-{server}": partial(_disk, server) for server in ("postgres", "kafka")},
    **{f"clock-{how}": _clock(how) for how in SKEWS},
    "clock-database": _database_clock,
    "redeliver": lambda site, chance: Rewound(site, chance.choice(("intake", "workflow", "billing", "notifications"))),
    "repeat-records": Repeated,
    "locked": lambda site, chance: Locked(site, chance.choice(("workflow.requests", "intake.submissions"))),
    "long-transaction": lambda site, chance: LongTransaction(site, chance.choice(_BUSY["-relay"])),
    "scale": lambda site, chance: Scaled(site, chance.choice(("workflow", "notifications")), 4),
    "delay": lambda site, chance: Delayed(site, chance.choice(_BUSY["-relay"])),
    "poison": Poisoned,
    "next-fields": NextFields,
    "next-types": lambda site, chance: NextFacts(site, chance, known=False),
    "next-versions": lambda site, chance: NextFacts(site, chance, known=True),
    "burst": Burst,
    "storm": _storm,
    "reconcile": lambda site, chance: Reconciled.of(site),
}
"""Every fault by name."""

SETS: dict[str, tuple[str, ...]] = {
    "thin": ("kill-api",),
    "quick": ("kill-worker", "at-relay.sent", "kafka-kill", "postgres-kill"),
    "F1": (
        "kill-api", "kill-worker", "kill-relay", "kill-timers", "kill-sender", "kill-all",
        *(f"at-{point}" for point in POINTS),
    ),
    "F2": ("rolling",),
    "F3": ("freeze-worker", "freeze-relay", "zombie-worker", "overtake-relay"),
    "pauses": tuple(f"pause-{point}" for point in POINTS),
    "F4": ("kafka-kill", "kafka-away", "kafka-long-away"),
    "F6": ("postgres-kill", "postgres-stop", "postgres-restart"),
    "F7": tuple(name for name in FAULTS if "-link-" in name),
    "F8": ("disk-postgres", "disk-kafka"),
    "F9": (*(f"clock-{how}" for how in SKEWS), "clock-database"),
    "F10": ("redeliver", "repeat-records"),
    "F11": ("delay",),
    "F12": ("poison",),
    "F13": ("next-fields", "next-types", "next-versions"),
    "F14": ("burst",),
    "F16": ("locked", "long-transaction"),
    "F17": ("scale",),
    "F18": ("storm",),
    "operators": ("reconcile",),
    "all": tuple(FAULTS),
}  # fmt: skip
"""Faults that are asked for together, most by their number."""


class UnknownFault(ValueError):
    """No fault and no set has this name."""


def chosen(names: str) -> list[str]:
    """`quick,F3,kafka-away` as faults, each once."""
    found: dict[str, None] = {}
    for name in filter(None, names.split(",")):
        if name not in SETS and name not in FAULTS:
            raise UnknownFault(f"{name!r} is none of {', '.join([*SETS, *FAULTS])}")
        found |= dict.fromkeys(SETS.get(name, (name,)))
    return list(found)


def refused(names: str, missing: Mapping[str, str]) -> list[str]:
    """What was asked for by its own name, not by a set's, and cannot be made here: a line for each. Pure."""
    return [f"{name} cannot be made here: {missing[name]}" for name in names.split(",") if name in missing]


def needs_links(faults: Iterable[str]) -> bool:
    """Whether the servers must stand behind proxies."""
    return any("-link-" in name for name in faults)


def needs_disks(faults: Iterable[str]) -> bool:
    """Whether the servers' data must lie on file systems of their own."""
    return any(name.startswith("disk-") for name in faults)


def skipped(faults: Iterable[str]) -> dict[str, str]:
    """The faults that cannot be made on this machine, with the reason. Gives this process mounts of its own if need be.

    To be called once, before any thread is started.
    """
    faults = list(faults)
    no_clocks, no_disks = skewed.missing(), mounts.apart() if needs_disks(faults) else None
    reasons = {name: no_clocks if name.startswith("clock-") else no_disks for name in faults if name.startswith(_APART)}
    return {name: reason for name, reason in reasons.items() if reason is not None}
