"""Candles packed into chunks: 38 bytes a bar, prices as whole numbers of their last digit.

A chunk spans 1,440 bar lengths (a day of M1) from a multiple of that span::

    version u8 · digits u8 · reserved u16 · crc32 of all else u32 · records
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
_VERSION = 2
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
    version, digits, reserved, checksum = _HEADER.unpack_from(raw)
    body = memoryview(raw)[_HEADER.size :]
    if version != _VERSION or digits > _MAX_DIGITS or len(body) % _RECORD.itemsize:
        raise CorruptRecordError(f"{where}: version {version}, {len(body)} bytes: no candle chunk")
    if _checksum(digits, reserved, body) != checksum:
        raise CorruptRecordError(f"{where}: the checksum does not fit")
    records = np.frombuffer(body, _RECORD)
    slots = records["slot"].astype(np.int64)
    if len(slots) and (slots[-1] >= BARS_PER_CHUNK or (np.diff(slots) <= 0).any()):
        raise CorruptRecordError(f"{where}: bars out of order")
    return Chunk(digits, records)


def encode(chunk: Chunk) -> bytes:
    """The chunk as stored."""
    body = chunk.records.tobytes()
    return _HEADER.pack(_VERSION, chunk.digits, 0, _checksum(chunk.digits, 0, body)) + body


def merge(
    chunk: Chunk, start: int, bar_seconds: int, candles: list[Candle]
) -> tuple[Chunk, npt.NDArray[np.int64]]:
    """The chunk with the candles put in, each over its own slot; and the slots new or changed.

    Raises:
        ValueError: a price with more than nine decimals or too large to store, a time
            between two bars, or a volume below 0.
    """
    digits, unit = chunk.digits, Decimal(10**chunk.digits)
    # Prices of as many digits as before, the usual case, are told by one multiplication.
    if any((wide := p * unit) != wide.to_integral_value() for c in candles for p in c.prices):
        digits = max(digits, *(_digits(p) for c in candles for p in c.prices))
        unit = Decimal(10**digits)
    sent = {}
    for candle in candles:
        slot, rest = divmod(candle.time - start, bar_seconds)
        if rest:
            raise ValueError(f"candle {candle.time} starts between two bars of {bar_seconds} s")
        if candle.volume < 0:
            raise ValueError(f"candle {candle.time} has the volume {candle.volume}")
        prices = [int(p * unit) for p in candle.prices]
        if min(prices) <= 0 or max(prices) >= 2**31:
            raise ValueError(f"candle {candle.time} can't be stored with {digits} decimals")
        sent[slot] = (slot, prices, min(candle.volume, 2**32 - 1))
    new = np.array([sent[slot] for slot in sorted(sent)], _RECORD)
    old = _rescaled(chunk, digits)
    written = np.isin(old["slot"], new["slot"])
    replaced = old[written]
    changed = new[~np.isin(new, replaced)] if len(replaced) else new
    slots = changed["slot"].astype(np.int64)
    if not len(slots):
        return chunk, slots
    merged = np.concatenate([old[~written], new])
    return Chunk(digits, merged[np.argsort(merged["slot"])]), slots


def bars_of(chunk: Chunk, start: int, bar_seconds: int) -> Bars:
    """The chunk's bars as columns; whole / 10^digits is the float nearest to the decimal."""
    prices = chunk.records["prices"].astype(np.float64) / 10.0**chunk.digits
    time = start + chunk.records["slot"].astype(np.int64) * bar_seconds
    return Bars.from_rows(time, prices.T, chunk.records["volume"].astype(np.int64))


def pack_bars(bars: Bars, start: int, bar_seconds: int, digits: int) -> bytes:
    """Bars of one chunk, packed at once; prices are taken to the nearest of ``digits`` decimals.

    For bulk loads of recorded candles; what a broker sends goes through ``merge``.
    """
    records = np.empty(len(bars), _RECORD)
    records["slot"] = (bars.time - start) // bar_seconds
    rows = [getattr(bars, f"{side}_{point}") for side in ("bid", "ask") for point in "ohlc"]
    records["prices"] = np.rint(np.stack(rows, axis=1) * 10**digits).astype(np.int64)
    records["volume"] = bars.volume
    return encode(Chunk(digits, records))


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


def _checksum(digits: int, reserved: int, body: bytes | memoryview) -> int:
    # The digits too: one of them wrong is every price wrong by a factor of ten.
    return zlib.crc32(body, zlib.crc32(_HEADER.pack(_VERSION, digits, reserved, 0)))


def _digits(price: Decimal) -> int:
    exponent = price.as_tuple().exponent
    digits = max(0, -exponent) if isinstance(exponent, int) else _MAX_DIGITS + 1
    if digits > _MAX_DIGITS:
        raise ValueError(f"price {price} has more than {_MAX_DIGITS} decimals")
    return digits


def _rescaled(chunk: Chunk, digits: int) -> npt.NDArray[np.void]:
    if digits == chunk.digits or not len(chunk):
        return chunk.records
    records = chunk.records.copy()
    wide = records["prices"].astype(np.int64) * 10 ** (digits - chunk.digits)
    if (wide >= 2**31).any():
        raise ValueError(f"stored prices can't be kept with {digits} decimals")
    records["prices"] = wide
    return records
