"""A link to Kafka that broke a moment ago, told as what it is.

aiokafka expects an OSError from writing to a transport that is closed. uvloop raises RuntimeError there, which ended
the task that fetches: the consumer kept its partitions, answered every poll with nothing, and heard no more for ever.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def send(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    """Send a request; raises KafkaConnectionError, after which a new connection is made, when the link is broken."""
    try:
        return _send(self, request, expect_response)
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error


def install() -> None:
    """Let every connection of this process do so; called again it changes nothing."""
    AIOKafkaConnection.send = send
