"""One page of candles, from the broker into the store."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sep_fx.granularity import Granularity
from sep_fx.instants import format_rfc3339
from sep_fx.instrument import Instrument
from sep_kit.clock import Clock
from sep_kit.logging import get_logger
from sep_kit.store.candles import CandleColumns, CandleStore

from sep_gateway.domain.candle_check import Judged, Quarantined, judge
from sep_gateway.domain.candle_page import CandlePage
from sep_gateway.domain.coverage import PAGE, BackwardPage, ForwardPage
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker

_log = get_logger("CandleFetcher")

_PAGES_AT_ONCE = 4


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
        self,
        instrument: Instrument,
        granularity: Granularity,
        page: ForwardPage | BackwardPage,
        since: int = 0,
    ) -> tuple[Judged, Loaded]:
        """Load a full page.

        Args:
            since: candles that start before it, in seconds, are not stored.

        Raises:
            BrokerUnavailableError: nothing was fetched.
            StoreUnavailableError: not everything was stored; the page may be loaded again.
        """
        async with self._slots:
            sent = await self._broker.candles(instrument.name, granularity, page, PAGE)
            return await self._keep(instrument, granularity, sent, since)

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
                # The oldest are more than wanted.
                spare = max(0, int(sent.complete.sum()) - left)
                judged, loaded = await self._keep(
                    instrument, granularity, sent.without_first(spare)
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
        self, instrument: Instrument, granularity: Granularity, sent: CandlePage, since: int = 0
    ) -> tuple[Judged, Loaded]:
        judged = judge(
            sent, granularity.seconds, instrument.display_precision, self._clock.now_ns()
        )
        kept = judged.time >= since
        good = CandleColumns(
            judged.time[kept], judged.points[kept], judged.volume[kept], judged.digits
        )
        stored = await self._candles.write(instrument.name, granularity, good)
        self._metrics.candles_stored.labels(instrument.name).inc(stored)
        self._tell(instrument.name, granularity, judged.quarantined)
        return judged, Loaded(judged.complete, stored, len(judged.quarantined))

    def _tell(
        self, instrument: str, granularity: Granularity, quarantined: Sequence[Quarantined]
    ) -> None:
        """Count each; log each reason once a page, which may be bad as a whole."""
        by_reason: dict[str, list[Quarantined]] = {}
        for bad in quarantined:
            by_reason.setdefault(bad.reason, []).append(bad)
        for reason, some in by_reason.items():
            self._metrics.candles_quarantined.labels(instrument, reason).inc(len(some))
            first = some[0]
            _log.warning(
                "candle quarantined",
                instrument=instrument,
                granularity=granularity.value,
                time=None if first.time_ns is None else format_rfc3339(first.time_ns),
                reason=reason,
                error=first.text,
                alike_in_page=len(some),
            )
