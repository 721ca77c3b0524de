"""Candles packed into chunks: 38 bytes a bar, prices as whole numbers of their last digit.

A chunk spans 1,440 bar lengths (a day of M1) from a multiple of that span::

    version u8 · digits u8 · reserved u16 · crc32 of the rest u32 · records
    record: slot u16 · bid o,h,l,c i32 · ask o,h,l,c i32 · volume u32   (little endian)

``slot`` is the bar's number inside the chunk, ``digits`` the decimals of a price.
"""

import struct
import zlib
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars

from sep_kit.errors import CorruptRecordError

BARS_PER_CHUNK = 1440
_VERSION = 1
_HEADER = struct.Struct("<BBHI")
_RECORD = np.dtype([("slot", "<u2"), ("prices", "<i4", (8,)), ("volume", "<u4")])
_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Candle:
    """One complete candle: its start in seconds, bid o,h,l,c and ask o,h,l,c, ticks."""

    time: int
    prices: tuple[Decimal, ...]
    volume: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Decoded records of one chunk, by slot."""

    digits: int
    records: npt.NDArray[np.void]

    def __len__(self) -> int:
        return len(self.records)


EMPTY = Chunk(0, np.empty(0, _RECORD))


def chunk_start(time: int, bar_seconds: int) -> int:
    """Start of the chunk that holds a bar."""
    span = BARS_PER_CHUNK * bar_seconds
    return time // span * span


def decode(raw: bytes, where: str) -> Chunk:
    """Records of a packed chunk.

    Raises:
        CorruptRecordError: wrong version, length or checksum, or slots out of order.
    """
    if len(raw) < _HEADER.size:
        raise CorruptRecordError(f"{where}: {len(raw)} bytes are no candle chunk")
    version, digits, _, checksum = _HEADER.unpack_from(raw)
    body = memoryview(raw)[_HEADER.size :]
    if version != _VERSION or digits > _MAX_DIGITS or len(body) % _RECORD.itemsize:
        raise CorruptRecordError(f"{where}: version {version}, {len(body)} bytes: no candle chunk")
    if zlib.crc32(body) != checksum:
        raise CorruptRecordError(f"{where}: the checksum does not fit")
    records = np.frombuffer(body, _RECORD)
    slots = records["slot"].astype(np.int64)
    if len(slots) and (slots[-1] >= BARS_PER_CHUNK or (np.diff(slots) <= 0).any()):
        raise CorruptRecordError(f"{where}: bars out of order")
    return Chunk(digits, records)


def encode(chunk: Chunk) -> bytes:
    """The chunk as stored."""
    body = chunk.records.tobytes()
    return _HEADER.pack(_VERSION, chunk.digits, 0, zlib.crc32(body)) + body


def merge(chunk: Chunk, start: int, bar_seconds: int, candles: list[Candle]) -> tuple[Chunk, int]:
    """The chunk with the candles put in, each over its own slot; and how many were new or changed.

    Raises:
        ValueError: a price with more than nine decimals, or too large to store.
    """
    digits = max([chunk.digits, *(_digits(p) for c in candles for p in c.prices)])
    by_slot = {int(r["slot"]): r for r in _rescaled(chunk, digits)}
    changed = 0
    for candle in candles:
        record = np.zeros((), _RECORD)
        record["slot"] = (candle.time - start) // bar_seconds
        record["prices"] = [_scaled(p, digits) for p in candle.prices]
        record["volume"] = min(candle.volume, 2**32 - 1)
        slot = int(record["slot"])
        old = by_slot.get(slot)
        if old is None or old.tobytes() != record.tobytes():
            by_slot[slot] = record[()]
            changed += 1
    if not changed:
        return chunk, 0
    return Chunk(digits, np.array([by_slot[s] for s in sorted(by_slot)], _RECORD)), changed


def bars_of(chunk: Chunk, start: int, bar_seconds: int) -> Bars:
    """The chunk's bars as columns; whole / 10^digits is the float nearest to the decimal."""
    prices = chunk.records["prices"].astype(np.float64) / 10.0**chunk.digits
    time = start + chunk.records["slot"].astype(np.int64) * bar_seconds
    return Bars.from_rows(time, prices.T, chunk.records["volume"].astype(np.int64))


def candles_of(chunk: Chunk, start: int, bar_seconds: int) -> list[Candle]:
    """The chunk's bars as exact decimals."""
    unit = Decimal(1).scaleb(-chunk.digits)
    return [
        Candle(
            start + int(r["slot"]) * bar_seconds,
            tuple(int(p) * unit for p in r["prices"]),
            int(r["volume"]),
        )
        for r in chunk.records
    ]


def _digits(price: Decimal) -> int:
    exponent = price.as_tuple().exponent
    digits = max(0, -exponent) if isinstance(exponent, int) else _MAX_DIGITS + 1
    if digits > _MAX_DIGITS:
        raise ValueError(f"price {price} has more than {_MAX_DIGITS} decimals")
    return digits


def _scaled(price: Decimal, digits: int) -> int:
    scaled = int(price.scaleb(digits))
    if not 0 < scaled < 2**31:
        raise ValueError(f"price {price} can't be stored with {digits} decimals")
    return scaled


def _rescaled(chunk: Chunk, digits: int) -> npt.NDArray[np.void]:
    if digits == chunk.digits or not len(chunk):
        return chunk.records
    records = chunk.records.copy()
    wide = records["prices"].astype(np.int64) * 10 ** (digits - chunk.digits)
    if (wide >= 2**31).any():
        raise ValueError(f"stored prices can't be kept with {digits} decimals")
    records["prices"] = wide
    return records
