"""What a library repeats while its server is away does not bury what the service itself says."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from chassis import logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logs.setup("intake", "worker", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


def test_what_aiokafka_repeats_is_written_once_in_ten_seconds_with_the_number_left_out(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = logging.getLogger("aiokafka")
    for node in range(500):
        client.error("Unable connect to node with id %s: %s", node, "refused")
    client.error("Unable to update metadata from %s", [1])
    assert lines(written) == ["Unable connect to node with id 0: refused", "Unable to update metadata from [1]"]
    later = logs.time.monotonic() + logs._SPARED_SECONDS + 0.1
    monkeypatch.setattr("chassis.logs.time.monotonic", lambda: later)
    client.error("Unable connect to node with id %s: %s", 1, "refused")
    assert lines(written)[2:] == ["Unable connect to node with id 1: refused (and 499 more like it)"]


def test_what_the_service_says_is_never_left_out(written: io.StringIO) -> None:
    for _ in range(20):
        logging.getLogger("chassis.lanes").warning("not_published")
    assert lines(written) == ["not_published"] * 20
