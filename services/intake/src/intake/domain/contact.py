"""Somebody for whom requests are made: registered, kept up to date, erased."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.decision import Known
from intake.domain import access, limits, refusals
from intake.domain.facts import ContactErased, ContactRecorded
from intake.domain.messages import EraseContact, RegisterContact, UpdateContact
from intake.domain.state import Contact

Message = RegisterContact | UpdateContact | EraseContact
Fact = ContactRecorded | ContactErased

FIELDS = ("name", "email", "phone", "organisation_id", "login", "locale", "mail_opt_out")
OWN_FIELDS = frozenset({"name", "email", "phone", "locale", "mail_opt_out"})
"""What a contact may change of itself."""
_NEVER_NULL = frozenset({"name", "locale", "mail_opt_out"})


def decide(state: Contact | None, message: Message, now: datetime, known: Known) -> Sequence[Fact]:
    """What follows from a message."""
    if isinstance(message, RegisterContact):
        return register(state, message, known)
    if state is None:
        raise refusals.ContactNotKnown("no such contact is known")
    if isinstance(message, UpdateContact):
        return update(state, message, known)
    return erase(state, message)


def register(state: Contact | None, message: RegisterContact, known: Known) -> list[Fact]:
    """A new contact. Registering the same one again changes nothing; another one under its id is refused."""
    access.require_staff(message.actor)
    values = {name: getattr(message, name) for name in FIELDS}
    if state is not None:
        if state.erased:
            raise refusals.ContactErased("this contact was erased")
        if values == _values(state):
            return []
        raise refusals.ContactExists("a contact of this id exists; update it instead")
    return [_recorded(message.contact_id, 1, values, None, known)]


def update(state: Contact, message: UpdateContact, known: Known) -> list[Fact]:
    """The contact with some fields changed; contacts change of themselves what is theirs."""
    if access.is_contact(message.actor) and not access.owns(message.actor, state.contact_id):
        raise refusals.ContactNotKnown("no such contact is known")
    if state.erased:
        raise refusals.ContactErased("this contact was erased")
    theirs = sorted(set(message.changes) - OWN_FIELDS)
    if access.is_contact(message.actor) and theirs:
        raise refusals.FieldNotAllowed(f"a contact does not set {', '.join(theirs)}", fields=theirs)
    nulls = {f"/{name}": "must not be null" for name, value in message.changes.items() if value is None}
    wrong = {pointer: why for pointer, why in nulls.items() if pointer[1:] in _NEVER_NULL}
    if wrong:
        raise refusals.Invalid("some fields cannot be accepted", wrong)
    values = {**_values(state), **message.changes}
    if values == _values(state):
        return []
    return [_recorded(state.contact_id, state.version + 1, values, state, known)]


def erase(state: Contact, message: EraseContact) -> list[Fact]:
    """Forget the person, once; a contact, itself alone."""
    access.require(message.actor, access.ERASE)
    if access.is_contact(message.actor) and not access.owns(message.actor, state.contact_id):
        raise refusals.ContactNotKnown("no such contact is known")
    wrong = dict(limits.text("/reason", message.reason, limits.REASON, required=True))
    if wrong:
        raise refusals.Invalid("some fields cannot be accepted", wrong)
    return [] if state.erased else [ContactErased(message.reason)]


def evolve(state: Contact | None, fact: Fact) -> Contact:
    """The contact after a fact."""
    if isinstance(fact, ContactRecorded):
        return Contact(fact.contact_id, fact.version, **{name: getattr(fact, name) for name in FIELDS})
    assert state is not None, "what is erased was recorded"
    return Contact(state.contact_id, state.version + 1, erased=True)


def claims(state: Contact) -> list[str]:
    """A login signs in one contact."""
    return [login_claim(state.login)] if state.login else []


def login_claim(login: str) -> str:
    """The claim that keeps a login unique."""
    return f"login:{login}"


def persons(state: Contact) -> list[UUID]:
    """Whose personal data it is."""
    return [state.contact_id]


def refs(message: object) -> list[tuple[str, str]]:
    """The organisation that a decision on this message reads."""
    organisation_id = None
    if isinstance(message, RegisterContact):
        organisation_id = message.organisation_id
    elif isinstance(message, UpdateContact):
        organisation_id = message.changes.get("organisation_id")
    return [("organisations", str(organisation_id))] if organisation_id else []


def _values(state: Contact) -> dict[str, Any]:
    return {name: getattr(state, name) for name in FIELDS}


def _recorded(
    contact_id: UUID, version: int, values: Mapping[str, Any], before: Contact | None, known: Known
) -> ContactRecorded:
    check_fields(values)
    organisation_id, login = values["organisation_id"], values["login"]
    joins = organisation_id is not None and (before is None or organisation_id != before.organisation_id)
    if joins and known.get("organisations", organisation_id) is None:
        raise refusals.OrganisationNotKnown(f"organisation {organisation_id} is not known")
    if login is not None and known.holder(login_claim(login)) not in (None, before and before.contact_id):
        raise refusals.LoginTaken(f"{login} is another contact's login")
    return ContactRecorded(contact_id=contact_id, version=version, **values)


def check_fields(values: Mapping[str, Any]) -> None:
    """Every field inside its bounds; all problems are named at once."""
    found = [
        *limits.text("/name", values["name"], limits.NAME, required=True),
        *limits.email("/email", values["email"]),
        *limits.text("/phone", values["phone"], limits.PHONE),
        *limits.text("/login", values["login"], limits.LOGIN, required=values["login"] is not None),
        *limits.locale("/locale", values["locale"]),
    ]
    if len(values["mail_opt_out"]) > limits.OPT_OUTS:
        found.append(("/mail_opt_out", f"at most {limits.OPT_OUTS}"))
    for at, group in enumerate(values["mail_opt_out"]):
        found.extend(limits.word(f"/mail_opt_out/{at}", group))
    if found:
        raise refusals.Invalid("some fields cannot be accepted", dict(found))
