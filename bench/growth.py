"""What an operation costs with 10,000, a million and five million rows in its tables (`BENCH_SIZES=10000,…`).

Submitting, work lists, the relay, breaches: none should cost more. pgbench beside them tells what the machine did
meanwhile.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import asyncpg
from aiokafka import AIOKafkaConsumer

from bench import agenda, load, peers, relay
from bench.chain import settled
from bench.effort import ROUNDS, sized
from bench.filling import Fill, fill, filled_id
from bench.measuring import Meter, medians
from bench.repeating import repeat
from bench.result import APART, Result
from bench.running import alone
from bench.site import Site, until
from chassis.ids import new_id
from cli.demo import organisation as sample
from cli.demo import setting_up
from cli.door import Doors
from cli.running.installation import PARTITIONS

ROLES = {"intake": ("api", "worker", "relay"), "workflow": ("api", "worker", "relay", "timers")}
SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", sized("10000,1000000,5000000", "1000,20000")).split(",")]
SECONDS = sized(1.5, 0.7)
DUE = min(1000, SIZES[0] // 10)
"""Breaches a round."""
READERS = 16
FACTS = sized(60_000, 20_000)
"""Beside what was submitted: for the relay."""
GOAL = 1.3
_FAR = timedelta(days=2)
_FROM = 1_000_000_000
"""The first copy's number: others have filled with smaller ones."""
_TEAMS, _CONTACTS = 100, 100_000
AGENT = sample.AGENTS[0]

_THIS_MONTH = "date_trunc('month', now()) + random() * (now() - date_trunc('month', now()))"
_CONTACT = filled_id(f"n % {_CONTACTS}")
_JOURNAL = {
    "grp": f"n % {PARTITIONS}",
    "recorded_at": _THIS_MONTH,
    "event_id": "gen_random_uuid()",
    "subject": filled_id("n"),
    "key": f"{filled_id('n')}::text",
    "persons": f"ARRAY[{_CONTACT}]",
    "data": "'{}'",
    "personal": "NULL",
    "command": "NULL",
    "private": "NULL",
}
"""Nobody reads what lies below the relay's cursor but by its subject: it has no body here."""
_SUBMISSION = {"id": filled_id("n"), "number": "'COPY-' || n", "contact_id": _CONTACT}
_REMEMBERED = {
    "id": "gen_random_uuid()",
    "subject": filled_id("n"),
    "kept_until": "now() + random() * interval '3 days'",
}
_REQUEST = {
    **_SUBMISSION,
    "team_id": f"CASE n % {_TEAMS} WHEN 0 THEN one.team_id ELSE {filled_id(f'n % {_TEAMS}')} END",
    "rank_at": agenda.SOON,
}
_WAKE = {"subject": filled_id("n"), "aggregate": "'requests'", "at": agenda.SOON}


async def measure(site: Site) -> Result:
    """Each size in turn, with nothing but the process under measurement at work."""
    await load.run(site.plan(10.0, most=100))
    await settled(site, ["workflow.requests"])
    team = str(await site.value("SELECT team_id FROM workflow.requests WHERE number IS NOT NULL LIMIT 1"))
    await _agent(site, team)
    await site.halt(*(name for name in site.pids() if name not in ("postgresql", "kafka")))
    at: dict[int, dict[str, float]] = {}
    filled = 0
    for size in SIZES:
        began = time.perf_counter()
        await _grown(site, _FROM + filled, _FROM + size - 1)
        at[size] = {
            "fill_seconds": time.perf_counter() - began,
            **await _at(site, team, _FROM + filled, _FROM + size - 1),
        }
        print(f"  {size} rows: {at[size]}", flush=True)
        filled = size
    growth = {name: _growth(at, name) for name in at[SIZES[0]] if name.endswith(("_us", "_ms"))}
    costs = {name: max(by_size.values()) for name, by_size in growth.items() if name in _COSTS}
    worst = max(costs, key=lambda name: costs[name])
    found = {"at": {str(size): figures for size, figures in at.items()}, "growth": growth, "worst": worst}
    return Result(
        "growth", costs[worst], f"x ({worst})", None, GOAL, of_ratio=False, rounds=ROUNDS,
        topology=f"{APART}; the process under measurement alone at work", details=found,
    )  # fmt: skip


_COSTS = ("submit_cpu_us", "work_cpu_us", "mine_cpu_us", "relay_cpu_us", "agenda_cpu_us")


def _growth(at: dict[int, dict[str, float]], name: str) -> dict[str, float]:
    """How many times the smallest size's figure each other size's is."""
    least = at[SIZES[0]][name]
    return {str(size): at[size][name] / least if least else 0.0 for size in SIZES[1:]}


async def _agent(site: Site, team: str) -> None:
    """Somebody of the staff who sees what is their team's."""
    doors = Doors(site.running().services, lambda login: site.token(login, setting_up.scopes_of(login)))
    body = {"person_id": str(AGENT.id), "name": AGENT.name, "email": AGENT.email, "login": AGENT.login}
    try:
        more = {"roles": ["agent"], "teams": [team]}
        await doors.post(setting_up.SETUP, "workflow", "/people", {**body, **more}, key=str(new_id()))
    finally:
        await doors.close()


# -- filling -------------------------------------------------------------------------------------------------------


async def _grown(site: Site, first: int, last: int) -> None:
    """Fill both schemas up to a size; the relays' cursors stand behind everything."""
    intake = [
        Fill("intake.submissions", _SUBMISSION, "WHERE number IS NOT NULL ORDER BY created_at"),
        Fill("intake.submission_contents", {"id": filled_id("n"), "description": "''", "custom": "NULL"}),
        Fill("intake.message_ids", _REMEMBERED),
        await _journal(site, "intake", "intake.request-submitted", first),
    ]
    workflow = [
        Fill("workflow.requests", _REQUEST, "WHERE number IS NOT NULL ORDER BY created_at"),
        Fill("workflow.wake", _WAKE, made=True),
        await _journal(site, "workflow", "workflow.request-opened", first),
    ]
    await asyncio.gather(*(fill(site.admin_url, tables, first, last) for tables in (intake, workflow)))
    for schema in ("intake", "workflow"):
        await site.value(_CURSOR.format(schema=schema))
    await site.value("CHECKPOINT")  # what was filled is not written out beside what is measured


async def _journal(site: Site, schema: str, type_: str, first: int) -> Fill:
    above = await site.value(f"SELECT max(seq) FROM {schema}.journal") - first + 1
    return Fill(f"{schema}.journal", {**_JOURNAL, "seq": f"{above} + n"}, f"WHERE type = '{type_}'")


_CURSOR = """
WITH ends AS (SELECT grp, max(seq) AS high FROM {schema}.journal GROUP BY grp),
drawn AS (SELECT setval(('{schema}.journal_seq_' || grp)::regclass, high) FROM ends),
moved AS (UPDATE {schema}.relay_cursor c SET high = ends.high, holes = '{{}}', hole_xmax = '{{}}' FROM ends
  WHERE ends.grp = c.grp)
SELECT count(*) FROM drawn
"""


# -- the operations ------------------------------------------------------------------------------------------------


async def _at(site: Site, team: str, first: int, last: int) -> dict[str, float]:
    """Every operation's figures at one size; the copies from `first` to `last` have not been touched before."""
    found = await _rounds(lambda n: _pgbench(site))
    cursor = await site.value(relay.CURSOR)
    await site.resume("intake")
    await load.run(site.plan(SECONDS))
    found |= await _rounds(lambda n: _submitted(site))
    await site.halt("intake")
    found |= await _relay(site, cursor)
    await site.resume("workflow")
    found |= await _rounds(lambda _: _read(site, "work", setting_up.SETUP, f"&team_id={team}"))
    found |= await _rounds(lambda _: _read(site, "mine", AGENT.login, ""))
    await site.halt("workflow")
    await site.resume(agenda.TIMERS)
    step = (last - first + 1) // DUE
    found |= await _rounds(partial(_breached, site, step, first))
    await site.halt(agenda.TIMERS)
    return found


async def _rounds(one: Callable[[int], Awaitable[dict[str, float]]]) -> dict[str, float]:
    """Medians of some rounds, which are numbered from 0."""
    rounds = [await one(n) for n in range(ROUNDS)]
    return medians(rounds)


async def _pgbench(site: Site) -> dict[str, float]:
    """On tables of its own, which do not grow."""
    assert site.postgres is not None
    found = await peers.pgbench(site.postgres, site.plan(1.0).bodies[0], max(1, round(SECONDS)))
    return {"pgbench_us": found.cpu_us}


async def _submitted(site: Site) -> dict[str, float]:
    return await _loaded(site, "submit", "intake", site.plan(SECONDS))


async def _read(site: Site, name: str, login: str, where: str) -> dict[str, float]:
    path = f"/workflow/v1/requests?limit=50{where}"
    token = site.token(login, "requests:read")
    return await _loaded(site, name, "workflow", site.reading("workflow", path, token, SECONDS, connections=READERS))


async def _loaded(site: Site, name: str, door: str, plan: load.Plan) -> dict[str, float]:
    pids = site.pids()
    meter = Meter({each: pids[each] for each in (door, "postgresql")})
    report = await load.run(plan)
    cpu = {each: used / report.good * 1e6 for each, used in meter.read().items()}
    return {
        f"{name}_cpu_us": sum(cpu.values()),
        f"{name}_postgresql_us": cpu["postgresql"],
        f"{name}_p50_ms": report.p50_ms,
    }


async def _relay(site: Site, cursor: str) -> dict[str, float]:
    """What was told since `cursor` was read, relayed over and over."""
    await repeat(site, relay.TOPIC, FACTS)
    consumer = AIOKafkaConsumer(bootstrap_servers=site.bootstrap)
    await consumer.start()
    try:
        found = await _rounds(lambda n: relay.relayed(site, consumer, cursor))
    finally:
        await consumer.stop()
    return {
        "relay_cpu_us": found["cpu_us"],
        "relay_postgresql_us": found["postgresql_us"],
        "relay_event_us": 1e6 / found["rate"],
    }


async def _breached(site: Site, step: int, first: int, n: int) -> dict[str, float]:
    """Some requests, `step` apart, fall due at the same moment."""
    connection = await asyncpg.connect(site.admin_url, command_timeout=120)
    try:
        due, ahead = await _prepared(connection, first + n, step)
        await asyncio.sleep(ahead - 0.1)
        pids = site.pids()
        meter = Meter({name: pids[name] for name in (agenda.TIMERS, "postgresql")})
        await until(lambda: _none_due(connection, due), every=0.02)
        cpu = meter.read()
        late = await connection.fetchval(_LATEST, due)
    finally:
        await connection.close()
    return {
        "agenda_cpu_us": sum(cpu.values()) / DUE * 1e6,
        "agenda_postgresql_us": cpu["postgresql"] / DUE * 1e6,
        "agenda_last_ms": late,
    }


async def _prepared(connection: asyncpg.Connection, first: int, step: int) -> tuple[datetime, float]:
    """The moment at which requests now fall due, and seconds until it.

    Raises RuntimeError when writing that took longer than it may: some have been decided meanwhile.
    """
    far = await connection.fetchval("SELECT clock_timestamp()") + _FAR
    for _ in range(2):  # the first brings the rows into memory
        began = time.perf_counter()
        await connection.execute(agenda.DUE, far, DUE, timedelta(0), first, step)
    seconds = max(2.0, 3 * (time.perf_counter() - began))
    due = await connection.fetchval("SELECT clock_timestamp()") + timedelta(seconds=seconds)
    await connection.execute(agenda.DUE, due, DUE, timedelta(0), first, step)
    ahead = (due - await connection.fetchval("SELECT clock_timestamp()")).total_seconds()
    if ahead < 0.2:
        raise RuntimeError("the machine is too slow to prepare what is due in time")
    return due, ahead


_LATEST = "SELECT extract(epoch FROM max(recorded_at) - $1)::float * 1000 FROM workflow.journal WHERE recorded_at >= $1"


async def _none_due(connection: asyncpg.Connection, due: datetime) -> bool:
    """Whether everything that was to be decided at a moment is."""
    left = await connection.fetchval(
        "SELECT clock_timestamp() <= $1 OR min(at) <= $1 + interval '1 second' FROM workflow.wake", due
    )
    return not left


if __name__ == "__main__":
    alone("growth", measure, ROLES)
