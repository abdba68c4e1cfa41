"""The importer's side of Kafka, before anything is sent."""

import logging
import re
import shlex

import pytest
from typer.testing import CliRunner

from chassis.topics import Topics
from cli.importing.exchange import Exchange, NotReady, Target
from cli.main import app
from contracts.registry import topic, topics_of_client
from contracts.scopes import unknown
from testkit.plugin import KafkaServer

pytestmark = pytest.mark.servers


async def test_a_client_without_topics_is_told_at_once_how_to_register(
    kafka: KafkaServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    await Topics(prefix, 1, bootstrap_servers=kafka.bootstrap).apply([topic("workflow.requests")])
    exchange = Exchange(Target("stranger", prefix, {"bootstrap_servers": kafka.bootstrap}))
    with caplog.at_level(logging.WARNING), pytest.raises(NotReady, match="there is no topic") as refused:
        await exchange.start()
    await exchange.close()
    said, command = str(refused.value).split("\n")
    names = {f"{prefix}.{service}.results.stranger" for service in ("intake", "workflow")}
    assert set(re.findall(r"[\w.-]+\.results\.stranger", said)) == names
    assert "workflow.requests" not in said
    assert caplog.records == []
    check_registers(command)


def check_registers(command: str) -> None:
    """The command is one that `throughline` takes, and asks for no scope that there is not."""
    program, *arguments = shlex.split(command)
    assert program == "throughline"
    assert unknown(arguments[arguments.index("--scope") + 1]) == []
    assert "no installation is up here" in CliRunner().invoke(app, arguments).output


async def test_a_registered_client_is_let_in(kafka: KafkaServer, prefix: str) -> None:
    topics = (topic("workflow.requests"), *topics_of_client("erp", ("intake", "workflow")))
    await Topics(prefix, 1, bootstrap_servers=kafka.bootstrap).apply(topics)
    exchange = Exchange(Target("erp", prefix, {"bootstrap_servers": kafka.bootstrap}))
    await exchange.start()
    assert [answers async for answers in exchange.earlier()] == []
    await exchange.close()
