"""The throughline command."""

import typer

from cli.importing.command import import_log

app = typer.Typer(no_args_is_help=True)
app.command("import")(import_log)


def run() -> None:
    app()
