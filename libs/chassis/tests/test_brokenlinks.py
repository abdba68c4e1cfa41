"""A connection to Kafka that is closed under a request is a broken connection, whatever the event loop calls it."""

from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from chassis import brokenlinks


async def test_writing_to_a_closed_transport_breaks_the_connection_instead_of_the_task_that_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def closed(*_: Any) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    monkeypatch.setattr(brokenlinks, "_send", closed)
    with pytest.raises(KafkaConnectionError, match="broken"):
        brokenlinks.send(AIOKafkaConnection("127.0.0.1", 9), object())


def test_every_connection_of_the_process_does_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "send", brokenlinks._send)
    brokenlinks.install()
    assert AIOKafkaConnection.send is brokenlinks.send
