"""Bugs at the doors: who is calling, who may see what, what is asked for in one's name."""

from testkit.mutants.mutant import Mutant, mutant

_CHASSIS = "libs/chassis/src/chassis"
_TESTS = "libs/chassis/tests"
_AUTH = f"{_TESTS}/test_auth.py"
_HTTP = f"{_TESTS}/test_http.py"

MUTANTS: tuple[Mutant, ...] = (
    mutant(
        "tokens of another audience",
        "L1",
        f"{_CHASSIS}/auth.py",
        "        if self._audience not in (audience if isinstance(audience, list) else [audience]):\n",
        "        if not audience:\n",
        why="a token that somebody gave to another application opens this one",
        tests=f"{_AUTH}::test_wrong_claims_are_refused",
    ),
    mutant(
        "symmetric signatures",
        "L1",
        f"{_CHASSIS}/auth.py",
        'ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"]',
        'ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519", "HS256", "none"]',
        why="whoever knows the public key makes tokens",
        tests=(
            f"{_AUTH}::test_an_unsigned_token_is_refused",
            f"{_AUTH}::test_a_token_signed_with_the_public_key_as_a_secret_is_refused",
        ),
    ),
    mutant(
        "expired tokens",
        "L1",
        f"{_CHASSIS}/auth.py",
        "expires_at + SKEW_SECONDS <= now:",
        "expires_at + 600 <= now:",
        why="who was switched off stays in",
        tests=(f"{_AUTH}::test_clocks_may_differ_by_60_seconds", f"{_AUTH}::test_wrong_claims_are_refused"),
    ),
    mutant(
        "people who were switched off",
        "L2",
        f"{_CHASSIS}/auth.py",
        '            if document.get("active", True):\n',
        "            if True:\n",
        why="who left the company goes on deciding",
        tests=f"{_AUTH}::test_who_is_unknown_or_switched_off_is_refused",
    ),
    mutant(
        "a scope is not asked for",
        "L2",
        f"{_CHASSIS}/commands.py",
        "        caller.require(self._declared.scope)\n",
        "",
        why="every caller may do everything",
        tests=f"{_HTTP}::test_a_command_needs_its_scope",
    ),
    mutant(
        "times of one's own without the right",
        "L2",
        f"{_CHASSIS}/commands.py",
        "    if backdates and HISTORY not in rights:\n",
        "    if False:\n",
        why="anybody writes history",
        tests=f"{_HTTP}::test_history_mode_needs_the_right_to_it",
    ),
    mutant(
        "keys of all callers are one",
        "L2",
        f"{_CHASSIS}/ids.py",
        'hashed = uuid5(_PRINCIPALS, f"{len(principal)}:{principal}{key}")',
        "hashed = uuid5(_PRINCIPALS, key)",
        why="one caller reads the answer to another's command by guessing its key",
        tests=f"{_HTTP}::test_a_key_is_its_callers_own",
    ),
    mutant(
        "an unknown outcome is told as a failure",
        "L2",
        f"{_CHASSIS}/races.py",
        "(UnknownOutcome if sent.done else Unavailable)",
        "Unavailable",
        why="a caller is told that nothing was written, and something was",
        tests=f"{_TESTS}/test_decider.py::test_a_write_that_is_cut_off_has_an_unknown_outcome",
    ),
    mutant(
        "a caller is not told that the outcome is unknown",
        "L1",
        f"{_CHASSIS}/answers.py",
        '        return Problem("outcome-unknown", headers={"retry-after": "1"})',
        '        return Problem("unavailable", headers={"retry-after": "1"})',
        why="who asked does not know that only the same key may be used again",
        tests=f"{_TESTS}/test_answers.py",
    ),
    mutant(
        "requests of other contacts in the list",
        "L2",
        "services/intake/src/intake/store.py",
        'OF_CONTACT = _newest(submissions.c.contact_id == bindparam("contact"))',
        'OF_CONTACT = _newest(submissions.c.contact_id != bindparam("contact", type_=Uuid))',
        why="a contact reads what others asked for",
        tests="services/intake/tests/service/test_front_door.py::test_a_contact_sees_its_own_requests_alone",
    ),
    mutant(
        "another contact's request by its id",
        "L2",
        "services/intake/src/intake/store.py",
        "    _ONE.where(\n        or_(\n",
        '    _ONE.where(\n        or_(\n            submissions.c.contact_id != bindparam("contact", type_=Uuid),\n',
        why="the same, one by one",
        tests="services/intake/tests/service/test_front_door.py::test_a_contact_sees_its_own_requests_alone",
    ),
    mutant(
        "a work list that shows more than it may",
        "L2",
        "services/workflow/src/workflow/store.py",
        '            columns.team_id == any_(bindparam("teams", type_=ARRAY(Uuid))),\n',
        '            columns.team_id == any_(bindparam("teams", type_=ARRAY(Uuid))),\n'
        "            columns.owner_id.is_(None),\n",
        why="a list and a single request disagree about who may see what",
        tests="services/workflow/tests/service/test_door.py::test_lists_agree_with_single_requests_about_who_sees_what",
    ),
    mutant(
        "approvals decided by GET",
        "L1",
        "services/approvals/src/approvals/commands.py",
        '"POST"',
        '"GET"',
        why="a mail scanner that follows links decides",
        tests="tests/architecture/test_doors.py::test_nothing_that_decides_is_reached_by_get",
    ),
)
