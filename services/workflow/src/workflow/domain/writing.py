"""Notes among the staff (S45) and messages between customer and staff (S9)."""

from workflow.domain import facts, messages, rights
from workflow.domain.facts import By
from workflow.domain.moving import end_holds
from workflow.domain.refusals import NotYours, TextMissing
from workflow.domain.turn import Turn
from workflow.domain.waits import CUSTOMER


def add_note(turn: Turn, message: messages.AddNote) -> None:
    """Keep an internal note, on a closed request too."""
    rights.need_accepted(turn.request)
    actor = message.actor
    if not rights.may_note(actor, rights.person_of(actor, turn.known), turn.request):
        raise NotYours("only its owner, its team or a holder of the Owner role may add notes")
    text = _text(message.text)
    note_no = turn.request.note_no + 1
    turn.state(facts.NoteAdded(turn.known.new_id(1), note_no, text, By(actor.kind, actor.id), turn.at))


def post_message(turn: Turn, message: messages.PostMessage) -> None:
    """Post to the thread; the customer's own message ends what waited for the customer."""
    request, actor = turn.request, message.actor
    rights.need_accepted(request)
    from_customer = rights.is_its_contact(actor, request)
    if not from_customer and not rights.may_edit(actor, rights.person_of(actor, turn.known), request):
        raise NotYours("only its contact, its owner or a holder of the Owner role may write here")
    text = _text(message.text)
    by = By(actor.kind, actor.id)
    turn.state(facts.MessagePosted(turn.known.new_id(2), text, by, not from_customer, turn.at))
    if from_customer and not request.is_closed:
        end_holds(turn, CUSTOMER)


def _text(text: str) -> str:
    if not text.strip():
        raise TextMissing("there is nothing in it")
    return text
