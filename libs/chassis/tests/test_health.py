"""Health: lives, ready, started; each answered for what it says and nothing more."""

import asyncio
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chassis import serving
from chassis.health import Health
from chassis.serving import Watched


async def ask(health: Health, path: str) -> tuple[int, Any]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(Watched(health)), base_url="http://h") as client:
        answer = await client.get(path)
    return answer.status_code, answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


async def well() -> str | None:
    return None


async def test_a_server_ends_as_soon_as_it_is_told_and_dates_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_TICK", 60.0)
    server = serving.Server(Watched(Health()), host="127.0.0.1", port=0)
    running = asyncio.create_task(server.serve())
    await server.listening()
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{server.port}/livez")
    assert (answer.status_code, "date" in answer.headers) == (200, True)
    server.stop()
    async with asyncio.timeout(20):
        await running


class _Reader(io.StringIO):
    """A standard output whose reader opens the port file at the first sign of a line."""

    def __init__(self, port_file: Path) -> None:
        super().__init__()
        self._port_file = port_file
        self.found: list[int] = []

    def write(self, text: str) -> int:
        self.found.append(json.loads(self._port_file.read_text())["port"])
        return super().write(text)


async def test_whoever_reads_that_a_process_listens_finds_its_port_file(tmp_path: Path) -> None:
    server, port_file = serving.Server(Watched(Health()), host="127.0.0.1", port=0), tmp_path / "port"
    with contextlib.redirect_stdout(_Reader(port_file)) as reader:
        serving.announce("toy", "api", server, port_file)
    assert json.loads(reader.getvalue())["port"] == server.port
    assert set(reader.found) == {server.port}


async def test_a_process_is_ready_once_it_has_started_and_until_it_drains() -> None:
    health = Health()
    health.ready_when("database", well)
    assert [(await ask(health, path))[0] for path in ("/livez", "/startupz", "/readyz")] == [200, 503, 503]
    health.started = True
    assert [(await ask(health, path))[0] for path in ("/livez", "/startupz", "/readyz")] == [200, 200, 200]
    health.draining = True
    assert [(await ask(health, path))[0] for path in ("/livez", "/startupz", "/readyz")] == [200, 200, 503]


async def test_what_is_wrong_is_named_when_asked_for() -> None:
    health = Health()
    health.started = True

    async def away() -> str | None:
        raise ConnectionRefusedError("postgresql://u:secret@h")

    health.ready_when("database", away)
    health.ready_when("consumer", well)
    assert await ask(health, "/readyz") == (503, {"status": "failing"})
    status, body = await ask(health, "/readyz?verbose")
    assert (status, body["checks"]["database"], body["checks"]["consumer"]) == (503, "ConnectionRefusedError", "ok")
    assert (await ask(health, "/livez"))[0] == 200


async def test_a_check_that_hangs_counts_as_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.health._CHECK_SECONDS", 0.01)
    health = Health()
    health.started = True

    async def hanging() -> str | None:
        await asyncio.Event().wait()
        return None

    health.ready_when("database", hanging)
    assert (await ask(health, "/readyz?verbose"))[1]["checks"]["database"] == "no answer within 3 s"


async def test_a_process_that_is_stuck_says_so_itself() -> None:
    health = Health()
    health.alive_when("consumer", lambda: "no poll for 40 s")
    assert (await ask(health, "/livez?verbose"))[1]["checks"] == {"consumer": "no poll for 40 s"}


async def test_checks_are_asked_at_most_once_a_second() -> None:
    health = Health()
    health.started = True
    asked = 0

    async def counted() -> str | None:
        nonlocal asked
        asked += 1
        return None

    health.ready_when("database", counted)
    for _ in range(5):
        await ask(health, "/readyz")
    assert asked == 1


async def test_metrics_are_read_in_prometheus_form() -> None:
    status, text = await ask(Health(), "/metrics")
    assert status == 200
    assert "# TYPE process_resident_memory_bytes gauge" in text


async def test_a_process_without_an_api_serves_nothing_else() -> None:
    assert (await ask(Health(), "/toy/v1/tills"))[0] == 404
