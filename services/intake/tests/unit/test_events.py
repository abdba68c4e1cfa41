"""Facts keep their contract, and an erased person's rows can still be read."""

from datetime import UTC, datetime
from uuid import UUID

from contracts import intake
from intake.domain import limits
from intake.domain.facts import (
    By,
    ContactErased,
    ContactRecorded,
    OrganisationRecorded,
    RequestSubmitted,
    StatusNoted,
)
from intake.events import CONTACTS, ORGANISATIONS, REQUESTS
from testkit.deciding import check_codec

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
CARL, ANNA, ACME = (UUID(int=n) for n in (1, 4, 6))

SUBMITTED = RequestSubmitted(
    number="R-000001",
    contact_id=CARL,
    organisation_id=ACME,
    queue="support",
    queue_version=3,
    summary="Line down",
    description="Since this morning",
    impact="high",
    urgency="medium",
    priority="high",
    category="Outage",
    occurred_at=NOON,
    received_at=NOON,
    channel="agent",
    submitted_by=By("person", ANNA),
    owner_id=ANNA,
    team_id=None,
    custom={"site": "Berlin", "lines": [1, 2]},
    external_reference="4711",
    stage=None,
    mode="live",
    client="erp",
)


def test_facts_about_requests_keep_their_contract() -> None:
    check_codec(REQUESTS, [SUBMITTED, StatusNoted("closed", "Closed", "resolved", "said by workflow")])


def test_facts_about_contacts_keep_their_contract() -> None:
    carl = ContactRecorded(CARL, "Carl", "carl@acme.example", "+49 30 1", ACME, "carl", "de", ("surveys",), 2)
    check_codec(CONTACTS, [carl, ContactErased("asked to")])


def test_facts_about_organisations_keep_their_contract() -> None:
    check_codec(ORGANISATIONS, [OrganisationRecorded(ACME, "Acme", True, 1)])


def test_an_erased_contact_is_a_tombstone_on_its_topic() -> None:
    row = CONTACTS.encode(ContactErased("asked to"))
    assert (row.topic, row.data, row.personal) == ("intake.contacts", None, None)
    assert CONTACTS.decode(row.type, row.version, None, None, None) == ContactErased(None)


def test_a_submission_of_an_erased_contact_reads_without_its_texts() -> None:
    row = REQUESTS.encode(SUBMITTED)
    erased = REQUESTS.decode(row.type, row.version, row.data, None, None)
    assert (erased.summary, erased.description, erased.custom, erased.client) == (None, None, None, None)
    assert (erased.number, erased.contact_id) == ("R-000001", CARL)


def test_limits_are_never_wider_than_the_contracts() -> None:
    fields = intake.Submit.model_json_schema()["properties"]
    assert fields["summary"]["maxLength"] >= limits.SUMMARY
    assert fields["description"]["maxLength"] >= limits.DESCRIPTION
    assert fields["custom"]["maxProperties"] >= limits.CUSTOM_FIELDS
    assert fields["custom"]["x-max-bytes"] >= limits.CUSTOM_BYTES
