"""Candles packed into chunks: 38 bytes per bar, prices as integers in units of the last digit.

A chunk spans 1,440 bar lengths (a day of M1) from a multiple of that span::

    version u8 · digits u8 · reserved u16 · crc32 of all else u32 · records
    record: slot u16 · bid o,h,l,c i32 · ask o,h,l,c i32 · volume u32   (little endian)

``slot`` is the index of the bar within the chunk, ``digits`` the number of decimals of a price.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
from sep_fx.bars import Bars

from sep_kit.errors import CorruptRecordError

BARS_PER_CHUNK = 1440
MAX_DIGITS = 9
MAX_POINTS = 2**31 - 1
"""The largest price that can be stored, in units of its last digit."""

_VERSION = 2
_HEADER = struct.Struct("<BBHI")
_RECORD = np.dtype([("slot", "<u2"), ("prices", "<i4", (8,)), ("volume", "<u4")])
_MAX_VOLUME = 2**32 - 1

Ints = npt.NDArray[np.int64]
_Instant = TypeVar("_Instant", int, Ints)


@dataclass(frozen=True, slots=True)
class Candle:
    """One complete candle: start in seconds, prices (bid o,h,l,c, ask o,h,l,c), number of ticks."""

    time: int
    prices: tuple[Decimal, ...]
    volume: int


@dataclass(frozen=True, slots=True)
class CandleColumns:
    """n complete candles as columns; a price is exactly ``points`` / 10^``digits``.

    ``time`` holds starts in seconds; ``points`` has shape (n, 8): bid o,h,l,c, ask o,h,l,c.
    """

    time: Ints
    points: Ints
    volume: Ints
    digits: int

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, candles: Iterable[Candle]) -> Self:
        """Columns of the candles, in the given order.

        Raises:
            ValueError: a price has more than nine decimals or is too large.
        """
        rows = list(candles)
        digits = max((_digits(p) for c in rows for p in c.prices), default=0)
        try:
            points = np.array([[int(p.scaleb(digits)) for p in c.prices] for c in rows], np.int64)
            volume = np.array([c.volume for c in rows], np.int64)
        except OverflowError as error:
            raise ValueError(f"candles that can't be stored: {error}") from error
        time = np.array([c.time for c in rows], np.int64)
        return cls(time, points.reshape(len(rows), 8), volume, digits)

    def where(self, mask: npt.NDArray[np.bool_]) -> Self:
        """The candles selected by a boolean mask."""
        return type(self)(self.time[mask], self.points[mask], self.volume[mask], self.digits)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Decoded records of one chunk, by slot."""

    digits: int
    records: npt.NDArray[np.void]

    def __len__(self) -> int:
        return len(self.records)

    def between(self, since: int, until: int, bar_seconds: int) -> "Chunk":
        """The bars that start in ``[since, until)`` seconds after the chunk does."""
        edges = [-(-edge // bar_seconds) for edge in (since, until)]
        first, last = np.searchsorted(self.records["slot"], edges)
        return Chunk(self.digits, self.records[first:last])


EMPTY = Chunk(0, np.empty(0, _RECORD))


def chunk_start(time: _Instant, bar_seconds: int) -> _Instant:
    """Start of the chunk that contains a bar; works on arrays too."""
    span = BARS_PER_CHUNK * bar_seconds
    return time // span * span


def decode(raw: bytes, where: str) -> Chunk:
    """Decode a packed chunk; ``where`` names it in errors.

    Raises:
        CorruptRecordError: wrong version, length or checksum, or slots out of order.
    """
    if len(raw) < _HEADER.size:
        raise CorruptRecordError(f"{where}: {len(raw)} bytes are no candle chunk")
    version, digits, reserved, checksum = _HEADER.unpack_from(raw)
    body = memoryview(raw)[_HEADER.size :]
    if version != _VERSION or digits > MAX_DIGITS or len(body) % _RECORD.itemsize:
        raise CorruptRecordError(f"{where}: version {version}, {len(body)} bytes: no candle chunk")
    if _checksum(digits, reserved, body) != checksum:
        raise CorruptRecordError(f"{where}: the checksum does not fit")
    records = np.frombuffer(body, _RECORD)
    slots = records["slot"].astype(np.int64)
    if len(slots) and (slots[-1] >= BARS_PER_CHUNK or (np.diff(slots) <= 0).any()):
        raise CorruptRecordError(f"{where}: bars out of order")
    return Chunk(digits, records)


def encode(chunk: Chunk) -> bytes:
    """Pack a chunk for storage."""
    body = chunk.records.tobytes()
    return _HEADER.pack(_VERSION, chunk.digits, 0, _checksum(chunk.digits, 0, body)) + body


def merge(chunk: Chunk, start: int, bar_seconds: int, candles: CandleColumns) -> tuple[Chunk, Ints]:
    """Write candles into a chunk; returns the new chunk and the slots that are new or changed.

    Raises:
        ValueError: a price is not above 0 or too large to store, a time is not a bar start, or
            a volume is below 0.
    """
    digits = max(chunk.digits, candles.digits)
    new = _records(candles, start, bar_seconds, digits)
    old = _rescaled(chunk, digits)
    at = np.searchsorted(old["slot"], new["slot"])
    there = np.isin(new["slot"], old["slot"])
    before, after = old[at[there]], new[there]
    same = (before["prices"] == after["prices"]).all(axis=1) & (before["volume"] == after["volume"])
    changed = ~there
    changed[there] = ~same
    slots = new["slot"][changed].astype(np.int64)
    if not len(slots):
        return chunk, slots
    merged = np.concatenate([old[~np.isin(old["slot"], new["slot"])], new])
    return Chunk(digits, merged[np.argsort(merged["slot"])]), slots


def _records(
    candles: CandleColumns, start: int, bar_seconds: int, digits: int
) -> npt.NDArray[np.void]:
    """The candles as records by slot; of two candles for one slot the later wins."""
    slots, rests = np.divmod(candles.time - start, bar_seconds)
    _refuse(candles, rests != 0, f"starts between two bars of {bar_seconds} s")
    _refuse(candles, candles.volume < 0, "has a volume below 0")
    # Checked before scaling too, which could overflow.
    unfit = f"can't be stored with {digits} decimals"
    _refuse(candles, _out_of_range(candles.points), unfit)
    points = candles.points * 10 ** (digits - candles.digits)
    _refuse(candles, _out_of_range(points), unfit)
    _, last = np.unique(slots[::-1], return_index=True)
    last = len(slots) - 1 - last
    records = np.empty(len(last), _RECORD)
    records["slot"] = slots[last]
    records["prices"] = points[last]
    records["volume"] = np.minimum(candles.volume[last], _MAX_VOLUME)
    return records


def _out_of_range(points: Ints) -> npt.NDArray[np.bool_]:
    out: npt.NDArray[np.bool_] = np.any((points <= 0) | (points > MAX_POINTS), axis=1)
    return out


def _refuse(candles: CandleColumns, bad: npt.NDArray[np.bool_], why: str) -> None:
    if bad.any():
        raise ValueError(f"candle {candles.time[bad][0]} {why}")


def bars_of(chunk: Chunk, start: int, bar_seconds: int) -> Bars:
    """The chunk's bars as columns; each price is the float nearest to its decimal."""
    prices = chunk.records["prices"].astype(np.float64) / 10.0**chunk.digits
    time = start + chunk.records["slot"].astype(np.int64) * bar_seconds
    return Bars.from_rows(time, prices.T, chunk.records["volume"].astype(np.int64))


def pack_bars(bars: Bars, start: int, bar_seconds: int, digits: int) -> bytes:
    """Pack the bars of one chunk, with prices rounded to ``digits`` decimals.

    For bulk loads of recorded candles; candles from a broker go through ``merge``.
    """
    records = np.empty(len(bars), _RECORD)
    records["slot"] = (bars.time - start) // bar_seconds
    rows = [getattr(bars, f"{side}_{point}") for side in ("bid", "ask") for point in "ohlc"]
    records["prices"] = np.rint(np.stack(rows, axis=1) * 10**digits).astype(np.int64)
    records["volume"] = bars.volume
    return encode(Chunk(digits, records))


def columns_of(chunk: Chunk, start: int, bar_seconds: int) -> CandleColumns:
    """The chunk's bars as columns."""
    return CandleColumns(
        start + chunk.records["slot"].astype(np.int64) * bar_seconds,
        chunk.records["prices"].astype(np.int64),
        chunk.records["volume"].astype(np.int64),
        chunk.digits,
    )


def candles_of(chunk: Chunk, start: int, bar_seconds: int) -> list[Candle]:
    """The chunk's bars as exact decimals."""
    unit = Decimal(1).scaleb(-chunk.digits)
    rows = zip(
        (start + chunk.records["slot"].astype(np.int64) * bar_seconds).tolist(),
        chunk.records["prices"].tolist(),
        chunk.records["volume"].tolist(),
        strict=True,
    )
    return [
        Candle(time, tuple(points * unit for points in prices), volume)
        for time, prices, volume in rows
    ]


def _checksum(digits: int, reserved: int, body: bytes | memoryview) -> int:
    # Includes the digits: a wrong value would scale every price.
    return zlib.crc32(body, zlib.crc32(_HEADER.pack(_VERSION, digits, reserved, 0)))


def _digits(price: Decimal) -> int:
    exponent = price.as_tuple().exponent
    digits = max(0, -exponent) if isinstance(exponent, int) else MAX_DIGITS + 1
    if digits > MAX_DIGITS:
        raise ValueError(f"price {price} has more than {MAX_DIGITS} decimals")
    return digits


def _rescaled(chunk: Chunk, digits: int) -> npt.NDArray[np.void]:
    if digits == chunk.digits or not len(chunk):
        return chunk.records
    records = chunk.records.copy()
    wide = records["prices"].astype(np.int64) * 10 ** (digits - chunk.digits)
    if (wide > MAX_POINTS).any():
        raise ValueError(f"stored prices can't be represented with {digits} decimals")
    records["prices"] = wide
    return records
