"""Converts between protobuf messages and candles."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from sep.gateway.v1 import gateway_pb2 as pb
from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_MS, NS_PER_SECOND, parse_rfc3339
from sep_kit.errors import InvalidArgumentError
from sep_kit.store.candle_chunks import CandleColumns

from sep_gateway.application.candle_service import CandleQuery, FetchedCandles

_DEFAULT_LIMIT = 120
# Candles that are converted at once: half a millisecond.
_SLICE = 100
_MS = re.compile(r"\d{1,15}(?:\.\d{1,6})?")


def candle_query(request: pb.ListCandlesRequest, default: Granularity) -> CandleQuery:
    """The query of a request.

    Raises:
        InvalidArgumentError: unknown granularity, invalid time, or ``from`` after ``to``.
    """
    granularity = granularity_of(request.granularity, default)
    # "from" is a keyword in Python, so attribute syntax is not possible.
    since = _bar_start("from", getattr(request, "from"))
    until = _bar_start("to", request.to)
    if since is not None and until is not None and since > until:
        raise InvalidArgumentError("from is after to; from must not be after to", field="from")
    return CandleQuery(
        instrument=request.instrument,
        granularity=granularity,
        limit=request.limit or _DEFAULT_LIMIT,
        since=since,
        until=until,
    )


def granularity_of(text: str, default: Granularity) -> Granularity:
    """The granularity, or the default if the text is empty.

    Raises:
        InvalidArgumentError: there is no such granularity; lists the allowed ones.
    """
    if not text:
        return default
    try:
        return Granularity(text)
    except ValueError:
        allowed = ", ".join(Granularity)
        raise InvalidArgumentError(
            f"granularity {text!r} is unknown; allowed are {allowed}", field="granularity"
        ) from None


def _bar_start(field: str, text: str) -> int | None:
    """First whole second at or after an instant; None if the text is empty."""
    if not text:
        return None
    try:
        in_ms = _MS.fullmatch(text) is not None
        instant_ns = int(Decimal(text) * NS_PER_MS) if in_ms else parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise InvalidArgumentError(
            f"{field} {text!r} is not a time; allowed are RFC 3339, such as "
            "2014-05-01T00:00:00Z, and ms since the epoch, such as 1398902400000",
            field=field,
        ) from None
    return -(-instant_ns // NS_PER_SECOND)


def stored_candles_message(fetched: FetchedCandles, granularity: Granularity) -> pb.StoredCandles:
    """The result of fetching one instrument."""
    return pb.StoredCandles(
        instrument=fetched.instrument,
        granularity=granularity.value,
        fetched=fetched.load.fetched,
        stored=fetched.load.stored,
        quarantined=fetched.load.quarantined,
        last_ts_ms=None if fetched.last is None else fetched.last * 1000,
    )


def slices(columns: Iterable[CandleColumns]) -> Iterator[CandleColumns]:
    """The candles in parts that take a millisecond to convert."""
    for part in columns:
        for first in range(0, len(part), _SLICE):
            cut = slice(first, first + _SLICE)
            yield CandleColumns(part.time[cut], part.points[cut], part.volume[cut], part.digits)


def add_candles(response: pb.ListCandlesResponse, columns: CandleColumns) -> None:
    """Add stored candles to a response."""
    rows = zip(columns.time.tolist(), columns.points.tolist(), columns.volume.tolist(), strict=True)
    for time, points, volume in rows:
        bid_o, bid_h, bid_l, bid_c, ask_o, ask_h, ask_l, ask_c = _prices(points, columns.digits)
        response.candles.add(
            ts_ms=time * 1000,
            bid=pb.Ohlc(o=bid_o, h=bid_h, l=bid_l, c=bid_c),
            ask=pb.Ohlc(o=ask_o, h=ask_h, l=ask_l, c=ask_c),
            volume=volume,
        )


def _prices(points: list[int], digits: int) -> list[str]:
    """Prices in units of their last digit as text: exact, and five times as fast as decimals."""
    if not digits:
        return list(map(str, points))
    width = digits + 1
    return [f"{(text := str(p).zfill(width))[:-digits]}.{text[-digits:]}" for p in points]
