"""How this process reaches Kafka: the same options for consumers, producers and administration."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.helpers import create_ssl_context

from chassis import brokenlinks

if TYPE_CHECKING:
    from chassis.settings import CommonSettings

IDLE_MS = 1500
"""How long a broker holds an answer back when there is nothing: every one costs for each partition, and whatever else
is asked on that connection comes behind it. Half of what readiness waits for an answer (3 s)."""
_UNTIL_TAKEN = 600.0
"""Seconds, longer than a batch may be in hand."""


def options(settings: "CommonSettings") -> dict[str, Any]:
    """What aiokafka's clients need to connect, as the settings say."""
    brokenlinks.install()
    found: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap.split(","),
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security.endswith("SSL"):
        found["ssl_context"] = create_ssl_context(
            cafile=_path(settings.kafka_ca_file),
            certfile=_path(settings.kafka_cert_file),
            keyfile=_path(settings.kafka_key_file),
        )
    if settings.kafka_security.startswith("SASL"):
        assert settings.kafka_password is not None  # the settings refuse a start without it
        found["sasl_mechanism"] = settings.kafka_sasl_mechanism
        found["sasl_plain_username"] = settings.kafka_username
        found["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return found


def fetching_whole(consumer: AIOKafkaConsumer) -> None:
    """Let a started consumer fetch no more while something is not taken yet.

    aiokafka asks again after a tenth of a second, for the other partitions alone; what comes then on those that are
    left out waits until something comes on the others.
    """
    consumer._fetcher._prefetch_backoff = _UNTIL_TAKEN


def on_answer(consumer: AIOKafkaConsumer, tell: Callable[[], None]) -> None:
    """Let it be told whenever a broker has answered a consumer, whatever it was asked."""
    send = consumer._client.send

    async def sent(*args: Any, **kwargs: Any) -> Any:
        answer = await send(*args, **kwargs)
        tell()
        return answer

    consumer._client.send = sent


async def silent(client: AIOKafkaClient | None) -> str | None:
    """None when a broker answers this client now, else what is wrong: a consumer alone never tells."""
    if client is None:
        return "not connected yet"
    return None if await client.force_metadata_update() else "no broker answers"


def _path(path: object) -> str | None:
    return None if path is None else str(path)
