"""A whole installation under `throughline up`: used, looked at by every verb, robbed of a service, killed."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from chassis.clock import utc_now
from chassis.ids import new_id
from chassis.issuer import Issuer
from cli.demo import organisation, setting_up
from cli.door import Doors
from cli.running.installation import ISSUER
from contracts import intake, workflow
from contracts.base import ActorRef, Event
from testkit.collector import Collector, Taken
from testkit.streams import Wire, body, headers

pytestmark = [pytest.mark.servers, pytest.mark.e2e, pytest.mark.timeout(300)]

COMMAND = [sys.executable, "-c", "from cli.main import run; run()"]
UP_WITHIN, DEAD_WITHIN, BACK_WITHIN = 150.0, 30.0, 60.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("installation")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as found:
        yield found


@pytest.fixture(scope="module")
def environment(home: Path, collector: Collector) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("THROUGHLINE_")}
    traces = {"THROUGHLINE_OTLP_ENDPOINT": collector.endpoint, "THROUGHLINE_TRACE_RATIO": "0"}
    return {**inherited, **traces, "THROUGHLINE_HOME": str(home)}


@pytest.fixture(scope="module")
def up(home: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (home / "up.log").open("wb") as log:
        process = subprocess.Popen([*COMMAND, "up"], env=environment, stdout=log, stderr=log)
    try:
        until((home / "running.json").exists, UP_WITHIN, lambda: (home / "up.log").read_text())
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def until(probe: Callable[[], bool], within: float, said: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + within
    while not probe():
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def throughline(up: subprocess.Popen[bytes], environment: dict[str, str]) -> Callable[..., Any]:
    def call(*arguments: str) -> Any:
        return subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False)

    return call


def processes(home: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in words and int(path.name) != os.getpid():
            found.append(path.name)
    return found


def test_the_doctor_finds_it_well(throughline: Callable[..., Any]) -> None:
    def well() -> bool:
        return bool(throughline("doctor", "--json").returncode == 0)

    until(well, BACK_WITHIN, lambda: str(throughline("doctor").stdout))
    found = json.loads(throughline("doctor", "--json").stdout)["findings"]
    assert {"intake", "workflow", "approvals", "billing", "notifications", "kafka", "postgres"} <= {
        each["where"] for each in found
    }


def test_clients_topics_tokens_and_what_waits(throughline: Callable[..., Any]) -> None:
    added = throughline("clients", "add", "erp", "--scope", "requests:write", "--topics", "intake", "--json")
    assert json.loads(added.stdout)["topics"] == ["intake"], added.stderr
    listed = json.loads(throughline("clients", "list", "--json").stdout)
    assert {"service": "billing", "name": "erp"}.items() <= next(
        each for each in listed if each["name"] == "erp" and each["service"] == "billing"
    ).items()
    assert json.loads(throughline("topics", "plan", "--json").stdout) == []
    assert throughline("token", "erp").stdout.count(".") == 2
    assert json.loads(throughline("waiting", "list", "--json").stdout) == []


def test_a_service_asks_for_everything_on_the_streams_it_hears_and_for_no_other(
    throughline: Callable[..., Any],
) -> None:
    asked = throughline("bootstrap", "billing", "--json")
    assert json.loads(asked.stdout) == {"service": "billing", "streams": ["workflow.requests"]}, asked.stderr
    refused = throughline("bootstrap", "billing", "--stream", "intake.requests")
    assert refused.returncode == 1
    assert refused.stderr.startswith("throughline: 422 invalid")


def test_an_error_is_one_plain_line(throughline: Callable[..., Any]) -> None:
    failed = throughline("trace", "R-999999")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "throughline: no request has the number R-999999\n"


# -- one request, and what is said of it ---------------------------------------------------------------------------

CONTACT, OWNER = organisation.CONTACTS[0], organisation.ADMIN


@pytest.fixture(scope="module")
def doors(home: Path, throughline: Callable[..., Any]) -> Callable[..., Any]:
    """The sample organisation is in place; calls a door as somebody: `doors(who, service, path, body, headers)`."""
    assert throughline("clients", "add", setting_up.SETUP, "--scope", setting_up.SETUP_SCOPES).returncode == 0
    running = json.loads((home / "running.json").read_text())
    issuer = Issuer(Path(running["issuer"]), ISSUER)

    def token(login: str) -> str:
        return issuer.token(login, setting_up.scopes_of(login))

    async def set_up() -> None:
        entered = Doors(running["services"], token)
        try:
            await setting_up.people(entered)
            await setting_up.known_everywhere(entered)
        finally:
            await entered.close()

    asyncio.run(set_up())

    def call(who: str, service: str, path: str, body: Any = None, *, method: str = "", **more: str) -> Any:
        said = {"authorization": f"Bearer {token(who)}", "idempotency-key": secrets.token_hex(8), **more}
        address = f"{running['services'][service]}/{service}/v1{path}"
        how = method or ("GET" if body is None else "POST")
        answer = httpx2.request(how, address, headers=said, json=body, timeout=30, trust_env=False)
        return answer.status_code, answer.json()

    return call


def submitted(doors: Callable[..., Any], **said: str) -> dict[str, Any]:
    """A request that has come to where its approval is asked."""
    asked = {
        "contact_id": str(CONTACT.id),
        "queue": "change",
        "summary": "Move the line",
        "impact": "low",
        "urgency": "low",
    }
    status, made = doors(CONTACT.login, "intake", "/requests", asked, **said)
    assert status == 201, made
    for _ in range(2):
        path = f"/requests/{made['request_id']}/progress"
        status, moved = doors(OWNER.login, "workflow", path, {}, prefer="wait=20", **said)
        assert status == 200, moved
    return dict(made)


def told(throughline: Callable[..., Any], number: str) -> list[tuple[str, str]]:
    """(service, type) of every fact that `throughline trace` finds."""
    found = json.loads(throughline("trace", number, "--json").stdout)
    return [(each["service"], each["type"]) for each in found["facts"]]


def test_one_request_is_one_trace_through_all_services_and_what_is_not_sampled_is_not_exported(
    doors: Callable[..., Any], throughline: Callable[..., Any], collector: Collector
) -> None:
    trace, above = secrets.token_hex(16), secrets.token_hex(8)
    submitted(doors)
    submitted(doors, traceparent=f"00-{secrets.token_hex(16)}-{above}-00")
    made = submitted(doors, traceparent=f"00-{trace}-{above}-01")

    def services() -> set[str]:
        return {span.service for span in collector.spans if span.trace == trace}

    everyone = {"intake", "workflow", "approvals", "billing", "notifications"}
    until(lambda: services() == everyone, BACK_WITHIN, lambda: str(services()))
    number = made["number"]
    asked = ("approvals", "approvals.approval-requested.v1")
    until(lambda: asked in told(throughline, number), BACK_WITHIN, lambda: str(told(throughline, number)))
    mine = [span for span in collector.spans if span.trace == trace]
    assert {span.service for span in mine if span.subject == made["request_id"]} == everyone
    check_spans(mine, [span for span in collector.spans if span.trace != trace], above)


def check_spans(mine: list[Taken], others: list[Taken], above: str) -> None:
    """Each span of the trace hangs below another of it; each message's points to the batch it was decided in."""
    assert {span.parent for span in mine} <= {above, *(span.id for span in mine)}
    assert {span.service for span in mine if span.parent == above} == {"intake", "workflow"}
    messages = [span for span in mine if span.name.startswith("decide ")]
    batches = {span.id: span for span in others}
    assert all(span.name.startswith("batch ") for span in others), "nothing else was sampled"
    assert len(messages) > 8
    for span in messages:
        [batch] = span.links
        assert batches[batch].service == span.service


# -- what waits, and what nobody can read --------------------------------------------------------------------------


def tell(home: Path, *said: tuple[UUID, int, Event, bytes | None]) -> None:
    """Put facts (request, sequence, event, another value) on their topics as their owner would."""
    bootstrap = json.loads((home / "running.json").read_text())["kafka"]

    async def send() -> None:
        async with Wire(bootstrap, "") as wire:
            for request, sequence, event, value in said:
                await wire.send(event.topic, request, value or body(event), headers("", event, request, sequence))

    asyncio.run(send())


def waiting(throughline: Callable[..., Any], request: UUID) -> dict[tuple[str, int], dict[str, Any]]:
    """(service, sequence) → what waits for a request."""
    found = throughline("waiting", "show", str(request), "--json")
    assert found.returncode == 0, found.stderr
    return {(each["service"], each["sequence"]): each for each in json.loads(found.stdout)}


def test_a_request_that_comes_before_its_queue_waits_and_is_opened_by_a_retry(
    home: Path, doors: Callable[..., Any], throughline: Callable[..., Any]
) -> None:
    request, now = new_id(), utc_now()
    early = intake.RequestSubmitted(
        number="R-900001", contact_id=CONTACT.id, queue="tomorrow", queue_version=1, summary="Too early", impact="low",
        urgency="low", occurred_at=now, received_at=now, channel="api",
        submitted_by=ActorRef(kind="contact", id=CONTACT.id),
    )  # fmt: skip
    tell(home, (request, 1, early, None))
    found: dict[Any, Any] = {}
    until(lambda: found.update(waiting(throughline, request)) or ("workflow", 1) in found, BACK_WITHIN)  # type: ignore[func-returns-value]
    assert found["workflow", 1]["reason"] == "unknown"
    assert "Too early" in found["workflow", 1]["record"]
    assert json.loads(throughline("waiting", "retry", str(request), "--json").stdout) == {"workflow": 1}
    assert doors(OWNER.login, "workflow", f"/requests/{request}")[0] == 404
    draft = {**organisation.queues()[2], "queue": "tomorrow"}
    assert doors(setting_up.SETUP, "workflow", "/queues/tomorrow/draft", draft, method="PUT")[0] == 200
    assert doors(setting_up.SETUP, "workflow", "/queues/tomorrow/publish", {})[0] == 200
    throughline("waiting", "retry", str(request))
    until(lambda: doors(OWNER.login, "workflow", f"/requests/{request}")[0] == 200, BACK_WITHIN)
    assert ("workflow", 1) not in waiting(throughline, request)
    nobody = str(uuid4())
    again = throughline("waiting", "retry", nobody)
    assert (again.returncode, again.stderr) == (1, f"throughline: nothing waits for {nobody}\n")


def test_what_nobody_can_read_is_skipped_and_put_away_and_the_doctor_is_well_again(
    home: Path, doors: Callable[..., Any], throughline: Callable[..., Any]
) -> None:
    request, note = uuid4(), workflow.NoteAdded(note_id=uuid4(), note_no=1)
    hearing = {"intake", "approvals", "billing", "notifications"}
    broken = workflow.RequestClosed.model_construct()
    tell(home, (request, 1, broken, b'{"outcome": '), (request, 2, note, None))
    until(lambda: {(name, n) for name in hearing for n in (1, 2)} == waiting(throughline, request).keys(), BACK_WITHIN)
    found = waiting(throughline, request)
    assert {each["reason"] for (_, n), each in found.items() if n == 1} == {"body-invalid"}
    assert {
        each["service"] for each in json.loads(throughline("trace", str(request), "--json").stdout)["waiting"]
    } == hearing
    assert any(name.startswith("waiting: ") for _, name in examined(throughline))
    listed = json.loads(throughline("waiting", "list", "--json").stdout)
    assert {each["service"] for each in listed if each["subject"] == str(request)} == hearing
    behind = throughline("waiting", "skip", "billing", str(found["billing", 2]["id"]), "--reason", "no")
    assert behind.returncode == 1
    assert behind.stderr.startswith("throughline: 409 not-the-first")
    for name in sorted(hearing):
        message = found[name, 1]["id"]
        skipped = throughline("waiting", "skip", name, str(message), "--reason", "sent by mistake", "--json")
        assert json.loads(skipped.stdout) == {"service": name, "skipped": message, "request_id": str(request)}
    assert waiting(throughline, request) == {}
    put_away(throughline, request, hearing)
    until(lambda: throughline("doctor").returncode == 0, BACK_WITHIN, lambda: str(throughline("doctor").stdout))


def put_away(throughline: Callable[..., Any], request: UUID, services: set[str]) -> None:
    """Each of these services has one dead letter of the request, whole; resolve them all."""
    dead = letters(throughline, request)
    assert {each["service"] for each in dead} == services
    assert {(each["reason"], each["value"]) for each in dead} == {("skipped", '{"outcome": ')}
    assert any(name == "dead letters" for _, name in examined(throughline))
    for each in dead:
        resolve = ("waiting", "resolve", each["service"], str(each["id"]), "--reason", "seen")
        assert json.loads(throughline(*resolve, "--json").stdout) == {
            "service": each["service"],
            "resolved": each["id"],
        }
        again = throughline(*resolve)
        assert (again.returncode, again.stderr) == (
            1,
            f"throughline: no dead letter {each['id']} in {each['service']}\n",
        )
    assert letters(throughline, request) == []


def letters(throughline: Callable[..., Any], request: UUID) -> list[dict[str, Any]]:
    """The dead letters of a request."""
    found = json.loads(throughline("waiting", "letters", "--json").stdout)
    return [each for each in found if each["subject"] == str(request)]


def examined(throughline: Callable[..., Any]) -> set[tuple[str, str]]:
    """(where, what) of everything that the doctor does not find in order."""
    found = json.loads(throughline("doctor", "--json").stdout)["findings"]
    return {(each["where"], each["what"]) for each in found if each["state"] != "ok"}


def test_a_service_that_is_killed_comes_back_on_its_address(home: Path, throughline: Callable[..., Any]) -> None:
    before = json.loads((home / "billing.port").read_text())
    os.kill(before["pid"], signal.SIGKILL)

    def back() -> bool:
        try:
            now = json.loads((home / "billing.port").read_text())
        except (OSError, ValueError):
            return False
        return bool(now["pid"] != before["pid"] and now["port"] == before["port"])

    until(back, BACK_WITHIN)


def test_killing_the_supervisor_leaves_no_process(up: subprocess.Popen[bytes], home: Path) -> None:
    assert len(processes(home)) > 5
    up.kill()
    up.wait()
    until(lambda: processes(home) == [], DEAD_WITHIN, lambda: str(processes(home)))
