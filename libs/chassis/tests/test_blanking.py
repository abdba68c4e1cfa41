"""What is left of a record when the person it is about is erased: everything that its contract does not mark."""

from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from chassis.blanking import ERASED, blanked
from contracts import intake, registry

EXAMPLES = Path(__file__).parents[2] / "contracts/examples"
SECRET = "Carlsecret"
SUBMIT = {"contact_id": str(uuid4()), "queue": "support", "summary": SECRET, "custom": {"who": SECRET}}


def said(wire: str) -> list[tuple[str, bytes | None]]:
    return [("ce_type", wire.encode()), ("content-type", None)]


def test_a_command_is_still_one_without_its_personal_fields() -> None:
    left = blanked(said("intake.submit.v1"), orjson.dumps(SUBMIT))
    assert left is not None
    command = intake.Submit.model_validate_json(left)
    assert (str(command.contact_id), command.queue) == (SUBMIT["contact_id"], "support")
    assert (command.summary, command.custom) == (ERASED, {})


def test_in_structured_mode_the_envelope_stays() -> None:
    envelope = {"specversion": "1.0", "id": "x", "type": "intake.submit.v1", "data": SUBMIT}
    left = orjson.loads(blanked([("content-type", b"application/cloudevents+json")], orjson.dumps(envelope)) or b"")
    assert {**left, "data": None} == {**envelope, "data": None}
    assert SECRET not in str(left)


@pytest.mark.parametrize(
    ("wire", "record"),
    [
        ("intake.submit.v1", b"no json"),
        ("intake.submit.v1", b"[1]"),
        ("intake.submit.v1", b'{"summary": "Carlsecret"}'),
        ("intake.of-next-year.v1", b"{}"),
        ("intake.submit.v77", b"{}"),
        ("intake.submit", b"{}"),
    ],
)
def test_what_cannot_be_read_is_not_kept(wire: str, record: bytes) -> None:
    assert blanked(said(wire), record) is None


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*/full.json")), ids=lambda path: path.parent.name)
def test_every_message_of_the_contract_can_do_without_what_it_marks(example: Path) -> None:
    left = blanked(said(example.parent.name), example.read_bytes())
    assert left is not None
    name, _, version = example.parent.name.rpartition(".v")
    found = registry.find(name, int(version))
    assert found is not None
    body = orjson.loads(left)
    assert {body[field] for field in found.personal_fields() if field in body} <= {ERASED}
