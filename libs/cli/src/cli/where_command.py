"""`throughline where`: an address or a folder in one line, for people and for scripts."""

from typing import Annotated

import typer

from cli import site
from cli.console import Failed, plainly
from cli.running import directory
from contracts.registry import SERVICES
from embedded.postgres import binaries

NAMES = (*SERVICES, "kafka", "database", "data", "programs")


def _known(name: str) -> str:
    if name not in NAMES:
        raise typer.BadParameter(f"one of {', '.join(NAMES)}")
    return name


def where(
    name: Annotated[
        str,
        typer.Argument(
            callback=_known,
            help="A service (its door), kafka, database (as its administrator), data (the folder of `throughline up`), "
            "or programs (the folder of psql).",
        ),
    ],
) -> None:
    """Print where something is, in one line."""
    typer.echo(plainly(lambda: _where(name)))


def _where(name: str) -> str:
    if name == "data":
        return str(directory.home())
    if name == "programs":
        return str(binaries())
    found = site.find()
    if name == "database":
        return found.administrator()
    if name == "kafka":
        said = found.kafka_options()["bootstrap_servers"]
        return said if isinstance(said, str) else ",".join(said)
    if name not in found.services:
        raise Failed(f"{name.upper()}_URL is not set: where is {name}?")
    return f"{found.services[name]}/{name}/v1"
