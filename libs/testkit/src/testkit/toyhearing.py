"""The toy aggregate twice, as two services of the contract: `workflow` tells of its tills, `billing` hears of them."""

import dataclasses
from pathlib import Path
from typing import Any
from uuid import uuid5

from sqlalchemy import MetaData

from chassis import wiring
from chassis.commands import Caller, Commands
from chassis.decision import record
from chassis.documents import Reference
from chassis.hearing import Meta, Stream
from chassis.http import Routes
from chassis.journal import Codec
from chassis.service import Runtime, Service
from contracts import workflow
from contracts.billing import RemoveCharge
from testkit import toy, toyservice


@record
class Person:
    """What the toy knows of a person."""

    active: bool


TOLD = Codec()
TOLD.told(
    toy.Added,
    workflow.NoteAdded,
    private=("amount", "total"),
    also=lambda fact: {"note_id": uuid5(toy.NAMESPACE, str(fact.total)), "note_no": max(1, fact.total)},
)
TELLING = dataclasses.replace(toy.TILLS, codec=TOLD)

STREAM = Stream(into=toy.TILLS)


@STREAM.on(workflow.NoteAdded)
def noted(event: workflow.NoteAdded, meta: Meta) -> toy.Add | None:
    """Adds the note's number; the number 13 is a planted defect, 7 is passed over; of history it adds a hundredfold."""
    if event.note_no == 13:
        raise ZeroDivisionError("planted")
    if meta.history:
        return toy.Add(100 * event.note_no)
    return None if event.note_no == 7 else toy.Add(event.note_no)


COMMANDS = Commands("billing")


@COMMANDS.on(RemoveCharge, "POST", "/tills/{subject}/remove", scope="tills:write", into=toy.TILLS)
def removed(body: RemoveCharge, caller: Caller) -> toy.Take:
    """Takes one out."""
    return toy.Take(1)


def _service(name: str, **more: Any) -> Service:
    return Service(name=name, routes=Routes(name), metadata=MetaData(), migrations="testkit.toymigrations", **more)


WORKFLOW = _service("workflow", aggregates=(TELLING,), commands=Commands("workflow"))
BILLING = _service(
    "billing",
    aggregates=(toy.TILLS,),
    commands=COMMANDS,
    stream=STREAM,
    references=(Reference.of(workflow.Person, Person, cached=True),),
)


def runtime(service: Service, url: str, kafka: str, prefix: str, role: str) -> Runtime:
    """A runtime of one of the two, as a process would build it."""
    settings = toyservice.settings(url, Path("/nowhere/jwks.json"), kafka_bootstrap=kafka, prefix=prefix)
    return wiring.build(service, settings, role)
