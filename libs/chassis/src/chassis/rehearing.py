"""One aggregate between what its service published and what it had heard, in the order in which that happened. Pure.

What caused a published fact stands in its envelope. A fact of another service that caused some is decided again at its
place; where that gives other told facts than were published, the published ones count. One that told nothing is heard
when it had come by the next fact; the rest is left to the worker, which hears it anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from chassis.asked import Asked, Undecodable
from chassis.decision import Recalled, Refused, Unknown
from chassis.ids import derived_id
from chassis.recalling import CannotRecover, Heard, Pen, Told, actor_of

log = structlog.get_logger(__name__)

S = TypeVar("S")

_MOST_FACTS = 1000
"""Of one message; more than any decision states."""


class Story(Generic[S]):
    """What was told of one aggregate after its row, with what other services told of it: heard before, or not yet."""

    def __init__(self, pen: Pen[S], told: Iterable[Told], heard: Mapping[str, Sequence[Heard]]) -> None:
        self._pen = pen
        self._own = _after(told, pen.sequence)
        self._queues = {
            stream: [each for each in queue if (each.asked.sequence or 0) > pen.heard.get(stream, 0)]
            for stream, queue in heard.items()
        }
        self._read = {each.asked.id for queue in heard.values() for each in queue}
        self._causes = {cause for each in self._own if (cause := each.envelope.causation_id) is not None}
        self._to_come = {each.envelope.id for each in self._own}

    @property
    def begins_late(self) -> bool:
        """Whether facts are to be folded, and a number after the row's position, or what caused one, was not read."""
        return bool(self._own) and (self._gap() or any(map(self._lacks_cause, self._own)))

    def _lacks_cause(self, told: Told) -> bool:
        """Whether a fact of another service caused it that was not read."""
        cause = told.envelope.causation_id
        caused = bool(told.envelope.hop) and cause is not None and self._pen.client_of(cause) is None
        return caused and cause not in self._read

    def _gap(self) -> bool:
        heard = self._pen.heard
        return any(queue and queue[0].asked.sequence != heard.get(name, 0) + 1 for name, queue in self._queues.items())

    def unfold(self, *, gaps: bool = False) -> None:
        """Fold everything; `gaps` is for documents, of which only the last are kept. Raises CannotRecover."""
        own = self._own
        if own and not gaps and len(own) != (own[-1].envelope.sequence or 0) - self._pen.sequence:
            numbers = {each.envelope.sequence for each in own}
            missing = next(n for n in range(self._pen.sequence + 1, 1 << 62) if n not in numbers)
            raise CannotRecover(f"{own[0].topic} does not hold number {missing} of {self._pen.subject} any more")
        groups = [list(some) for _, some in groupby(own, key=lambda each: each.envelope.causation_id)]
        for n, group in enumerate(groups):
            self._group(group, last=n == len(groups) - 1)

    def _group(self, group: list[Told], *, last: bool) -> None:
        """The facts that one message brought about."""
        envelope, pen = group[0].envelope, self._pen
        found = self._find(envelope.causation_id)
        if found is None:
            if envelope.hop and self._gap():
                raise CannotRecover(f"what caused {envelope.type} of {pen.subject} is on no topic any more")
            if self._lacks_cause(group[0]):
                log.warning("cause_on_no_topic", type=envelope.type, subject=str(pen.subject))
            self._hear_before(group[0].millis)
            begun = len(pen.lines)
            self._direct(group)
        else:
            stream, place = found
            self._hear_before(self._queues[stream][place].millis, but=stream)
            for _ in range(place):
                self._hear(stream, ())
            begun = len(pen.lines)
            self._hear(stream, group, last=last)
        self._to_come -= {each.envelope.id for each in group}
        pen.carried_out(envelope.causation_id, begun, answered=found is None)

    def _find(self, cause: UUID | None) -> tuple[str, int] | None:
        for stream, queue in self._queues.items():
            for place, heard in enumerate(queue):
                if heard.asked.id == cause:
                    return stream, place
        return None

    # -- what was heard ------------------------------------------------------------------------------------------

    def _hear_before(self, millis: float, but: str | None = None) -> None:
        """Hear what had come by then and told nothing: what it noted may be needed from here on."""
        passed = {but}
        while True:
            ready = [
                (queue[0].millis, stream)
                for stream, queue in self._queues.items()
                if queue and stream not in passed and queue[0].millis <= millis and self._may_come(stream, queue[0])
            ]
            if not ready:
                return
            stream = min(ready)[1]
            if not self._heard_silent(stream):
                passed.add(stream)

    def _may_come(self, stream: str, heard: Heard) -> bool:
        """Whether it is next on its stream, told nothing that was published, and answers nothing still to come."""
        asked = heard.asked
        in_order = asked.sequence == self._pen.heard.get(stream, 0) + 1
        return in_order and asked.id not in self._causes and asked.causation_id not in self._to_come

    def _heard_silent(self, stream: str) -> bool:
        """Hear the next of a stream if it tells nothing; else it was heard later, or not at all."""
        asked = self._queues[stream][0].asked
        facts = self._decided(asked, asked.made_at(), published=False)
        if isinstance(asked.message, Undecodable) or any(map(self._pen.aggregate.codec.is_told, facts)):
            return False
        self._hear(stream, ())
        return True

    def _hear(self, stream: str, group: Sequence[Told], *, last: bool = False) -> None:
        """Take the next of a stream, with the facts that were published of it."""
        pen, asked = self._pen, self._queues[stream].pop(0).asked
        expected = pen.heard.get(stream, 0) + 1
        if asked.sequence != expected:
            raise CannotRecover(f"{stream} does not hold number {expected} of {pen.subject} any more")
        pen.heard[stream] = expected
        at = group[0].envelope.time if group else asked.made_at()
        facts = self._decided(asked, at, published=bool(group))
        published = _placed(asked, group)
        recalled = pen.recalled(at, asked.actor, group, asked)
        for n in sorted({*range(len(facts)), *published}):
            decided = facts[n] if n < len(facts) else None
            if n in published:
                pen.take(published[n], decided, recalled)
            elif not pen.aggregate.codec.is_told(decided):
                pen.note(pen.aggregate.complete(pen.state, decided, recalled), n, asked, at)
            elif last and published and n > max(published):
                pen.note(decided, n, asked, at)  # stated with those that went out, and not published any more

    def _decided(self, asked: Asked, at: datetime, *, published: bool) -> Sequence[Any]:
        """What a message brings about today. A rule that fails on it is reported: what was published counts anyway."""
        aggregate, state = self._pen.aggregate, self._pen.state
        if asked.message is None or isinstance(asked.message, Undecodable):
            return ()
        try:
            return aggregate.decide(state, asked.message, at, self._pen.known(asked))
        except Unknown as unknown:
            return aggregate.in_vain(state, asked.message, unknown, at) if published else ()
        except Refused:
            return ()
        except Exception:
            log.exception("not_decided_again", subject=str(self._pen.subject), message=type(asked.message).__name__)
            return ()

    # -- what nobody else's fact caused --------------------------------------------------------------------------

    def _direct(self, group: list[Told]) -> None:
        """Facts that a person, another system or time brought about."""
        envelope = group[0].envelope
        correlation = envelope.correlation_id or envelope.id
        asked = Asked(
            subject=self._pen.subject, message=None, id=envelope.causation_id or envelope.id, actor=actor_of(envelope),
            correlation_id=correlation, at=envelope.time,
        )  # fmt: skip
        recalled = self._pen.recalled(envelope.time, asked.actor, group, asked)
        for told in group:
            while not self._taken(told, recalled):
                self._hear_more(told)

    def _taken(self, told: Told, recalled: Recalled) -> bool:
        """Take a fact; False when it cannot follow on what is folded so far."""
        try:
            self._pen.take(told, None, recalled)
        except CannotRecover:
            raise
        except Exception:
            log.debug("does_not_follow_yet", type=told.envelope.type, subject=str(self._pen.subject), exc_info=True)
            return False
        return True

    def _hear_more(self, told: Told) -> None:
        """Hear one fact more than the clocks of two servers say had come; raises CannotRecover when there is none."""
        for stream, queue in self._queues.items():
            if queue and self._may_come(stream, queue[0]) and self._heard_silent(stream):
                return
        name = f"{told.envelope.type} number {told.envelope.sequence} of {self._pen.subject}"
        raise CannotRecover(f"{name} does not follow on what is known of it")


def _after(told: Iterable[Told], sequence: int) -> list[Told]:
    """What was told beyond a number, each number once, in order."""
    by_number: dict[int, Told] = {}
    for each in told:
        number = each.envelope.sequence or 0
        if number > sequence:
            by_number.setdefault(number, each)
    return [by_number[number] for number in sorted(by_number)]


def _placed(asked: Asked, group: Sequence[Told]) -> dict[int, Told]:
    """Published facts by their place among all that the message brought about; what has none comes last."""
    wanted = {each.envelope.id: each for each in group}
    found: dict[int, Told] = {}
    for n in range(_MOST_FACTS):
        if not wanted:
            return found
        each = wanted.pop(derived_id(asked.id, asked.made_at(), n, "fact"), None)
        if each is not None:
            found[n] = each
    return found | {_MOST_FACTS + n: each for n, each in enumerate(wanted.values())}
