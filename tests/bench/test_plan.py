"""A plan is right by hand, grows with what is asked, is no larger than it must be, and names its true first ceiling."""

from dataclasses import replace

import pytest
from bench.planner.assumptions import Assumptions
from bench.planner.ceilings import ALL, Ground, ceilings
from bench.planner.day import MINUTES
from bench.planner.figures import Figures, Read, Usage, processes
from bench.planner.planning import Plan, plan
from bench.planner.roles import ALONE, FLOW, reads, roles
from bench.planner.sizing import carries, demand, fleet, flow, together
from hypothesis import given, settings
from hypothesis import strategies as st

FIGURES = Figures(
    submitting={name: Usage(((0.0, 0.0), (1000.0, 0.2))) for name in processes()},
    change_us=dict.fromkeys(processes(), 200.0),
    write_us=200.0,
    relay_per_s=20_000.0,
    fired_per_s=4_000.0,
)
SIZES = st.floats(1_000, 200e6)
SERVERS = st.integers(1, 5)


def of_one_kind(**given: float) -> Assumptions:
    """Submissions alone, evenly over the day: nothing that a hand cannot compute."""
    alone = {
        "peak_factor": 1.0, "changes_per_request": 0.0, "reads_per_operation": 0.0, "breaches_per_request": 0.0,
        "mails_per_request": 0.0, "approval_facts_per_request": 0.0, "billing_facts_per_request": 0.0,
        "partitions": 12, "least_pods": 1,
    }  # fmt: skip
    return Assumptions(**{**alone, **given})  # type: ignore[arg-type]


def planned(per_day: float, **given: float) -> Plan:
    return plan(per_day, FIGURES, of_one_kind(**given))


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_a_plan_by_hand() -> None:
    # 1,728,000 a day are 20/s, 120/s for 10 minutes. A worker of 20,000 us does 50/s: two do 100/s, and of the burst
    # 20/s x 600 s wait, the last of them 120 s; what waits is gone after 12,000 / 80 s = 2.5 minutes.
    slow = FIGURES.with_figure("workflow-worker", 20_000.0)
    assumed = of_one_kind(burst=6.0, burst_minutes=10, utilisation=0.5, lag_seconds=120.0)
    found = plan(1_728_000, slow, assumed)
    assert (found.demand.mean, found.demand.busiest, found.demand.burst) == pytest.approx((20.0, 20.0, 120.0))
    assert found.fleet.pods["workflow-worker"] == 2
    assert found.flow.worst_lag_seconds == pytest.approx(120.0)
    assert found.flow.drained_minutes == 3
    assert plan(1_728_000, slow, replace(assumed, lag_seconds=119.0)).fleet.pods["workflow-worker"] == 3
    # A door may not let callers wait: 120/s at 20,000 us are 2.4 cores.
    doors = FIGURES.with_figure("intake-api", 20_000.0)
    assert plan(1_728_000, doors, assumed).fleet.pods["intake-api"] == 3


def test_sizes_by_hand() -> None:
    # Two facts (submitted, opened) of 1,000 bytes and five rows of 2,000 are 12,000 bytes; a day of 1M is 12 GB.
    found = planned(1e6, keep_days=100.0, replication=3.0, retention_days=30.0)
    assert found.database["gigabytes_a_day"] == pytest.approx(12.0)
    assert found.database["terabytes_kept"] == pytest.approx(1.2)
    # Two records of 400 + 450 bytes, three copies, 30 days.
    assert found.kafka["terabytes_kept"] == pytest.approx(0.153)
    # 11.574/s of 200 us.
    assert found.cores["postgresql_busiest"] == pytest.approx(0.0023148, rel=1e-4)


def test_connections_by_hand() -> None:
    # Five services: a door of 17, and worker, relay and timers of 6 each; one sender of 6.
    assert planned(1e5).database["connections"] == 5 * (17 + 18) + 6


def test_reads_by_hand() -> None:
    # Four reads an operation, one in four a list: 3 x 100 + 1,000 us in the door, 3 x 50 + 350 us in PostgreSQL.
    figures = replace(FIGURES, one=Read(100.0, 50.0), work_list=Read(1_000.0, 350.0))
    assumed = of_one_kind(reads_per_operation=4.0, list_share=0.25)
    assert reads(figures, assumed) == Read(1_300.0, 500.0)
    assert roles(figures, assumed)["workflow-api"].per_s == pytest.approx(1e6 / 1_300)
    # 11.574/s of 200 us, and 500 us for the reads.
    assert plan(1e6, figures, assumed).cores["postgresql_busiest"] == pytest.approx(0.0081019, rel=1e-4)


def test_what_networks_carry_by_hand() -> None:
    # 20/s and a burst of 40/s; 2,000 bytes of a submission, two reads of 1,000 and 9,000 bytes; 3,000 to PostgreSQL.
    found = planned(
        1_728_000, burst=2.0, reads_per_operation=2.0, list_share=0.5, write_http_bytes=2_000.0, one_http_bytes=1_000.0,
        list_http_bytes=9_000.0, postgres_bytes=3_000.0,
    )  # fmt: skip
    assert found.network == pytest.approx(
        {
            "http_megabytes_s_busiest": 0.24, "http_megabytes_s_burst": 0.48,
            "postgresql_megabytes_s_busiest": 0.26, "postgresql_megabytes_s_burst": 0.52,
        }
    )  # fmt: skip


def test_a_ceiling_by_hand() -> None:
    # 12 TB are full after 100 days of 12,000 bytes a request at 10M requests a day.
    found = planned(1e6, keep_days=100.0, postgres_terabytes=12.0, month_terabytes=100.0)
    disk = next(one for one in found.ceilings if one.name == "PostgreSQL: disk of a server")
    assert disk.full == pytest.approx(0.1)
    assert disk.holds_to == pytest.approx(10e6, rel=2e-3)
    assert found.first == disk


def test_of_workers_the_one_with_the_most_partitions_decides() -> None:
    worker = roles(FIGURES, of_one_kind())["billing-worker"]
    assert together(worker, 4, 12) == pytest.approx(4 * 5_000)
    assert together(worker, 5, 12) == together(worker, 4, 12)
    assert together(worker, 6, 12) == pytest.approx(6 * 5_000)
    assert together(worker, 99, 12) == pytest.approx(12 * 5_000)


def test_a_second_relay_only_stands_by() -> None:
    relay = roles(FIGURES, of_one_kind())["intake-relay"]
    assert relay.kind == ALONE
    assert together(relay, 2, 12) == together(relay, 1, 12) == pytest.approx(20_000.0)


# -- whatever is asked -------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(SIZES, st.floats(1, 20), SERVERS)
def test_more_requests_never_need_less(per_day: float, more: float, servers: int) -> None:
    assumed = Assumptions(postgres_servers=servers)
    small, large = (plan(size, FIGURES, assumed) for size in (per_day, per_day * more))
    assert all(small.fleet.pods[name] <= pods for name, pods in large.fleet.pods.items() if name[-6:] != "worker")
    assert small.fleet.partitions <= large.fleet.partitions
    assert set(small.fleet.short) <= set(large.fleet.short)
    for some, others in ((small.database, large.database), (small.kafka, large.kafka)):
        assert all(some[name] <= others[name] * (1 + 1e-9) for name in some if name != "connections")
    assert small.cores["postgresql_burst"] <= large.cores["postgresql_burst"] * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(SIZES, st.floats(1, 20), st.sampled_from([12, 24, 64]))
def test_with_the_same_partitions_more_requests_need_no_fewer_of_anything(
    per_day: float, more: float, partitions: int
) -> None:
    assumed = Assumptions(partitions=partitions)
    small, large = (fleet(demand(size, assumed), FIGURES, assumed) for size in (per_day, per_day * more))
    assert all(small.pods[name] <= large.pods[name] for name in small.pods)
    ground = Ground(FIGURES, assumed)
    for name, full, _, _ in ALL:
        less, fuller = (full(demand(size, assumed), ground) for size in (per_day, per_day * more))
        assert less <= fuller * (1 + 1e-9), name


@settings(max_examples=25, deadline=None)
@given(SIZES, st.floats(1, 10), st.floats(1, 900))
def test_pods_are_enough_and_one_less_is_not(per_day: float, burst: float, lag: float) -> None:
    assumed = Assumptions(burst=burst, lag_seconds=lag, least_pods=1)
    wanted = demand(per_day, assumed)
    ready = fleet(wanted, FIGURES, assumed)
    for name, role in roles(FIGURES, assumed).items():
        pods = ready.pods[name]
        assert (name in ready.short) != carries(role, ready.per_s[name], wanted, assumed)
        if pods > 1 and name not in ready.short:
            assert not carries(role, together(role, pods - 1, ready.partitions), wanted, assumed)


@settings(max_examples=25, deadline=None)
@given(SIZES, st.floats(1, 10), st.integers(1, 120))
def test_the_chain_loses_nothing_between_its_roles(per_day: float, burst: float, minutes: int) -> None:
    assumed = Assumptions(burst=burst, burst_minutes=minutes)
    wanted = demand(per_day, assumed)
    queues = flow(wanted, fleet(wanted, FIGURES, assumed), minutes).queues
    for name, before in FLOW:
        arrived = sum(wanted.by_minute if before is None else queues[before].done)
        assert arrived == pytest.approx(sum(queues[name].done) + queues[name].waiting[-1])


@settings(max_examples=10, deadline=None)
@given(SIZES, SERVERS, st.floats(0.1, 64), st.integers(1, 12))
def test_the_first_ceiling_is_really_the_smallest(per_day: float, servers: int, disk: float, brokers: int) -> None:
    assumed = Assumptions(postgres_servers=servers, postgres_terabytes=disk, brokers=brokers, partitions=24)
    ground = Ground(FIGURES, assumed)
    first = ceilings(per_day, ground)[0]
    assert first.holds_to < float("inf")
    below, above = (demand(first.holds_to * factor, assumed) for factor in (1.0, 1.002))
    over = {name for name, full, _, _ in ALL if full(above, ground) > 1}
    assert all(full(below, ground) <= 1 for _, full, _, _ in ALL)
    assert first.name in over


@given(SIZES, st.floats(1, 12), st.floats(1, 10))
def test_the_peaks_are_those_of_the_simulated_days(per_day: float, peak: float, burst: float) -> None:
    wanted = demand(per_day, Assumptions(peak_factor=peak, burst=burst))
    assert max(wanted.by_minute) / 60 == pytest.approx(wanted.burst)
    assert max(wanted.by_minute[MINUTES:]) / 60 == pytest.approx(wanted.busiest)
    assert sum(wanted.by_minute[MINUTES:]) / MINUTES / 60 == pytest.approx(wanted.mean)


@given(st.floats(max_value=0))
def test_a_plan_is_of_some_requests(per_day: float) -> None:
    with pytest.raises(ValueError, match="must be requests"):
        demand(per_day, Assumptions())


def test_what_can_never_be_had_holds_to_nothing() -> None:
    found = plan(1e6, FIGURES, Assumptions(postgres_connections=10))
    assert found.first.name == "PostgreSQL: connections"
    assert found.first.holds_to == 0
    assert found.first in found.exceeded


def test_a_role_that_cannot_be_made_big_enough_is_named() -> None:
    slow = FIGURES.with_figure("relay-per-s", 5.0)
    found = plan(1e6, slow, Assumptions())
    assert "workflow-relay" in found.fleet.short
    assert found.flow.drained_minutes is None
    assert len(found.flow.queues["workflow-relay"].done) == 2 * MINUTES


def test_a_split_database_bears_more() -> None:
    one, five = (plan(5e6, FIGURES, Assumptions(postgres_servers=servers)) for servers in (1, 5))
    assert five.first.holds_to > one.first.holds_to
