"""The clock of a request: elapsed working time against a target, in whole microseconds.

Elapsed is the sum of `working(interval)` over the intervals in which the clock ran; nothing else is ever added or
shifted. `working` is the one place that knows the calendar (24 hours, 7 days); `instant_after` is its inverse.
Exactly on target is met: a breach needs elapsed > target. Further clocks are further values of `Clock`.
"""

from datetime import datetime, timedelta

from chassis.decision import changed, record

RUNNING, PAUSED = "running", "paused"
MET, MISSED, CANCELLED, UNTIMED = "met", "missed", "cancelled", "untimed"
RESOLUTION = "resolution"
_MICROSECOND = timedelta(microseconds=1)
_MINUTE = 60_000_000


@record
class Clock:
    """What one clock has measured up to `since`, and whether it runs from there.

    `breached_at` is a latch: elapsed keeps counting after it. Without a target the clock only measures.
    """

    target: int | None
    phase: str
    since: datetime
    elapsed: int = 0
    paused: int = 0
    breached_at: datetime | None = None


def working(start: datetime, end: datetime) -> int:
    """Microseconds of working time in [start, end); never negative."""
    return max(0, (end - start) // _MICROSECOND)


def instant_after(start: datetime, amount: int) -> datetime:
    """The earliest instant at which `amount` microseconds of working time have passed since `start`."""
    return start + timedelta(microseconds=amount)


def minutes(count: int | None) -> int | None:
    """A target given in minutes, in microseconds."""
    return None if count is None else count * _MINUTE


def start(target: int | None, at: datetime) -> Clock:
    """A clock that runs from `at`."""
    return Clock(target, RUNNING, at)


def elapsed_at(clock: Clock, at: datetime) -> int:
    """Working time used up at `at`."""
    return clock.elapsed + (working(clock.since, at) if clock.phase == RUNNING else 0)


def paused_at(clock: Clock, at: datetime) -> int:
    """Working time that passed while the clock stood still."""
    return clock.paused + (working(clock.since, at) if clock.phase == PAUSED else 0)


def remaining_at(clock: Clock, at: datetime) -> int | None:
    """Working time left until the target; negative when overdue, None without a target."""
    return None if clock.target is None else clock.target - elapsed_at(clock, at)


def due(clock: Clock) -> datetime | None:
    """The instant at which a running clock has used up its target; for an overdue one, when that was."""
    if clock.phase != RUNNING or clock.target is None:
        return None
    left = clock.target - clock.elapsed
    return instant_after(clock.since, left) if left >= 0 else clock.breached_at


def fires(clock: Clock) -> datetime | None:
    """The first instant at which `breach` will say something, if time alone brings it."""
    at = due(clock)
    return None if at is None or clock.breached_at is not None else at + _MICROSECOND


def breach(clock: Clock, at: datetime) -> datetime | None:
    """When the target was used up, if it is at `at` and was not stated before.

    The answer does not depend on when it is asked: it is the due instant, or the moment a change of target cut it
    below what was already used.
    """
    if clock.target is None or clock.breached_at is not None or clock.phase not in (RUNNING, PAUSED):
        return None
    if elapsed_at(clock, at) <= clock.target:
        return None
    return instant_after(clock.since, max(0, clock.target - clock.elapsed))


def latch(clock: Clock, breached_at: datetime) -> Clock:
    """The clock with its breach on record; it keeps counting."""
    return changed(clock, breached_at=breached_at)


def pause(clock: Clock, at: datetime) -> Clock:
    """Stand still from `at`; a clock that does not run stays as it is."""
    return changed(_folded(clock, at), phase=PAUSED) if clock.phase == RUNNING else clock


def resume(clock: Clock, at: datetime) -> Clock:
    """Run again from `at`; a clock that is not paused stays as it is."""
    return changed(_folded(clock, at), phase=RUNNING) if clock.phase == PAUSED else clock


def carry(clock: Clock, target: int | None, at: datetime) -> Clock:
    """A new target from `at` on; what was used so far stays used."""
    return changed(_folded(clock, at), target=target)


def complete(clock: Clock, at: datetime, cancelled: bool) -> Clock:
    """The clock's last word: its latch decides the verdict."""
    if cancelled:
        verdict = CANCELLED
    elif clock.target is None:
        verdict = UNTIMED
    else:
        verdict = MISSED if clock.breached_at else MET
    return changed(_folded(clock, at), phase=verdict)


def reopen(clock: Clock, at: datetime) -> Clock:
    """A new record of the clock that runs on from `at`; the time in between counts neither as work nor as pause."""
    return changed(clock, phase=RUNNING, since=at)


def _folded(clock: Clock, at: datetime) -> Clock:
    return changed(clock, elapsed=elapsed_at(clock, at), paused=paused_at(clock, at), since=max(clock.since, at))
