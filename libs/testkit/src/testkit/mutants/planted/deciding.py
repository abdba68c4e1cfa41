"""Bugs in the batch: read, decide, apply, group commit."""

from testkit.mutants.mutant import Edit, Mutant, mutant, several

_CHASSIS = "libs/chassis/src/chassis"
_TESTS = "libs/chassis/tests"
_FOLDING = f"{_TESTS}/test_folding.py"
_WRITING = f"{_TESTS}/test_writing.py"


def _decider(*names: str) -> tuple[str, ...]:
    return tuple(f"{_TESTS}/test_decider.py::test_{name}" for name in names)


_CONCURRENT = _decider("concurrent_callers_share_batches_and_lose_nothing")
_EQUAL_KEYS = _decider("equal_keys_at_the_same_moment_are_decided_once")

IDS_LEFT_OUT = Edit(
    f"{_CHASSIS}/writing.py",
    "parts.append(Filled(applying.IDS, columns_of(rows), len(rows)))",
    "self.ids = applying.apply_statement([Filled(applying.IDS, columns_of(rows), len(rows))], 1, [])",
)
"""Ids of messages are no part of the write any more; another edit says where they are written instead."""

MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "compare-and-set left out of the upsert",
        "L2",
        f"{_CHASSIS}/applying.py",
        "{updates} WHERE t.version = excluded.version - 1 RETURNING 1",
        "{updates} RETURNING 1",
        why="two processes decide on the same state and the second overwrites the first, position and all",
        tests=_CONCURRENT,
    ),
    mutant(
        "new row without the race check",
        "L2",
        f"{_CHASSIS}/applying.py",
        "WHERE t.version = excluded.version - 1 RETURNING",
        "WHERE t.version = excluded.version - 1 OR excluded.version = 1 RETURNING",
        why="two that create the same thing at once both believe that they did",
        tests=_CONCURRENT,
    ),
    mutant(
        "claim loser goes on",
        "L2",
        f"{_CHASSIS}/applying.py",
        '"AS u(claim, subject) ON CONFLICT DO NOTHING RETURNING 1",\n    2,\n)',
        '"AS u(claim, subject) ON CONFLICT DO NOTHING RETURNING 1",\n    2,\n    counted=False,\n)',
        why="one reference names two requests",
        tests=_decider("one_of_two_gets_the_claim_and_the_other_is_told"),
    ),
    several(
        "claim taken before its release",
        "L2",
        (
            Edit(
                f"{_CHASSIS}/writing.py",
                "applying.CLAIMED_AFTER_RELEASE if released else applying.CLAIMED",
                "applying.CLAIMED",
            ),
            Edit(f"{_CHASSIS}/writing.py", "parts.append(Filled(part, [names", "parts.insert(0, Filled(part, [names"),
        ),
        why="a name that is given on in one batch is not free yet when it is taken, and the whole batch is lost",
        tests=_decider("a_released_claim_can_be_taken_in_the_same_batch"),
    ),
    mutant(
        "a claim of the same batch is not seen",
        "L1",
        f"{_CHASSIS}/folding.py",
        "replace(reading, holders=self.claims.held)",
        "reading",
        why="the second who wants a name is told nothing of the first, and gets it too or an error",
        tests=f"{_TESTS}/test_claiming.py",
    ),
    mutant(
        "a write that can never be stops everybody",
        "L2",
        f"{_CHASSIS}/decider.py",
        "        if why.passes:",
        "        if why.gate:",
        why="one row that contradicts another table is tried for ever, and all that came with it",
        tests=f"{_TESTS}/test_gates.py"
        "::test_a_caller_whose_write_can_never_be_is_told_so_and_its_neighbours_are_written",
    ),
    mutant(
        "group commit answers before the commit",
        "L2",
        f"{_CHASSIS}/decider.py",
        "        if write.facts or write.arguments:\n            await self._commit(write)",
        "        if write.facts or write.arguments:\n            self._late = asyncio.create_task(self._commit(write))",
        why="a caller is told yes, and the process dies before anything is written",
        tests=_decider("a_busy_row_does_not_stall_its_neighbours"),
    ),
    mutant(
        "a neighbour's change leaks from a message that fails",
        "L1",
        f"{_CHASSIS}/changes.py",
        "        found.state = aggregate.evolve(found.state, fact)\n",
        "        found.state = entry.state = aggregate.evolve(found.state, fact)\n",
        why="half of a message that failed becomes part of the next one's",
        tests=_FOLDING,
    ),
    several(
        "facts of a message that fails are kept",
        "L1",
        (
            Edit(f"{_CHASSIS}/folding.py", "            self.changes.add(found)\n", ""),
            Edit(
                f"{_CHASSIS}/folding.py",
                '            answer = b""\n            if found.state',
                '            self.changes.add(found)\n            answer = b""\n            if found.state',
            ),
        ),
        why="facts are published of something that never happened",
        tests=_FOLDING,
    ),
    several(
        "idempotency row in another transaction",
        "L2",
        (
            IDS_LEFT_OUT,
            Edit(
                f"{_CHASSIS}/decider.py",
                "                await connection.execute(write.sql, *write.arguments)\n        if",
                "                await connection.execute(write.sql, *write.arguments)\n"
                "                if (ids := self._writer.__dict__.pop('ids', None)) is not None:\n"
                "                    await connection.execute(ids[0], *ids[1])\n        if",
            ),
        ),
        why="a repeated key is decided twice when the process dies, or is fast, in between",
        tests=_decider("what_is_decided_and_the_memory_of_its_id_are_written_together_or_not_at_all"),
    ),
    several(
        "journal committed before its row",
        "L2",
        (
            Edit(f"{_CHASSIS}/writing.py", "    wakes: bool\n", "    told: Any\n    wakes: bool\n"),
            Edit(
                f"{_CHASSIS}/writing.py",
                "applying.apply_statement(parts, self._partitions, journal)",
                "applying.apply_statement(parts, self._partitions, [])\n"
                "        told = applying.apply_statement([], self._partitions, journal) if journal else None",
            ),
            Edit(f"{_CHASSIS}/writing.py", "for _, fact in encoded], soon)", "for _, fact in encoded], told, soon)"),
            *(
                Edit(
                    f"{_CHASSIS}/decider.py",
                    f"{space}await connection.execute(write.sql, *write.arguments)\n{after}",
                    f"{space}if write.told:\n{space}    await connection.execute(write.told[0], *write.told[1])\n"
                    f"{space}await connection.execute(write.sql, *write.arguments)\n{after}",
                )
                for space, after in (
                    (16 * " ", "        if "),
                    (20 * " ", "                if "),
                    (12 * " ", "        except "),
                )
            ),
        ),
        why="a fact is told although its row lost the race, or its process died before it was saved",
        tests=_CONCURRENT,
    ),
    mutant(
        "racing keys are not counted",
        "L2",
        f"{_CHASSIS}/applying.py",
        '"ON CONFLICT DO NOTHING RETURNING 1",\n    8,\n)',
        '"ON CONFLICT DO NOTHING RETURNING 1",\n    8,\n    counted=False,\n)',
        why="the same key on two processes creates two things",
        tests=_decider("equal_keys_for_different_subjects_are_decided_once"),
    ),
    mutant(
        "a refusal without its row",
        "L2",
        f"{_CHASSIS}/folding.py",
        "if asked.reply_to is not None or (asked.remember and not isinstance(refused, Unknown)):\n",
        "if asked.reply_to is not None:\n",
        why="what was refused is accepted when the same key is repeated later",
        tests=_decider("a_refusal_is_remembered_too"),
    ),
    mutant(
        "another body under a used key",
        "L2",
        f"{_CHASSIS}/folding.py",
        "if kept.hash is not None and asked.request_hash is not None and kept.hash != asked.request_hash:",
        "if False:",
        why="a caller takes the answer to something else for its own",
        tests=_decider("a_repeated_key_gets_the_first_answer_and_changes_nothing"),
    ),
    mutant(
        "one key with two contents in one batch",
        "L2",
        f"{_CHASSIS}/folding.py",
        "            if hashed != asked.request_hash:",
        "            if False:",
        why="the same, when both arrive at once",
        tests=_decider("one_key_with_two_contents_in_one_batch_is_refused_the_second_time"),
    ),
    mutant(
        "message ids deleted early",
        "L2",
        f"{_CHASSIS}/housekeeping.py",
        "WHERE kept_until < statement_timestamp() ORDER",
        "WHERE kept_until < statement_timestamp() + interval '73 hours' ORDER",
        why="a key that is repeated a day later is decided anew",
        tests=f"{_TESTS}/test_housekeeping.py",
    ),
    mutant(
        "commands remembered as briefly as HTTP",
        "L2",
        f"{_CHASSIS}/applying.py",
        "interval '14 days' ELSE",
        "interval '72 hours' ELSE",
        why="a command is forgotten before its topic forgets it, and is decided twice after a reset of offsets",
        tests=f"{_TESTS}/test_housekeeping.py",
    ),
    several(
        "reaction lost with the process",
        "L2",
        (
            Edit(
                f"{_CHASSIS}/writing.py",
                "        rows += [self._reaction_row(fold, reaction) for reaction in changes.reactions]\n",
                "        late = [self._reaction_row(fold, reaction) for reaction in changes.reactions]\n"
                "        if late:\n"
                "            self.late = applying.apply_statement([Filled(applying.WAIT, columns_of(late))], 1, [])\n",
            ),
            Edit(
                f"{_CHASSIS}/decider.py",
                '            await failpoints.armed.reach("commit.after")\n        self._written(write)\n\n',
                '            await failpoints.armed.reach("commit.after")\n'
                "        if (late := self._writer.__dict__.pop('late', None)) is not None:\n"
                "            await self._database.execute(late[0], *late[1])\n"
                "        self._written(write)\n\n",
            ),
        ),
        why="a fact is told and the message that it causes never comes",
        tests=_WRITING,
    ),
    mutant(
        "new ids at every retry",
        "L1",
        f"{_CHASSIS}/documents.py",
        'return derived_id(self._asked.id, self._asked.made_at(), n, "id")',
        'return __import__("chassis.ids").ids.new_id()',
        why="a message that is decided again after a lost race makes another thing",
        tests=_FOLDING,
    ),
    mutant(
        "stale version accepted",
        "L2",
        f"{_CHASSIS}/folding.py",
        "if asked.expect is not None and asked.expect != entry.edit_version:",
        "if asked.expect is not None and asked.expect > entry.edit_version:",
        why="an edit overwrites another that its author never saw",
        tests=_decider("a_stale_edit_version_is_refused"),
    ),
    mutant(
        "gap-free numbers drawn outside the transaction",
        "L2",
        f"{_CHASSIS}/drafting.py",
        "            fold, outcomes = self._decide(batch, reading, await drawing.drawn(connection, asked))",
        "            async with (await self._database.writes()).acquire() as other:\n"
        "                fold, outcomes = self._decide(batch, reading, await drawing.drawn(other, asked))",
        why="a number is used up by an invoice that was rolled back",
        tests=_decider("a_number_of_a_gap_free_series_is_not_used_up_by_what_is_rolled_back"),
    ),
    mutant(
        "a number of a message that fails is used up",
        "L1",
        f"{_CHASSIS}/drawing.py",
        "            self.asked = self._before",
        "            pass",
        why="a number is missing among the invoices for each try of one that cannot be made",
        tests=_FOLDING,
    ),
    mutant(
        "a busy row stalls its batch",
        "L2",
        f"{_CHASSIS}/decider.py",
        '(" SKIP LOCKED" if skip else "")',
        '""',
        why="one request in somebody's hands holds up five hundred others",
        tests=_decider("a_busy_row_does_not_stall_its_neighbours"),
    ),
    mutant(
        "one bad message fails its whole batch",
        "L1",
        f"{_CHASSIS}/folding.py",
        "        except Exception as error:\n            return self._failed(entry, asked, error)",
        "        except AssertionError as error:\n            return self._failed(entry, asked, error)",
        why="a bug that one request meets stops everybody",
        tests=_FOLDING,
    ),
)
