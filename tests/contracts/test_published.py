"""What is published: the generated files are current, and the AsyncAPI document is what AsyncAPI says it is."""

import json
import os
import re
import shutil
import subprocess
import tarfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from jsonschema import Draft7Validator, Draft202012Validator

from contracts.generate import EXAMPLE_FILES, ROOT, SCHEMA_FILES, generated, main, stale
from contracts.publish.asyncapi import channel_id
from contracts.publish.handbook import type_text
from contracts.registry import CLIENT_TOPICS, COMMANDS, MESSAGES, TOPICS, messages_on

ASYNCAPI_SPECS = "@asyncapi/specs@6.11.1"
ASYNCAPI_SCHEMA = "package/schemas/3.0.0.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(
        (ROOT / "docs/asyncapi.yaml").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )
    return loaded


@pytest.fixture(scope="module")
def handbook() -> str:
    return (ROOT / "docs/events.md").read_text()


@pytest.fixture(scope="module")
def asyncapi_schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """AsyncAPI's own JSON Schema of version 3.0, from its npm package; kept in the user's cache."""
    kept = Path.home() / ".cache/throughline/asyncapi-3.0.0.json"
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("no Node here: AsyncAPI's own schema comes from npm")
        folder = tmp_path_factory.mktemp("asyncapi")
        try:
            command = [npm, "pack", "--silent", ASYNCAPI_SPECS]
            packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
        except (subprocess.SubprocessError, OSError):
            pytest.skip(f"npm cannot fetch {ASYNCAPI_SPECS} here")
        keep(folder / packed.stdout.split()[-1], kept)
    schema: dict[str, Any] = json.loads(kept.read_bytes())
    return schema


def keep(package: Path, kept: Path) -> None:
    with tarfile.open(package) as archive:
        content = archive.extractfile(ASYNCAPI_SCHEMA)
        assert content is not None
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes(content.read())
        part.replace(kept)


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in references(value)]
    return [ref for one in node for ref in references(one)] if isinstance(node, list) else []


def dangling(document: dict[str, Any]) -> list[str]:
    """References that lead nowhere."""

    def leads_nowhere(ref: str) -> bool:
        node: Any = document
        for step in ref.removeprefix("#/").split("/"):
            if step not in node:
                return True
            node = node[step]
        return False

    return sorted({ref for ref in references(document) if leads_nowhere(ref)})


def test_generated_files_are_up_to_date() -> None:
    assert [str(path.relative_to(ROOT)) for path in stale(generated(ROOT))] == []


def test_a_generated_file_that_was_edited_by_hand_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / EXAMPLE_FILES, tmp_path / EXAMPLE_FILES)
    shutil.copytree(ROOT / SCHEMA_FILES, tmp_path / SCHEMA_FILES)
    assert main(["--root", str(tmp_path)]) == 0
    page = tmp_path / "docs/events.md"
    page.write_text(page.read_text() + "PS\n")
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert page.read_text().endswith("PS\n")


def test_N4_the_document_is_valid_by_asyncapis_own_schema(
    document: dict[str, Any], asyncapi_schema: dict[str, Any]
) -> None:
    faults = [f"{list(error.absolute_path)}: {error.message}" for error in faults_of(document, asyncapi_schema)]
    assert faults == []


def faults_of(document: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    return list(Draft7Validator(schema).iter_errors(document))


@pytest.mark.parametrize("breach", ["no version", "unknown member", "action of no kind", "binding of no kind"])
def test_asyncapis_own_schema_finds(breach: str, document: dict[str, Any], asyncapi_schema: dict[str, Any]) -> None:
    broken = deepcopy(document)
    match breach:
        case "no version":
            del broken["info"]["version"]
        case "unknown member":
            broken["chanels"] = {}
        case "action of no kind":
            broken["operations"]["send-workflow-requests"]["action"] = "publish"
        case "binding of no kind":
            broken["channels"]["workflow-requests"]["bindings"]["kafka"]["partitions"] = "12"
    assert faults_of(broken, asyncapi_schema)


def test_N4_the_document_reads_as_asyncapi_3_without_node(document: dict[str, Any]) -> None:
    without_servers = {name: value for name, value in document.items() if name != "servers"}
    ApplicationSchema.model_validate(without_servers)
    assert document["asyncapi"] == "3.0.0"
    assert dangling(document) == []


def test_a_reference_that_leads_nowhere_is_found(document: dict[str, Any]) -> None:
    broken = deepcopy(document)
    del broken["components"]["schemas"]["Money"]
    assert dangling(broken) == ["#/components/schemas/Money"]


def test_every_topic_is_a_channel_with_its_messages_owner_and_retention(document: dict[str, Any]) -> None:
    topics = (*TOPICS, *CLIENT_TOPICS)
    assert set(document["channels"]) == {channel_id(topic) for topic in topics}
    for topic in topics:
        channel = document["channels"][channel_id(topic)]
        assert channel["address"] == topic.name
        assert set(channel["messages"]) == {message.wire_type() for message in messages_on(topic)}
        assert (channel["x-owner"], channel["x-readers"]) == (topic.owner, list(topic.readers))
        configuration = channel["bindings"]["kafka"]["topicConfiguration"]
        assert configuration["retention.ms"] == topic.retention_ms
        assert configuration["cleanup.policy"] == [topic.cleanup]


def test_every_operation_has_a_channel_and_every_channel_an_operation(document: dict[str, Any]) -> None:
    used = [operation["channel"]["$ref"] for operation in document["operations"].values()]
    assert sorted(used) == sorted(f"#/channels/{name}" for name in document["channels"])


@pytest.mark.parametrize("name", sorted(message.wire_type() for message in MESSAGES.values()))
def test_every_example_in_the_document_is_what_its_schema_there_says(name: str, document: dict[str, Any]) -> None:
    message = document["components"]["messages"][name]
    whole = {"$ref": message["payload"]["$ref"], "components": document["components"]}
    assert message["examples"]
    for example in message["examples"]:
        Draft202012Validator(whole).validate(example["payload"])


def test_the_handbook_has_every_message_topic_and_field(handbook: str) -> None:
    for message in MESSAGES.values():
        _, found, rest = handbook.partition(f"\n### {message.wire_type()}\n")
        section = rest.split("\n### ")[0]
        assert found, message.wire_type()
        own = [name for name in message.model_fields if name not in ("actor", "effective_at", "expected_version")]
        assert [name for name in own if f"| `{name}`" not in section] == []
    assert [topic.name for topic in (*TOPICS, *CLIENT_TOPICS) if f"| `{topic.name}` |" not in handbook] == []


def test_both_say_which_scope_each_command_needs(document: dict[str, Any], handbook: str) -> None:
    for command in COMMANDS:
        name, scope = command.wire_type(), command.scope
        assert document["components"]["messages"][name]["x-scope"] == scope
        assert f"| `{name}` | `{command.service}.commands.<client>` | `{scope}` |" in handbook
        assert f"Needs the scope `{scope}`." in handbook.partition(f"\n### {name}\n")[2].split("\n### ")[0]


def test_N12_the_handbook_marks_personal_fields(handbook: str) -> None:
    section = handbook.partition("\n### intake.contact.v1\n")[2].split("\n### ")[0]
    assert "| `email` ◆ |" in section
    assert "| `locale` |" in section


def test_links_within_the_handbook_lead_somewhere(handbook: str) -> None:
    titles = re.findall(r"^#+ (.+)$", handbook, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", handbook)) <= anchors


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "format": "uuid"}, "id"),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, "time"),
        ({"type": "array", "items": {"$ref": "#/$defs/InvoiceLine"}}, "list of [InvoiceLine](#invoiceline)"),
        ({"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}, "map of integer ≥ 1"),
        ({"type": "string", "maxLength": 200}, "text ≤ 200"),
        ({"type": "string", "x-known-values": ["a", "b"]}, "one of `a`, `b`, …"),
        ({"type": "boolean"}, "boolean"),
        ({}, "any JSON"),
    ],
)
def test_types_are_told_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_text(schema) == words
