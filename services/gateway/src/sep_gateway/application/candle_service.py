"""The candle calls of the API: stored candles of a range, and fetching now."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sep_fx.granularity import Granularity
from sep_kit.errors import BrokerUnavailableError
from sep_kit.store.candle_chunks import CandleColumns

from sep_gateway.application.candle_loader import CandleLoader, LoadResult
from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.domain.universe import Universe
from sep_gateway.ports import CandleStore

_SPAN_GROWTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleQuery:
    """The latest ``limit`` candles with ``since <= start < until``.

    Whole seconds; None leaves that end of the range open.
    """

    instrument: str
    granularity: Granularity
    limit: int
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedCandles:
    """Result of fetching one instrument; ``last`` is its newest stored bar in seconds."""

    instrument: str
    load: LoadResult
    last: int | None


class CandleService:
    """Reads stored candles and fetches new ones on request."""

    def __init__(
        self,
        universe: Universe,
        instruments: InstrumentCache,
        loader: CandleLoader,
        store: CandleStore,
    ) -> None:
        self._universe = universe
        self._instruments = instruments
        self._loader = loader
        self._store = store

    async def stored(self, query: CandleQuery) -> list[CandleColumns]:
        """Stored candles, oldest first.

        Raises:
            UnknownInstrumentError: the broker does not trade it.
            BrokerUnavailableError: whether it does is not known.
            StoreUnavailableError: Valkey does not respond.
        """
        await self._check_known(query.instrument)
        seconds = query.granularity.seconds
        last_times = await self._store.last_times([query.instrument], query.granularity)
        last = last_times.get(query.instrument)
        if last is None:
            return []
        end = last + seconds if query.until is None else min(query.until, last + seconds)
        start = query.since or 0
        # Bars without a tick do not exist, so how far back the limit reaches is not known.
        span = query.limit * seconds
        while True:
            begin = max(start, end - span)
            found = await self._store.read_columns(query.instrument, query.granularity, begin, end)
            surplus = sum(map(len, found)) - query.limit
            if surplus >= 0 or begin <= start:
                return _without_first(found, surplus)
            span *= _SPAN_GROWTH

    async def fetch(
        self, names: Sequence[str], granularity: Granularity, count: int
    ) -> list[FetchedCandles]:
        """Fetch and store the latest ``count`` complete candles of each instrument.

        Args:
            names: instruments; none means the universe.

        Raises:
            UnknownInstrumentError: the broker does not trade one of them; nothing was fetched.
            BrokerUnavailableError, StoreUnavailableError: what was stored before stays.
        """
        names = tuple(dict.fromkeys(names)) or await self._instruments.traded_universe()
        instruments = [await self._instruments.get(name) for name in names]
        loads = await asyncio.gather(
            *(self._loader.load_latest(i, granularity, count) for i in instruments)
        )
        last_times = await self._store.last_times(names, granularity)
        return [
            FetchedCandles(instrument=name, load=load, last=last_times.get(name))
            for name, load in zip(names, loads, strict=True)
        ]

    async def _check_known(self, instrument: str) -> None:
        try:
            await self._instruments.get(instrument)
        except BrokerUnavailableError:
            # The traded instruments and their stored candles are known without the broker.
            if instrument not in self._universe.instruments:
                raise


def _without_first(columns: Sequence[CandleColumns], surplus: int) -> list[CandleColumns]:
    """The columns without their first ``surplus`` candles; none are left out below 1."""
    left = []
    for part in columns:
        skipped = min(max(0, surplus), len(part))
        surplus -= skipped
        if skipped < len(part):
            left.append(
                CandleColumns(
                    part.time[skipped:], part.points[skipped:], part.volume[skipped:], part.digits
                )
            )
    return left
