"""Messages between processes that do not trust each other: a JSON header and raw blobs.

A frame on the wire:

    4 bytes   magic, `EVO1`
    4 bytes   length of the header, big endian
    4 bytes   number of blobs, big endian
    8 bytes   length of each blob, big endian, one after the other
    header    a JSON object in UTF-8
    blobs     one after the other

Reading allocates nothing before the lengths are known to be within the limit, and executes nothing
that was sent: JSON and bytes only.
"""

import dataclasses
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

MAGIC = b"EVO1"
HEADER_LIMIT = 4 << 20  # bytes
BLOB_COUNT_LIMIT = 4096

_PREFIX = struct.Struct(">4sII")


class FrameError(ValueError):
    """What came is not a frame, or is larger than allowed."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
      header: a JSON object.
      blobs: raw bytes that go with it.
    """

    header: Mapping[str, Any]
    blobs: tuple[bytes, ...] = ()


def encode(header: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """Returns the bytes of a frame; raises FrameError where a reader would refuse it."""
    text = json.dumps(header, allow_nan=False).encode()
    if len(text) > HEADER_LIMIT or len(blobs) > BLOB_COUNT_LIMIT:
        raise FrameError(f"header of {len(text)} bytes and {len(blobs)} blobs: too large to send")
    lengths = b"".join(len(blob).to_bytes(8, "big") for blob in blobs)
    return b"".join((_PREFIX.pack(MAGIC, len(text), len(blobs)), lengths, text, *blobs))


def read(read_exactly: Callable[[int], bytes], limit: int) -> Frame:
    """Reads one frame.

    Args:
      read_exactly: returns the next so many bytes, fewer only at the end of the stream.
      limit: largest number of bytes in all blobs together.

    Raises:
      FrameError: the stream ended early, is not a frame, or exceeds a limit.
    """

    def take(length: int) -> bytes:
        data = read_exactly(length) if length else b""
        if len(data) != length:
            raise FrameError(f"expected {length} bytes, got {len(data)}")
        return data

    magic, header_length, count = _PREFIX.unpack(take(_PREFIX.size))
    if magic != MAGIC:
        raise FrameError("not a frame")
    if header_length > HEADER_LIMIT or count > BLOB_COUNT_LIMIT:
        raise FrameError(f"header of {header_length} bytes and {count} blobs: too large")
    lengths = struct.unpack(f">{count}Q", take(8 * count))
    if sum(lengths) > limit:
        raise FrameError(f"{sum(lengths)} bytes, at most {limit} allowed")
    header = _parse(take(header_length))
    return Frame(header, tuple(take(length) for length in lengths))


class Reader:
    """Takes frames off a byte string, one after the other."""

    def __init__(self, data: bytes):
        self._data = data
        self._position = 0

    @property
    def rest(self) -> int:
        """Number of bytes not read yet."""
        return len(self._data) - self._position

    def read(self, limit: int) -> Frame:
        """Returns the next frame; raises FrameError as `read` does."""
        return read(self._take, limit)

    def _take(self, length: int) -> bytes:
        start = self._position
        self._position = min(start + length, len(self._data))
        return self._data[start : self._position]


def _parse(text: bytes) -> Mapping[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise FrameError(f"{constant} in a header")

    try:
        header = json.loads(text.decode(), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"header is not JSON: {type(error).__name__}") from None
    if not isinstance(header, dict):
        raise FrameError("header is not a JSON object")
    return header
