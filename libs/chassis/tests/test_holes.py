"""The gap-aware cursor, pure: whatever writers do, nothing visible is passed and a request's rows come in order."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.holes import JUMP, Cursor, loaded, saved


@dataclass
class Server:
    """PostgreSQL as the cursor sees it: transactions that draw numbers, commit or roll back, and snapshots."""

    next_xid: int = 100
    next_seq: int = 1
    open: dict[int, list[int]] = field(default_factory=dict)
    visible: dict[int, int] = field(default_factory=dict)
    """Committed numbers → the transaction that wrote them."""

    def begin(self) -> int:
        self.next_xid += 1
        self.open[self.next_xid - 1] = []
        return self.next_xid - 1

    def draw(self, xid: int, many: int) -> None:
        self.open[xid] += range(self.next_seq, self.next_seq + many)
        self.next_seq += many

    def end(self, xid: int, *, commit: bool) -> None:
        drawn = self.open.pop(xid)
        if commit:
            self.visible |= dict.fromkeys(drawn, xid)

    def poll(self, cursor: Cursor, limit: int) -> tuple[list[int], int, int]:
        above = sorted(n for n in self.visible if n > cursor.high)[:limit]
        filled = [n for n in cursor.holes if n in self.visible]
        return above + filled, min(self.open, default=self.next_xid), self.next_xid


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.just(0)),
        st.tuples(st.just("draw"), st.integers(1, 4)),
        st.tuples(st.just("commit"), st.integers(0, 9)),
        st.tuples(st.just("abort"), st.integers(0, 9)),
        st.tuples(st.just("poll"), st.integers(1, 5)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=80,
)


def _play(server: Server, step: tuple[str, int]) -> None:
    what, n = step
    running = sorted(server.open)
    if what == "begin":
        server.begin()
    elif running and what == "draw":
        server.draw(running[n % len(running)], n)
    elif running and what in ("commit", "abort"):
        server.end(running[n % len(running)], commit=what == "commit")


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_everything_committed_is_seen_exactly_once_whatever_the_writers_do(steps: list[tuple[str, int]]) -> None:
    server, cursor, seen = Server(), Cursor(), []
    for step in [*steps, *[("abort", 0)] * len(steps), *[("poll", 100)] * 2]:
        _play(server, step)
        if step[0] == "poll":
            found, xmin, xmax = server.poll(cursor, step[1])
            seen += found
            cursor = cursor.advanced(found, xmin, xmax)
        elif step[0] == "restart":
            cursor = loaded(*saved(cursor))
    assert sorted(seen) == sorted(server.visible)
    assert cursor.holes == {}


def test_a_hole_is_kept_until_every_transaction_that_could_fill_it_has_ended() -> None:
    cursor = Cursor(2).advanced([3, 5], xmin=10, xmax=20)
    assert cursor == Cursor(5, {4: 20})
    assert cursor.advanced([], xmin=19, xmax=30) == Cursor(5, {4: 20})
    assert cursor.advanced([], xmin=20, xmax=30) == Cursor(5, {})


def test_a_jump_within_the_bound_is_remembered_number_by_number() -> None:
    cursor = Cursor(1).advanced([JUMP + 2], xmin=5, xmax=9)
    assert (cursor.high, len(cursor.holes), cursor.jump) == (JUMP + 2, JUMP, None)


def test_before_a_jump_beyond_the_bound_the_cursor_waits_for_the_writers_of_its_time() -> None:
    far = JUMP + 3
    cursor = Cursor(1).advanced([far], xmin=5, xmax=9)
    assert cursor == Cursor(1, {}, 9)
    assert cursor.advanced([far, far + 1], xmin=8, xmax=20) == Cursor(1, {}, 9)
    assert cursor.advanced([far, far + 1], xmin=9, xmax=20) == Cursor(far + 1, {}, None)


def test_what_fills_a_jump_in_time_is_taken() -> None:
    far = 2 * JUMP
    cursor = Cursor(1).advanced([far], xmin=5, xmax=9)
    assert cursor.advanced([3, far], xmin=8, xmax=20) == Cursor(3, {2: 20}, 20)


def test_what_was_read_and_not_acknowledged_is_kept_as_a_hole() -> None:
    high, holes, stamps = saved(Cursor(9, {4: 20}), unsent=[7, 8])
    again = loaded(high, holes, stamps)
    assert again.high == 9
    assert again.holes.keys() == {4, 7, 8}
    assert again.advanced([7, 8], xmin=11, xmax=30) == Cursor(9, {4: 20})
