"""The references: pgbench on the same server, and the reference programs where `THROUGHLINE_REFERENCE` names them."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.effort import QUICK
from bench.measuring import Meter
from embedded.ports import answers, free_port
from embedded.postgres import Postgres, binaries
from embedded.process import Child

CLIENTS = 16
_TABLES = """
CREATE TABLE request (
  id uuid PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY, tenant int NOT NULL, kind text NOT NULL,
  queue text NOT NULL, stage text NOT NULL, status smallint NOT NULL, priority smallint NOT NULL,
  channel text NOT NULL, summary text NOT NULL, description text NOT NULL, contact_id uuid NOT NULL,
  contact_email text NOT NULL, contact_name text NOT NULL, owner_id uuid, team_id int, parent_id uuid,
  amount numeric(14, 2), currency char(3), external_reference text, tags text[] NOT NULL, custom jsonb NOT NULL,
  policy smallint NOT NULL, respond_by timestamptz, due_at timestamptz, version int NOT NULL,
  created_at timestamptz NOT NULL, changed_at timestamptz NOT NULL);
CREATE UNIQUE INDEX ON request (number);
CREATE INDEX ON request (tenant, queue, status, created_at);
CREATE INDEX ON request (contact_id, created_at);
CREATE TABLE fact (request_id uuid, sequence int, kind text NOT NULL, actor uuid NOT NULL, at timestamptz NOT NULL,
  data jsonb NOT NULL, PRIMARY KEY (request_id, sequence));
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key uuid NOT NULL,
  payload text NOT NULL, created_at timestamptz NOT NULL);
"""
_TRANSACTION = """SELECT uuidv7() AS id \\gset
BEGIN;
INSERT INTO request VALUES (:id, DEFAULT, 1, 'dispute', 'payments', 'new', 0, 3, 'web', :summary, :description,
  '0192f0c1-7a5e-7c3a-9d52-6f1f0a3b7c11', 'ana@example.org', 'Ana Petrova', NULL, NULL, NULL, 149.90, 'EUR', 'crm-88',
  '{billing,card,vip}', :custom, 1, now() + interval '1 hour', now() + interval '8 hours', 1, now(), now());
INSERT INTO fact VALUES (:id, 1, 'submitted', '0192f0c1-7a5e-7c3a-9d52-6f1f0a3b7c11', now(), :custom);
INSERT INTO outbox (topic, key, payload, created_at) VALUES ('requests', :id, :payload, now());
END;
"""


@dataclass
class Measured:
    """A reference's rate and its CPU per operation in microseconds."""

    rate: float
    cpu_us: float
    details: dict[str, Any]


@asynccontextmanager
async def database(postgres: Postgres, name: str) -> AsyncIterator[str]:
    """A database of its own on the server under measurement; its address."""
    connection = await asyncpg.connect(postgres.url())
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        yield postgres.url(name)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()


async def execute(url: str, script: str) -> None:
    """Run statements."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script, timeout=300)
    finally:
        await connection.close()


async def pgbench(postgres: Postgres, body: str, seconds: float) -> Measured:
    """BEGIN, three INSERTs, COMMIT: a request, its fact and its outbox row, prepared, one round trip each."""
    assert postgres.pid is not None
    async with database(postgres, "pgbench") as url:
        await execute(url, _TABLES)
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "transaction.sql"
            script.write_text(_TRANSACTION)
            variables = {
                "summary": "Card charged twice for invoice INV-2026-004711",
                "description": json.loads(body)["description"],
                "custom": json.dumps(json.loads(body)["custom"]),
                "payload": json.dumps({"type": "request.submitted", "data": json.loads(body)}),
            }
            command = [str(binaries() / "pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1"]
            command += ["-T", str(int(seconds)), "-f", str(script)]
            command += [f"-D{name}={value}" for name, value in variables.items()]
            meter = Meter({"postgresql": postgres.pid})
            told = await _told(command, url)
            cpu = meter.read()["postgresql"]
    rate = float(_after(told, "tps = "))
    count = int(_after(told, "actually processed: "))
    return Measured(rate, cpu / count * 1e6, {"latency_ms": float(_after(told, "latency average = "))})


async def _told(command: list[str], url: str) -> str:
    child = await asyncio.create_subprocess_exec(
        *command, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"{command[0]} ended with status {child.returncode}: {errors.decode()[-500:]}")
    return out.decode()


def _after(text: str, label: str) -> str:
    return text.partition(label)[2].split()[0].rstrip("%,")


# -- the reference programs ----------------------------------------------------------------------------------------


def programs() -> Path | None:
    """The folder of the reference programs, if one is given; a quick run does without."""
    named = None if QUICK else os.environ.get("THROUGHLINE_REFERENCE")
    return Path(named) if named else None


def interpreter() -> str:
    """The Python that has what the reference programs need: `THROUGHLINE_REFERENCE_PYTHON`, or this one."""
    return os.environ.get("THROUGHLINE_REFERENCE_PYTHON", sys.executable)


@asynccontextmanager
async def asgi_batch(postgres: Postgres, folder: Path) -> AsyncIterator[tuple[int, int, dict[str, Any]]]:
    """The reference's intake at work, GC frozen: its port, its process, and the body that it takes."""
    async with database(postgres, "asgi_batch") as url:
        await execute(url, (folder / "schema.sql").read_text())
        place, port = Path(tempfile.mkdtemp()), free_port()
        options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        environment = {"VARIANT": "asgi-batch", "GC": "freeze", "PG_URL": url, "PYTHONPATH": str(folder)}
        child = Child(
            [interpreter(), "-m", "uvicorn", "http_app:app", "--port", str(port), *options],
            log=place / "asgi-batch.log",
            env={**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"},
            remove=place,
        )
        try:
            child.wait_until(lambda: answers(port), within=60, name="asgi-batch")
            yield port, child.pid, await _body(folder)
        finally:
            child.stop()
            shutil.rmtree(place, ignore_errors=True)


async def _body(folder: Path) -> dict[str, Any]:
    command = [interpreter(), "-B", "-c", "import common, json; print(json.dumps(common.BODY))"]
    child = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    body: dict[str, Any] = json.loads(out)
    return body


async def pipeline_limit(folder: Path, rates: list[int], seconds: int) -> list[dict[str, Any]]:
    """The reference's whole chain at each rate (0: as fast as it goes): its rows, latencies in ms, CPU in us."""
    home = Path(os.environ.get("BENCH_HOME") or Path(tempfile.gettempdir()) / "peers-bench")
    settings = {"VARIANT": "asgi-batch", "GC": "freeze", "IDEM": "1", "PARTITIONS": "12"}
    child = await asyncio.create_subprocess_exec(
        interpreter(),
        "-B",
        str(folder / "pipeline_limit.py"),
        *map(str, rates),
        env={**os.environ, **settings, "BENCH_HOME": str(home), "BENCH_SECONDS": str(seconds)},
        stdout=sys.stderr,
    )
    if await child.wait():
        raise RuntimeError(f"pipeline_limit.py ended with status {child.returncode}")
    rows: list[dict[str, Any]] = json.loads((home / "results" / "pipeline-asgi-batch-100.json").read_text())
    return rows
