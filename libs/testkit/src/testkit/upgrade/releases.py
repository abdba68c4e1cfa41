"""Two releases made from this checkout: one that is about to change its contract, and the next one that has.

What `workflow` tells of a stage gets a version 2, in which `direction` is called `move`. THIS reads both versions and
writes the first; NEXT reads both and writes the second. NEXT also has an optional field in what is told of a close,
which intake keeps: in its state, whose shape goes up, and in a column, which a migration adds.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from testkit.mutants.mutant import Edit, several
from testkit.mutants.overlay import lay, package_of

_CONTRACT: Final = "libs/contracts/src/contracts/workflow.py"
_WORKFLOW: Final = "services/workflow/src/workflow"
_INTAKE: Final = "services/intake/src/intake"
_APPROVALS: Final = "services/approvals/src/approvals"

_VERSION_2 = '''class StageChangedV2(WorkflowFact):
    """The request went to another stage, and how."""

    type: ClassVar[str] = "workflow.stage-changed"
    schema_version: ClassVar[int] = 2
    readers: ClassVar[tuple[str, ...]] = ("intake", "approvals", "notifications")

    from_stage: Name
    to_stage: Name
    state: State
    visit_no: Version
    move: Slug
    reason: Annotated[Reason | None, Personal()] = None
    transition_id: UUID | None = None
    due_at: Instant | None = None


class WaitBegan(WorkflowFact):
'''
_TOLD = 'REQUESTS.told(facts.StageChanged, workflow.StageChanged, private=("at",))\n'
_TOLD_2 = 'REQUESTS.told(facts.StageChanged, workflow.StageChangedV2, private=("at",))\n'


def _also_reads(version: int, name: str, theirs: str) -> str:
    turned = f'lambda values: {{**values, "{name}": values["{theirs}"]}}'
    return f'REQUESTS.also_reads(facts.StageChanged, "workflow.stage-changed", {version}, {turned})\n'


_READING = (
    Edit(_CONTRACT, "class WaitBegan(WorkflowFact):\n", _VERSION_2),
    Edit(
        f"{_INTAKE}/handlers.py",
        "@stream.on(workflow.RequestClosed)\n",
        "@stream.on(workflow.StageChangedV2)\n"
        "def moved_2(event: workflow.StageChangedV2, meta: Meta) -> messages.NoteStatus:\n"
        "    return messages.NoteStatus(event.state, event.to_stage)\n\n\n"
        "@stream.on(workflow.RequestClosed)\n",
    ),
    Edit(
        f"{_APPROVALS}/handlers.py",
        "@stream.on(workflow.RequestClosed)\n",
        "@stream.on(workflow.StageChangedV2)\n"
        "def stage_changed_2(event: workflow.StageChangedV2, meta: Meta) -> messages.WithdrawAll:\n"
        '    if event.state == "closed":\n'
        '        return messages.WithdrawAll("closed")\n'
        '    return messages.WithdrawAll("regressed" if event.move == "regress" else "superseded")\n\n\n'
        "@stream.on(workflow.RequestClosed)\n",
    ),
)
_READS_2 = (Edit(f"{_WORKFLOW}/events.py", _TOLD, _TOLD + _also_reads(2, "direction", "move")),)
_WRITES_2 = (
    Edit(f"{_WORKFLOW}/events.py", _TOLD, _TOLD_2 + _also_reads(1, "move", "direction")),
    Edit(f"{_WORKFLOW}/domain/facts.py", "    direction: str\n", "    move: str\n"),
)
_GAINS_A_FIELD = (
    Edit(
        _CONTRACT,
        '    number: Number\n    mode: Mode = "live"\n\n\nclass RequestReopened(',
        '    number: Number\n    mode: Mode = "live"\n    visits: Count | None = None\n\n\nclass RequestReopened(',
    ),
    Edit(
        f"{_WORKFLOW}/domain/facts.py",
        "    mode: str\n\n\n@record\nclass RequestReopened:",
        "    mode: str\n    visits: int | None = None\n\n\n@record\nclass RequestReopened:",
    ),
    Edit(
        f"{_WORKFLOW}/domain/moving.py",
        "            mode=request.mode,\n",
        "            mode=request.mode,\n            visits=sum(request.visits.values()),\n",
    ),
    Edit(
        f"{_INTAKE}/handlers.py",
        'messages.NoteStatus("closed", outcome=event.outcome)',
        'messages.NoteStatus("closed", outcome=event.outcome, visits=event.visits)',
    ),
    Edit(
        f"{_INTAKE}/domain/messages.py",
        "    outcome: str | None = None\n    detail: str | None = None\n",
        "    outcome: str | None = None\n    detail: str | None = None\n    visits: int | None = None\n",
    ),
    Edit(
        f"{_INTAKE}/domain/facts.py",
        "    outcome: str | None\n    detail: str | None = None\n",
        "    outcome: str | None\n    detail: str | None = None\n    visits: int | None = None\n",
    ),
    Edit(
        f"{_INTAKE}/domain/state.py",
        "    detail: str | None = None\n",
        "    detail: str | None = None\n    visits: int | None = None\n",
    ),
    Edit(
        f"{_INTAKE}/domain/submission.py",
        "message.outcome, message.detail)\n",
        "message.outcome, message.detail, message.visits)\n",
    ),
    Edit(
        f"{_INTAKE}/domain/submission.py",
        "outcome=fact.outcome, detail=fact.detail)\n",
        "outcome=fact.outcome, detail=fact.detail,\n        visits=fact.visits or state.visits)\n",
    ),
    Edit(
        f"{_INTAKE}/domain/submission.py",
        '{"status", "outcome", "detail"}',
        '{"status", "outcome", "detail", "visits"}',
    ),
    Edit(
        f"{_INTAKE}/tables.py",
        '    Column("submitted_by", Uuid),\n',
        '    Column("submitted_by", Uuid),\n    Column("visits", Text),\n',
    ),
    Edit(
        f"{_INTAKE}/deciders.py",
        '        "submitted_by": state.submitted_by.id,\n',
        '        "submitted_by": state.submitted_by.id,\n'
        '        "visits": None if state.visits is None else str(state.visits),\n',
    ),
    Edit(
        f"{_INTAKE}/deciders.py",
        "        state=Submission,\n        shape=1,\n",
        "        state=Submission,\n        shape=2,\n",
    ),
)
_MIGRATION = '''"""Submissions gain `visits`: how many stages a closed request has been in.

Expand step: the release before goes on, it never names the column.
"""

from alembic import op
from sqlalchemy import Column, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column("submissions", Column("visits", Text))
'''


@dataclass(frozen=True)
class Release:
    """A release as edits of this checkout, with files of its own by their path in the repository."""

    name: str
    edits: tuple[Edit, ...]
    files: tuple[tuple[str, str], ...] = ()


BEFORE: Final = Release("before", ())
"""This checkout, which knows nothing of what comes: its neighbour cannot be exchanged for it freely."""
THIS: Final = Release("this", _READING + _READS_2)
NEXT: Final = Release(
    "next",
    _READING + _WRITES_2 + _GAINS_A_FIELD,
    ((f"{_INTAKE}/migrations/versions/0002_submissions_gain_visits.py", _MIGRATION),),
)


def laid(release: Release, root: Path, place: Path) -> dict[str, str]:
    """Lay a release under `place`; the environment in which Python imports it. Raises Misplaced and NotInUse."""
    place.mkdir(parents=True)
    mutant = several(release.name, "L3", release.edits, why="a release is no bug", tests=())
    environment = lay(mutant, root, place)
    for path, text in release.files:
        (place / PurePosixPath(path).relative_to(package_of(path).parent)).write_text(text)
    return environment
