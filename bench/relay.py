"""Goal 6: a filled journal to Kafka by one relay, against reading the same rows and sending ready batches alone."""

import asyncio
import json
import os
import sys
import time
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench import load
from bench.effort import ROUNDS, sized
from bench.measuring import Meter, median, medians
from bench.result import APART, ROOT, Result
from bench.running import alone
from bench.site import Site, until
from chassis import naming
from cli.running.installation import PARTITIONS

ROLES = {"intake": ("api", "worker", "relay"), "workflow": ("api", "relay")}
TOPIC, RELAY = "intake.requests", "intake-relay"
ROWS = sized(40_000, 10_000)
_UNMEASURED = 0.1
"""The first part of a round goes by while the process still starts."""
_PAGE = 1000
CURSOR = "SELECT json_agg(json_build_object('grp', grp, 'high', high)) FROM intake.relay_cursor"
_BEYOND = (
    "SELECT count(*) FROM intake.journal j JOIN intake.relay_cursor c USING (grp) WHERE j.seq > c.high AND topic = $1"
)


async def measure(site: Site) -> Result:
    """The same rows in every round: the cursor is set back to where it was before they came."""
    await site.halt(*(name for name in site.pids() if name not in ("intake", "postgresql", "kafka")))
    cursor = await site.value(CURSOR)
    await load.run(site.plan(120.0, most=ROWS))
    consumer = AIOKafkaConsumer(bootstrap_servers=site.bootstrap)
    await consumer.start()
    try:
        rounds = [(await relayed(site, consumer, cursor), await _reference(site, n)) for n in range(ROUNDS)]
    finally:
        await consumer.stop()
    ours, theirs = zip(*rounds, strict=True)
    found = medians(ours)
    found |= {f"reference_{name}": median([each[name] for each in theirs]) for name in theirs[0]}
    details = {"rows": ROWS, **found, "goal_cpu_us": 10.0}
    rate, reference = found["rate"], found["reference_rate"]
    return Result(
        "relay", rate, "events/s", reference, 50_000, True, of_ratio=False, rounds=ROUNDS,
        topology=f"{APART}; intake's relay alone at work", details=details,
    )  # fmt: skip


async def relayed(site: Site, consumer: AIOKafkaConsumer, cursor: str) -> dict[str, float]:
    """Start the relay behind a cursor of before, and let it come to the end; its first steps are not counted."""
    await site.value(
        "UPDATE intake.relay_cursor c SET high = o.high, holes = '{}', hole_xmax = '{}' "
        "FROM json_to_recordset($1::json) AS o(grp smallint, high bigint) WHERE o.grp = c.grp",
        cursor,
    )
    rows = await site.value(_BEYOND, TOPIC)
    before = await published(site, consumer)
    site.begin(RELAY)
    await until(lambda: _beyond(site, consumer, before + rows * _UNMEASURED), every=0.01)
    pids = site.pids()
    first, began = await published(site, consumer), time.perf_counter()
    meter = Meter({name: pids[name] for name in (RELAY, "postgresql", "kafka")})
    await until(lambda: _beyond(site, consumer, before + rows), every=0.02)
    seconds, cpu = time.perf_counter() - began, meter.read()
    events = before + rows - first
    await site.halt(RELAY)
    return _figures(events, seconds, cpu[RELAY], cpu["postgresql"], cpu["kafka"])


def _figures(events: int, seconds: float, python: float, postgresql: float, kafka: float) -> dict[str, float]:
    return {
        "rate": events / seconds,
        "python_us": python / events * 1e6,
        "postgresql_us": postgresql / events * 1e6,
        "cpu_us": (python + postgresql) / events * 1e6,
        "kafka_us": kafka / events * 1e6,
    }


async def published(site: Site, consumer: AIOKafkaConsumer) -> int:
    """Records on intake's topic."""
    name = naming.topic(site.prefix, TOPIC)
    ends = await consumer.end_offsets([TopicPartition(name, n) for n in range(PARTITIONS)])
    return int(sum(ends.values()))


async def _beyond(site: Site, consumer: AIOKafkaConsumer, count: float) -> bool:
    return await published(site, consumer) >= count


# -- the reference, in a process of its own ------------------------------------------------------------------------


async def _reference(site: Site, n: int) -> dict[str, float]:
    pids = site.pids()
    meter = Meter({name: pids[name] for name in ("postgresql", "kafka")})
    arguments = ["-m", "bench.relay", "--reference", site.admin_url, site.bootstrap, f"reference-{n}"]
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    told, cpu = json.loads(out), meter.read()
    return _figures(told["events"], told["seconds"], told["cpu"], cpu["postgresql"], cpu["kafka"])


async def _read_and_send(url: str, bootstrap: str, topic: str) -> dict[str, Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=512 << 10
    )
    await producer.start()
    connection = await asyncpg.connect(url)
    page = await connection.prepare(
        "SELECT seq, key, data FROM intake.journal WHERE grp = $1 AND seq > $2 AND topic = $3 ORDER BY seq LIMIT $4"
    )
    await producer.partitions_for(topic)
    events, began, used = 0, time.perf_counter(), _cpu()
    try:
        for group in range(PARTITIONS):
            high = 0
            while rows := await page.fetch(group, high, TOPIC, _PAGE):
                await _send(producer, topic, group, rows)
                high, events = rows[-1]["seq"], events + len(rows)
        return {"events": events, "seconds": time.perf_counter() - began, "cpu": _cpu() - used}
    finally:
        await connection.close()
        await producer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, rows: list[Any]) -> None:
    left, sent = list(reversed(rows)), []
    while left:
        batch = producer.create_batch()
        while left and batch.append(key=left[-1]["key"].encode(), value=left[-1]["data"].encode(), timestamp=None):
            left.pop()
        batch.close()
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reference"]:
        print(json.dumps(uvloop.run(_read_and_send(*sys.argv[2:]))))
    else:
        alone("relay", measure, ROLES)
