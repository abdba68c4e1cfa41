"""What every command shares: how it speaks, how it fails."""

import json
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
import uvloop
from aiokafka.errors import KafkaError
from rich.console import Console

from chassis.topics import WrongTopics
from cli.door import Refused, Unanswered
from embedded.errors import NotAvailable, NotStarted

T = TypeVar("T")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_FILE_WIDTH = 200
"""Columns of what goes to a file or another program: lines are not broken there."""

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what fails is raised, and said once

console = Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)
errors = Console(stderr=True, highlight=False)


class Failed(Exception):
    """A command cannot do what was asked: one plain line."""


KNOWN = (
    Failed, NotAvailable, NotStarted, WrongTopics, Refused, Unanswered,
    KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OSError,
)  # fmt: skip


def plainly(work: Callable[[], T]) -> T:
    """Run a command; what can go wrong is said in one line on standard error, with exit status 1."""
    try:
        return work()
    except KNOWN as error:
        errors.print(f"throughline: {str(error) or type(error).__name__}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


def run(work: Coroutine[Any, Any, T]) -> T:
    """`plainly`, for a coroutine."""
    return plainly(lambda: uvloop.run(work))


def as_json(value: Any) -> None:
    """Print a value as JSON, for programs."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
