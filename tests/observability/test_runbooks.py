"""Runbooks name what exists: metrics, pages and the very commands."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client import Counter, Gauge, Histogram

from chassis import telemetry
from cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs/runbooks").glob("*.md")), ROOT / "docs/operations.md"]
OWN: list[Any] = [each for each in vars(telemetry).values() if isinstance(each, Counter | Gauge | Histogram)]
UNITS = "seconds|total|messages|open|in_hand|holes"


def measured() -> set[str]:
    return {each._name + ("_total" if isinstance(each, Counter) else "") for each in OWN}


def missing(text: str) -> Iterator[str]:
    """The commands of a text that the program does not have, or that lack an option of theirs."""
    root: Any = typer.main.get_command(app)
    for line in re.findall(r"\bthroughline ([a-z][^`|#\n)]*)", text):
        words, command = line.split(), root
        while words and hasattr(command, "commands"):
            command = command.commands.get(words.pop(0))
        options = {word for word in words if word.startswith("--")}
        if command is None or not options <= {name for each in command.params for name in each.opts}:
            yield f"throughline {line}"


def commands(text: str) -> str:
    """What of a page is code."""
    return "\n".join(re.findall(r"`[^`\n]+`", text) + re.findall(r"```sh\n(.*?)```", text, re.DOTALL))


def test_a_command_that_is_not_there_is_seen() -> None:
    assert list(missing("`throughline waiting lost R-1` and `throughline doctor --jsn`")) == [
        "throughline waiting lost R-1", "throughline doctor --jsn"
    ]  # fmt: skip
    assert list(missing("`throughline waiting skip billing 42 --reason x`")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(rf"`([a-z]+_[a-z_]*(?:{UNITS}))\b", text)) <= measured()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link
    assert list(missing(commands(text))) == []


def test_metrics_are_seen_in_a_page() -> None:
    text = "`relay_oldest_unsent_seconds` and `relay_lost_total{topic}`"
    assert set(re.findall(rf"`([a-z]+_[a-z_]*(?:{UNITS}))\b", text)) - measured() == {"relay_lost_total"}
