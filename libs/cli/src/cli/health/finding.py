"""One thing looked at: how it is, and what to do about it."""

from dataclasses import dataclass

OK, WATCH, WRONG = "ok", "watch", "wrong"


@dataclass(frozen=True)
class Finding:
    """`where` is a service or a server, `what` the thing looked at; `do` is empty when nothing is to be done."""

    where: str
    what: str
    state: str
    said: str
    do: str = ""
