"""What the driver raises around a commit, as what it means: a race that was lost, nothing written, or not known."""

import contextlib
from collections.abc import Iterator

import asyncpg

from chassis.asked import UnknownOutcome
from chassis.database import AWAY, LOST, Unavailable

_PASSING = ("SerializationError", "DeadlockDetectedError", "LockNotAvailableError", "still", "decided")
"""Others hold what is to be written, or have settled what waited here: whoever asks anew later finds it otherwise."""


class Lost(Exception):
    """Somebody else wrote first: read and decide again. `gate` is the part of the statement that noticed."""

    def __init__(self, gate: str) -> None:
        super().__init__(gate)
        self.gate = gate

    @property
    def passes(self) -> bool:
        """Whether time alone mends it; else what is lost again and again contradicts what is stored."""
        return self.gate in _PASSING


class NotWritable(Exception):
    """What was decided cannot be put into the statement; nothing was written."""


class Sent:
    """Whether the commit was asked for: from then on its outcome may be unknown."""

    def __init__(self) -> None:
        self.done = False


@contextlib.contextmanager
def committing() -> Iterator[Sent]:
    """Around a transaction. Raises Lost, Unavailable before and UnknownOutcome after `done`; other errors pass."""
    sent = Sent()
    try:
        yield sent
    except LOST as error:
        raise Lost(type(error).__name__) from error
    except asyncpg.InvalidTextRepresentationError as error:
        raise _gate(error) from error
    except AWAY as error:
        raise (UnknownOutcome if sent.done else Unavailable)(str(error) or type(error).__name__) from error


def _gate(error: asyncpg.InvalidTextRepresentationError) -> Exception:
    text = str(error)
    at = text.find("lost:")
    return error if at < 0 else Lost(text[at:].split(":")[1])
