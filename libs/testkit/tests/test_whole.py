"""Planted bugs in whole installations before one is started: where their faults strike, and what counts as caught."""

import asyncio
import io
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.running.services import Process
from contracts.registry import SERVICES
from embedded.errors import NotStarted
from testkit.chaos import experiment
from testkit.chaos import session as chaos
from testkit.chaos.auditor import INVARIANTS, Violation
from testkit.chaos.catalogue import FAULTS, needs_disks, needs_links
from testkit.chaos.experiment import Result, Shape
from testkit.chaos.load import Arrival, Load
from testkit.chaos.operations import Operations
from testkit.chaos.session import Round
from testkit.chaos.site import APART, Site
from testkit.chaos.witness import Found
from testkit.mutants import __main__ as command
from testkit.mutants import whole
from testkit.mutants.catalogue import MUTANTS, chosen
from testkit.mutants.mutant import Mutant, in_chaos, mutant
from testkit.mutants.trial import Told
from testkit.mutants.verdict import Verdict

SHOP = "libs/shop/src/shop/__init__.py"
COPY = {"PYTHONPATH": "/the/copy"}
INSTALLED = chosen("L3")
STRIKES = {
    "at-commit.after": " intake commit.after@",
    "at-commit.before": " billing-worker commit.before@1",
    "at-agenda.swept": " workflow-timers agenda.swept@1",
    "pause-agenda.swept": " workflow-timers agenda.swept@1",
}
"""Where a fault must strike for its bug to do harm; the others do it anywhere."""


def bug(text: str = "return 6", old: str = "return 5") -> Mutant:
    small = mutant("dearer", "L1", SHOP, old, text, why="nobody pays it", tests="tests/test_shop.py")
    return in_chaos(small, "kill-api", "I3 lines-differ")


def ended(*violations: str, **changed: Any) -> Result:
    broken = [Violation(law, name, "INV-1", "9 and 10") for law, name in map(str.split, violations)]
    return Result("kill-api", 7, "kill intake", violations=broken, **{"proof": "killed [1]", **changed})


def test_a_bug_is_of_single_tests_or_of_one_fault_and_one_law_and_each_law_is_one_of_the_auditors() -> None:
    assert all(bool(each.tests) != (each.layer == "L3") for each in MUTANTS)
    assert all(bool(each.fault) == bool(each.breaks) == (each.layer == "L3") for each in MUTANTS)
    assert {each.breaks.split()[0] for each in INSTALLED} <= set(INVARIANTS)
    faults = {each.fault for each in INSTALLED}
    assert faults <= set(FAULTS)
    assert not needs_links(faults)
    assert not needs_disks(faults)


@pytest.mark.parametrize("seed", whole.SEEDS)
@pytest.mark.parametrize("fault", sorted(STRIKES))
def test_a_seed_makes_a_fault_strike_where_its_bug_is(fault: str, seed: int, tmp_path: Path) -> None:
    names = {
        f"{service}-{role}" if role != "api" else service: service for service in SERVICES for role in APART[service]
    }
    processes = {name: Process(name, service, "any", {}, tmp_path) for name, service in names.items()}
    site: Any = SimpleNamespace(watch=SimpleNamespace(processes=processes))
    assert STRIKES[fault] in FAULTS[fault](site, random.Random(f"{fault} {seed}")).name


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (ended("I7 row-is-no-fold", "I3 lines-differ"), "I3 lines-differ: INV-1 (9 and 10)"),
        (ended("I3 charge-billed-twice"), None),
        (ended(), None),
        (ended("I3 lines-differ", undone="not carried out: TimeoutError()"), None),
        (ended("I3 lines-differ", proof=""), None),
        (ended("I3 lines-differ", skipped="not root"), None),
    ],
    ids=["named", "another", "none", "no run", "no strike", "skipped"],
)
def test_only_the_named_violation_counts_and_only_of_a_run_whose_fault_struck(result: Result, said: str | None) -> None:
    assert whole.broken(bug(), result) == said


def test_why_a_run_caught_nothing_is_told() -> None:
    assert whole.why(ended("I11 waits", "I11 waits")) == "kill intake ended with I11 waits"
    assert whole.why(ended()) == "kill intake ended with no violation"
    assert whole.why(ended("I3 lines-differ", undone="no installation")) == "FAILED FOR ANOTHER REASON: no installation"
    assert whole.why(ended("I3 lines-differ", proof="")) == "DID NOT STRIKE: kill intake"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / SHOP).parent.mkdir(parents=True)
    (tmp_path / SHOP).write_text("def price():\n    return 5\n")
    return tmp_path


def told_by(monkeypatch: pytest.MonkeyPatch, results: Sequence[Result]) -> list[tuple[int, str]]:
    """Let runs end so, one after the other; what each was made of: its seed, and what its processes import."""
    runs: list[tuple[int, str]] = []

    async def session(planned: Sequence[Round], shape: Shape, tell: chaos.Tell, say: chaos.Say) -> None:
        for one in planned:
            path = one.code.get("PYTHONPATH", "").partition(":")[0]
            runs.append((one.seed, (Path(path) / "shop/__init__.py").read_text() if path else ""))
            for _ in one.faults:
                tell(results[len(runs) - 1])

    monkeypatch.setattr(whole, "session", session)
    return runs


def test_a_bug_is_laid_before_the_processes_of_a_run_which_must_end_with_its_violation(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = told_by(monkeypatch, [ended("I3 lines-differ")])
    verdict = whole.tried(shop, bug())
    assert (verdict.caught_by, verdict.said) == ("kill-api: I3 lines-differ", "I3 lines-differ: INV-1 (9 and 10)")
    assert runs == [(whole.SEEDS[0], "def price():\n    return 6\n")]
    assert (shop / SHOP).read_text() == "def price():\n    return 5\n"


def test_a_bug_that_the_first_seed_misses_has_the_second_and_no_third(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = told_by(monkeypatch, [ended("I11 waits"), ended("I3 lines-differ")])
    assert whole.tried(shop, bug()).caught_by == "kill-api: I3 lines-differ"
    assert [seed for seed, _ in runs] == list(whole.SEEDS)
    told_by(monkeypatch, [ended("I11 waits"), ended("I3 lines-differ", undone="no installation")])
    verdict = whole.tried(shop, bug())
    assert verdict.caught_by is None
    assert "kill intake ended with I11 waits; " in verdict.said
    assert "FAILED FOR ANOTHER REASON: no installation; expected I3 lines-differ" in verdict.said


def test_a_bug_whose_place_is_gone_is_not_planted_and_starts_nothing(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = told_by(monkeypatch, [])
    verdict = whole.tried(shop, bug(old="return 7"))
    assert verdict.caught_by is None
    assert verdict.said.startswith("NOT PLANTED: dearer in chaos")
    assert runs == []


def test_without_a_bug_every_fault_is_carried_out_once_and_any_violation_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = told_by(monkeypatch, [ended(recovered=1.0)])
    clean = whole.unharmed([bug(), bug()])
    assert (clean.tests, clean.failed) == (1, {})
    assert runs == [(whole.SEEDS[0], "")]
    told_by(monkeypatch, [ended("I11 waits", recovered=1.0)])
    assert whole.unharmed([bug()]).failed == {"kill-api": "kill intake ended with I11 waits"}


@pytest.mark.parametrize(
    ("caught_by", "failed", "status"),
    [("kill-api: I3 lines-differ", {}, 0), (None, {}, 1), ("kill-api: I3 lines-differ", {"kill-api": "I11 waits"}, 1)],
    ids=["caught", "survived", "not clean"],
)
def test_the_command_fails_when_a_bug_is_not_caught_or_its_fault_does_harm_without_it(
    caught_by: str | None, failed: dict[str, str], status: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(whole, "unharmed", lambda mutants: Told(1, failed, None, 1.0))
    monkeypatch.setattr(whole, "tried", lambda root, planted: Verdict(planted, caught_by, "said", 1.0))
    monkeypatch.setattr("testkit.mutants.session.servers", None)
    assert command.main(["--only", INSTALLED[0].name]) == status
    told = capsys.readouterr().out
    assert f"| {INSTALLED[0].name} | L3 | {f'`{caught_by}`' if caught_by else '**nothing**'} | 1.0 |" in told
    assert all(f"FAILS WITHOUT A BUG: {fault}: {said}" in told for fault, said in failed.items())


async def test_an_installation_of_a_round_runs_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    said: list[Result] = []

    class NoSite:
        def __init__(self, home: Path, **options: Any) -> None:
            made.append(options["code"])

        async def start(self, say: chaos.Say) -> None:
            raise NotStarted("no installation here", "")

        async def stop(self) -> None:
            return

    monkeypatch.setattr(chaos, "Site", NoSite)
    await chaos.session([Round(7, ("kill-api", "kill-relay"), COPY)], Shape(), said.append, print)
    assert made == [COPY, COPY]
    assert [result.fault for result in said] == ["kill-api", "kill-relay"]


def test_what_a_site_forks_imports_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environments: list[Mapping[str, str]] = []

    def started(command: Sequence[str], **options: Any) -> Any:
        environments.append(options["env"])
        return SimpleNamespace(stdout=io.BytesIO())

    monkeypatch.setattr("cli.running.forked.subprocess.Popen", started)
    Site(tmp_path, code=COPY).forks.start()
    [environment] = environments
    assert environment["PYTHONPATH"] == "/the/copy"


async def test_lives_that_do_not_end_are_given_up_when_patience_is_over() -> None:
    load, given_up = Load.__new__(Load), list[bool]()
    load.behind, load._enough = 0.0, False

    async def never(*_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.append(True)

    load._live = never  # type: ignore[method-assign,assignment]
    async with asyncio.timeout(20.0):
        await load.play([Arrival(0.0, SimpleNamespace(), careful=True)], within=0.01)  # type: ignore[arg-type]
    assert given_up == [True]


async def test_the_end_of_a_run_waits_as_long_as_its_shape_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: dict[str, float] = {}

    async def nothing(*_: Any) -> Any:
        return None

    async def play(arrivals: Any, within: float) -> None:
        waited["lives"] = within

    async def quiet(site: Any, within: float) -> None:
        waited["quiet"] = within

    async def settled(*_: Any, whole: bool, within: float) -> Found:
        waited["audit"] = within
        return Found()

    load = SimpleNamespace(start=nothing, stop=nothing, play=play, behind=0.0, unanswered=[])
    told: dict[str, Any] = {"proof": "", "oldest_unsent": None, "orphans": []}
    fault = SimpleNamespace(name="kill intake", longer=0.0, look_again=nothing, **told)
    site: Any = SimpleNamespace(operations=Operations(), running=lambda: None, watch=SimpleNamespace(processes={}))
    for name, stub in {"footprint": nothing, "strike_and_heal": nothing, "recovery": nothing, "quiet": quiet}.items():
        monkeypatch.setattr(experiment, name, stub)
    monkeypatch.setattr(experiment, "Load", lambda site: load)
    monkeypatch.setitem(FAULTS, "kill-api", lambda site, chance: fault)
    witness: Any = SimpleNamespace(hindered=[], settled=settled)
    shape = Shape(seconds=0.0, rate=1.0, patience=8.0)
    await experiment.experiment(site, witness, "kill-api", 7, shape, whole=True)
    assert waited == {"lives": 8.0, "quiet": 8.0, "audit": 4.0}
