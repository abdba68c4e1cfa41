"""From the rows of a case to the commands that repeat its life here. Pure, and the same every time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from cli.importing.log import Log
from cli.importing.mapping import Mapping
from cli.importing.rows import Row

NAMESPACE = UUID("b1b0f1d2-7a0e-5c53-8f0e-5a2d9e6c4a11")
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
INTAKE, WORKFLOW = "intake", "workflow"


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it goes out. `sequence` counts the commands of a case to one service; None is not counted."""

    id: UUID
    service: str
    type: str
    subject: str
    at: datetime
    body: dict[str, Any]
    sequence: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """Where a case stands: in a stage (None: whichever), perhaps waiting, or closed with an outcome."""

    stage: str | None
    wait: str | None = None
    outcome: str | None = None


@dataclass(slots=True)
class Case:
    """A case as it will be repeated. `expected` is what the log's last row says; None when that row is unreadable."""

    name: str
    request_id: UUID
    rows: int
    expected: Final | None
    submission: Command
    commands: list[Command] = field(default_factory=list)
    unchanged: int = 0
    ignored: int = 0
    out_of_order: int = 0


@dataclass(slots=True)
class Plan:
    """Everything to send for a log: first what cases refer to, then the cases."""

    content: str
    setup: list[Command]
    cases: list[Case]
    skipped: list[str]
    """Cases whose every row means nothing here."""

    @property
    def commands(self) -> int:
        """How many commands there are, submissions included."""
        return sum(1 + len(case.commands) for case in self.cases)


@lru_cache(maxsize=1 << 16)
def identity(source: str, kind: str, name: str) -> UUID:
    """The id of a contact, person or team of an existing system: the same from every log of it."""
    return uuid5(uuid5(NAMESPACE, source), f"{kind}:{name}")


def plan(log: Log, mapping: Mapping) -> Plan:
    """What to send, in the log's order of cases."""
    made = [_Planner(log.content, rows, mapping) for rows in log.rows.values()]
    cases = [planner.case for planner in made if planner.case is not None]
    last_seen = {name: rows[-1].line for name, rows in log.rows.items()}
    cut = {bad.case for bad in log.unreadable if bad.case and bad.line > last_seen.get(bad.case, bad.line)}
    for case in cases:
        if case.name in cut:
            case.expected = None
    skipped = [rows[0].case for rows, planner in zip(log.rows.values(), made, strict=True) if planner.case is None]
    return Plan(log.content, list(_setup(log, mapping)), cases, skipped)


class _Planner:
    """Follows one case row by row, as its request will stand here."""

    def __init__(self, content: str, rows: Sequence[Row], mapping: Mapping) -> None:
        self._file = uuid5(NAMESPACE, content)
        self._mapping = mapping
        self._stage: str | None = None
        self._wait: str | None = None
        self._outcome: str | None = None
        self._held: dict[str, str | None] = {}
        self._last: datetime = rows[0].at
        self._made = 0
        self.case: Case | None = None
        ignored = 0
        for row in rows:
            if row.meaning.ignore:
                ignored += 1
            elif self.case is None:
                self._begin(row, len(rows))
            else:
                self._change(self.case, row)
        if self.case is not None:
            self.case.ignored = ignored
            said = next(row.meaning for row in reversed(rows) if not row.meaning.ignore)
            self.case.expected = Final(said.stage, said.wait, said.close)

    def _begin(self, row: Row, rows: int) -> None:
        """The first row that means something: the submission, in its stage, with what the row says."""
        request_id = uuid5(self._file, f"{row.line}:request")
        self._stage, self._last = row.meaning.stage, row.at
        self._held = row.values
        submission = Command(
            self._id(row), INTAKE, "intake.submit", str(request_id), row.at, self._submit(row), 1, row.line
        )
        self.case = Case(row.case, request_id, rows, None, submission)
        self._settle(self.case, row, row.at)

    def _submit(self, row: Row) -> dict[str, Any]:
        values = row.values
        body: dict[str, Any] = {
            "contact_id": str(self._identity("contact", values["contact"])),
            "queue": values["queue"],
            "summary": values["summary"],
            "occurred_at": row.at.isoformat(),
            "received_at": row.at.isoformat(),
            "external_reference": row.case,
            "mode": "history",
        }
        for name in ("description", "impact", "urgency", "priority", "category"):
            if values[name] is not None:
                body[name] = values[name]
        for name, kind in (("owner", "person"), ("team", "team")):
            if values[name] is not None:
                body[f"{name}_id"] = str(self._identity(kind, values[name]))
        if row.meaning.stage is not None:
            body["stage"] = row.meaning.stage
        return body

    def _change(self, case: Case, row: Row) -> None:
        """A later row. Its time never lies before the one before it, as far as this request is concerned."""
        if row.at < self._last:
            case.out_of_order += 1
        self._last = at = max(row.at, self._last)
        before = len(case.commands)
        if self._outcome is not None and row.meaning.close != self._outcome:
            self._reopen(case, row, at)
        if self._outcome is None:
            self._move(case, row, at)
            self._assign(case, row, at)
            self._settle(case, row, at)
        if len(case.commands) == before:
            case.unchanged += 1

    def _reopen(self, case: Case, row: Row, at: datetime) -> None:
        body = {"reason": self._mapping.reopen_reason}
        if row.meaning.stage is not None:
            self._stage = body["to_stage"] = row.meaning.stage
        self._outcome = self._wait = None
        self._add(case, row, at, "reopen", body)

    def _move(self, case: Case, row: Row, at: datetime) -> None:
        """To another stage, which ends a wait; or out of a wait in the same one."""
        meaning = row.meaning
        if meaning.close is None and meaning.stage not in (None, self._stage):
            self._stage, self._wait = meaning.stage, None
            self._add(case, row, at, "jump", {"to_stage": meaning.stage})
        elif meaning.close is None and self._wait not in (None, meaning.wait):
            self._wait = None
            self._add(case, row, at, "resume", {})

    def _settle(self, case: Case, row: Row, at: datetime) -> None:
        """What a row leaves the request with: a wait, or its end."""
        meaning = row.meaning
        if meaning.wait is not None and self._wait != meaning.wait:
            self._wait = meaning.wait
            self._add(case, row, at, "wait", {"reason": meaning.wait})
        if meaning.close is not None:
            self._outcome, self._wait = meaning.close, None
            self._add(case, row, at, "close", {"outcome": meaning.close})

    def _assign(self, case: Case, row: Row, at: datetime) -> None:
        """Owner, team, priority and category, where the row has others."""
        if row.values == self._held:
            return
        changed = {name for name, value in row.values.items() if value != self._held[name]}
        self._held = row.values
        given = {
            f"{name}_id": str(self._identity(kind, row.values[name])) if row.values[name] is not None else None
            for name, kind in (("owner", "person"), ("team", "team"))
            if name in changed
        }
        if given:
            self._add(case, row, at, "assign", given)
        rank: dict[str, Any] = {name: row.values[name] for name in ("priority", "urgency", "impact") if name in changed}
        if any(value is not None for value in rank.values()):
            self._add(case, row, at, "change-priority", rank)
        edited: dict[str, Any] = {
            name: row.values[name] for name in ("summary", "description", "category") if name in changed
        }
        if edited:
            self._add(case, row, at, "edit", edited)

    def _add(self, case: Case, row: Row, at: datetime, verb: str, body: dict[str, Any]) -> None:
        number = len(case.commands) + 1
        body = {**body, "effective_at": at.isoformat()}
        identifier = self._id(row)
        case.commands.append(
            Command(identifier, WORKFLOW, f"workflow.{verb}", str(case.request_id), at, body, number, row.line)
        )

    def _id(self, row: Row) -> UUID:
        """The n-th command of a row: the same whenever this file is read."""
        self._made += 1
        return uuid5(self._file, f"{row.line}:{self._made}")

    def _identity(self, kind: str, name: str | None) -> UUID:
        assert name is not None
        return identity(self._mapping.source, kind, name)


def _setup(log: Log, mapping: Mapping) -> Iterator[Command]:
    """Queues, teams, people and contacts, before anything refers to them."""
    seen: dict[tuple[str, str], datetime] = {}
    for rows in log.rows.values():
        for row in rows:
            for name, kind in (("team", "team"), ("owner", "person"), ("contact", "contact")):
                value = row.values[name]
                if value is not None:
                    seen.setdefault((kind, value), row.at)
    at = min(seen.values(), default=BEGINNING)
    for queue in mapping.queues:
        body = queue.model_dump(mode="json", exclude_unset=True)
        yield _registration(mapping, WORKFLOW, "draft-queue", queue.queue, body, at)
        yield _registration(mapping, WORKFLOW, "publish-queue", queue.queue, {}, at, after=str(body))
    for (kind, value), first in seen.items():
        service = INTAKE if kind == "contact" else WORKFLOW
        identifier = str(identity(mapping.source, kind, value))
        body = {f"{kind}_id": identifier, "name": value}
        yield _registration(mapping, service, f"register-{kind}", identifier, body, first)


def _registration(
    mapping: Mapping, service: str, verb: str, subject: str, body: dict[str, Any], at: datetime, after: str = ""
) -> Command:
    """A command whose id follows from what it says: the same content is registered once."""
    identifier = uuid5(uuid5(NAMESPACE, mapping.source), f"{service}.{verb}:{subject}:{sorted(body.items())}:{after}")
    return Command(identifier, service, f"{service}.{verb}", subject, at, body)
