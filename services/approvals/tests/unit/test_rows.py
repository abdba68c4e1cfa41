"""Rows and answers that facts make."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from approvals.deciders import APPROVAL_FILES
from approvals.domain.messages import Ask, CastVote, Open, Policy
from approvals.domain.records import Person
from approvals.domain.state import ApprovalFile
from chassis.decision import Actor
from testkit.deciding import Facts

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
REQUEST, CONTACT, ANNA, BO = (UUID(int=n) for n in range(1, 5))
KNOWN = Facts({("person", str(each)): Person(each, True) for each in (ANNA, BO)})
ASK = Ask(
    UUID(int=50), "New", "Work", 1, "hash", Policy("any"), (ANNA, BO), "R-1", "Down", None, NOON + timedelta(hours=1)
)


class Rows:
    """The tables as the chassis would fill them."""

    def __init__(self) -> None:
        self.file: ApprovalFile | None = None
        self.tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self.answer: dict[str, Any] = {}

    def tell(self, message: Any) -> None:
        facts = APPROVAL_FILES.decide(self.file, message, NOON, KNOWN)
        for fact in facts:
            self.file = APPROVAL_FILES.evolve(self.file, fact)
            for table, row in APPROVAL_FILES.children(REQUEST, self.file, fact, NOON):
                assert row.keys() == set(table.c.keys())
                key = tuple(row[column.name] for column in table.primary_key)
                self.tables.setdefault(table.name, {})[key] = row
        assert self.file is not None
        self.answer = APPROVAL_FILES.answer(REQUEST, self.file, facts)

    def decisions(self) -> dict[UUID, str | None]:
        return {row["person_id"]: row["decision"] for row in self.tables["votes"].values()}

    def vote(self, person: UUID) -> CastVote:
        assert self.file is not None
        approval = self.file.open[0] if self.file.open else self.file.settled[0]
        return CastVote(approval.approval_id, "approve", None, Actor("person", person))


def test_S63_asking_puts_the_approval_on_the_list_of_every_approver() -> None:
    rows = Rows()
    rows.tell(Open(CONTACT))
    rows.tell(ASK)
    [asked] = rows.tables["approvals"].values()
    assert (asked["request_id"], asked["contact_id"], asked["summary"]) == (REQUEST, CONTACT, "Down")
    assert rows.decisions() == {ANNA: None, BO: None}


def test_S63_once_settled_the_others_are_no_longer_required() -> None:
    rows = Rows()
    rows.tell(ASK)
    rows.tell(rows.vote(ANNA))
    assert rows.decisions() == {ANNA: "approve", BO: "not-required"}
    [settlement] = rows.tables["settlements"].values()
    assert (settlement["outcome"], settlement["settled_at"]) == ("granted", NOON)
    assert rows.answer["approvals"][0]["outcome"] == "granted"


def test_a_late_vote_is_on_record_as_late() -> None:
    rows = Rows()
    rows.tell(ASK)
    rows.tell(rows.vote(ANNA))
    rows.tell(rows.vote(BO))
    late = [row for row in rows.tables["votes"].values() if row["late"]]
    assert [(row["person_id"], row["decision"]) for row in late] == [(BO, "approve")]


def test_an_answer_says_how_many_are_still_awaited() -> None:
    rows = Rows()
    rows.tell(ASK)
    [standing] = rows.answer["approvals"]
    assert (standing["outcome"], standing["needed"], standing["waiting"]) == (None, 1, 2)


def test_a_file_names_the_contact_whose_erasure_concerns_it() -> None:
    rows = Rows()
    rows.tell(Open(CONTACT))
    rows.tell(Open(BO))
    assert rows.file is not None
    assert list(APPROVAL_FILES.persons(rows.file)) == [CONTACT]
    assert list(APPROVAL_FILES.persons(ApprovalFile())) == []
