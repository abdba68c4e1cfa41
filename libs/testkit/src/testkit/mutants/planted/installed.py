"""Bugs in a whole installation: which fault of `testkit.chaos` brings each out, and which law its run must break."""

from typing import Final

from testkit.mutants.mutant import Edit, Mutant, in_chaos, several
from testkit.mutants.planted import deciding, publishing, waking

_CHASSIS = "libs/chassis/src/chassis"

_SMALL: Final = {bug.name: bug for part in (deciding, publishing, waking) for bug in part.MUTANTS}

_AFTER_ITS_COMMIT = several(
    "idempotency row after its commit",
    "L2",
    (
        deciding.IDS_LEFT_OUT,
        Edit(
            f"{_CHASSIS}/decider.py",
            '            await failpoints.armed.reach("commit.after")\n        self._written(write)\n\n',
            '            await failpoints.armed.reach("commit.after")\n'
            "        if (ids := self._writer.__dict__.pop('ids', None)) is not None:\n"
            "            await self._database.execute(ids[0], *ids[1])\n"
            "        self._written(write)\n\n",
        ),
    ),
    why="a process that dies in between decides the repeated key anew",
    tests=(),
)
"""Where the failpoint stands between the two."""

_WHERE_NUMBERS_ARE_DRAWN = Edit(
    f"{_CHASSIS}/decider.py",
    "                if failpoints.armed is not None:\n"
    '                    await failpoints.armed.reach("commit.before")\n'
    "                sent.done = True\n"
    "                await connection.execute(write.sql, *write.arguments)\n",
    "                sent.done = True\n                await connection.execute(write.sql, *write.arguments)\n",
)
"""The failpoint stands at commits under row locks alone, and every commit with numbers is one."""

MUTANTS: tuple[Mutant, ...] = (
    in_chaos(_AFTER_ITS_COMMIT, "at-commit.after", "I1 made-twice"),
    in_chaos(
        _SMALL["gap-free numbers drawn outside the transaction"],
        "at-commit.before",
        "I3 number-missing",
        also=(_WHERE_NUMBERS_ARE_DRAWN,),
    ),
    in_chaos(_SMALL["timer deleted outside its transaction"], "at-agenda.swept", "I6 sleeps-too-long"),
    in_chaos(_SMALL["naive cursor"], "pause-agenda.swept", "I8 never-published"),
    in_chaos(_SMALL["relay without epoch"], "overtake-relay", "I11 unsent"),
)
