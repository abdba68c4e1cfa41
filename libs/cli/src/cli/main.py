"""The throughline command: every verb, registered."""

import logging

import typer

from cli import (
    demo_command,
    doctor_command,
    reconcile_command,
    recover_command,
    small_commands,
    trace_command,
    up_command,
    waiting_command,
    where_command,
)
from cli.importing.command import import_log

app = typer.Typer(
    name="throughline",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Run, try and look after Throughline.",
)
app.command("up")(up_command.up)
app.command("down")(up_command.down)
app.command("demo")(demo_command.demo)
app.command("import")(import_log)
app.command("trace")(trace_command.trace)
app.command("doctor")(doctor_command.doctor)
app.command("reconcile")(reconcile_command.reconcile_now)
app.command("recover")(recover_command.recover)
app.command("bootstrap")(small_commands.bootstrap)
app.command("resend")(waiting_command.resend)
app.command("where")(where_command.where)
app.command("token")(small_commands.token)
app.command("provision")(small_commands.provision)
app.add_typer(waiting_command.app, name="waiting")
app.add_typer(small_commands.topics_app, name="topics")
app.add_typer(small_commands.clients_app, name="clients")


def run() -> None:
    """The console script. What Kafka's client tries again is not told: what fails for good, a command says itself."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    app()
