"""What can be asked of this service, over HTTP and on inbound topics alike."""

from chassis.commands import Caller, Commands
from contracts import intake
from contracts.base import Command
from intake.deciders import CONTACTS, ORGANISATIONS, SUBMISSIONS
from intake.domain import messages

commands = Commands("intake")

_ENVELOPE = set(Command.model_fields)


@commands.on(intake.Submit, "POST", "/requests", scope="requests:write", into=SUBMISSIONS, creates=True)
def submit(body: intake.Submit, caller: Caller) -> messages.Submit:
    """A request comes in."""
    return messages.Submit(
        actor=caller.actor,
        contact_id=body.contact_id,
        queue=body.queue,
        summary=body.summary,
        description=body.description,
        impact=body.impact,
        urgency=body.urgency,
        priority=body.priority,
        category=body.category,
        occurred_at=body.occurred_at,
        received_at=body.received_at,
        custom=body.custom,
        external_reference=body.external_reference,
        owner_id=body.owner_id,
        team_id=body.team_id,
        stage=body.stage,
        mode=body.mode,
        client=caller.client,
        effective_at=caller.effective_at,
    )


@commands.on(
    intake.RegisterContact,
    "POST",
    "/contacts",
    scope="contacts:write",
    into=CONTACTS,
    creates=True,
    id_field="contact_id",
)
def register_contact(body: intake.RegisterContact, caller: Caller) -> messages.RegisterContact:
    """Make a contact known."""
    assert body.contact_id is not None, "filled with the new id"
    return messages.RegisterContact(
        actor=caller.actor,
        contact_id=body.contact_id,
        name=body.name,
        email=body.email,
        phone=body.phone,
        organisation_id=body.organisation_id,
        login=body.login,
        locale=body.locale,
        mail_opt_out=body.mail_opt_out,
    )


@commands.on(intake.UpdateContact, "PATCH", "/contacts/{subject}", scope="contacts:write", into=CONTACTS, if_match=True)
def update_contact(body: intake.UpdateContact, caller: Caller) -> messages.UpdateContact:
    """Change the fields that are given."""
    given = body.model_fields_set - _ENVELOPE
    return messages.UpdateContact(caller.actor, {name: getattr(body, name) for name in sorted(given)})


@commands.on(intake.EraseContact, "POST", "/contacts/{subject}/erase", scope="contacts:erase", into=CONTACTS)
def erase_contact(body: intake.EraseContact, caller: Caller) -> messages.EraseContact:
    """Forget the person."""
    return messages.EraseContact(caller.actor, body.reason)


@commands.on(
    intake.RegisterOrganisation,
    "POST",
    "/organisations",
    scope="contacts:write",
    into=ORGANISATIONS,
    creates=True,
    id_field="organisation_id",
)
def register_organisation(body: intake.RegisterOrganisation, caller: Caller) -> messages.RegisterOrganisation:
    """Make an organisation known, or say what holds of it from now on."""
    assert body.organisation_id is not None, "filled with the new id"
    return messages.RegisterOrganisation(caller.actor, body.organisation_id, body.name, body.share_requests)
