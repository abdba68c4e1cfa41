"""Bugs in what must happen by itself: timers, wake-ups, sweeps, refolding, erasing, retention."""

from testkit.mutants.mutant import Mutant, mutant

_CHASSIS = "libs/chassis/src/chassis"
_TESTS = "libs/chassis/tests"
_FOLDING = f"{_TESTS}/test_folding.py"


def _agenda(name: str) -> str:
    return f"{_TESTS}/test_agenda.py::test_{name}"


MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "wake not moved earlier by a save",
        "L2",
        f"{_CHASSIS}/waking.py",
        "if after is not None and (before is None or after < before):",
        "if after is not None and before is None:",
        why="a timer that is brought forward rings at its old time",
        tests=_agenda("a_timer_moved_earlier_fires_at_the_earlier_time"),
    ),
    mutant(
        "wake moved later by a save",
        "L2",
        f"{_CHASSIS}/applying.py",
        '"SET at = excluded.at WHERE excluded.at < w.at RETURNING 1",',
        '"SET at = w.at WHERE excluded.at < w.at RETURNING 1",',
        why="the same, where the database has the last word",
        tests=_agenda("a_timer_moved_earlier_fires_at_the_earlier_time"),
    ),
    mutant(
        "a timer that fails starves the rest",
        "L2",
        f"{_CHASSIS}/agenda.py",
        "return _RETRY[min(failures, len(_RETRY) - 1)]",
        "return timedelta(0)",
        why="five hundred broken requests are all that is ever looked at",
        tests=_agenda("a_timer_that_fails_backs_off_and_starves_nobody"),
    ),
    mutant(
        "a timer's failures are never forgotten",
        "L2",
        f"{_CHASSIS}/agenda.py",
        "            self._failures.pop(well, None)\n",
        "            pass\n",
        why="a request whose timers failed long ago is five minutes late after its next hiccup",
        tests=_agenda("a_timer_that_went_well_in_between_fails_as_if_it_never_had"),
    ),
    mutant(
        "an unknown outcome ends the sweep",
        "L2",
        f"{_CHASSIS}/agenda.py",
        "            except (Unavailable, UnknownOutcome, *AWAY, *LOST) as error:\n",
        "            except (Unavailable, *AWAY, *LOST) as error:\n",
        why="one failover of the database ends the process that rings all timers",
        tests=f"{_TESTS}/test_waiting.py::"
        "test_a_sweep_goes_on_after_its_connection_was_cut_at_the_commit_of_what_waits",
    ),
    mutant(
        "timer deleted outside its transaction",
        "L2",
        f"{_CHASSIS}/agenda.py",
        "        swept = await decider.sweep(\n",
        "        gone = [row['id'] for row in rows]\n"
        '        await self._database.execute("DELETE FROM wake WHERE subject = ANY($1::uuid[])", gone)\n'
        "        swept = await decider.sweep(\n",
        why="a sweep that dies takes its timers along",
        tests=_agenda("a_sweep_that_dies_before_its_commit_loses_no_timer"),
    ),
    mutant(
        "timer locked before its request",
        "L2",
        f"{_CHASSIS}/agenda.py",
        "LIMIT {limit} FOR UPDATE OF r SKIP LOCKED",
        "LIMIT {limit} FOR UPDATE OF k SKIP LOCKED",
        why="a sweep and a save wait for each other, and everything due waits with them",
        tests=_agenda("a_sweep_passes_over_what_somebody_has_in_hand_and_fires_the_rest"),
    ),
    mutant(
        "a sweep waits for whoever is busy",
        "L2",
        f"{_CHASSIS}/agenda.py",
        "LIMIT {limit} FOR UPDATE OF r SKIP LOCKED",
        "LIMIT {limit} FOR UPDATE OF r",
        why="one request in somebody's hands holds up all timers",
        tests=_agenda("a_sweep_passes_over_what_somebody_has_in_hand_and_fires_the_rest"),
    ),
    mutant(
        "a timer rings early",
        "L2",
        f"{_CHASSIS}/agenda.py",
        "for (kind, ref), at in aggregate.agenda(state).items() if at <= now)",
        "for (kind, ref), at in aggregate.agenda(state).items())",
        why="whoever looks too early fires what is not due",
        tests=_agenda("a_timer_moved_later_only_makes_the_sweep_look_again"),
    ),
    mutant(
        "another id at every try of a timer",
        "L1",
        f"{_CHASSIS}/agenda.py",
        'identifier = derived_id(subject, at, 0, f"{kind}/{ref}")',
        'identifier = __import__("chassis.ids").ids.new_id()',
        why="a breach that is decided twice is two breaches (a uuid4 breach id)",
        tests=_FOLDING,
    ),
    mutant(
        "waiting messages out of order",
        "L2",
        f"{_CHASSIS}/waiting.py",
        "r.bytes) ORDER BY r.last, r.first_id, r.sequence, r.id",
        "r.bytes) ORDER BY r.id",
        why="what waited is decided in the order in which it arrived, and not in that in which it was told",
        tests=f"{_TESTS}/test_waiting.py::test_what_waited_for_a_gap_flows_in_order_when_it_is_filled",
    ),
    mutant(
        "an agenda kind added without a re-save",
        "L2",
        f"{_CHASSIS}/refolding.py",
        '"SELECT id FROM {table} WHERE shape < $1 AND state IS NOT NULL',
        '"SELECT id FROM {table} WHERE shape < 0 * $1 AND state IS NOT NULL',
        why="requests of before a release never ring its new timers",
        tests=f"{_TESTS}/test_refolding.py",
    ),
    mutant(
        "a half old row counts as new",
        "L2",
        f"{_CHASSIS}/writing.py",
        "min(was.shape, aggregate.shape) if state is not None and was.state is not None else aggregate.shape,",
        "aggregate.shape,",
        why="a row that one new fact touched keeps what the old fold made of the others",
        tests=f"{_TESTS}/test_refolding.py",
    ),
    mutant(
        "a position takes the shape along",
        "L2",
        f"{_CHASSIS}/applying.py",
        'kept = ("shape", "state", *names',
        'kept = ("state", *names',
        why="a state that an older release stored counts as one of this release and is never folded anew",
        tests=f"{_TESTS}/test_writing.py::"
        "test_a_fact_that_states_nothing_moves_a_position_and_leaves_the_state_as_it_is_stored",
    ),
    mutant(
        "private texts are not erased",
        "L2",
        f"{_CHASSIS}/erasing.py",
        '                if less != row["private"]:\n',
        "                if False:\n",
        why="what was said about a person inside the house stays for ever",
        tests=f"{_TESTS}/test_erasing.py::test_whose_document_has_ended_is_erased_and_nobody_else",
    ),
    mutant(
        "the erased stay in the states",
        "L2",
        f"{_CHASSIS}/erasing.py",
        "                await refold(self._database, decider.aggregate, subject)",
        "                pass",
        why="the journal forgets a person and every view still shows them",
        tests="services/intake/tests/service/test_erasing.py::test_the_request_stays_and_goes_on_without_its_texts",
    ),
    mutant(
        "a recovery that cannot begin leaves the door shut",
        "L2",
        f"{_CHASSIS}/rewinding.py",
        "        if entered:\n            await let_in(admin, names)\n",
        "",
        why="a service is locked out of its database although nothing was changed",
        tests=f"{_TESTS}/test_rewinding.py",
    ),
    mutant(
        "a recovery wakes nothing that waits",
        "L2",
        f"{_CHASSIS}/rewriting.py",
        "    await connection.execute(_WAKE, subjects)\n",
        "",
        why="what waited behind a message that was carried out after the backup waits for ever",
        tests=f"{_TESTS}/test_rewriting.py",
    ),
    mutant(
        "a recovery that was killed lets the service in",
        "L2",
        f"{_CHASSIS}/rewinding.py",
        "        if entered:\n            await let_in(admin, names)\n",
        "        await let_in(admin, names)\n",
        why="a service runs on half of its facts",
        tests=f"{_TESTS}/test_rewinding.py",
    ),
    mutant(
        "months dropped with their holes",
        "L2",
        f"{_CHASSIS}/retention.py",
        "(j.seq > c.high OR j.seq = ANY(c.holes))",
        "j.seq > c.high",
        why="a fact that could not be sent yet is dropped with its month",
        tests=f"{_TESTS}/test_retention.py",
    ),
)
