"""Every command that is named as what mends something can be typed as it stands."""

import shlex
from uuid import UUID

import click
import pytest
import typer

from chassis import mending
from chassis.app import _ROLES as ROLES
from cli.main import app
from cli.reconcile.mending import look_at
from notifications import main as notifications

REQUEST = UUID(int=1)


@pytest.mark.parametrize(
    "command",
    [
        mending.LOOK_AROUND,
        mending.retry(REQUEST),
        mending.resend("billing", "R-000042"),
        mending.redeliver("billing", 7),
        mending.put_away("billing", 7),
        look_at("R-000042"),
    ],
)
def test_a_named_command_is_one_of_throughlines(command: str) -> None:
    name, *arguments = shlex.split(command)
    assert name == "throughline"
    at: click.Command = typer.main.get_command(app)
    while isinstance(at, click.Group):
        at = at.commands[arguments.pop(0)]
    at.make_context(name, arguments)


def test_a_named_process_is_one_that_can_be_started() -> None:
    assert mending.start("notifications", "sender") == "python -m notifications --role sender"
    assert {"relay", "timers"} <= ROLES.keys()
    assert "sender" in notifications.SERVICE.roles
