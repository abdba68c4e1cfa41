"""A connection to Kafka that is closed under a request is a broken connection, on the event loop that services use."""

import asyncio

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from chassis import brokenlinks


async def _sent_on_a_closed_transport() -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    connection = AIOKafkaConnection("127.0.0.1", server.sockets[0].getsockname()[1])
    await connection.connect()
    connection._versions = {MetadataRequest.API_KEY: (0, 5)}
    connection._writer.transport.abort()
    try:
        connection.send(MetadataRequest([]))
    finally:
        connection.close()
        server.close()
        await server.wait_closed()


def test_writing_to_a_closed_transport_breaks_the_connection_instead_of_the_task_that_writes() -> None:
    brokenlinks.install()
    with pytest.raises(KafkaConnectionError):
        uvloop.run(_sent_on_a_closed_transport())


def test_without_it_the_error_is_none_that_a_client_of_kafka_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "send", brokenlinks._send)
    with pytest.raises(RuntimeError, match="closed"):
        uvloop.run(_sent_on_a_closed_transport())
