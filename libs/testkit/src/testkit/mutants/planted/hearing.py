"""Bugs in what is heard: positions, gaps, waiting, documents, offsets, clients' commands."""

from testkit.mutants.mutant import Mutant, mutant

_CHASSIS = "libs/chassis/src/chassis"
_TESTS = "libs/chassis/tests"
_FOLDING = f"{_CHASSIS}/folding.py"
_MACHINE = f"{_TESTS}/test_stream_machine.py"
_SUBSCRIPTION = f"{_CHASSIS}/subscription.py"

MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "a duplicate counts",
        "L1",
        _FOLDING,
        "        if asked.sequence <= last:\n",
        "        if asked.sequence < last:\n",
        why="what Kafka delivers twice happens twice",
        tests=_MACHINE,
    ),
    mutant(
        "a gap is passed over",
        "L1",
        _FOLDING,
        "        if asked.sequence > last + 1:\n            return self._gap",
        "        if asked.sequence > last + 1000:\n            return self._gap",
        why="a fact that is late is dropped for ever",
        tests=_MACHINE,
    ),
    mutant(
        "a waiting request is overtaken",
        "L1",
        _FOLDING,
        'if blocked is not None and blocked != f"gap:{asked.stream}":',
        "if False:",
        why="a later fact is decided before the one that waits",
        tests=_MACHINE,
    ),
    mutant(
        "what fails lets the next one of its batch pass",
        "L1",
        _FOLDING,
        "            self._stuck.add((entry.subject, only))\n",
        "",
        why="the same, inside one batch",
        tests=_MACHINE,
    ),
    mutant(
        "a waiting batch goes on behind its gap",
        "L1",
        _FOLDING,
        "            self._stuck.add((entry.subject, None))\n",
        "            pass\n",
        why="the same, when what waits is tried again",
        tests=_MACHINE,
    ),
    mutant(
        "what waited is never done",
        "L1",
        _FOLDING,
        "            self.changes.decided_waiting.append(asked.waiting_id)",
        "            pass",
        why="a decided message is tried again until an operator sees it, and its request stays blocked",
        tests=_MACHINE,
    ),
    mutant(
        "a filled gap wakes nobody",
        "L1",
        _FOLDING,
        "        if blocked is not None:\n            self.changes.due_now.add(entry.subject)",
        "        if blocked is not None:\n            entry.blocked = None",
        why="what waited behind a gap that came is taken for decided, and overtaken",
        tests=_MACHINE,
    ),
    mutant(
        "a refusal leaves the position where it was",
        "L1",
        _FOLDING,
        '            return self._postpone(entry, asked, "unknown", refused.detail)\n        self._heard(entry, asked)',
        '            return self._postpone(entry, asked, "unknown", refused.detail)',
        why="one fact that is refused blocks its request for ever",
        tests=_MACHINE,
    ),
    mutant(
        "the position is not saved",
        "L1",
        _FOLDING,
        "            entry.heard = {**entry.heard, asked.stream: asked.sequence}\n            entry.touched = True",
        "            entry.heard = {**entry.heard, asked.stream: asked.sequence}",
        why="a fact that states nothing is a gap for all that follow",
        tests=_MACHINE,
    ),
    mutant(
        "an older document wins",
        "L2",
        f"{_CHASSIS}/documents.py",
        "    erased_at = NULL\nWHERE d.sequence < excluded.sequence\n",
        "    erased_at = NULL\n",
        why="a record that comes again brings back what was changed, or somebody who was erased",
        tests=f"{_TESTS}/test_stream.py::test_documents_are_kept_by_their_highest_sequence_until_their_tombstone",
    ),
    mutant(
        "acknowledged although it failed",
        "L2",
        _SUBSCRIPTION,
        "                if not await self._done(records):\n                    return\n",
        "                await self._done(records)\n",
        why="a batch that nobody could apply is gone (an ACK instead of a NACK)",
        tests=f"{_TESTS}/test_subscription.py::"
        "test_a_batch_that_can_never_be_applied_ends_the_process_and_is_not_committed",
    ),
    mutant(
        "offsets before effects",
        "L2",
        _SUBSCRIPTION,
        "                if not await self._done(records):\n                    return\n"
        "                self.offsets.applied(records)\n",
        "                self.offsets.applied(records)\n                await self.offsets.commit()\n"
        "                if not await self._done(records):\n                    return\n",
        why="a process that dies in between has never heard what it committed",
        tests=f"{_TESTS}/test_subscription.py::"
        "test_a_batch_that_can_never_be_applied_ends_the_process_and_is_not_committed",
    ),
    mutant(
        "a failing batch is given up",
        "L2",
        _SUBSCRIPTION,
        "                if defects == _DEFECTS:\n                    self.broken = error",
        "                return True",
        why="a bug of an hour loses what was told in that hour",
        tests=f"{_TESTS}/test_subscription.py::test_what_fails_is_repeated_until_it_is_applied_and_then_committed",
    ),
    mutant(
        "parser that reads headers",
        "L2",
        _SUBSCRIPTION,
        "            parser=self._bare,\n",
        "",
        why="a header that is no text stops a partition for ever",
        tests=f"{_TESTS}/test_subscription.py::test_what_fails_is_repeated_until_it_is_applied_and_then_committed",
    ),
    mutant(
        "a defective consumer counts as well",
        "L2",
        _SUBSCRIPTION,
        "            if not self._fetcher.error_future.done():\n"
        "                self.last_ok, self.polled = time.monotonic(), True",
        "            self.last_ok, self.polled = time.monotonic(), True",
        why="a consumer that is deaf for ever is never restarted",
        tests=f"{_TESTS}/test_subscription.py::"
        "test_a_consumer_whose_fetching_has_failed_counts_as_deaf_and_hears_again_after_its_restart",
    ),
    mutant(
        "a stranger's fact is believed",
        "L1",
        f"{_CHASSIS}/hearing.py",
        "        if record.topic not in (naming.topic(self._prefix, topic), self._resent):",
        "        if False:",
        why="one service, or a stolen login of it, speaks for another",
        tests=f"{_TESTS}/test_hearing.py",
    ),
    mutant(
        "a forged actor",
        "L1",
        f"{_CHASSIS}/inbound.py",
        "    if not client.may_act_for_others:\n",
        "    if False:\n",
        why="any client acts as anybody",
        tests=f"{_TESTS}/test_inbound.py",
    ),
    mutant(
        "a number used before is used again",
        "L1",
        _FOLDING,
        'return self._told(entry, asked, NumberUsed(f"number {asked.sequence} was used before"))',
        "return None",
        why="a client's command that is sent twice under two ids happens twice",
        tests=f"{_TESTS}/test_folding.py",
    ),
    mutant(
        "an earlier number is not waited for",
        "L1",
        _FOLDING,
        "        if asked.reply_to is not None and self._waited(asked):\n            return self._told",
        "        if asked.reply_to is not None:\n            return self._told",
        why="commands of a client that arrive in the wrong order are refused instead of put in order",
        tests=f"{_TESTS}/test_folding.py",
    ),
)
