"""Faults of the chaos harness under load, one after the other, and what the real rules make of it.

A second of the run is told as 15 s, which is how far apart Prometheus scrapes, so that minutes of `for:` and of windows
are over in seconds. Counters are told 15 times as large, which leaves every rate as it was; ages stay as the processes
told them, so that every bound is reached in earnest. Before the run lie three hours of calls that were answered well:
an objective's long windows would otherwise be as short as the run.
"""

import os
import random
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from contracts.registry import SERVICES
from testkit.chaos.alarms import Again, Alert, Phase, Scraping, carry_out, questions
from testkit.chaos.busy import busy
from testkit.chaos.experiment import furnish, recovery
from testkit.chaos.faults import Both, Fault, Frozen, Killed
from testkit.chaos.nextversion import NextFacts
from testkit.chaos.operators import Locked
from testkit.chaos.poison import Poisoned
from testkit.chaos.servers import ServerFrozen
from testkit.chaos.site import Site
from testkit.chaos.skewed import Skewed, missing
from testkit.promtool import assert_answers, promtool

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/observability/rules.yaml"
RELIABILITY = ROOT / "docs/reliability.md"
SECONDS = 15
"""For which a second stands."""
BEFORE = 3 * 3600 // SECONDS
"""Rounds of the calm before."""
CALLS = 5
"""A second that every service answers in that time."""
SEED = 7
FAST = 'le="0.25"'
"""The one bucket of calls that a rule asks for."""
WAITED = 132.0
"""Seconds after which a message that waits has been told of: two minutes, a look, and the alert's minute."""

DEAD = tuple(Alert("DeadLetters", service, by="poison") for service in ("intake", "workflow", "billing"))
REFUSED = tuple(Alert("RefusalsRising", service, by="poison") for service in ("intake", "workflow", "billing"))
FAILED = Alert("ApiFailing", "workflow", by="locked")
LONGER = tuple(replace(FAILED, window=window) for window in ("1h", "6h"))
SLOW = Alert("ApiSlow", "workflow", by="locked")
TICKET = Alert("ApiSlow", window="3d")
"""May be there in any phase: whether one call in a hundred takes 250 ms is the machine's affair here."""
WAITS = Alert("RequestsWaiting", "approvals", by="next-versions")


def poison(site: Site) -> Fault:
    return Again([Poisoned(site, random.Random(n)) for n in range(5)])


def kafka_away(site: Site) -> Fault:
    assert site.kafka is not None
    return ServerFrozen("kafka", site.kafka)


PHASES = (
    Phase("nothing", None, 5),
    Phase("kill-api", lambda site: Killed(site, ["intake"]), 4),
    Phase(
        "clock-ahead",
        lambda site: Skewed(site, "intake", "ahead"),
        16,  # a process with the wrong clock is started in the place of another first
        [Alert("ClockWrong", "intake", "api")],
        [Alert("ProcessDown", "intake", "api")],
    ),
    Phase(
        "freeze-timers",
        lambda site: Frozen(site, ["workflow-timers"]),
        9,
        [Alert("ProcessDown", "workflow", "timers")],
    ),
    Phase("poison", poison, 13, [*DEAD, Alert("TimersLate", "workflow", by="freeze-timers")]),
    Phase(
        "freeze-relay",
        lambda site: Frozen(site, ["workflow-relay"]),
        28,
        [*DEAD, Alert("ProcessDown", "workflow", "relay"), Alert("RelayStuck", "workflow")],
        REFUSED,
    ),
    Phase(
        "freeze-worker",
        lambda site: Both(Frozen(site, ["notifications-worker"]), poison(site)),
        8,
        [*DEAD, Alert("ProcessDown", "notifications", "worker")],
        REFUSED,
    ),
    Phase(
        "locked",
        lambda site: Locked(site, "workflow.requests"),
        40,
        [
            *DEAD,
            REFUSED[0],
            Alert("ConsumerLagging", "workflow"),
            Alert("TimersStopped", "workflow"),
            *(replace(FAILED, window=window) for window in ("1h", "3d")),
        ],
        [*REFUSED, replace(FAILED, window="6h"), SLOW, WAITS],
    ),
    Phase(
        "kafka-away",
        kafka_away,
        26,  # a worker that commits tells its age every ten seconds only
        [
            *DEAD,
            *(Alert("ConsumerDeaf", service) for service in SERVICES),
            Alert("TimersLate", "workflow", by="locked"),
            replace(FAILED, window="3d"),
        ],
        [*REFUSED, *LONGER, SLOW, WAITS, Alert("RelayStuck")],
    ),
    Phase("next-versions", None, 6, [*DEAD, WAITS, replace(FAILED, window="3d")], [*LONGER, SLOW]),
)
"""A message of a newer version is told before the first, and has waited long enough in the last.

The second dose of poison comes with the frozen worker, so that refusals rise for ten minutes.
"""


@pytest_asyncio.fixture
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    promtool()
    if (why := missing()) is not None:
        pytest.skip(why)
    site = Site(tmp_path_factory.mktemp("site") / "home")
    try:
        await site.start(print)
        await furnish(site)
        yield site
    finally:
        await site.stop()


def words(rules: Path) -> set[str]:
    """Every word of the rules' expressions; the metrics are among them."""
    groups = yaml.safe_load(rules.read_text())["groups"]
    return {word for group in groups for rule in group["rules"] for word in re.findall(r"\w+", rule["expr"])}


def calm() -> Iterator[tuple[str, str]]:
    """Calls that were answered well until the run began."""
    answered = f"0+{CALLS * SECONDS}x{BEFORE - 1} stale"
    for service in SERVICES:
        place = f'job="throughline",service="{service}",role="api",instance="before",status="200"'
        yield f"http_request_seconds_count{{{place}}}", answered
        yield f"http_request_seconds_bucket{{{place},{FAST}}}", answered


@pytest.mark.e2e
@pytest.mark.timeout(420)
@pytest.mark.skipif(
    "THROUGHLINE_ALERTS" not in os.environ, reason="wants the machine for itself: make chaos FAULTS=alerts"
)
async def test_every_fault_sets_off_its_alerts_and_no_other(site: Site, tmp_path: Path) -> None:
    assert await recovery(site) is not None
    waits = NextFacts(site, random.Random(SEED), known=True)
    await waits.strike()
    told = time.monotonic()
    scraping = Scraping(site, words(RULES))
    async with busy(site, SEED, "alerts"):
        scraping.start()
        try:
            spans = await carry_out(site, PHASES[:-1], scraping)
            last = replace(PHASES[-1], lasts=max(PHASES[-1].lasts, told + WAITED - time.monotonic()))
            spans += await carry_out(site, [last], scraping)
            await waits.heal()
        finally:
            await scraping.stop()
    assert waits.struck
    told_of = scraping.scrapes.series(*words(RULES), times=SECONDS, after=BEFORE)
    series = {
        name: values for name, values in told_of.items() if "http_request_seconds_bucket" not in name or FAST in name
    }
    phases = [replace(phase, may=(*phase.may, TICKET)) for phase in PHASES]
    asked = questions(phases, spans, SECONDS, BEFORE)
    assert_answers(RULES, tmp_path, {**series, **dict(calm())}, asked, interval=f"{SECONDS}s")


def test_the_documents_name_every_fault_and_what_it_sets_off() -> None:
    found: dict[str, dict[str, None]] = {phase.name: {} for phase in PHASES}
    for phase in PHASES:
        for alert in phase.fires:
            found[phase.set_off(alert)][alert.name] = None
    text = RELIABILITY.read_text()
    for fault, alerts in found.items():
        row = f"| `{fault}` | {', '.join(f'`{alert}`' for alert in alerts) or 'none'} |"
        assert row in text
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    missed = {rule["alert"] for rule in rules if "alert" in rule} - {name for each in found.values() for name in each}
    assert missed == {"ApiSlow"}
