"""Goal i: what each process holds in memory after a million messages (`BENCH_MESSAGES=n`), and whether it still grows.

Some lives of the sample scenario are played, so that every service tells something, and some thousand requests go
through the whole chain; then what each service has told is told again and again, so that its relay publishes and
everybody who hears it takes in and drops a million records, while the doors are read from.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench import load, profiling
from bench.chain import settled
from bench.effort import sized
from bench.measuring import slope
from bench.repeating import repeat
from bench.result import Result
from bench.running import alone
from bench.site import CONTACTS, Site, until
from chassis import naming
from cli.demo import scenes, setting_up
from cli.running.installation import PARTITIONS
from contracts.registry import SERVICES

MESSAGES = int(os.environ.get("BENCH_MESSAGES", sized("1000000", "4000")))
"""Records that the stream with the most of them has in the end."""
REQUESTS = max(500, MESSAGES // 100)
SAMPLES = sized(10, 2)
ROLES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(SERVICES, ("api", "worker", "relay", "timers")),
    "notifications": ("api", "worker", "relay", "timers", "sender"),
}
"""Every role that there is."""
LIVES, SEED = 300, 2026
MOST_MB, FLAT_PERCENT = 150.0, 10.0
_STREAMS = ("intake.requests", "workflow.requests", "approvals.approvals", "billing.accounts", "notifications.messages")
_CAUGHT_UP_WITHIN = 600.0
_READS_A_SECOND = 200.0
_SETTLES = 0.4
"""The first part of the samples: pools and caches fill."""


async def measure(site: Site) -> Result:
    """The scenario and the chain first, then repetitions with a sample at every tenth part."""
    if set(SERVICES) <= set(site.running().services):
        await scenes.play_scenario(site, LIVES, SEED)
    await load.run(site.plan(600.0, most=REQUESTS))
    await settled(site)
    consumer = AIOKafkaConsumer(bootstrap_servers=site.bootstrap)
    await consumer.start()
    samples = [(await _published(site, consumer), _held(site))]
    reading = asyncio.create_task(_read(site))
    try:
        with profiling.looking(site.pids()):
            for _ in range(SAMPLES):
                await _again(site, consumer)
                samples.append((await _published(site, consumer), _held(site)))
                most = max(samples[-1][1].values(), key=lambda held: held["rss_mb"])
                print(f"  {sum(samples[-1][0].values())} records: at most {most}", flush=True)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await consumer.stop()
    return _result(samples)


def _result(samples: list[tuple[dict[str, int], dict[str, dict[str, float]]]]) -> Result:
    counts = [sum(published.values()) / 1e6 for published, _ in samples]
    late = int(len(samples) * _SETTLES)
    roles: dict[str, Any] = {}
    for name, held in samples[-1][1].items():
        rss = [sample[name]["rss_mb"] for _, sample in samples]
        roles[name] = {
            **held,
            "rss_mb_before": rss[0],
            "mb_per_million": slope(counts[late:], rss[late:]),
            "grew_percent": (rss[-1] / rss[late] - 1) * 100,
        }
    largest = max(roles, key=lambda name: roles[name]["rss_mb"])
    steepest = max(roles, key=lambda name: roles[name]["grew_percent"])
    found = {
        "requests": REQUESTS,
        "records": samples[-1][0],
        "largest": largest,
        "steepest": steepest,
        "flat": roles[steepest]["grew_percent"] <= FLAT_PERCENT,
        "roles": roles,
    }
    figure, unit = roles[largest]["rss_mb"], f"MB resident ({largest})"
    return Result("memory", figure, unit, None, MOST_MB, of_ratio=False, details=found)


async def _again(site: Site, consumer: AIOKafkaConsumer) -> None:
    """Every stream once more, up to a tenth of the messages, and everybody has heard it."""
    before = await _published(site, consumer)
    told = {topic: await repeat(site, topic, MESSAGES // SAMPLES) for topic in _STREAMS}

    async def out() -> bool:
        now = await _published(site, consumer)
        return all(now[topic] >= before[topic] + told[topic] for topic in _STREAMS)

    await until(out, within=_CAUGHT_UP_WITHIN, every=0.5)
    await until(lambda: _heard(site, consumer), within=_CAUGHT_UP_WITHIN, every=0.5)


def _partitions(site: Site) -> dict[str, list[TopicPartition]]:
    return {
        topic: [TopicPartition(naming.topic(site.prefix, topic), n) for n in range(PARTITIONS)] for topic in _STREAMS
    }


async def _published(site: Site, consumer: AIOKafkaConsumer) -> dict[str, int]:
    """Records on each stream."""
    partitions = _partitions(site)
    ends = await consumer.end_offsets([one for some in partitions.values() for one in some])
    return {topic: sum(ends[one] for one in some) for topic, some in partitions.items()}


async def _heard(site: Site, consumer: AIOKafkaConsumer) -> bool:
    """Whether every group that reads a stream has committed its end."""
    ends = await consumer.end_offsets([one for some in _partitions(site).values() for one in some])
    return all(offset >= ends[one] for one, offset in (await site.committed()).items() if one in ends)


async def _read(site: Site) -> None:
    """Requests of a contact, at intake's door and at workflow's, for ever."""
    token = site.token(CONTACTS[0].login, setting_up.CONTACT_SCOPES)
    while True:
        for service in ("intake", "workflow"):
            plan = site.reading(service, f"/{service}/v1/requests?limit=5", token, 5.0, 4)
            plan.rate = _READS_A_SECOND
            await load.run(plan)


def _held(site: Site) -> dict[str, dict[str, float]]:
    """Megabytes of each process of ours: resident, and with pages that it shares with its siblings counted in part."""
    return {name: _memory(pid) for name, pid in site.pids().items() if name not in ("postgresql", "kafka")}


def _memory(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return {"rss_mb": kilobytes["Rss"] / 1024, "pss_mb": kilobytes["Pss"] / 1024}


if __name__ == "__main__":
    alone("memory", measure, ROLES)
