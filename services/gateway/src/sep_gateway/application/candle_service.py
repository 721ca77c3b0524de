"""Stored candles of a range, the latest first to count."""

from sep_fx.granularity import Granularity
from sep_kit.store.candles import Candle, CandleStore

_WIDEN = 8


async def latest_candles(
    candles: CandleStore,
    instrument: str,
    granularity: Granularity,
    limit: int,
    since: int | None,
    until: int | None,
) -> list[Candle]:
    """The latest ``limit`` candles with ``since <= start < until``, oldest first.

    Args:
        since, until: whole seconds; None leaves that end open.

    Raises:
        StoreUnavailableError: Valkey does not answer.
    """
    last = (await candles.last_times([instrument], granularity)).get(instrument)
    if last is None:
        return []
    end = (
        min(until, last + granularity.seconds) if until is not None else last + granularity.seconds
    )
    start = since if since is not None else 0
    # Bars without a tick don't exist, so it is not known how far back the limit reaches.
    span = limit * granularity.seconds
    while True:
        begin = max(start, end - span)
        found = await candles.read_candles(instrument, granularity, begin, end)
        if len(found) >= limit or begin <= start:
            return found[-limit:]
        span *= _WIDEN
