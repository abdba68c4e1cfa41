"""Who looks, and what of it they may see: 404 for what is not theirs."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis.auth import Caller
from chassis.database import Database
from chassis.decision import Unknown
from chassis.documents import Documents
from workflow import store
from workflow.domain import rights
from workflow.domain.records import Person
from workflow.domain.refusals import NoSuchRequest
from workflow.domain.state import ServiceRequest
from workflow.store import Viewer


class Papers:
    """`Known` for reads: the cached documents, with single ones fetched beforehand."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def bring(self, *keys: tuple[str, str]) -> None:
        """Make sure that these are cached, if they are known at all."""
        await self._documents.refresh()
        missing = [key for key in keys if self._documents.cached(*key) is None]
        if missing:
            await self._documents.fetch(missing)

    def get(self, kind: str, id: object) -> Any | None:
        return self._documents.cached(kind, str(id))

    def require(self, kind: str, id: object) -> Any:
        found = self.get(kind, id)
        if found is None:
            raise Unknown(f"{kind} {id} is not known here")
        return found

    def holder(self, claim: str) -> UUID | None:
        return None

    def number(self, series: str) -> int:
        return 0

    def new_id(self, n: int = 0) -> UUID:
        return UUID(int=n)


@dataclass(frozen=True)
class Seen:
    """A request that the caller may see."""

    request_id: UUID
    request: ServiceRequest
    edit_version: int
    blocked: str | None
    for_contact: bool


async def person_of(caller: Caller, papers: Papers) -> Person | None:
    """The active member of the staff who looks, if it is one."""
    actor = caller.actor
    if actor.kind == rights.PERSON and actor.id is not None:
        await papers.bring(("person", str(actor.id)))
    return rights.person_of(actor, papers)


async def viewer_of(caller: Caller, db: Database, papers: Papers) -> Viewer:
    """For lists: what the caller's kind, roles and teams let them see."""
    actor = caller.actor
    if rights.is_system(actor):
        return Viewer(sees_all=True)
    if actor.kind == rights.CONTACT and actor.id is not None:
        return Viewer(contact_id=actor.id, organisation_id=await store.shared_organisation(db, actor.id))
    person = await person_of(caller, papers)
    if person is None:
        return Viewer()
    return Viewer(sees_all=rights.holds_owner_role(person), person_id=person.person_id, teams=person.teams)


async def seen(caller: Caller, request_id: UUID, db: Database, papers: Papers) -> Seen:
    """The request, if it is here and the caller may see it; else the 404 that tells the two apart for nobody."""
    found = await store.one(db, request_id)
    if found is None or not await _may_see(caller, found[0], db, papers):
        raise NoSuchRequest("there is no such request")
    request, edit_version, blocked = found
    return Seen(request_id, request, edit_version, blocked, caller.actor.kind == rights.CONTACT)


async def seen_by_staff(caller: Caller, request_id: UUID, db: Database, papers: Papers) -> Seen:
    """The same for what contacts never see."""
    found = await seen(caller, request_id, db, papers)
    if found.for_contact:
        raise NoSuchRequest("there is no such request")
    return found


async def sees(caller: Caller, subject: UUID, db: Database) -> bool:
    """Whether a caller without the right to read all facts may read this request's: whoever may do everything to it."""
    found = await store.one(db, subject)
    if found is None or caller.actor.kind != rights.PERSON or caller.actor.id is None:
        return False
    person = await store.person(db, caller.actor.id)
    return person is not None and person.active and rights.may_note(caller.actor, person, found[0])


async def _may_see(caller: Caller, request: ServiceRequest, db: Database, papers: Papers) -> bool:
    actor = caller.actor
    shared = None
    if actor.kind == rights.CONTACT and actor.id is not None and request.organisation_id is not None:
        shared = await store.shared_organisation(db, actor.id)
    return rights.may_view(actor, await person_of(caller, papers), request, shared)
