"""`throughline waiting`: messages that cannot be decided now, and what operators do about them."""

import asyncio
from typing import Annotated, Any

import typer
from rich.table import Table

from cli import operating, site
from cli.console import Failed, JsonFlag, as_json, console, run
from cli.door import Doors, Refused
from contracts.registry import SERVICES

app = typer.Typer(no_args_is_help=True, help="Messages that cannot be decided now.")


def _known(service: str) -> str:
    if service not in SERVICES:
        raise typer.BadParameter(f"one of {', '.join(SERVICES)}")
    return service


Request = Annotated[str, typer.Argument(help="The request's number (R-000123) or its id.")]
Service = Annotated[str, typer.Argument(help="The service in question.", callback=_known)]


@app.command("list")
def listing(json: JsonFlag = False) -> None:
    """List what waits in every service, the oldest first."""
    found = run(_listing())
    if json:
        as_json(found)
    elif not found:
        console.print("nothing waits")
    else:
        _table(found)


@app.command()
def show(request: Request, json: JsonFlag = False) -> None:
    """Show what waits for one request, with the messages themselves."""
    found = run(_of(request))
    if json:
        as_json(found)
        return
    if not found:
        console.print("nothing waits for it")
    for each in found:
        console.rule(f"{each['service']} message {each['id']}")
        for name, value in each.items():
            if value is not None and name not in ("service", "id"):
                console.print(f"{name:>10}  {value}", markup=False, soft_wrap=True)


@app.command()
def retry(request: Request, json: JsonFlag = False) -> None:
    """Try at once, in every service, what waits for a request."""
    tried = run(_retry(request))
    if json:
        as_json(tried)
    else:
        console.print(", ".join(f"{count} in {service}" for service, count in tried.items()), "tried again")


@app.command()
def skip(
    service: Service,
    message: Annotated[int, typer.Argument(help="Its number in `waiting list`.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the message as a dead letter.")],
    json: JsonFlag = False,
) -> None:
    """Let the first waiting message of a request go undecided; what waits behind it is tried."""
    missing = f"no message {message} waits in {service}"
    subject = run(_decided(service, f"/waiting/{message}/skip", reason, missing))["subject"]
    if json:
        as_json({"service": service, "skipped": message, "request_id": subject})
    else:
        console.print(f"message {message} of {service} is skipped; what waits behind it for {subject} is tried")


@app.command()
def letters(json: JsonFlag = False) -> None:
    """List records that no service could read, the oldest first."""
    found = run(_listing("/dead-letters"))
    if json:
        as_json(found)
    elif not found:
        console.print("no dead letters")
    else:
        table = Table("service", "letter", "topic", "partition", "offset", "reason", "detail", box=None, pad_edge=False)
        for each in found:
            names = ("service", "id", "topic", "partition", "kafka_offset", "reason", "detail")
            table.add_row(*(str(each[name])[:80] for name in names))
        console.print(table)


@app.command()
def resolve(
    service: Service,
    letter: Annotated[int, typer.Argument(help="Its number in `waiting letters`.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the letter.")],
    json: JsonFlag = False,
) -> None:
    """Put a dead letter away."""
    run(_decided(service, f"/dead-letters/{letter}/resolve", reason, _no_letter(service, letter)))
    if json:
        as_json({"service": service, "resolved": letter})
    else:
        console.print(f"letter {letter} of {service} is put away")


@app.command()
def redeliver(
    service: Service,
    letter: Annotated[int, typer.Argument(help="Its number in `waiting letters`.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the message while it waits.")],
    json: JsonFlag = False,
) -> None:
    """Let a dead letter about a request be decided after all; its request has gone past it, so it comes last."""
    path = f"/dead-letters/{letter}/redeliver"
    subject = run(_decided(service, path, reason, _no_letter(service, letter)))["subject"]
    if json:
        as_json({"service": service, "redelivered": letter, "request_id": subject})
    else:
        console.print(f"letter {letter} of {service} is decided next for {subject}")


def resend(service: Service, request: Request, json: JsonFlag = False) -> None:
    """Let a service ask the others for what it has missed of a request; what it has heard is not repeated."""
    asked = run(_resend(service, request))
    if json:
        as_json({"service": service, "asked_after": asked})
    elif asked:
        said = ", ".join(f"{stream} after {position}" for stream, position in asked.items())
        console.print(f"{service} has asked for {said}")
    else:
        console.print(f"{service} has asked for it in the last ten seconds; it is on its way")


async def _resend(service: str, request: str) -> dict[str, int]:
    doors = await operating.doors(site.find())
    try:
        subject = await operating.subject(doors, request)
        answer = await doors.post(operating.OPERATOR, service, f"/resend/{subject}", {}, key=f"resend-{subject}")
    finally:
        await doors.close()
    found: dict[str, int] = answer.body["streams"]
    return found


async def _listing(path: str = "/waiting") -> list[dict[str, Any]]:
    doors = await operating.doors(site.find())
    try:
        pages = await asyncio.gather(*(_every(doors, service, path) for service in SERVICES))
    finally:
        await doors.close()
    return sorted((each for page in pages for each in page), key=lambda each: str(each["first_at"]))


async def _every(doors: Doors, service: str, path: str = "/waiting", **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = (await doors.get(operating.OPERATOR, service, path, limit=200, **query, **after)).body
        found += [{"service": service, **each} for each in page["items"]]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


async def _of(request: str) -> list[dict[str, Any]]:
    doors = await operating.doors(site.find())
    try:
        subject = str(await operating.subject(doors, request))
        pages = [await _every(doors, service, subject=subject) for service in SERVICES]
    finally:
        await doors.close()
    return [each for page in pages for each in page]


async def _retry(request: str) -> dict[str, int]:
    doors = await operating.doors(site.find())
    tried = {}
    try:
        subject = await operating.subject(doors, request)
        for service in SERVICES:
            try:
                answer = await doors.post(
                    operating.OPERATOR, service, f"/waiting/{subject}/retry", {}, key=f"retry-{subject}"
                )
            except Refused as refused:
                if refused.slug != "nothing-waits":
                    raise
            else:
                tried[service] = int(answer.body["messages"])
    finally:
        await doors.close()
    if not tried:
        raise Failed(f"nothing waits for {request}")
    return tried


def _no_letter(service: str, letter: int) -> str:
    return f"no dead letter {letter} in {service}"


async def _decided(service: str, path: str, reason: str, missing: str) -> dict[str, Any]:
    """Decide about a message; raises Failed with `missing` when there is none."""
    doors = await operating.doors(site.find())
    try:
        answer = await doors.post(operating.OPERATOR, service, path, {"reason": reason}, key=path)
    except Refused as refused:
        if refused.status == 404:
            raise Failed(missing) from None
        raise
    finally:
        await doors.close()
    found: dict[str, Any] = answer.body
    return found


def _table(found: list[dict[str, Any]]) -> None:
    table = Table(
        "service", "message", "request", "reason", "tries", "since", "next", "detail", box=None, pad_edge=False
    )
    for each in found:
        table.add_row(
            each["service"],
            str(each["id"]),
            each["subject"],
            each["reason"],
            str(each["attempts"]),
            str(each["first_at"])[:19],
            str(each["next_at"] or "operator")[:19],
            each["detail"][:80],
        )
    console.print(table)
