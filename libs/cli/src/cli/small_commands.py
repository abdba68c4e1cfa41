"""The small verbs: `token`, `bootstrap`, `topics`, `clients` and `provision`."""

from typing import Annotated

import typer
from rich.table import Table

from chassis import provision as provisioning
from chassis.clients import Client
from chassis.topics import Topics
from cli import clients, operating, site
from cli.console import Failed, JsonFlag, as_json, console, errors, plainly, run
from cli.running import directory
from contracts import scopes
from contracts.registry import SERVICES

topics_app = typer.Typer(no_args_is_help=True, help="Topics at the broker, compared with the contract.")
clients_app = typer.Typer(no_args_is_help=True, help="Other systems that may command this installation.")


def token(
    login: Annotated[str, typer.Argument(help="Whose: the login of a person or contact, or a client's name.")],
    scope: Annotated[str, typer.Option(help="What it may do, separated by spaces.")] = "requests:read requests:write",
    seconds: Annotated[int, typer.Option(min=1, max=30 * 86400, help="How long it is good.")] = 8 * 3600,
    json: JsonFlag = False,
) -> None:
    """Print an access token of the development issuer."""
    found = plainly(lambda: site.find().token(login, scope, seconds=seconds))
    for each in scopes.unknown(scope):
        errors.print(f"throughline: no service asks for the scope {each}", markup=False, soft_wrap=True)
    if json:
        as_json({"access_token": found, "token_type": "Bearer", "expires_in": seconds, "scope": scope})
    else:
        typer.echo(found)


def provision() -> None:
    """Make schemas, logins and topics, as the environment says; safe to repeat."""
    plainly(_not_of_up)
    raise typer.Exit(provisioning.main(SERVICES))


def _not_of_up() -> None:
    """Raise Failed when nothing is named and what is up here is provisioned by who started it."""
    if not site.named() and directory.is_up():
        raise Failed("the installation that is up here was provisioned as it started: stop it and start it again")


@topics_app.command()
def plan(json: JsonFlag = False) -> None:
    """Show what `apply` would make, and what differs from the contract; exit status 1 when anything does."""
    _changes(apply=False, json=json)


@topics_app.command()
def apply(json: JsonFlag = False) -> None:
    """Make the topics that are missing; what differs otherwise is shown and left."""
    _changes(apply=True, json=json)


def bootstrap(
    service: Annotated[str, typer.Argument(help="The service that starts late, or has lost what it heard.")],
    stream: Annotated[
        list[str] | None, typer.Option(help="One it hears; may be repeated. All of them without.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Let a service ask for everything that was ever told on its streams; it comes marked as history. Repeatable."""
    if service not in SERVICES:
        raise typer.BadParameter(f"one of {', '.join(SERVICES)}", param_hint="SERVICE")
    streams = run(_bootstrap(service, stream or []))
    if json:
        as_json({"service": service, "streams": streams})
    else:
        console.print(f"{service} has asked for everything on {', '.join(streams) or 'no stream'}")


async def _bootstrap(service: str, streams: list[str]) -> list[str]:
    doors = await operating.doors(site.find())
    try:
        answer = await doors.post(operating.OPERATOR, service, "/bootstrap", {"streams": streams}, key="bootstrap")
    finally:
        await doors.close()
    found: list[str] = answer.body["streams"]
    return found


def _changes(*, apply: bool, json: bool) -> None:
    where = plainly(site.find)
    topics = Topics(where.prefix, where.partitions, **where.kafka)
    changes = run(topics.apply() if apply else topics.plan())
    left = [change for change in changes if not (apply and change.what == "missing")]
    if json:
        as_json([{"topic": c.topic, "what": c.what, "wanted": c.wanted, "found": c.found} for c in changes])
    elif not changes:
        console.print("every topic is as the contract wants it")
    else:
        table = Table("topic", "what", "wanted", "found", box=None, pad_edge=False)
        for change in changes:
            done = "made" if change not in left else change.found or "–"
            table.add_row(change.topic, change.what, change.wanted, done)
        console.print(table)
    if left:
        raise typer.Exit(1)


@clients_app.command()
def add(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    scope: Annotated[str, typer.Option(help="What it may do, separated by spaces.")] = "requests:write",
    topics: Annotated[str, typer.Option(help="Services that it commands by topic, separated by commas.")] = "",
    act_for_others: Annotated[bool, typer.Option(help="Its commands may name another actor.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Switch it off instead.")] = False,
    json: JsonFlag = False,
) -> None:
    """Register another system, or change what it may do: over HTTP as itself, and by a topic pair a service."""
    by_topic = [service for service in topics.split(",") if service]
    unknown = [service for service in by_topic if service not in SERVICES]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: no such service", param_hint="--topics")
    if wrong := scopes.unknown(scope):
        known = ", ".join(scopes.SCOPES)
        raise typer.BadParameter(f"{', '.join(wrong)}: no such scope. There are {known}", param_hint="--scope")
    client = Client(name, frozenset(scope.split()), act_for_others, not off)
    where = plainly(site.find)
    run(clients.register(where, client, by_topic, partitions=where.partitions))
    if json:
        as_json({"name": name, "scopes": sorted(client.scopes), "topics": by_topic, "active": client.active})
        return
    for line in said(client, by_topic):
        console.print(line, soft_wrap=True)


def said(client: Client, by_topic: list[str]) -> list[str]:
    """What a registration means, line by line."""
    if not client.active:
        return [f"{client.name} is switched off"]
    if not by_topic:
        pairs = ["  no --topics: it speaks over HTTP alone; --topics intake,workflow gives it a pair for each"]
    else:
        pairs = [f"  it writes {s}.commands.{client.name} and reads {s}.results.{client.name}" for s in by_topic]
    return [f"{client.name} may {', '.join(sorted(client.scopes))}", *pairs]


@clients_app.command("list")
def listing(json: JsonFlag = False) -> None:
    """List the registered clients and what each may do, service by service."""
    found = run(clients.registered(plainly(site.find)))
    rows = [
        {
            "service": service,
            "name": client.name,
            "scopes": sorted(client.scopes),
            "may_act_for_others": client.may_act_for_others,
            "active": client.active,
        }
        for service, known in found.items()
        for client in known
    ]
    if json:
        as_json(rows)
        return
    table = Table("client", "service", "scopes", "acts for others", "active", box=None, pad_edge=False)
    for service, known in found.items():
        for client in known:
            acts, on = ("yes" if each else "no" for each in (client.may_act_for_others, client.active))
            table.add_row(client.name, service, " ".join(sorted(client.scopes)), acts, on)
    console.print(table)
