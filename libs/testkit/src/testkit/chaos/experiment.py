"""One experiment: load, a fault in the middle of it, its end, quiet, and the audit."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import asyncpg
from aiokafka.errors import KafkaError

from chassis.clock import utc_now
from chassis.ids import new_id
from cli.clients import schemas
from cli.demo import setting_up
from cli.demo.organisation import CONTACTS, identity
from cli.door import Doors, Refused, Unanswered
from embedded.errors import NotStarted
from testkit.chaos.answers import Failure
from testkit.chaos.auditor import Violation, late_recovery
from testkit.chaos.catalogue import FAULTS, SETS
from testkit.chaos.crowd import crowd
from testkit.chaos.evidence import per_request
from testkit.chaos.faults import Fault
from testkit.chaos.footprint import footprint
from testkit.chaos.laws import passing
from testkit.chaos.laws.recovering import GIVEN_UP_AFTER
from testkit.chaos.load import Arrival, Load, plan
from testkit.chaos.machine import slowed, turns
from testkit.chaos.operations import Operation, Operations
from testkit.chaos.site import Addresses, Site
from testkit.chaos.witness import Found, Witness

_LEFT = (
    "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM wake WHERE at <= clock_timestamp()) + "
    "(SELECT count(*) FROM journal j JOIN relay_cursor c USING (grp) WHERE j.topic IS NOT NULL AND j.seq > c.high)"
)
_HINDERS = (KafkaError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, NotStarted, Refused, Unanswered)
_MAILS_DUE = "SELECT count(*) FROM deliveries WHERE status = 'planned' AND next_at <= clock_timestamp()"
_KNOWN = "SELECT 1 FROM {table} WHERE id = $1"
_OVERDUE = "SELECT EXISTS (SELECT 1 FROM wake WHERE at <= clock_timestamp() - interval '1 s')"


@dataclass(frozen=True)
class Shape:
    """How long and how hard: requests begin at `rate` a second for `seconds`; the fault lasts `lasts` of them.

    `rate` counts full lives; `crowd` short ones beside them. `patience`: seconds that the end of a run waits for lives
    that have not ended, and then for quiet; half of it, the audit waits for what is on its way.
    """

    seconds: float = 40.0
    rate: float = 2.0
    lasts: float = 12.0
    crowd: float = 0.0
    patience: float = 120.0


@dataclass
class Result:
    """What came of one experiment."""

    fault: str
    seed: int
    said: str = ""
    proof: str = ""
    skipped: str = ""
    """Why the fault cannot be made on this machine; then nothing was done."""
    undone: str = ""
    """What kept it from being carried out: an error of the harness, or no installation."""
    violations: list[Violation] = field(default_factory=list)
    recovered: float | None = None
    """Seconds from the heal until the installation was back (`recovery`); None: it was given up."""
    operations: dict[str, int] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    """What careful callers were refused, or could not get an answer to."""
    waited_for: dict[str, int] = field(default_factory=dict)
    """What the first audit found that was still on its way, by name."""
    audited: int = 0
    """Requests that the audit looked at."""
    facts: int = 0
    """Records that the streams told since the audit before."""
    duplicates: int = 0
    """Those of them that were repeats."""
    late: list[float] = field(default_factory=list)
    """Seconds that each of the breaches among them was late, ascending."""
    unhindered: list[float] = field(default_factory=list)
    """The same without the time from the strike to the recovery."""
    mib: float = 0.0
    """Resident memory of the largest process at the end."""
    submits: list[float] = field(default_factory=list)
    """Seconds that each accepted submission took from when it was due, ascending."""
    meanwhile: list[float] = field(default_factory=list)
    """The same of those that ended while the fault lasted."""
    turned_away: int = 0
    """How many attempts doors answered that could do nothing at the moment."""
    behind: float = 0.0
    slowed: float = 1.0
    """How many times as long everything took from the strike to the recovery as on an empty machine."""
    seconds: float = 0.0
    ended: dict[str, float] = field(default_factory=dict)
    """Seconds from the beginning of the experiment to the end of each of its parts."""

    @property
    def failed(self) -> bool:
        """Whether something was broken, the fault did not happen, or the run did not."""
        broken = bool(self.violations) or bool(self.undone)
        return not self.skipped and (broken or not self.proof or self.recovered is None)


def set_of(fault: str) -> str:
    """The set that a fault belongs to by its kind; empty of one that is in none. Pure."""
    kinds = (name for name, faults in SETS.items() if name not in ("thin", "quick", "all") and fault in faults)
    return next(kinds, "")


async def furnish(site: Site) -> None:
    """The sample organisation, known everywhere."""
    await setting_up.clients(site)
    doors = Doors(site.running().services, lambda login: site.token(login, setting_up.scopes_of(login)))
    try:
        await setting_up.people(doors)
        await setting_up.known_everywhere(doors)
    finally:
        await doors.close()


async def experiment(site: Site, witness: Witness, name: str, seed: int, shape: Shape, *, whole: bool) -> Result:
    """Carry it out, and audit what it touched; with `whole`, everything since the site was started."""
    began, chance = time.monotonic(), random.Random(f"{name} {seed}")
    fault = FAULTS[name](site, chance)
    result, before, failed = Result(name, seed, fault.name), len(site.operations.all), len(site.operations.failures)

    def ended(part: str) -> None:
        result.ended[part] = round(time.monotonic() - began, 1)

    held = await footprint(site.running(), site.watch.processes)
    load = Load(site)
    await load.start()
    try:
        playing = asyncio.create_task(load.play(arrivals(chance, shape, longer=fault.longer), shape.patience))
        await asyncio.sleep(chance.uniform(0.2, 0.4) * shape.seconds)
        lasting, struck, ours = asyncio.get_running_loop().time() + shape.lasts, utc_now(), turns()
        since = len(site.operations.all)
        await strike_and_heal(fault, lasting, result)
        ended("heal")
        result.meanwhile = took(site.operations.all[since:])
        result.recovered = await recovery(site)
        result.slowed = slowed(ours, turns())
        witness.hindered.append((struck, utc_now()))
        ended("recovery")
        await playing
        ended("load")
    finally:
        await load.stop()
    is_quiet = await quiet(site, passing.patience(set_of(name), shape.patience))
    ended("quiet")
    await hindered(result, fault.look_again)
    result.proof = fault.proof
    found = await witness.settled(chance, held, whole=whole, within=shape.patience / 2)
    ended("audit")
    audited(result, found)
    result.behind, result.unanswered = load.behind, load.unanswered
    asked, failures = site.operations.all[before:], site.operations.failures[failed:]
    result.operations, result.submits = Operations(asked).counts(), took(asked)
    result.violations = judged(result, fault, site.operations.all[since:], failures, is_quiet) + found.violations
    result.seconds = time.monotonic() - began
    return result


def audited(result: Result, found: Found) -> None:
    """Enter what an audit found, but for the violations."""
    result.audited, result.mib = found.requests, found.mib
    result.late, result.unhindered = found.late, found.unhindered
    result.facts, result.duplicates, result.waited_for = found.facts, found.duplicates, found.waited_for


def judged(
    result: Result, fault: Fault, asked: Sequence[Operation], failures: Sequence[Failure], is_quiet: bool | None
) -> list[Violation]:
    """What a run broke besides the promises that its audit is about; `asked` ended since the strike."""
    kind = set_of(result.fault)
    result.turned_away = len(failures)
    course = passing.Course(
        fault=result.fault,
        kind=kind,
        slowed=result.slowed,
        facts=result.facts,
        repeats=result.duplicates,
        failures=failures,
        asked=asked,
        unanswered=result.unanswered,
        oldest_unsent=fault.oldest_unsent,
        orphans=fault.orphans,
        drained=result.ended["quiet"] - result.ended["heal"] if is_quiet else None,
    )
    late = late_recovery(result.fault, kind, result.recovered, result.slowed)
    return late + [Violation(*each) for each in passing.broken(course)]


def took(operations: Sequence[Operation]) -> list[float]:
    """Seconds that each accepted submission among some operations took from when it was due, ascending."""
    return sorted(each.seconds for each in Operations(list(operations)).submissions("ok"))


def arrivals(chance: random.Random, shape: Shape, *, longer: float = 0.0) -> list[Arrival]:
    """The full lives and the crowd of a run, in the order in which they begin; `longer` for so many seconds more."""
    seed, run, seconds = chance.randrange(1 << 30), new_id().hex[:12], shape.seconds + longer
    both = plan(seed, run, shape.rate, seconds), crowd(seed, run, shape.crowd, seconds)
    return sorted(chain(*both), key=lambda arrival: arrival.at)


async def strike_and_heal(fault: Fault, until: float, result: Result) -> None:
    """Let it strike, last until that moment of the loop's clock, and heal; what hinders either is told."""

    async def last() -> None:
        await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))

    await hindered(result, fault.strike, last, fault.heal)
    result.proof = fault.proof


async def hindered(result: Result, *acts: Callable[[], Awaitable[None]]) -> None:
    """Do one after the other; what hinders any of them is told."""
    for act in acts:
        try:
            await act()
        except (AssertionError, *_HINDERS) as error:
            result.said += f" (hindered: {error!r})"


async def recovery(site: Site, within: float = GIVEN_UP_AFTER) -> float | None:
    """Seconds until the installation is back; None when that takes too long.

    It is when a request that is submitted now has been heard by every service, every process says that it is ready,
    and no timer is overdue by more than a second.
    """
    began = time.monotonic()
    doors = Doors(Addresses(site.watch.processes), lambda login: site.token(login, setting_up.scopes_of(login)))
    contact = CONTACTS[0].login
    body = {
        "contact_id": str(identity(contact)),
        "queue": "billing",
        "summary": "Is everybody back?",
        "impact": "low",
        "urgency": "low",
    }
    try:
        answer = await doors.post(contact, "intake", "/requests", body, key=str(new_id()))
        subject = answer.body["request_id"]
        known = await _until(lambda: _back(site, subject), within)
        return time.monotonic() - began if known else None
    except Unanswered:
        return None
    finally:
        await doors.close()


async def _back(site: Site, subject: str) -> bool:
    async with schemas(site.running()) as visits:
        async for name, connection in visits:
            if not await connection.fetchval(_KNOWN.format(table=per_request(name).table.name), subject):
                return False
            if await connection.fetchval(_OVERDUE):
                return False
    return all([await process.ready() for process in site.watch.processes.values()])


async def quiet(site: Site, within: float = passing.QUIET_WITHIN) -> bool | None:
    """True once nothing waits, is due or is unsent any more; None when the time is up: the audit says what is left."""

    async def nothing_left() -> bool:
        async with schemas(site.running()) as visits:
            async for name, connection in visits:
                if await connection.fetchval(_LEFT):
                    return False
                if name == "notifications" and await connection.fetchval(_MAILS_DUE):
                    return False
        return True

    return await _until(nothing_left, within)


async def _until(reached: Callable[[], Awaitable[bool]], within: float) -> bool | None:
    """True once it is reached, None when that does not happen in time; a database that is away is waited for."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if await reached():
                return True
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass
        await asyncio.sleep(0.1)
    return None
