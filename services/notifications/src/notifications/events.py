"""How this service's facts are written to the journal and told on `notifications.messages`."""

from chassis.journal import Codec
from contracts import notifications
from notifications.domain import facts

CODEC = Codec()

CODEC.told(facts.MessagePlanned, notifications.MessagePlanned, private=("cause", "content", "planned_at"))
CODEC.told(facts.MessageSuppressed, notifications.MessageSuppressed, private=("cause",))
CODEC.told(facts.MessageAccepted, notifications.MessageAccepted)
CODEC.told(facts.MessageRefused, notifications.MessageRefused, private=("detail", "refused_at"))
CODEC.told(facts.MessageUnknown, notifications.MessageUnknown, private=("since",))
CODEC.told(facts.MessageBounced, notifications.MessageBounced, private=("detail",))

CODEC.noted(facts.ThreadOpened, "notifications.thread-opened", personal=("summary",))
CODEC.noted(facts.ThreadWentLive, "notifications.thread-went-live")
CODEC.noted(facts.AssigneeNoted, "notifications.assignee-noted")
CODEC.noted(facts.SummaryNoted, "notifications.summary-noted", personal=("summary",))
CODEC.noted(facts.AttemptStarted, "notifications.attempt-started")
CODEC.noted(facts.AttemptPostponed, "notifications.attempt-postponed")
CODEC.noted(facts.AttemptFailed, "notifications.attempt-failed", private=("detail",))
CODEC.noted(facts.RetryAsked, "notifications.retry-asked", personal=("reason",))
