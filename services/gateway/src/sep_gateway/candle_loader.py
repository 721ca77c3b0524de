"""One page of candles, from the broker into the store."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_SECOND, format_rfc3339
from sep_fx.instrument import Instrument
from sep_kit.clock import Clock
from sep_kit.logging import get_logger
from sep_kit.store.candles import Candle, CandleStore

from sep_gateway.domain.candle_check import BrokerCandle, Judged, Unreadable, judge
from sep_gateway.domain.coverage import PAGE, BackwardPage, ForwardPage
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker

_log = get_logger("CandleFetcher")

_PAGES_AT_ONCE = 4
# Merging candles into a chunk holds the event loop; small batches let orders through.
_BATCH = 720


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, in candles."""

    fetched: int = 0
    stored: int = 0
    quarantined: int = 0


class CandleLoader:
    """Fetches candles, refuses the impossible ones and stores the rest.

    Both the fetcher and ``FetchCandles`` go through here; together they ask for no
    more than four pages at once.
    """

    def __init__(
        self, broker: Broker, candles: CandleStore, clock: Clock, metrics: GatewayMetrics
    ) -> None:
        self._broker = broker
        self._candles = candles
        self._clock = clock
        self._metrics = metrics
        self._slots = asyncio.Semaphore(_PAGES_AT_ONCE)

    async def load_page(
        self, instrument: Instrument, granularity: Granularity, page: ForwardPage | BackwardPage
    ) -> tuple[Judged, Loaded]:
        """Load a full page.

        Raises:
            BrokerUnavailableError: nothing was fetched.
            StoreUnavailableError: not everything was stored; the page may be loaded again.
        """
        async with self._slots:
            sent = await self._broker.candles(instrument.name, granularity, page, PAGE)
            return await self._keep(instrument, granularity, page, sent)

    async def load_latest(
        self, instrument: Instrument, granularity: Granularity, count: int
    ) -> Loaded:
        """Load the latest ``count`` complete candles, in pages from the newest back.

        Raises:
            BrokerUnavailableError, StoreUnavailableError: pages before it are stored.
        """
        total = Loaded()
        page = BackwardPage()
        while total.fetched < count:
            left = count - total.fetched
            # One more than wanted, since the newest bar is rarely complete.
            asked = min(PAGE, left + 1)
            async with self._slots:
                sent = await self._broker.candles(instrument.name, granularity, page, asked)
                judged, loaded = await self._keep(
                    instrument, granularity, page, _newest(sent, left)
                )
            total = Loaded(
                total.fetched + loaded.fetched,
                total.stored + loaded.stored,
                total.quarantined + loaded.quarantined,
            )
            if len(sent) < asked or judged.first is None or judged.first == page.before:
                break
            page = BackwardPage(judged.first)
        return total

    async def _keep(
        self,
        instrument: Instrument,
        granularity: Granularity,
        page: ForwardPage | BackwardPage,
        sent: Sequence[BrokerCandle | Unreadable],
    ) -> tuple[Judged, Loaded]:
        judged = await asyncio.to_thread(
            judge,
            sent,
            granularity.seconds,
            instrument.display_precision,
            self._clock.now_ns(),
        )
        stored = 0
        batches = _batches(judged.candles)
        # Written toward the bars that are there already, so that readers see no hole.
        for some in batches if isinstance(page, ForwardPage) else reversed(batches):
            stored += await self._candles.write(instrument.name, granularity, some)
        self._metrics.candles_stored.labels(instrument.name).inc(stored)
        for bad in judged.quarantined:
            self._metrics.candles_quarantined.labels(instrument.name, bad.reason).inc()
            _log.warning(
                "candle quarantined",
                instrument=instrument.name,
                granularity=granularity.value,
                time=None if bad.time_ns is None else format_rfc3339(bad.time_ns),
                reason=bad.reason,
                error=bad.text,
            )
        return judged, Loaded(judged.complete, stored, len(judged.quarantined))


def _newest(
    sent: Sequence[BrokerCandle | Unreadable], complete: int
) -> Sequence[BrokerCandle | Unreadable]:
    """The candles without the oldest ones that are one too many."""
    have = sum(1 for c in sent if isinstance(c, BrokerCandle) and c.complete)
    return sent[have - complete :] if have > complete else sent


def _batches(candles: Sequence[BrokerCandle]) -> list[list[Candle]]:
    whole = [Candle(c.time_ns // NS_PER_SECOND, c.prices, c.volume) for c in candles]
    return [whole[i : i + _BATCH] for i in range(0, len(whole), _BATCH)]
