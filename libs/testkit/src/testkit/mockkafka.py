"""A Kafka of the test's own that answers requests with the errors it is told: librdkafka's mock cluster.

It lives in this process's memory and serves protocol errors only: it checks no producer's sequence and knows no
authorisation. What is proved about delivery is proved on the real broker.
"""

import ctypes
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

PRODUCE: Final = 0
FETCH: Final = 1
OFFSET_COMMIT: Final = 8
JOIN_GROUP: Final = 11
HEARTBEAT: Final = 12
SYNC_GROUP: Final = 14

TOPIC_NOT_KNOWN: Final = 3
NOT_LEADER: Final = 6
TIMED_OUT: Final = 7
TOO_LARGE: Final = 10
LOADING: Final = 14
NOT_COORDINATOR: Final = 16
NOT_ENOUGH_REPLICAS: Final = 19
ILLEGAL_GENERATION: Final = 22
UNKNOWN_MEMBER: Final = 25
REBALANCE: Final = 27
TOPIC_AUTHORIZATION: Final = 29
GROUP_AUTHORIZATION: Final = 30
OUT_OF_ORDER_SEQUENCE: Final = 45
PRODUCER_FENCED: Final = 47
UNKNOWN_PRODUCER: Final = 59
FENCED_INSTANCE: Final = 82

_PRODUCER_TYPE = 0
_ERROR_BYTES = 512
_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "rd_kafka_conf_new": (_POINTER, ()),
    "rd_kafka_conf_set": (_INT, (_POINTER, _TEXT, _TEXT, _TEXT, ctypes.c_size_t)),
    "rd_kafka_new": (_POINTER, (_INT, _POINTER, _TEXT, ctypes.c_size_t)),
    "rd_kafka_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_new": (_POINTER, (_POINTER, _INT)),
    "rd_kafka_mock_cluster_destroy": (None, (_POINTER,)),
    "rd_kafka_mock_cluster_bootstraps": (_TEXT, (_POINTER,)),
    "rd_kafka_mock_topic_create": (_INT, (_POINTER, _TEXT, _INT, _INT)),
    "rd_kafka_mock_push_request_errors_array": (
        _INT,
        (_POINTER, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(_INT)),
    ),
    "rd_kafka_mock_partition_set_leader": (_INT, (_POINTER, _TEXT, ctypes.c_int32, ctypes.c_int32)),
    "rd_kafka_mock_coordinator_set": (_INT, (_POINTER, _TEXT, _TEXT, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_down": (_INT, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_up": (_INT, (_POINTER, ctypes.c_int32)),
}


class MockKafka:
    """A cluster of brokers on 127.0.0.1, numbered from 1."""

    def __init__(self, brokers: int = 1) -> None:
        self._lib = _library()
        said = ctypes.create_string_buffer(_ERROR_BYTES)
        settings = self._lib.rd_kafka_conf_new()
        self._lib.rd_kafka_conf_set(settings, b"log_level", b"0", said, _ERROR_BYTES)
        self._client = self._lib.rd_kafka_new(_PRODUCER_TYPE, settings, said, _ERROR_BYTES)
        if not self._client:
            raise OSError(said.value.decode())
        self._cluster = self._lib.rd_kafka_mock_cluster_new(self._client, brokers)
        self.bootstrap: list[str] = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode().split(",")

    def close(self) -> None:
        """End it, and everything that was written with it."""
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)

    def topic(self, name: str, partitions: int) -> None:
        """Make a topic."""
        self._done(self._lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1))

    def answer(self, request: int, errors: Sequence[int]) -> None:
        """Let the next requests of a kind be answered with these errors, one each; 0 is an ordinary answer."""
        codes = (_INT * len(errors))(*errors)
        self._done(self._lib.rd_kafka_mock_push_request_errors_array(self._cluster, request, len(errors), codes))

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Move a partition to another broker."""
        self._done(self._lib.rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, broker))

    def coordinate(self, group: str, broker: int) -> None:
        """Move a group's coordinator to another broker."""
        self._done(self._lib.rd_kafka_mock_coordinator_set(self._cluster, b"group", group.encode(), broker))

    def down(self, broker: int) -> None:
        """Hang up all connections of a broker and take no new ones."""
        self._done(self._lib.rd_kafka_mock_broker_set_down(self._cluster, broker))

    def up(self, broker: int) -> None:
        """Let a broker that was down take connections again."""
        self._done(self._lib.rd_kafka_mock_broker_set_up(self._cluster, broker))

    @staticmethod
    def _done(code: int) -> None:
        if code:
            raise OSError(f"the mock cluster answers {code}")


@contextmanager
def mock_kafka(brokers: int = 1) -> Iterator[MockKafka]:
    """A cluster for the duration of a block."""
    cluster = MockKafka(brokers)
    try:
        yield cluster
    finally:
        cluster.close()


def _library() -> Any:
    """The librdkafka in the wheel of confluent-kafka; without the wheel there is nothing to test with."""
    spec = importlib.util.find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    [path] = (Path(spec.origin).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, list(arguments)
    return library
