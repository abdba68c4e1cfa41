"""Records with a header whose name is no UTF-8, which any client can write: read all the same.

aiokafka raises for such a record, the consumer stops there for good, and what it had fetched of other partitions is
lost. So a fetch in which that happens is read once more, in Python, with the name's bytes spelled out (`\\xff`).
"""

from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.record.util import decode_varint_py


class Fetched(MemoryRecords):  # type: ignore[misc]
    """The records of one partition, and the bytes that they are read from."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class Records(fetcher.PartitionRecords):  # type: ignore[misc]
    """Goes on leniently, from the record that could not be read."""

    _records: Any

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except UnicodeDecodeError:
            self._records = _LenientRecords(self._records.data)
            self._records_iterator = self._unpack_records()
            return super().__next__()


class _LenientRecords(_MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self, *_: Any) -> Any:
        batch = self._next_slice
        self._cache_next()
        return _LenientBatch(batch)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        if not isinstance(self._buffer, _Bytes):
            self._buffer = _Bytes(self._buffer)

    def _read_msg(self, *_: Any) -> Any:
        return super()._read_msg(decode_varint_py)


class _Bytes(bytearray):
    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Bytes(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


def install() -> None:
    """Let every consumer of this process read so; called again it changes nothing."""
    fetcher.MemoryRecords, fetcher.PartitionRecords = Fetched, Records
