"""Goal 5: workflow opening requests from a filled topic at full batches, against fetching, validating and writing the
same records with one statement a batch.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench import load, peers
from bench.effort import ROUNDS, sized
from bench.measuring import Meter, median, medians
from bench.relay import TOPIC, published
from bench.result import APART, ROOT, Result
from bench.running import alone
from bench.site import Site, until
from chassis import naming
from chassis.clock import utc_now
from chassis.ids import new_id
from cli.running.installation import PARTITIONS
from contracts import intake
from contracts.envelope import Envelope, to_headers

ROLES = {"intake": ("api", "worker", "relay"), "workflow": ("api", "worker", "relay")}
WORKER = "workflow-worker"
EVENTS, BATCH = sized(12_000, 3000), 500
_UNMEASURED = 0.15
"""The first part of a round goes by while the process still starts."""
_TABLE = "CREATE TABLE taken (id uuid PRIMARY KEY, number text, queue text, summary text, received_at timestamptz)"
_WRITE = (
    "INSERT INTO taken SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) "
    "ON CONFLICT DO NOTHING"
)
_BODY = json.dumps({"text": "x" * 900}).encode()
_SUBJECTS = (
    "SELECT array_agg(id::text) FROM (SELECT id FROM workflow.requests WHERE number IS NOT NULL ORDER BY id LIMIT $1) r"
)
_HEARD = (
    "SELECT count(*) FROM workflow.requests WHERE id = ANY($1::text[]::uuid[]) "
    "AND (heard ->> 'intake.requests')::bigint >= $2"
)


async def measure(site: Site) -> Result:
    """Each round fills the topic while the worker is down, then starts it with nothing else at work."""
    await site.halt(WORKER, "workflow-relay")
    consumer = AIOKafkaConsumer(bootstrap_servers=site.bootstrap)
    await consumer.start()
    try:
        rounds = [(await _consumed(site, consumer), await _reference(site)) for _ in range(ROUNDS)]
    finally:
        await consumer.stop()
    ignored = [await _ignored(site, n) for n in range(ROUNDS)]
    ours, theirs = zip(*rounds, strict=True)
    found = medians(ours)
    found |= {f"ignored_{name}": median([each[name] for each in ignored]) for name in ignored[0]}
    found |= {f"reference_{name}": median([each[name] for each in theirs]) for name in theirs[0]}
    details = {"events_a_round": EVENTS, **found, "goal_python_us": 25.0, "goal_postgresql_us": 35.0}
    figure, reference = found["cpu_us"], found["reference_cpu_us"]
    return Result(
        "consumer", figure, "us CPU/event", reference, 60.0, of_ratio=False, rounds=ROUNDS,
        topology=f"{APART}; workflow's worker alone at work", details=details,
    )  # fmt: skip


async def _consumed(site: Site, consumer: AIOKafkaConsumer) -> dict[str, float]:
    filled, opened = await published(site, consumer), await site.count("workflow.requests")
    await load.run(site.plan(120.0, most=EVENTS))
    await until(lambda: _at_least(published(site, consumer), filled + EVENTS))
    site.begin(WORKER)
    await until(lambda: _at_least(site.count("workflow.requests"), opened + EVENTS * _UNMEASURED), every=0.05)
    pids = site.pids()
    meter, began = Meter({name: pids[name] for name in (WORKER, "postgresql")}), time.perf_counter()
    first = await site.count("workflow.requests")
    await until(lambda: _at_least(site.count("workflow.requests"), opened + EVENTS), every=0.1)
    seconds, cpu = time.perf_counter() - began, meter.read()
    await site.halt(WORKER)
    return figures(opened + EVENTS - first, seconds, cpu[WORKER], cpu["postgresql"])


async def _ignored(site: Site, n: int) -> dict[str, float]:
    """What a fact costs a service that takes nothing from it: its type is read, its place in the stream is kept."""
    subjects: list[str] = await site.value(_SUBJECTS, EVENTS)
    sequence = n + 2
    async with AIOKafkaProducer(bootstrap_servers=site.bootstrap, acks="all") as producer:
        topic = naming.topic(site.prefix, TOPIC)
        sent = [await producer.send(topic, _BODY, s.encode(), headers=_nothing(site, s, sequence)) for s in subjects]
        places = {place.partition: subjects[at] for at, place in enumerate(await asyncio.gather(*sent))}
    site.begin(WORKER)
    await until(lambda: _heard(site, subjects[:1], sequence), every=0.01)
    meter, began = Meter({name: site.pids()[name] for name in (WORKER, "postgresql")}), time.perf_counter()
    before = await site.value(_HEARD, subjects, sequence)
    await until(lambda: _heard(site, list(places.values()), sequence), every=0.05)
    seconds, cpu = time.perf_counter() - began, meter.read()
    await site.halt(WORKER)
    return figures(EVENTS - before, seconds, cpu[WORKER], cpu["postgresql"])


async def _heard(site: Site, subjects: list[str], sequence: int) -> bool:
    """Whether each has come so far: of a partition's last one, so has all of the partition."""
    return bool(await site.value(_HEARD, subjects, sequence) == len(subjects))


def _nothing(site: Site, subject: str, sequence: int) -> list[tuple[str, bytes]]:
    return to_headers(
        Envelope(
            id=new_id(),
            source=naming.source(site.prefix, "intake"),
            type="intake.nothing-for-you",
            version=1,
            time=utc_now(),
            subject=subject,
            sequence=sequence,
            actor_kind="system",
        )
    )


async def _at_least(count: Any, wanted: float) -> bool:
    return bool(await count >= wanted)


def figures(events: int, seconds: float, python: float, postgresql: float) -> dict[str, float]:
    """Rate and CPU per event."""
    return {
        "rate": events / seconds,
        "python_us": python / events * 1e6,
        "postgresql_us": postgresql / events * 1e6,
        "cpu_us": (python + postgresql) / events * 1e6,
    }


# -- the reference, in a process of its own ------------------------------------------------------------------------


async def _reference(site: Site) -> dict[str, float]:
    assert site.postgres is not None
    async with peers.database(site.postgres, "consumer") as url:
        await peers.execute(url, _TABLE)
        meter = Meter({"postgresql": site.pids()["postgresql"]})
        topic = naming.topic(site.prefix, TOPIC)
        command = [sys.executable, "-m", "bench.consumer", "--reference", url, site.bootstrap, topic]
        child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        out, _ = await child.communicate()
        told, cpu = json.loads(out), meter.read()
    return figures(told["events"], told["seconds"], told["cpu"], cpu["postgresql"])


async def _fetch_and_write(url: str, bootstrap: str, topic: str) -> dict[str, Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=4 << 20
    )
    await consumer.start()
    partitions = [TopicPartition(topic, n) for n in range(PARTITIONS)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    connection = await asyncpg.connect(url)
    write = await connection.prepare(_WRITE)
    wanted, events = sum((await consumer.end_offsets(partitions)).values()), 0
    began, used = time.perf_counter(), os.times()
    while events < wanted:
        found = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
        rows = [_row(record) for records in found.values() for record in records]
        if rows:
            await write.fetch(*zip(*rows, strict=True))
            events += len(rows)
    now, seconds = os.times(), time.perf_counter() - began
    await connection.close()
    await consumer.stop()
    return {"events": events, "seconds": seconds, "cpu": now.user + now.system - used.user - used.system}


def _row(record: Any) -> tuple[Any, ...]:
    event = intake.RequestSubmitted.model_validate_json(record.value)
    return record.key.decode(), event.number, event.queue, event.summary, event.received_at


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        print(json.dumps(uvloop.run(_fetch_and_write(*sys.argv[2:]))))
    else:
        alone("consumer", measure, ROLES)
