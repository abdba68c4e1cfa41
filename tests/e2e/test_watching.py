"""What leaves the processes of a whole installation: metrics, logs, and the alert that a fault sets off."""

import asyncio
import json
import os
import re
import secrets
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from prometheus_client import Counter, Gauge, Histogram, Metric

from chassis import telemetry
from cli.demo import organisation, setting_up
from cli.demo.scenes import play_scenario
from cli.running.installation import Installation
from contracts.registry import SERVICES
from embedded.process import children
from testkit import orphans
from testkit.collector import Collector
from testkit.eventually import eventually
from testkit.promtool import assert_firing, promtool
from testkit.scraping import Scrapes, Target, scrape

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

RULES = Path(__file__).parents[2] / "deploy/observability/rules.yaml"
OWN: list[Any] = [each for each in vars(telemetry).values() if isinstance(each, Counter | Gauge | Histogram)]
SELDOM = {
    "decider_lost_races_total",
    "relay_resent_total",
    "dead_letters_total",
    "waiting_messages",
    "agenda_lateness_seconds_count",
}
"""Have no series before what they count has happened; the chassis's tests see each with a value."""
ID_OR_NUMBER = re.compile(r"[0-9a-f]{8}|\d{3,}|@")
MOST_SERIES = 150
"""Of one metric in one process, the buckets of a histogram counted as one."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def collector() -> AsyncIterator[Collector]:
    with Collector() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> AsyncIterator[Installation]:
    """With every call traced, and a scenario played."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THROUGHLINE_OTLP_ENDPOINT", collector.endpoint)
        patch.setenv("THROUGHLINE_TRACE_RATIO", "1")
        installation = Installation(tmp_path_factory.mktemp("installation") / "home", temporary=True)
        try:
            await installation.start(print)
            await play_scenario(installation, 12, 3)
            yield installation
        finally:
            await installation.stop()


def lines(installation: Installation, service: str) -> list[dict[str, Any]]:
    """The log of a service's processes."""
    text = installation.watch.processes[service].log.read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def relay_of(installation: Installation, service: str) -> dict[str, Any]:
    """Where the relay of a service listens, and its process id."""
    return next(
        each for each in lines(installation, service) if each["event"] == "listening" and each["role"] == "relay"
    )


def targets(installation: Installation) -> list[Target]:
    return [Target(process.address, name, "all") for name, process in installation.watch.processes.items()]


async def scraped(installation: Installation) -> dict[str, list[Metric]]:
    """What every process answers now, relays too."""
    relays = {name: f"http://127.0.0.1:{relay_of(installation, name)['port']}" for name in SERVICES}
    places = {target.service: target.address for target in targets(installation)}
    places |= {f"{name} relay": address for name, address in relays.items()}
    found = await asyncio.gather(*(scrape(address) for address in places.values()))
    return {name: metrics for name, metrics in zip(places, found, strict=True) if metrics is not None}


async def test_every_metric_leaves_every_process_under_its_name_with_its_help(installation: Installation) -> None:
    answers = await scraped(installation)
    assert len(answers) == 2 * len(SERVICES)
    for process, metrics in answers.items():
        said = {metric.name: (metric.type, metric.documentation) for metric in metrics}
        for each in OWN:
            assert said[each._name] == (each._type, each._documentation), process
    counted = {sample.name for metrics in answers.values() for metric in metrics for sample in metric.samples}
    suffix = {"histogram": "_count", "counter": "_total"}
    wanted = {each._name + suffix.get(each._type, "") for each in OWN}
    assert wanted - counted <= SELDOM
    published = [sample for metrics in answers.values() for metric in metrics for sample in metric.samples]
    facts = {sample.labels["topic"] for sample in published if sample.name == "relay_facts_total" and sample.value}
    assert {"intake.requests", "workflow.requests", "billing.accounts", "approvals.approvals"} <= facts


async def test_no_label_holds_an_id_or_a_number_and_no_metric_has_many_series(installation: Installation) -> None:
    own = {each._name: set(each._labelnames) for each in OWN}
    for process, metrics in (await scraped(installation)).items():
        for metric in (each for each in metrics if each.name in own):
            seen = {tuple(sorted((k, v) for k, v in each.labels.items() if k != "le")) for each in metric.samples}
            assert len(seen) <= MOST_SERIES, (process, metric.name)
            for label, value in (pair for labels in seen for pair in labels):
                assert label in own[metric.name]
                assert label == "status" or not ID_OR_NUMBER.search(value), (metric.name, label, value)


async def test_logs_and_spans_of_one_request_are_found_in_every_service_by_its_number(
    installation: Installation, collector: Collector
) -> None:
    number = await submit(installation)
    status, said = await orphans.throughline(installation, "trace", number, "--json")
    assert status == 0, said
    request = json.loads(said)["request_id"]

    def decided(service: str) -> list[dict[str, Any]]:
        mine = [each for each in lines(installation, service) if each.get("subject") == request]
        return [each for each in mine if each["event"] == "decided"]

    await eventually(lambda: all(decided(service) for service in SERVICES), within=30)
    for service in SERVICES:
        found = decided(service)
        assert {each["service"] for each in found} == {service}
        assert all({"message", "outcome", "trace_id", "timestamp", "level"} <= each.keys() for each in found)
    others = {each["subject"] for each in lines(installation, "workflow") if each["event"] == "decided"}
    assert len(others) > 1

    def traced() -> set[str]:
        return {span.service for span in collector.spans if span.subject == request}

    await eventually(lambda: traced() == set(SERVICES), within=30)


# -- a fault and its alert -----------------------------------------------------------------------------------------

EVERY = 2.5
AGES = ("relay_oldest_unsent_seconds", "stream_lag_seconds", "stream_last_poll_seconds", "waiting_oldest_seconds")
COUNTS = (
    "agenda_overdue_seconds",
    "dead_letters_open",
    "up",
    "http_request_seconds_count",
    "http_request_seconds_bucket",
)
RATES = ("decider_refusals_total", "decider_batch_messages_sum", "agenda_lateness_seconds_bucket")


async def submit(installation: Installation) -> str:
    """One request, accepted; its number."""
    contact = organisation.CONTACTS[0]
    token = installation.token(contact.login, setting_up.scopes_of(contact.login))
    body = {"contact_id": str(contact.id), "queue": "change", "summary": "Move", "impact": "low", "urgency": "low"}
    headers = {"authorization": f"Bearer {token}", "idempotency-key": secrets.token_hex(8)}
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        address = installation.watch.processes["intake"].address
        answer = await client.post(f"{address}/intake/v1/requests", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["number"])


async def scrape_for(scrapes: Scrapes, installation: Installation, seconds: float) -> None:
    """A round every so often, in step."""
    begun, rounds = time.monotonic(), round(seconds / EVERY)
    for n in range(rounds):
        await scrapes.take(targets(installation))
        await asyncio.sleep(max(0.0, begun + (n + 1) * EVERY - time.monotonic()))


async def test_a_relay_that_stands_sets_off_its_alert_and_no_other(installation: Installation, tmp_path: Path) -> None:
    promtool()
    scrapes = Scrapes("throughline")
    await scrape_for(scrapes, installation, 5)
    before = scrapes.rounds - 1
    parent = installation.watch.processes["intake"].child
    assert parent is not None
    (relay,) = children(parent.pid)
    os.kill(relay, signal.SIGSTOP)
    try:
        await submit(installation)
        await scrape_for(scrapes, installation, 40)
    finally:
        os.kill(relay, signal.SIGCONT)
    series = scrapes.series(*AGES, *COUNTS, *RATES)
    soon, late = (f"{round(n * EVERY * 1000)}ms" for n in (before + 5, scrapes.rounds - 1))
    expected: dict[str, list[tuple[str, ...]]] = {"0s": [], soon: [], late: [("RelayStuck", "intake")]}
    assert_firing(RULES, tmp_path, series, expected, interval=f"{round(EVERY * 1000)}ms")

    async def published() -> bool:
        after = Scrapes("throughline")
        await after.take(targets(installation))
        ages = after.series("relay_oldest_unsent_seconds").values()
        return len(ages) == len(SERVICES) and {float(age) for age in ages} == {0.0}

    await eventually(published, within=30, every=0.5)
