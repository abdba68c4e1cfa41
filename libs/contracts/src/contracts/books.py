"""What reconciliation needs of a fact: those that must have an effect somewhere, those that are one, and their fields.

Everything that is not named here only counts: by its topic, request and sequence. No field here is personal.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_MESSAGE = ("message_id", "cause_event_id", "recipient_id", "template")

BOOKED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "intake.request-submitted": ("number", "mode"),
        "workflow.request-opened": ("number", "mode", "queue", "stage"),
        "workflow.request-rejected": (),
        "workflow.stage-changed": ("to_stage",),
        "workflow.request-closed": ("close_no", "outcome"),
        "workflow.request-reopened": ("to_stage",),
        "workflow.went-live": (),
        "workflow.sla-breached": (),
        "workflow.wait-began": ("waiting_for",),
        "workflow.message-posted": ("from_staff",),
        "workflow.transition-requested": ("transition_id",),
        "approvals.approval-requested": ("transition_id", "approvers"),
        "approvals.approval-settled": ("transition_id", "outcome"),
        "billing.invoice-issued": ("close_no", "number", "total"),
        "billing.invoice-drafted": ("close_no",),
        "billing.nothing-to-bill": ("close_no",),
        "billing.credit-note-issued": ("number",),
        "notifications.message-planned": _MESSAGE,
        "notifications.message-suppressed": _MESSAGE,
        "notifications.message-accepted": ("message_id",),
        "notifications.message-refused": ("message_id",),
        "notifications.message-bounced": ("message_id",),
        "notifications.message-unknown": ("message_id",),
    }
)
"""Fields by type of fact."""


def booked(type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What of a fact's body goes into the books."""
    return {name: data[name] for name in BOOKED.get(type_, ()) if name in data}
