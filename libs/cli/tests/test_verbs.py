"""What the small verbs say, and what they refuse, without a server."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from chassis.clients import Client
from cli.door import Refused
from cli.importing.command import show
from cli.main import app
from cli.running import directory
from cli.small_commands import said
from contracts.registry import SERVICES
from contracts.scopes import SCOPES


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("THROUGHLINE_") or name.endswith("_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path))


@pytest.fixture
def up(tmp_path: Path) -> Iterator[directory.Running]:
    running = directory.Running(
        os.getpid(), "acme", "127.0.0.1:1", "postgresql://x@y/z", str(tmp_path / "issuer"), {"intake": "http://i:7"}
    )
    with directory.claim(tmp_path):
        directory.write(tmp_path, running)
        yield running


@pytest.fixture
def empty_doors() -> Iterator[dict[str, str]]:
    """Doors behind which there is nothing, and what names them."""

    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, b'{"items": [], "next": null}')

        def do_POST(self) -> None:
            self._answer(404, b'{"type": "/problems#not-found", "title": "Not found", "status": 404}')

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield {
                "THROUGHLINE_KAFKA_BOOTSTRAP": "127.0.0.1:1", "THROUGHLINE_ADMIN_DATABASE_URL": "postgresql://x@y/z",
                "THROUGHLINE_TOKEN": "any", **{f"{service.upper()}_URL": address for service in SERVICES},
            }  # fmt: skip
        finally:
            server.shutdown()


def say(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize(
    ("name", "place"),
    [("kafka", "127.0.0.1:1"), ("database", "postgresql://x@y/z"), ("intake", "http://i:7/intake/v1")],
)
def test_where_says_it_in_one_line(name: str, place: str) -> None:
    assert say("where", name).stdout == f"{place}\n"


def test_where_the_data_lies_is_told_though_nothing_is_up(tmp_path: Path) -> None:
    assert say("where", "data").stdout == f"{tmp_path}\n"
    assert (Path(say("where", "programs").stdout.strip()) / "psql").exists()


def test_where_nothing_is_up_one_plain_line_says_how_to_start_or_name_one(tmp_path: Path) -> None:
    told = say("where", "kafka")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == (
        f"throughline: no installation is up here, in {tmp_path}; `throughline up` starts one. "
        "THROUGHLINE_HOME names another place, THROUGHLINE_KAFKA_BOOTSTRAP an installation that others run\n"
    )


@pytest.mark.usefixtures("up")
def test_where_knows_its_names_and_which_doors_it_does_not_know() -> None:
    assert "one of intake" in say("where", "zookeeper").stderr
    assert say("where", "billing").stderr == "throughline: BILLING_URL is not set: where is billing?\n"


def test_an_installation_in_the_way_is_named_without_a_word_about_servers(tmp_path: Path) -> None:
    with directory.claim(tmp_path):
        told = say("up")
    assert told.exit_code == 1
    assert told.stderr.startswith("throughline: an installation is up in")
    assert told.stderr.endswith("already; `throughline down` stops it\n")


@pytest.mark.usefixtures("up")
def test_a_client_is_not_registered_for_a_scope_that_there_is_not() -> None:
    told = say("clients", "add", "erp", "--scope", "requests:write request:read")
    assert told.exit_code == 2
    words = told.stderr.replace("│", " ").split()
    assert "request:read:" in words
    assert "requests:write:" not in words
    assert [scope for scope in SCOPES if not any(word.strip(",") == scope for word in words)] == []


@pytest.mark.usefixtures("up")
def test_a_token_with_a_scope_that_there_is_not_is_given_with_a_warning() -> None:
    told = say("token", "ines", "--scope", "requests:read requests:wirte")
    assert (told.exit_code, told.stdout.count(".")) == (0, 2)
    assert told.stderr == "throughline: no service asks for the scope requests:wirte\n"
    assert say("token", "ines").stderr == ""


def test_a_client_without_topics_is_told_how_to_get_them() -> None:
    erp = Client("erp", frozenset({"requests:write"}))
    assert said(erp, []) == [
        "erp may requests:write",
        "  no --topics: it speaks over HTTP alone; --topics intake,workflow gives it a pair for each",
    ]
    assert said(erp, ["intake"])[1:] == ["  it writes intake.commands.erp and reads intake.results.erp"]
    assert said(replace(erp, active=False), []) == ["erp is switched off"]


@pytest.mark.usefixtures("up")
def test_what_up_has_provisioned_is_not_provisioned_by_hand() -> None:
    told = say("provision")
    assert (told.exit_code, told.stderr) == (
        1,
        "throughline: the installation that is up here was provisioned as it started: stop it and start it again\n",
    )


def test_provisioning_says_which_setting_is_missing_where_nothing_is_up() -> None:
    told = say("provision")
    assert told.exit_code == 2
    assert "THROUGHLINE_KAFKA_BOOTSTRAP" in told.stderr


def test_a_refusal_without_a_detail_ends_with_its_name() -> None:
    assert str(Refused(404, {"type": "/problems#not-found"})) == "404 not-found"
    assert str(Refused(409, {"type": "/problems#busy", "detail": "Wait."})) == "409 busy: Wait."


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("resolve", "billing", "7"), "no dead letter 7 in billing"),
        (("redeliver", "billing", "7"), "no dead letter 7 in billing"),
        (("skip", "workflow", "42"), "no message 42 waits in workflow"),
    ],
)
def test_what_is_not_there_is_named(words: tuple[str, ...], line: str, empty_doors: dict[str, str]) -> None:
    told = CliRunner().invoke(app, ["waiting", *words, "--reason", "x"], env=empty_doors)
    assert (told.exit_code, told.stderr) == (1, f"throughline: {line}\n")


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_trace_of_what_nobody_knows_is_a_failure(words: tuple[str, ...], empty_doors: dict[str, str]) -> None:
    request = "0193b2c4-01a1-7a10-8c3e-5d2f9a0001a1"
    told = CliRunner().invoke(app, ["trace", request, *words], env=empty_doors)
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == f"throughline: nothing is known of a request {request}\n"


@pytest.mark.parametrize(("unreadable", "more"), [(0, False), (10, False), (11, True)])
def test_an_imports_first_unreadable_rows_are_shown_under_its_table(unreadable: int, more: bool) -> None:
    rows = [
        {"line": n + 2, "case": None, "reason": "time-unreadable", "detail": f"month {n + 13}"}
        for n in range(unreadable)
    ]
    found: dict[str, Any] = {
        "log": {
            "cases": 1, "changes": 20, "unreadable": unreadable,
            "unreadable_by_reason": {"time-unreadable": unreadable}, "unreadable_rows": rows,
        },
        "submissions": {"accepted": 1, "refused": {}},
        "commands": {"applied": 1, "refused": {}},
        "finals": {"exact": 1, "compared": 1, "differences": {}, "unexplained": 0},
        "unanswered": 0, "breaches": 0, "hours_waited": {}, "seconds": 1.0, "changes_per_second": 20.0,
    }  # fmt: skip
    console = Console(record=True, width=120, file=StringIO())
    show(found, console)
    lines = [line.strip() for line in console.export_text().splitlines() if line.startswith("  ")]
    shown = [line for line in lines if line.startswith("line ")]
    assert shown == [f"line {n + 2}: time-unreadable (month {n + 13})" for n in range(min(unreadable, 10))]
    assert ("… and 1 more; --report FILE lists them" in lines) == more


def test_how_many_requests_a_demo_plays_may_stand_in_the_environment() -> None:
    told = CliRunner().invoke(app, ["demo", "--log", "x"], env={"REQUESTS": "0"})
    assert "REQUESTS" in told.stderr
