"""Bugs in what waits beside other things of its request: blocks, tries and turns."""

from testkit.mutants.mutant import Mutant, mutant
from testkit.mutants.planted import hearing

_CHASSIS = "libs/chassis/src/chassis"
_FOLDING = f"{_CHASSIS}/folding.py"
_BESIDE = "libs/chassis/tests/test_waiting_beside.py"

MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "a request flows while another fact of it waits",
        "L2",
        _FOLDING,
        hearing.FLOWS,
        "                self._block(entry, None)\n",
        why="facts of other streams are decided before the one that waits",
        tests=f"{_BESIDE}::test_a_request_stays_blocked_until_all_of_its_waiting_facts_are_decided",
    ),
    mutant(
        "a client's command lets a request flow",
        "L2",
        f"{_CHASSIS}/drafting.py",
        "if asked.waiting_id is not None and asked.is_fact})",
        "if asked.waiting_id is not None and asked.stream is not None})",
        why="facts are decided before the one that waits, because a client's command was skipped or tried",
        tests=f"{_BESIDE}::test_a_command_that_an_operator_skips_lets_no_fact_pass_one_that_waits",
    ),
    mutant(
        "a try before its time uses up an attempt",
        "L2",
        _FOLDING,
        "asked.next_at if early else next_at, tried + (not early))",
        "next_at, tried + 1)",
        why="whatever else of its request is due keeps a message from the half-hour in which its cause may pass",
        tests=f"{_BESIDE}::test_a_message_that_fails_before_it_is_due_keeps_its_attempts_and_its_time",
    ),
    mutant(
        "what is due beyond what a sweep reads is due again at once",
        "L2",
        f"{_CHASSIS}/waiting.py",
        "    await database.execute(_PUT_OFF, aggregate, subject, list(but))\n",
        "    _ = aggregate, subject, but\n",
        why="a client that leaves out a number keeps a whole core busy for a minute",
        tests=f"{_BESIDE}::test_what_is_due_and_was_not_read_is_tried_in_a_second",
    ),
    mutant(
        "what has no number is read in a row with what has",
        "L2",
        f"{_CHASSIS}/waiting.py",
        "WINDOW page AS (PARTITION BY o.stream IS NULL ORDER BY",
        "WINDOW page AS (ORDER BY",
        why="a client is not answered for as long as much of the same request waits",
        tests=f"{_BESIDE}::test_what_has_no_number_is_decided_whatever_waits_before_it",
    ),
)
