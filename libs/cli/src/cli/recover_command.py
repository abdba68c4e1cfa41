"""`throughline recover`: a service whose schema was restored from a backup, brought up to what it published."""

from dataclasses import asdict
from importlib import import_module
from typing import Annotated
from urllib.parse import urlencode, urlsplit, urlunsplit

import typer

from chassis import recovering
from chassis.journal import NewerVersion
from chassis.provision import Names
from chassis.recalling import CannotRecover
from chassis.recovering import Report
from chassis.settings import WrongSetting, environment, read
from cli import site
from cli.console import Failed, JsonFlag, as_json, console, run
from cli.site import Site
from contracts.registry import SERVICES


def recover(
    service: Annotated[str, typer.Argument(help="The service whose schema was restored; none of it may run.")],
    json: JsonFlag = False,
) -> None:
    """Read a service's own topics back into its schema after a restore; may be killed and run again."""
    if service not in SERVICES:
        raise typer.BadParameter(f"one of {', '.join(SERVICES)}", param_hint="SERVICE")
    report = run(_recover(service))
    if json:
        as_json(asdict(report))
    else:
        _show(report)


async def _recover(service: str) -> Report:
    where = site.find()
    wired = import_module(f"{service}.main")
    try:
        settings = read(wired.Settings, service, {**environment(), **_settings(where, service)})
        return await recovering.recover(wired.SERVICE, settings, where.kafka, where.administrator())
    except (CannotRecover, NewerVersion, WrongSetting) as error:
        raise Failed(str(error)) from None


def _settings(where: Site, service: str) -> dict[str, str]:
    """What every process of the service reads, for one that serves nobody: the schema is entered as its owner."""
    names = Names(service, where.prefix)
    parts = urlsplit(where.administrator())
    owner = urlencode({"search_path": names.schema, "role": names.owner})
    query = f"{parts.query}&{owner}" if parts.query else owner
    mine = {
        "DATABASE_URL": urlunsplit(parts._replace(query=query)),
        "PREFIX": where.prefix,
        "PARTITIONS": str(where.partitions),
        "KAFKA_BOOTSTRAP": ",".join(where.kafka["bootstrap_servers"])
        if not isinstance(where.kafka["bootstrap_servers"], str)
        else where.kafka["bootstrap_servers"],
        "JWKS_URL": "file:///dev/null",
        "ISSUER": "nobody",
    }
    return {f"{service.upper()}_{name}": value for name, value in mine.items()}


def _show(report: Report) -> None:
    console.print(f"{report.service} was restored to {report.restored_to:%Y-%m-%d %H:%M:%S} UTC and has caught up")
    for what, count in (
        ("requests and other things folded on", report.aggregates),
        ("facts read back", report.facts),
        ("noted facts decided again", report.noted),
        ("records of documents read", report.documents),
        ("clients' commands with their answers", report.commands),
        ("partitions that are heard again", report.partitions_rewound),
        ("facts that are still to be published", report.to_publish),
    ):
        console.print(f"  {count:>8}  {what}")
    for series, last in report.numbers.items():
        console.print(f"  {series} goes on after {last}")
    for series, numbers in report.missing_numbers.items():
        console.print(f"  missing in {series}: {', '.join(map(str, numbers))}; drawn and never published", style="bold")
