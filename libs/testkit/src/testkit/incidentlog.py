"""A generated incident log of the shape of a real one: the columns, statuses and odd turns of VINST's."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

HEADER = (
    "SR Number", "Change Date+Time", "Status", "Sub Status", "ST Level", "Involved ST", "Involved Org line 3",
    "Involved ST Function Div", "SR Latest Impact", "Product", "Country", "Owner Country", "Owner First Name",
)  # fmt: skip
QUEUED, ASSIGNED, WORKING = ("Queued", "Awaiting Assignment"), ("Accepted", "Assigned"), ("Accepted", "In Progress")
WAITS = tuple(
    ("Accepted", sub) for sub in ("Wait - User", "Wait", "Wait - Vendor", "Wait - Implementation", "Wait - Customer")
)
RESOLVED, CLOSED, IN_CALL = ("Completed", "Resolved"), ("Completed", "Closed"), ("Completed", "In Call")
CANCELLED, UNMATCHED = ("Completed", "Cancelled"), ("Unmatched", "Unmatched")
TEAMS = ("G97", "G96", "S42", "D5", "G230 2nd", "V5 3rd")
OWNERS = ("Krzysztof", "Marika", "Anne Claire", "Siebel", "Fredrik", "-")
BROKEN = (
    "1-broken,2011-13-45T00:00:00+01:00,Accepted,In Progress,L1,G97,Org line C,V3_2,Low,PROD1,se,Sweden,Marika",
    "1-broken,2011-03-04T00:00:00+01:00,Sleeping,Deep,L1,G97,Org line C,V3_2,Low,PROD1,se,Sweden,Marika",
    "1-broken,2011-03-04T00:00:00+01:00,Accepted,In Progress,L1",
    ",2011-03-04T00:00:00+01:00,Accepted,In Progress,L1,G97,Org line C,V3_2,Low,PROD1,se,Sweden,Marika",
)
"""Rows that nobody can read."""
_START = datetime(2011, 3, 1, 8, tzinfo=UTC)


def generate(cases: int, seed: int = 1, broken: bool = False) -> str:
    """A log of so many cases as CSV, numbered by its seed. Every kind of row occurs from a hundred cases on."""
    random = Random(seed)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for n in range(cases):
        writer.writerows(_case(random, n, seed))
        if broken and n < len(BROKEN):
            text.write(BROKEN[n] + "\n")
    return text.getvalue()


def _case(random: Random, n: int, seed: int) -> Iterator[tuple[str, ...]]:
    at = _START + timedelta(minutes=37 * n)
    impact, product = random.choice(("Low", "Medium", "High", "Major")), f"PROD{random.randrange(40)}"
    country, team, owner = random.choice(("se", "pl", "fr")), random.choice(TEAMS), random.choice(OWNERS)
    for status, sub in _life(random, n):
        at += timedelta(seconds=random.choice((0, 1, 40, 900, 86_400)))
        if random.random() < 0.3:
            team = random.choice(TEAMS)
        if random.random() < 0.4:
            owner = random.choice(OWNERS)
        yield (
            f"{seed}-{100_000 + n}", at.isoformat(), status, sub, random.choice(("L1", "L2", "L3")), team, "Org line C",
            "V3_2", impact, product, country, "Sweden", owner,
        )  # fmt: skip


def _life(random: Random, n: int) -> list[tuple[str, str]]:
    """The statuses that a case goes through; the first cases go through the rare ones."""
    rare = {
        0: [WORKING, IN_CALL],
        1: [RESOLVED, CLOSED],
        2: [IN_CALL],
        3: [WAITS[0], WORKING, RESOLVED, UNMATCHED, WORKING, CLOSED],
        4: [WORKING, CANCELLED],
        5: [WORKING, CLOSED, WORKING, RESOLVED, CLOSED, CLOSED],
        6: [WORKING, IN_CALL, QUEUED, ASSIGNED, WORKING],
        7: [UNMATCHED, WORKING, WAITS[2]],
        8: [UNMATCHED],
        9: [WORKING, CLOSED, RESOLVED],
        10: [QUEUED, *WAITS, RESOLVED, CLOSED],
        11: [WORKING, *[QUEUED, WORKING] * 30, RESOLVED, CLOSED],
    }
    return rare[n] if n in rare else _usual(random)


def _usual(random: Random) -> list[tuple[str, str]]:
    life = [random.choice((WORKING, WORKING, WORKING, QUEUED))]
    while random.random() < 0.75:
        life.append(random.choice((WORKING, WORKING, QUEUED, ASSIGNED, *WAITS)))
    end = random.random()
    if end < 0.7:
        life += [RESOLVED, CLOSED]
    elif end < 0.95:
        life.append(IN_CALL)
    if random.random() < 0.04:
        life += [WORKING, RESOLVED, CLOSED]
    return life
