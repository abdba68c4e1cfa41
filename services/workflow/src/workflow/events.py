"""Facts as the journal and the topics hold them."""

from chassis.journal import Codec
from contracts import workflow
from workflow.domain import facts, queues
from workflow.domain.records import Definition, Person, Team

REQUESTS = Codec()
REQUESTS.told(
    facts.RequestOpened,
    workflow.RequestOpened,
    private=("at", "target", "description", "category", "custom", "occurred_at", "external_reference"),
)
REQUESTS.told(
    facts.RequestRejected,
    workflow.RequestRejected,
    private=("number", "contact_id", "queue", "queue_version", "at"),
)
REQUESTS.told(facts.StageChanged, workflow.StageChanged, private=("at",))
REQUESTS.told(facts.TransitionRequested, workflow.TransitionRequested, private=("closing", "charge_revision", "at"))
REQUESTS.told(facts.TransitionWithdrawn, workflow.TransitionWithdrawn, private=("at",))
REQUESTS.told(facts.GrantStale, workflow.GrantStale, private=("at",))
REQUESTS.told(facts.WaitBegan, workflow.WaitBegan, private=("at",))
REQUESTS.told(facts.WaitEnded, workflow.WaitEnded, private=("at",))
REQUESTS.told(facts.OwnerAssigned, workflow.OwnerAssigned, private=("at",))
REQUESTS.told(facts.PriorityChanged, workflow.PriorityChanged, private=("target", "at"))
REQUESTS.told(facts.RequestEdited, workflow.RequestEdited, private=("at",))
REQUESTS.told(facts.NoteAdded, workflow.NoteAdded, private=("text", "by", "at"))
REQUESTS.told(facts.MessagePosted, workflow.MessagePosted, private=("at",))
REQUESTS.told(facts.SlaBreached, workflow.SlaBreached)
REQUESTS.told(facts.RequestClosed, workflow.RequestClosed)
REQUESTS.told(facts.RequestReopened, workflow.RequestReopened, private=("at",))
REQUESTS.told(facts.WentLive, workflow.WentLive, private=("at",))
REQUESTS.noted(facts.TransitionDenied, "workflow.transition-denied")
REQUESTS.noted(facts.ApprovalAsked, "workflow.approval-asked")
REQUESTS.noted(facts.ChargesSeen, "workflow.charges-seen")
REQUESTS.noted(facts.InvoiceSeen, "workflow.invoice-seen")

PEOPLE = Codec()
PEOPLE.told(Person, workflow.Person, key=lambda person: str(person.person_id))

TEAMS = Codec()
TEAMS.told(Team, workflow.Team, key=lambda team: str(team.team_id))

QUEUES = Codec()
QUEUES.noted(queues.QueueDrafted, "workflow.queue-drafted")
QUEUES.told(Definition, workflow.QueueDefinition, key=lambda queue: f"{queue.queue}@{queue.version}")
QUEUES.told(queues.CurrentQueue, workflow.CurrentQueue, key=lambda current: str(current.queue))

EDITS = frozenset(
    {
        facts.RequestOpened,
        facts.StageChanged,
        facts.WaitBegan,
        facts.WaitEnded,
        facts.OwnerAssigned,
        facts.PriorityChanged,
        facts.RequestEdited,
        facts.RequestClosed,
        facts.RequestReopened,
        facts.WentLive,
    }
)
"""What moves the version that `If-Match` names."""
