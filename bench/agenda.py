"""Goal 8: a million open wake-ups; how late breaches are at 500 due a second, how fast a burst of 10,000 goes, and what
waiting costs. The reference is a plain SQL claim over a million timers on the same server.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from bench import peers
from bench.effort import ROUNDS, sized
from bench.filling import Fill, fill, filled_id
from bench.measuring import Meter, medians, percentile
from bench.result import APART, Result
from bench.running import alone
from bench.site import Site, until

ROLES = {"intake": ("api", "worker", "relay"), "workflow": ("api", "worker", "relay", "timers")}
TIMERS = "workflow-timers"
OPEN = int(os.environ.get("BENCH_OPEN", sized("1000000", "20000")))
RATE, SECONDS, BURST = 500, sized(3, 1), min(10_000, OPEN // 40)
IDLE_SECONDS = sized(5.0, 1.0)
_AHEAD = timedelta(seconds=4)

SOON = "now() + interval '1 day' + random() * interval '5 days'"
FILLS = (
    Fill("workflow.requests", {"id": filled_id("n")}, "WHERE number IS NOT NULL ORDER BY created_at"),
    Fill("workflow.wake", {"subject": filled_id("n"), "aggregate": "'requests'", "at": SOON}, made=True),
)
"""Copies of one real request, each with its wake-up on some later day."""
DUE = f"""
WITH due AS (
  SELECT {filled_id("$4 + n * $5")} AS id,
    $1::timestamptz + n * $3::interval AS at FROM generate_series(0, $2 - 1) n),
moved AS (
  UPDATE workflow.requests r SET state = jsonb_set(r.state::jsonb, '{{clock,since}}', to_jsonb(to_char(
    (due.at - (r.state->'clock'->>'target')::bigint * interval '1 microsecond') AT TIME ZONE 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))::json
  FROM due WHERE r.id = due.id)
UPDATE workflow.wake w SET at = due.at + interval '1 microsecond' FROM due WHERE w.subject = due.id
"""
"""Lets requests fall due one after the other: their clocks began so long before as their target is."""
_LATE = (
    "SELECT extract(epoch FROM recorded_at - (data->>'due_at')::timestamptz)::float * 1000 AS late "
    "FROM workflow.journal WHERE type = 'workflow.sla-breached' AND (data->>'due_at')::timestamptz >= $1"
)
_ALL_FIRED = "SELECT min(at) > clock_timestamp() FROM workflow.wake"
"""Asked while CPU is counted: it costs nothing, however long the tables are."""


async def measure(site: Site) -> Result:
    """Fill and idle; then rounds of 500 a second and of a burst, with nothing but the timers' process at work."""
    await until(lambda: _opened(site))
    await site.halt(*(name for name in site.pids() if name not in (TIMERS, "postgresql", "kafka")))
    assert site.postgres is not None
    connection = await asyncpg.connect(site.admin_url, command_timeout=300)
    try:
        began = time.perf_counter()
        await fill(site.admin_url, FILLS, 1, OPEN)
        found: dict[str, Any] = {"open": OPEN, "fill_seconds": time.perf_counter() - began}
        found["idle_percent_of_a_core"] = await _idle(site)
        async with peers.database(site.postgres, "agenda") as url, _timers(url) as timers:
            rounds = [{**await _round(site, connection, n), **await _reference(timers)} for n in range(ROUNDS)]
    finally:
        await connection.close()
    found |= medians(rounds) | {"earliest_ms": min(each["earliest_ms"] for each in rounds)}
    return Result(
        "agenda", found["p99_ms"], "ms late, p99", found["reference_p99_ms"], 5.0, of_ratio=False, rounds=ROUNDS,
        topology=f"{APART}; workflow's timers alone at work", details=found,
    )  # fmt: skip


async def _round(site: Site, connection: asyncpg.Connection, n: int) -> dict[str, float]:
    steady, _ = await _fire(site, connection, RATE * SECONDS, timedelta(seconds=1) / RATE, first=2 * n + 1)
    late, cpu = await _fire(site, connection, BURST, timedelta(0), first=2 * n + 2)
    found = {"p50_ms": percentile(steady, 0.5), "p99_ms": percentile(steady, 0.99), "latest_ms": max(steady)}
    found |= {"burst_last_ms": max(late), "fired_per_second": BURST / max(late) * 1000}
    found |= {f"{name}_us": used / BURST * 1e6 for name, used in cpu.items()}
    return found | {"cpu_us": sum(cpu.values()) / BURST * 1e6, "earliest_ms": min(*steady, *late)}


async def _opened(site: Site) -> bool:
    return await site.count("workflow.requests") > 0


async def _idle(site: Site) -> dict[str, float]:
    pids = site.pids()
    meter = Meter({name: pids[name] for name in (TIMERS, "postgresql")})
    await asyncio.sleep(IDLE_SECONDS)
    return {name: used / meter.wall * 100 for name, used in meter.read().items()}


async def _fire(
    site: Site, connection: asyncpg.Connection, count: int, apart: timedelta, *, first: int
) -> tuple[list[float], Mapping[str, float]]:
    """Milliseconds late of each, and CPU of the timers and of PostgreSQL from just before the first falls due."""
    apart_by = 2 * ROUNDS  # what begins at one of so many numbers never meets what begins at another
    step = OPEN // count // apart_by * apart_by
    start: datetime = await connection.fetchval("SELECT clock_timestamp()") + _AHEAD
    await connection.execute(DUE, start, count, apart, first, step)
    ahead = (start - await connection.fetchval("SELECT clock_timestamp()")).total_seconds()
    if ahead < 0.2:
        raise RuntimeError("the machine is too slow to prepare what is due in time")
    await asyncio.sleep(ahead - 0.1)
    pids = site.pids()
    meter = Meter({name: pids[name] for name in (TIMERS, "postgresql")})
    await asyncio.sleep(0.1 + (count * apart).total_seconds())
    await until(lambda: connection.fetchval(_ALL_FIRED), every=0.2)
    cpu = meter.read()
    return [row["late"] for row in await connection.fetch(_LATE, start)], cpu


# -- the reference -------------------------------------------------------------------------------------------------

_TIMERS = f"""
CREATE TABLE timer (id bigint PRIMARY KEY, subject uuid NOT NULL, open boolean NOT NULL, due_at timestamptz NOT NULL,
  fired_at timestamptz) WITH (fillfactor = 80);
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key uuid NOT NULL, payload text NOT NULL);
INSERT INTO timer SELECT n, gen_random_uuid(), true, now() + interval '1 day' + random() * interval '5 days'
  FROM generate_series(1, {OPEN}) n;
CREATE INDEX timer_due ON timer (due_at) WHERE open;
"""
_CLAIM = """
WITH due AS (
  UPDATE timer SET open = false, fired_at = clock_timestamp() WHERE id IN (
    SELECT id FROM timer WHERE open AND due_at <= statement_timestamp() ORDER BY due_at LIMIT 1000
    FOR UPDATE SKIP LOCKED)
  RETURNING id, subject, due_at),
told AS (INSERT INTO outbox (key, payload)
  SELECT subject, json_build_object('timer', id, 'due_at', due_at)::text FROM due)
SELECT count(*) FROM due
"""
_NEXT = "SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float FROM timer WHERE open"


@asynccontextmanager
async def _timers(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, command_timeout=300, server_settings={"enable_bitmapscan": "off"})
    try:
        await connection.execute(_TIMERS)
        await connection.execute("VACUUM ANALYZE timer")
        yield connection
    finally:
        await connection.close()


async def _reference(connection: asyncpg.Connection) -> dict[str, float]:
    steady = await _claim(connection, RATE * SECONDS, timedelta(seconds=1) / RATE)
    burst = await _claim(connection, BURST, timedelta(0))
    return {
        "reference_p99_ms": percentile(steady, 0.99),
        "reference_burst_last_ms": max(burst),
        "reference_fired_per_second": BURST / max(burst) * 1000,
    }


async def _claim(connection: asyncpg.Connection, count: int, apart: timedelta) -> list[float]:
    start: datetime = await connection.fetchval("SELECT clock_timestamp()") + _AHEAD / 2
    await connection.execute(
        "UPDATE timer t SET due_at = $1::timestamptz + d.n * $2::interval FROM (SELECT id, "
        "row_number() OVER () - 1 AS n FROM timer WHERE open LIMIT $3) d WHERE t.id = d.id",
        start,
        apart,
        count,
    )
    claim, following = await connection.prepare(_CLAIM), await connection.prepare(_NEXT)
    done = 0
    while done < count:
        done += await claim.fetchval()
        await asyncio.sleep(min(1.0, max(0.0, await following.fetchval() or 0.0)))
    rows = await connection.fetch(
        "SELECT extract(epoch FROM fired_at - due_at)::float * 1000 AS late FROM timer WHERE NOT open AND due_at >= $1",
        start,
    )
    return [row["late"] for row in rows]


if __name__ == "__main__":
    alone("agenda", measure, ROLES)
