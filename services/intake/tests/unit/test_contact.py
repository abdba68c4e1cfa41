"""Contacts: registered, kept up to date, erased."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Actor, Invalid, Unknown, changed
from intake.domain import access, limits, refusals
from intake.domain.contact import Message, claims, decide, evolve, persons, refs
from intake.domain.facts import ContactErased, ContactRecorded
from intake.domain.messages import EraseContact, RegisterContact, UpdateContact
from intake.domain.state import Contact, Organisation
from testkit.deciding import Facts

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
CARL, DORA, ACME = (UUID(int=n) for n in (1, 2, 6))
AGENT = Actor("person", UUID(int=4))
ERASER = changed(AGENT, rights=frozenset({access.ERASE}))
SELF = Actor("contact", CARL)
DOCUMENTS = {("organisations", str(ACME)): Organisation(ACME, "Acme", True, 1)}
REGISTER = RegisterContact(AGENT, CARL, "Carl", "carl@acme.example", None, ACME, "carl")


def told(state: Contact | None, message: Message, **held: UUID) -> Sequence[ContactRecorded | ContactErased]:
    return decide(state, message, NOON, Facts(DOCUMENTS, holders=held))


def after(state: Contact | None, message: Message) -> Contact:
    for fact in told(state, message):
        state = evolve(state, fact)
    assert state is not None
    return state


REGISTERED = after(None, REGISTER)
GONE = after(REGISTERED, EraseContact(ERASER, "asked to"))


def update(**changes: Any) -> UpdateContact:
    return UpdateContact(AGENT, changes)


def test_a_registered_contact_is_told_whole() -> None:
    [fact] = told(None, REGISTER)
    assert fact == ContactRecorded(CARL, "Carl", "carl@acme.example", None, ACME, "carl", "en", (), 1)


def test_registering_the_same_again_changes_nothing() -> None:
    assert told(REGISTERED, REGISTER) == []


def test_registering_another_under_the_same_id_is_refused() -> None:
    with pytest.raises(refusals.ContactExists):
        told(REGISTERED, changed(REGISTER, name="Charles"))


def test_contacts_do_not_register_contacts() -> None:
    with pytest.raises(refusals.StaffOnly):
        told(None, changed(REGISTER, actor=SELF))


def test_the_organisation_must_be_known() -> None:
    with pytest.raises(refusals.OrganisationNotKnown):
        told(None, changed(REGISTER, organisation_id=DORA))
    with pytest.raises(refusals.OrganisationNotKnown):
        told(REGISTERED, update(organisation_id=DORA))
    assert refs(REGISTER) == refs(update(organisation_id=ACME)) == [("organisations", str(ACME))]


def test_a_login_is_one_contacts() -> None:
    [claim] = claims(REGISTERED)
    with pytest.raises(refusals.LoginTaken):
        told(None, changed(REGISTER, contact_id=DORA), **{claim: CARL})
    with pytest.raises(refusals.LoginTaken):
        told(after(None, changed(REGISTER, contact_id=DORA, login=None)), update(login="carl"), **{claim: CARL})


def test_a_contact_keeps_its_own_login() -> None:
    [claim] = claims(REGISTERED)
    [fact] = told(REGISTERED, update(name="Charles"), **{claim: CARL})
    assert isinstance(fact, ContactRecorded)
    assert (fact.name, fact.login, fact.version) == ("Charles", "carl", 2)


def test_two_contacts_may_share_a_mail_address() -> None:
    assert all("carl@acme.example" not in claim for claim in claims(REGISTERED))


def test_an_update_changes_what_it_names() -> None:
    state = after(REGISTERED, update(phone="+49 30 1", email=None))
    assert (state.phone, state.email, state.name, state.version) == ("+49 30 1", None, "Carl", 2)


def test_an_update_that_changes_nothing_tells_nothing() -> None:
    assert told(REGISTERED, update(name="Carl")) == []
    assert told(REGISTERED, update()) == []


@pytest.mark.parametrize("field", ["name", "locale", "mail_opt_out"])
def test_what_a_contact_always_has_is_not_cleared(field: str) -> None:
    with pytest.raises(Invalid):
        told(REGISTERED, update(**{field: None}))


def test_a_contact_changes_what_is_its_own() -> None:
    assert after(REGISTERED, UpdateContact(SELF, {"name": "Charles"})).name == "Charles"


def test_an_organisation_that_stays_as_it_is_is_not_looked_up() -> None:
    [fact] = decide(REGISTERED, update(phone="+49 1"), NOON, Facts())
    assert isinstance(fact, ContactRecorded)
    assert (fact.phone, fact.organisation_id) == ("+49 1", ACME)


@pytest.mark.parametrize("changes", [{"login": "boss"}, {"organisation_id": ACME}])
def test_a_contact_does_not_change_how_it_signs_in_or_where_it_belongs(changes: dict[str, Any]) -> None:
    with pytest.raises(refusals.FieldNotAllowed):
        told(REGISTERED, UpdateContact(SELF, changes))


def test_a_contact_does_not_see_another() -> None:
    with pytest.raises(Unknown):
        told(REGISTERED, UpdateContact(Actor("contact", DORA), {"name": "x"}))


def test_nobody_updates_or_erases_who_is_not_known() -> None:
    for message in (update(name="x"), EraseContact(ERASER, "asked to")):
        with pytest.raises(refusals.ContactNotKnown):
            told(None, message)


def test_erasing_needs_its_right_and_a_reason() -> None:
    with pytest.raises(refusals.RightMissing):
        told(REGISTERED, EraseContact(AGENT, "asked to"))
    with pytest.raises(Invalid):
        told(REGISTERED, EraseContact(ERASER, " "))


def test_a_contact_erases_nobody_else_whatever_its_token_says() -> None:
    own, other = (Actor("contact", each, frozenset({access.ERASE})) for each in (CARL, DORA))
    with pytest.raises(refusals.ContactNotKnown):
        told(REGISTERED, EraseContact(other, "asked to"))
    assert told(REGISTERED, EraseContact(own, "asked to")) == [ContactErased("asked to")]


def test_an_erased_contact_keeps_its_id_alone() -> None:
    assert Contact(CARL, 2, erased=True) == GONE
    assert claims(GONE) == []
    assert persons(GONE) == [CARL]


def test_a_contact_is_erased_once_and_stays_so() -> None:
    assert told(GONE, EraseContact(ERASER, "asked to")) == []
    for message in (REGISTER, update(name="x")):
        with pytest.raises(refusals.ContactErased):
            told(GONE, message)


@pytest.mark.parametrize(("field", "limit"), [("name", limits.NAME), ("phone", limits.PHONE), ("login", limits.LOGIN)])
def test_texts_are_taken_up_to_their_limit(field: str, limit: int) -> None:
    assert getattr(after(None, changed(REGISTER, **{field: "x" * limit})), field) == "x" * limit
    with pytest.raises(Invalid):
        told(None, changed(REGISTER, **{field: "x" * (limit + 1)}))


def test_opt_outs_are_bounded() -> None:
    groups = tuple(f"g{n}" for n in range(limits.OPT_OUTS))
    assert after(None, changed(REGISTER, mail_opt_out=groups)).mail_opt_out == groups
    with pytest.raises(Invalid):
        told(None, changed(REGISTER, mail_opt_out=(*groups, "g")))
    with pytest.raises(Invalid):
        told(None, changed(REGISTER, mail_opt_out=("Not A Group",)))


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text("abc", min_size=1, max_size=9),
        "phone": st.none() | st.text("123", max_size=9),
        "email": st.none() | st.just("a@b.example"),
        "login": st.none() | st.text("xyz", min_size=1, max_size=9),
    },
)


@given(st.lists(CHANGES, max_size=6))
def test_every_version_is_told_once_and_the_last_holds(updates: list[dict[str, Any]]) -> None:
    state, versions = REGISTERED, [1]
    for changes in updates:
        for fact in told(state, UpdateContact(AGENT, changes)):
            assert isinstance(fact, ContactRecorded)
            versions.append(fact.version)
            state = evolve(state, fact)
        assert {name: getattr(state, name) for name in changes} == changes
    assert versions == list(range(1, len(versions) + 1))
