"""The throughline command: every verb, registered."""

import typer

from cli import demo_command, up_command
from cli.importing.command import import_log

app = typer.Typer(
    name="throughline", no_args_is_help=True, add_completion=False, help="Run, try and look after Throughline."
)
app.command("up")(up_command.up)
app.command("down")(up_command.down)
app.command("demo")(demo_command.demo)
app.command("import")(import_log)


def run() -> None:
    """The console script."""
    app()
