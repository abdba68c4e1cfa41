"""How this service's facts are written to the journal and told on `intake.requests` and `intake.contacts`."""

from chassis.journal import Codec
from contracts import intake
from intake.domain import facts

REQUESTS = Codec()
REQUESTS.told(facts.RequestSubmitted, intake.RequestSubmitted, private=("client",))
REQUESTS.noted(facts.StatusNoted, "intake.status-noted", private=("detail",))

CONTACTS = Codec()
CONTACTS.told(facts.ContactRecorded, intake.Contact)
CONTACTS.tombstone(facts.ContactErased, intake.Contact)

ORGANISATIONS = Codec()
ORGANISATIONS.told(facts.OrganisationRecorded, intake.Organisation)
