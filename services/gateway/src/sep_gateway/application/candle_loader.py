"""Loads pages of candles from the broker into the store."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sep_fx.granularity import Granularity
from sep_fx.instants import format_rfc3339
from sep_fx.instrument import Instrument
from sep_kit.clock import Clock
from sep_kit.logging import get_logger
from sep_kit.store.candle_chunks import CandleColumns

from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.domain.candle_check import CheckedPage, Quarantined, check_page
from sep_gateway.domain.candle_page import CandlePage
from sep_gateway.domain.coverage import PAGE, BackwardPage, ForwardPage
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker, CandleStore

_log = get_logger("CandleFetcher")

_CONCURRENT_PAGES = 4
# Of the quarantined candles of a page, those that the status names.
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """Candles fetched, newly stored and quarantined by a load."""

    fetched: int = 0
    stored: int = 0
    quarantined: int = 0

    def __add__(self, other: "LoadResult") -> "LoadResult":
        return LoadResult(
            fetched=self.fetched + other.fetched,
            stored=self.stored + other.stored,
            quarantined=self.quarantined + other.quarantined,
        )


class CandleLoader:
    """Fetches candles, quarantines invalid ones and stores the rest.

    Shared by the fetcher, the audit and ``FetchCandles``, which together request at most four
    pages at a time.
    """

    def __init__(
        self,
        broker: Broker,
        store: CandleStore,
        clock: Clock,
        metrics: GatewayMetrics,
        left_out: LeftOutMembers,
    ) -> None:
        self._broker = broker
        self._left_out = left_out
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._slots = asyncio.Semaphore(_CONCURRENT_PAGES)

    async def load_page(
        self,
        instrument: Instrument,
        granularity: Granularity,
        page: ForwardPage | BackwardPage,
        since: int = 0,
    ) -> tuple[CheckedPage, LoadResult]:
        """Load a full page.

        Args:
            since: candles that start earlier, in seconds, are not stored.

        Raises:
            BrokerUnavailableError: nothing was fetched.
            StoreUnavailableError: not everything was stored; the page may be loaded again.
        """
        async with self._slots:
            sent = await self._broker.candles(instrument.name, granularity, page, PAGE)
            return await self._save(instrument, granularity, sent, since)

    async def load_latest(
        self, instrument: Instrument, granularity: Granularity, count: int
    ) -> LoadResult:
        """Load the latest ``count`` complete candles, page by page from the newest back.

        Raises:
            BrokerUnavailableError, StoreUnavailableError: earlier pages are already stored.
        """
        total = LoadResult()
        page = BackwardPage()
        while total.fetched < count:
            missing = count - total.fetched
            # Ask for one more: the newest bar is rarely complete.
            asked = min(PAGE, missing + 1)
            async with self._slots:
                sent = await self._broker.candles(instrument.name, granularity, page, asked)
                surplus = max(0, int(sent.complete.sum()) - missing)
                checked, result = await self._save(
                    instrument, granularity, sent.without_first(surplus)
                )
            total += result
            if len(sent) < asked or checked.first is None or checked.first == page.before:
                break
            page = BackwardPage(checked.first)
        return total

    async def _save(
        self, instrument: Instrument, granularity: Granularity, sent: CandlePage, since: int = 0
    ) -> tuple[CheckedPage, LoadResult]:
        checked = check_page(
            sent, granularity.seconds, instrument.display_precision, self._clock.now_ns()
        )
        selected = checked.time >= since
        columns = CandleColumns(
            checked.time[selected],
            checked.points[selected],
            checked.volume[selected],
            checked.digits,
        )
        stored = await self._store.write(instrument.name, granularity, columns)
        self._metrics.candles_stored.labels(instrument.name).inc(stored)
        self._report(instrument.name, granularity, checked.quarantined)
        result = LoadResult(
            fetched=checked.complete, stored=stored, quarantined=len(checked.quarantined)
        )
        return checked, result

    def _report(
        self, instrument: str, granularity: Granularity, quarantined: Sequence[Quarantined]
    ) -> None:
        """Count every quarantined candle; log each reason once a page."""
        self._left_out.report(
            f"candles {instrument} {granularity.value}",
            [
                LeftOut(
                    kind="candle",
                    name="" if bad.time_ns is None else format_rfc3339(bad.time_ns),
                    instrument=instrument,
                    text=f"{bad.reason}: {bad.text}",
                )
                for bad in quarantined[:_MOST_NAMED]
            ],
        )
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
                count_in_page=len(some),
            )
